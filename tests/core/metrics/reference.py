"""Slow and plain: every localization metric of the score table once more, in loops and from the definitions."""

from collections.abc import Sequence

import numpy as np

from camray.core.metrics.localization.annotated_films import AnnotatedFilms

Corners = Sequence[float]


def iou(one: Corners, two: Corners) -> float:
    both = overlap(one, two)
    return both / (area(one) + area(two) - both)


def overlap(one: Corners, two: Corners) -> float:
    width = min(one[2], two[2]) - max(one[0], two[0])
    height = min(one[3], two[3]) - max(one[1], two[1])
    return width * height if width > 0 and height > 0 else 0.0


def area(box: Corners) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def best_iou(predicted: Corners | None, annotated: Sequence[Corners]) -> float:
    return 0.0 if predicted is None else max(iou(predicted, box) for box in annotated)


def best_iobb(predicted: Corners | None, annotated: Sequence[Corners]) -> float:
    return 0.0 if predicted is None else max(overlap(predicted, box) / area(predicted) for box in annotated)


def is_hit(point: Sequence[float] | None, annotated: Sequence[Corners]) -> bool:
    if point is None:
        return False
    x, y = point
    return any(box[0] <= x < box[2] and box[1] <= y < box[3] for box in annotated)


def regions(hot: np.ndarray) -> list[list[tuple[int, int]]]:
    """Connected regions of a mask, joined through corners, by flooding."""
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(hot), strict=True)}
    found = []
    while left:
        todo, region = [left.pop()], []
        while todo:
            r, c = todo.pop()
            region.append((r, c))
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    if (r + dr, c + dc) in left:
                        left.remove((r + dr, c + dc))
                        todo.append((r + dr, c + dc))
        found.append(region)
    return found


def box_of(region: list[tuple[int, int]]) -> tuple[float, float, float, float]:
    rows, cols = [r for r, _ in region], [c for _, c in region]
    return min(cols), min(rows), max(cols) + 1.0, max(rows) + 1.0


def items_of(
    films: list[tuple[int, int, list[Corners]]], label: str = "a", patients: list[int] | None = None
) -> AnnotatedFilms:
    """Annotated films from (rows, cols, boxes) a film; a patient each unless said otherwise."""
    counts = [len(boxes) for _, _, boxes in films]
    return AnnotatedFilms(
        label=label,
        image_ids=tuple(f"film{number:04d}" for number in range(len(films))),
        patients=np.array(patients if patients is not None else range(len(films)), dtype=np.int64),
        sizes_xy=np.array([(cols, rows) for rows, cols, _ in films], dtype=np.float64).reshape(-1, 2),
        boxes=np.array([box for _, _, boxes in films for box in boxes], dtype=np.float64).reshape(-1, 4),
        starts=np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64) if films else np.zeros(0, np.int64),
    )


def random_films(rng: np.random.Generator, n_films: int) -> list[tuple[int, int, list[Corners]]]:
    films = []
    for _ in range(n_films):
        rows, cols = rng.integers(20, 40, 2)
        boxes = []
        for _ in range(rng.integers(1, 4)):
            x0, y0 = rng.integers(0, cols - 8), rng.integers(0, rows - 8)
            boxes.append((float(x0), float(y0), float(x0 + rng.integers(2, 9)), float(y0 + rng.integers(2, 9))))
        films.append((int(rows), int(cols), boxes))
    return films
