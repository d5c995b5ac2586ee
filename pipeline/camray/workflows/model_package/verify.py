"""Verification of a model package: its digests, and its answers on the films that check it.

Reads   a package
Run     ``camray verify phantom-model``
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.run_folders.package_marks import is_package
from camray.domain.errors import CheckpointError, SettingsError
from camray.domain.records import CORNERS
from camray.io.model_package import PackageFiles, check_package
from camray.workflows.model_package.checks import answers, this_build
from camray.workflows.model_package.onnx_graph import TOLERANCE, onnx_difference

KEYS = ["image_id", "label", "method", "threshold_id", "rank"]
OUTPUT_TOLERANCE = 1e-3  # of logits (relative to 1 or their size) and probabilities, on another build
POSITION_TOLERANCE_PX = 8.0  # of corners and peaks, native px of the films of 512 rows, on another build
_OUTPUTS = ["logit", "probability"]
_POSITIONS = [*CORNERS, "peak_x", "peak_y"]
_SAME = ["reported", "zone"]


@dataclass(frozen=True)
class CheckedFilm:
    """Answers on one film beside the expected ones.

    Parameters
    ----------
    image_id : str
        Of the generated film.
    rows : int
        Expected answers: findings, thresholds and boxes.
    output : float
        Largest difference of a logit or probability.
    position_px : float
        Largest difference of a box's corner or a peak, native px; infinite where one is missing.
    is_same : bool
        Whether the difference is within what `Verification.rule` allows.
    """

    image_id: str
    rows: int
    output: float
    position_px: float
    is_same: bool


@dataclass(frozen=True)
class Verification:
    """Result of a verification.

    Parameters
    ----------
    files : int
        Files whose digests are right.
    is_exact : bool
        Whether equal answers were expected to the last digit: the build is that of the package's writer.
    differs : tuple of str
        What is different in this build; empty if `is_exact`.
    films : tuple of CheckedFilm
    onnx : float or None
        Largest difference between the package's ONNX and its network, relative to 1 or the largest value; None if it
        has none, or onnxruntime is not installed.
    """

    files: int
    is_exact: bool
    differs: tuple[str, ...]
    films: tuple[CheckedFilm, ...]
    onnx: float | None = None

    @property
    def rule(self) -> str:
        """What was allowed, in words."""
        if self.is_exact:
            return "exact: same machine and build as the package's writer"
        return (
            f"tolerance: {OUTPUT_TOLERANCE:g} for logits and probabilities, {POSITION_TOLERANCE_PX:g} px for boxes and "
            f"peaks; this build differs in {', '.join(self.differs)}"
        )

    @property
    def is_onnx_right(self) -> bool:
        """Whether the package's ONNX gives what its network gives, as far as that was checked."""
        return self.onnx is None or self.onnx <= TOLERANCE

    @property
    def is_passed(self) -> bool:
        """Whether every film has the expected answers."""
        return bool(self.films) and all(film.is_same for film in self.films)


def verify_package(root: Path) -> Verification:
    """Check a package's digests, then its answers on its own films, and its ONNX where onnxruntime is installed.

    Raises
    ------
    SettingsError
        If the folder is no package.
    CheckpointError
        If a file is missing, changed or not of the package.
    """
    if not is_package(root):
        raise SettingsError(f"{root}: not a model package; expected a folder that `camray package` wrote")
    manifest, here = check_package(root), this_build()
    differs = tuple(name for name in here if here[name] != manifest.build.get(name))
    expected, found = PackageFiles(root).checks.expected.read(), answers(root)
    if expected.empty:
        raise CheckpointError(f"{root}: has no expected answers; write the package again with `camray package`")
    films = compare(expected, found, is_exact=not differs)
    return Verification(len(manifest.files), not differs, differs, films, onnx_difference(root))


def compare(expected: pd.DataFrame, found: pd.DataFrame, *, is_exact: bool) -> tuple[CheckedFilm, ...]:
    """Compare answers film by film.

    Parameters
    ----------
    expected, found : DataFrame
        `PREDICTION_COLUMNS`.
    is_exact : bool
        Whether every value must be equal; else the module's tolerances apply.
    """
    films = sorted({*expected["image_id"], *found["image_id"]})
    compared = []
    for film in films:
        first, second = (table[table["image_id"] == film].sort_values(KEYS) for table in (expected, found))
        compared.append(_compared(first, second, film, is_exact))
    return tuple(compared)


def _compared(expected: pd.DataFrame, found: pd.DataFrame, film: str, is_exact: bool) -> CheckedFilm:
    if expected[KEYS].to_numpy().tolist() != found[KEYS].to_numpy().tolist():
        return CheckedFilm(film, len(expected), float("inf"), float("inf"), False)
    scale = np.maximum(1.0, expected[_OUTPUTS].abs().to_numpy(np.float64))
    output = _largest(expected[_OUTPUTS], found[_OUTPUTS], scale)
    position = _largest(expected[_POSITIONS], found[_POSITIONS])
    if is_exact:
        is_same = expected.reset_index(drop=True).equals(found.reset_index(drop=True))
    else:
        is_same = output <= OUTPUT_TOLERANCE and position <= POSITION_TOLERANCE_PX
        is_same = is_same and expected[_SAME].to_numpy().tolist() == found[_SAME].to_numpy().tolist()
    return CheckedFilm(film, len(expected), output, position, bool(is_same))


def _largest(expected: pd.DataFrame, found: pd.DataFrame, scale: NDArray[np.float64] | float = 1.0) -> float:
    """Return the largest absolute difference; infinite where only one of two values is missing."""
    first, second = expected.to_numpy(np.float64), found.to_numpy(np.float64)
    if (np.isnan(first) != np.isnan(second)).any():
        return float("inf")
    return float(np.nan_to_num(np.abs(first - second) / scale).max(initial=0.0))
