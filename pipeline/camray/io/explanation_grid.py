"""``explain/grid.json``: grids, labels and methods of a run's heat maps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from camray.adapters.run_folders.atomic_files import write_json
from camray.io.json_files import other_version, read_json


@dataclass(frozen=True)
class ExplanationGrid:
    """Grid, labels and methods of all heat maps of a run.

    Parameters
    ----------
    rows, cols : int
        Model grid, px.
    feature_rows, feature_cols : int
        Feature grid: shape of a heat map, cells.
    labels : tuple of str
        In the order of the logits and of the maps' second axis.
    methods : tuple of str
        Explanation methods, in the order of the settings.
    heat_exponents : mapping of str to int
        By method: a stored map is the raw heat times 2 to this power.
    notes : mapping of str to str
        By method: what its maps mean.
    flip : bool
        Maps are averaged over the film and its mirror image.
    scales : tuple of float
        Input sizes that maps are averaged over.
    within : {'film', 'chest'}
        Region of the film that the maps are held to.
    """

    rows: int
    cols: int
    feature_rows: int
    feature_cols: int
    labels: tuple[str, ...]
    methods: tuple[str, ...]
    heat_exponents: Mapping[str, int]
    notes: Mapping[str, str] = field(default_factory=dict)
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    within: str = "film"

    @property
    def shape_model(self) -> tuple[int, int]:
        """Rows and columns of the model grid."""
        return self.rows, self.cols

    @property
    def shape_feature(self) -> tuple[int, int]:
        """Rows and columns of the feature grid."""
        return self.feature_rows, self.feature_cols

    def stored_unit(self, method: str) -> np.float32:
        """Return the raw heat of one unit of a method's stored maps."""
        return np.float32(2.0 ** -self.heat_exponents[method])


def read_grid(path: Path) -> ExplanationGrid:
    """Read ``grid.json``.

    Raises
    ------
    PipelineError
        If it is missing, or lacks a key.
    """
    plain = read_json(path)
    try:
        averaged = plain.get("averaged_over", {})
        return ExplanationGrid(
            rows=int(plain["rows"]),
            cols=int(plain["cols"]),
            feature_rows=int(plain["feature_rows"]),
            feature_cols=int(plain["feature_cols"]),
            labels=tuple(map(str, plain["labels"])),
            methods=tuple(map(str, plain["methods"])),
            heat_exponents={str(name): int(power) for name, power in plain["heat_exponents"].items()},
            notes=dict(plain.get("notes", {})),
            flip=bool(averaged.get("flip", False)),
            scales=tuple(map(float, averaged.get("scales", (1.0,)))),
            within=str(plain.get("within", "film")),
        )
    except (KeyError, TypeError, ArithmeticError, ValueError, AttributeError) as error:
        raise other_version(path, error) from error


def write_grid(path: Path, grid: ExplanationGrid) -> None:
    """Write ``grid.json``."""
    write_json(
        path,
        {
            "rows": grid.rows,
            "cols": grid.cols,
            "feature_rows": grid.feature_rows,
            "feature_cols": grid.feature_cols,
            "labels": list(grid.labels),
            "methods": list(grid.methods),
            "heat_exponents": dict(grid.heat_exponents),
            "notes": dict(grid.notes),
            "averaged_over": {"flip": grid.flip, "scales": list(grid.scales)},
            **({} if grid.within == "film" else {"within": grid.within}),
        },
    )
