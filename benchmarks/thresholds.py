"""Time for the boxes of all regions at all thresholds of a map, beside an OpenCV contour search per threshold.

Run: ``python -m benchmarks.thresholds --opencv SITE_PACKAGES [--side 224] [--rounds 7]``

OpenCV is not a dependency: install ``opencv-python-headless`` into a separate environment and name its
``site-packages``, which is appended to the path of this process. Both sides start from one map on a scale of 0-1 and
end with the boxes of all regions. They take turns; the shortest round is printed, because other processes only add.
Goal: at least 5 x faster at 1000 thresholds, not slower at 100.
"""

import argparse
import importlib
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from camray.core.metrics.localization.component_tree import levels_of, region_tree

MUST_REACH = {100: 1.0, 1000: 5.0}


def maps_of(side: int) -> dict[str, np.ndarray[Any, np.dtype[np.float64]]]:
    """Make maps on 0-1: one as a network gives them, two rougher ones."""
    rng = np.random.default_rng(1)
    raw = {
        "7 x 7 cells, interpolated": zoom(rng.random((7, 7)), side / 7, order=1),
        "gradient map, smoothed a little": gaussian_filter(rng.random((side, side)), 2),
        "noise": rng.random((side, side)),
    }
    return {name: (each - each.min()) / (each.max() - each.min()) for name, each in raw.items()}


def by_contours(cv2: Any, heat01: Any, thresholds: Any) -> list[list[tuple[int, int, int, int]]]:
    """Search contours at each threshold, as Choe et al. do."""
    picture = (heat01 * 255).astype(np.uint8)
    boxes = []
    for threshold in thresholds:
        _, hot = cv2.threshold(picture, int(threshold * picture.max()), 255, cv2.THRESH_BINARY)
        contours, _ = cv2.findContours(hot, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
        boxes.append([cv2.boundingRect(contour) for contour in contours])
    return boxes


def least_seconds(tasks: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Time tasks in turns; a first round only warms up."""
    least = dict.fromkeys(tasks, float("inf"))
    for number in range(rounds + 1):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if number:
                least[name] = min(least[name], time.perf_counter() - started)
    return least


def main() -> None:
    """Print one line for each map and number of thresholds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--opencv", required=True, help="site-packages that hold cv2")
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    sys.path.append(asked.opencv)
    cv2 = importlib.import_module("cv2")
    cv2.setNumThreads(1)
    print(f"{platform.processor() or platform.machine()}, {platform.platform()}, one thread each")
    print(
        f"OpenCV {cv2.__version__}, numba {numba.__version__}, numpy {np.__version__}; {asked.side} x {asked.side} px"
    )
    for name, heat01 in maps_of(asked.side).items():
        for count, wanted in MUST_REACH.items():
            thresholds = np.arange(count) / count
            tasks: dict[str, Callable[[], object]] = {
                "tree": lambda: region_tree(levels_of(heat01, thresholds), count),  # noqa: B023 (called at once)
                "opencv": lambda: by_contours(cv2, heat01, thresholds),  # noqa: B023
            }
            least = least_seconds(tasks, asked.rounds)
            ratio = least["opencv"] / least["tree"]
            verdict = "reached" if ratio >= wanted else "MISSED"
            print(
                f"{name:32} {count:5} thresholds: tree {1000 * least['tree']:7.2f} ms, "
                f"OpenCV {1000 * least['opencv']:8.2f} ms, x{ratio:.1f} (must reach x{wanted:g}: {verdict})"
            )


if __name__ == "__main__":
    main()
