"""Drift in plain forms: for programs, and as metrics."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from camray.core.drift.reference import FEWEST_FILMS, RunReference
from camray.core.drift.verdict import (
    ALARM_P,
    ALARM_PSI,
    LEVELS,
    WATCH_P,
    WATCH_PSI,
    FeatureDrift,
    FolderDrift,
    Level,
)

RULES = {
    "watch": {"p": WATCH_P, "psi": WATCH_PSI},
    "alarm": {"p": ALARM_P, "psi": ALARM_PSI},
    "fewest_patients": FEWEST_FILMS,
}
DECIMALS = 5


def drift_as_json(
    run: str, reference: RunReference, folders: Sequence[FolderDrift], notes: Sequence[str]
) -> dict[str, Any]:
    """Return the result for programs; numbers that are not known are None."""
    return {
        "run": run,
        "level": str(folders[-1].level),
        "rules": RULES,
        "training_patients": reference.training,
        "held_out_patients": reference.held_out,
        "folders": [_folder(folder) for folder in folders],
        "notes": list(notes),
    }


def drift_metrics(folder: FolderDrift) -> dict[str, float]:
    """Return the figures of a folder: PSI of each feature, films, and the level as 0 to 2 (missing with too few films).

    Returns
    -------
    dict
        ``drift/<feature>``, ``drift/films``, ``drift/level``.
    """
    rows = {f"drift/{row.reference.key}": row.shift.psi for row in folder.rows if row.shift is not None}
    level = {} if folder.level == Level.TOO_FEW else {"drift/level": float(LEVELS.index(folder.level) - 1)}
    return {**rows, **level, "drift/films": float(folder.films)}


def _folder(folder: FolderDrift) -> dict[str, Any]:
    about = {"folder": folder.name, "written": folder.written, "films": folder.films, "patients": folder.patients}
    return {**about, "level": str(folder.level), "features": [_feature(row) for row in folder.rows]}


def _feature(row: FeatureDrift) -> dict[str, Any]:
    reference = row.reference
    return {
        "feature": reference.key,
        "title": reference.title,
        "level": str(row.level),
        "change": row.change,
        **(dict.fromkeys(_SHIFT) if row.shift is None else _finite(asdict(row.shift))),
        "p_corrected": _finite({"p": row.p})["p"],
        "films": row.films,
        "reference_films": reference.films,
        "bins": list(reference.bin_titles),
        "counts": reference.in_bins(row.counts).tolist(),
        "reference_counts": reference.in_bins(row.reference_counts).tolist(),
    }


_SHIFT = ("psi", "psi_low", "psi_high", "plain_psi", "ks", "ks_low", "ks_high", "p")


def _finite(values: dict[str, float]) -> dict[str, float | None]:
    return {name: round(value, DECIMALS) if value == value else None for name, value in values.items()}
