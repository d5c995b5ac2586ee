"""Compiled passes of the component tree: levels of pixels, growing regions, the best region at each level.

See `camray.core.metrics.localization.component_tree` for what levels, regions and thresholds are.
"""

from typing import Any

import numpy as np
from numba import njit

from camray.core.localization.located_boxes import FLAT
from camray.core.metrics.localization.pixel_rings import NEIGHBOURS


@njit(cache=True)
def low_and_span(heat: Any) -> Any:
    """Return a map's lowest heat and its range; 0 for the range of a flat map.

    The compiled twin of `camray.core.localization.located_boxes.holds_localization`.
    """
    low = high = heat[0, 0]
    for r in range(heat.shape[0]):
        for c in range(heat.shape[1]):
            low, high = min(low, heat[r, c]), max(high, heat[r, c])
    low32, high32 = np.float32(low), np.float32(high)
    if high32 - low32 <= np.float32(FLAT) * max(abs(low32), abs(high32)):
        return 0.0, 0.0
    return np.float64(low), np.float64(high) - np.float64(low)


@njit(cache=True)
def reached_levels(heat: Any, low: float, span: float, thresholds: Any) -> Any:
    """As `levels_of`, of ``(heat - low) / span``."""
    rows, cols = heat.shape
    last = len(thresholds) - 1
    levels = np.empty((rows, cols), np.int16)
    start = thresholds[0]
    steps = last / (thresholds[last] - start) if last > 0 else 0.0
    for r in range(rows):
        for c in range(cols):
            value = (np.float64(heat[r, c]) - low) / span
            guess = min(max((value - start) * steps, -1.0), float(last))
            level = int(guess)
            while level < last and value >= thresholds[level + 1]:
                level += 1
            while level >= 0 and value < thresholds[level]:
                level -= 1
            levels[r, c] = level
    return levels


@njit(cache=True)
def _pixels_by_level(levels: Any, n_levels: int) -> Any:
    """Sort pixels by level (counting sort): ``row << 16 | column``, and where each level begins."""
    rows, cols = levels.shape
    first = np.zeros(n_levels + 1, np.int64)
    for r in range(rows):
        for c in range(cols):
            if levels[r, c] >= 0:
                first[levels[r, c] + 1] += 1
    first = np.cumsum(first)
    next_of_level, ordered = first[:-1].copy(), np.empty(first[-1], np.int32)
    for r in range(rows):
        for c in range(cols):
            if levels[r, c] >= 0:
                ordered[next_of_level[levels[r, c]]] = r << 16 | c
                next_of_level[levels[r, c]] += 1
    return first, ordered


@njit(cache=True)
def _join(regions: Any, nodes: Any, level: int, first: Any, second: Any) -> Any:
    """Join two regions into the bigger one; of equals into the first. The other one ends."""
    region_of, chain, table, node = regions
    if table[first, 4] < table[second, 4]:
        first, second = second, first
    member = second
    while member > 0:  # a part is renamed only when its region at least doubles: a few times at most
        region_of[member] = first
        member = chain[member, 0]
    chain[chain[first, 1], 0], chain[first, 1] = second, chain[second, 1]
    if node[second] >= 0:
        nodes[node[second], 7] = level + 1
    table[first, 0] = min(table[first, 0], table[second, 0])
    table[first, 1] = min(table[first, 1], table[second, 1])
    table[first, 2] = max(table[first, 2], table[second, 2])
    table[first, 3] = max(table[first, 3], table[second, 3])
    table[first, 4] += table[second, 4]
    table[first, 5] += table[second, 5]
    table[first, 6] = min(table[first, 6], table[second, 6])
    return first


@njit(cache=True)
def _steps(cols: int) -> Any:
    """Return the way to each of `NEIGHBOURS` in a flattened map; a step back wraps around."""
    steps = np.empty(8, np.uint64)
    for number in range(8):
        steps[number] = np.uint64(NEIGHBOURS[number][0] * cols + NEIGHBOURS[number][1])
    return steps


@njit(cache=True)
def grown_regions(levels: Any, n_levels: int, rings: Any) -> Any:
    """Add pixels from the hottest level down and write a node for every region that a level changed.

    A pixel remembers the *part* that it joined, one for each local maximum, from 1; a region is a chain of parts, named
    after one of them, and every part knows its region: finding one is a look into a table as small as the map has
    maxima. Numbers that index are unsigned, which spares a check at each look.
    """
    rows, cols = levels.shape[0] + 2, levels.shape[1] + 2
    first, ordered = _pixels_by_level(levels, n_levels)
    part_of, parts, n_nodes = np.zeros(rows * cols, np.uint32), 0, 0
    # parts are apart when they begin: joined through corners, there is at most one in each 2 x 2 block
    most = (min(len(ordered), rows // 2 * (cols // 2)) if rings[16, 0] else len(ordered)) + 1
    steps = _steps(cols)
    region_of, changed = np.empty(most, np.uint32), np.empty(most, np.uint32)
    node, seen, table = np.empty(most, np.int32), np.empty(most, np.int32), np.empty((most, 7), np.int32)
    chain = np.empty((most, 2), np.uint32)  # a part's next one in its region, 0 for none; a region's last part
    nodes = np.empty((1024, 10), np.int32)  # a region's figures; first and last level; part
    row_step, col_step = np.uint64(cols), np.uint64(1)
    for level in range(n_levels - 1, -1, -1):
        n_changed = 0
        for rank in range(first[level], first[level + 1]):
            r, c = np.int32(ordered[rank] >> 16), np.int32(ordered[rank] & 0xFFFF)
            pixel = np.uint64((r + 1) * cols + c + 1)
            up, down = pixel - row_step, pixel + row_step
            hot = (part_of[pixel - col_step] > 0) | (part_of[pixel + col_step] > 0) << 1
            hot |= (part_of[up] > 0) << 2 | (part_of[down] > 0) << 3
            hot |= (part_of[up - col_step] > 0) << 4 | (part_of[up + col_step] > 0) << 5
            hot |= (part_of[down - col_step] > 0) << 6 | (part_of[down + col_step] > 0) << 7
            mask = np.uint64(hot)
            if rings[mask, 0] == 0:
                parts += 1
                root = np.uint32(parts)
                region_of[root], node[root], seen[root], chain[root, 0], chain[root, 1] = root, -1, n_levels, 0, root
                table[root, 0], table[root, 1], table[root, 2], table[root, 3] = c, r, c + 1, r + 1
                table[root, 4], table[root, 5], table[root, 6] = 1, rings[mask, 5], ordered[rank]
            else:
                root = region_of[part_of[pixel + steps[np.uint64(rings[mask, 1])]]]
                for number in range(2, rings[mask, 0] + 1):
                    other = region_of[part_of[pixel + steps[np.uint64(rings[mask, number])]]]
                    if root != other:
                        root = _join((region_of, chain, table, node), nodes, level, root, other)
                table[root, 0], table[root, 1] = min(table[root, 0], c), min(table[root, 1], r)
                table[root, 2] = max(table[root, 2], c + np.int32(1))
                table[root, 3] = max(table[root, 3], r + np.int32(1))
                table[root, 4] += 1
                table[root, 5] += rings[mask, 5]
                table[root, 6] = min(table[root, 6], ordered[rank])
            part_of[pixel] = root
            if seen[root] != level:
                seen[root], changed[n_changed] = level, root
                n_changed += 1
        for number in range(n_changed):
            root = changed[number]
            if region_of[root] != root:
                continue
            if node[root] >= 0:
                nodes[node[root], 7] = level + 1
            if n_nodes == len(nodes):
                nodes = np.concatenate((nodes, nodes))
            for column in range(7):
                nodes[n_nodes, column] = table[root, column]
            nodes[n_nodes, 7], nodes[n_nodes, 8], nodes[n_nodes, 9], node[root] = 0, level, root, n_nodes
            n_nodes += 1
    return nodes[:n_nodes].copy()


@njit(cache=True)
def best_of_intervals(lowest: Any, highest: Any, keys: Any, n_levels: int) -> Any:
    """Find the interval with the highest key over each level.

    An interval is covered by two, maybe overlapping, stretches whose length is a power of two; at the end each stretch
    hands its best on to its halves. So the cost does not grow with the intervals' lengths.
    """
    powers = 1
    while (1 << powers) <= n_levels:
        powers += 1
    best = np.full((powers, n_levels), -1, np.int32)
    for number in range(len(keys)):
        power = 0
        while (2 << power) <= highest[number] - lowest[number] + 1:
            power += 1
        for start_at in (np.int64(lowest[number]), np.int64(highest[number]) + 1 - (1 << power)):
            if best[power, start_at] < 0 or keys[best[power, start_at]] < keys[number]:
                best[power, start_at] = number
    for power in range(powers - 1, 0, -1):
        half = 1 << (power - 1)
        for start in range(n_levels - 2 * half + 1):
            number = best[power, start]
            if number >= 0:
                for part in (start, start + half):
                    if best[power - 1, part] < 0 or keys[best[power - 1, part]] < keys[number]:
                        best[power - 1, part] = number
    return best[0]
