"""``localize/thresholds.json``: box thresholds and report cutoffs of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.atomic_files import write_json
from camray.core.localization.box_recipes import recipe_from_json
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.domain.errors import CheckpointError
from camray.domain.records import ThresholdSource
from camray.io.json_files import other_version, read_json


def read_thresholds(path: Path) -> Thresholds:
    """Read ``thresholds.json``.

    Raises
    ------
    PipelineError
        If it is missing, or lacks a key.
    """
    plain = read_json(path)
    try:
        return Thresholds(
            tuple(_box_threshold(entry) for entry in plain["thresholds"]),
            tuple(
                ReportCutoff(
                    label=entry["label"],
                    probability=float(entry["probability"]),
                    split=entry["split"],
                    criterion=entry["criterion"],
                    n=int(entry["n"]),
                    not_judged=str(entry.get("not_judged", "")),
                )
                for entry in plain["cutoffs"]
            ),
            tuple(plain["notes"]),
        )
    except (KeyError, TypeError, ArithmeticError, ValueError, AttributeError, CheckpointError) as error:
        raise other_version(path, error) from error


def write_thresholds(path: Path, thresholds: Thresholds) -> None:
    """Write ``thresholds.json``."""
    write_json(
        path,
        {
            "thresholds": [_threshold_as_json(threshold) for threshold in thresholds.boxes],
            "cutoffs": [
                {
                    "label": cutoff.label,
                    "probability": cutoff.probability,
                    "split": cutoff.split,
                    "criterion": cutoff.criterion,
                    "n": cutoff.n,
                    **({"not_judged": cutoff.not_judged} if cutoff.not_judged else {}),
                }
                for cutoff in thresholds.cutoffs
            ],
            "notes": list(thresholds.notes),
        },
    )


def _threshold_as_json(threshold: BoxThreshold) -> dict[str, Any]:
    """Return one box threshold as an entry of the file."""
    plain: dict[str, Any] = {
        "id": threshold.id,
        "method": threshold.method,
        "label": threshold.label,
        "policy": threshold.policy,
        "source": str(threshold.source),
        "value": threshold.recipe.level,
        "parameters": threshold.recipe.as_json(),
        "split": threshold.split,
        "criterion": threshold.criterion,
        "n": threshold.n,
    }
    return plain | ({"reached": dict(threshold.reached)} if threshold.reached else {})


def _box_threshold(entry: Mapping[str, Any]) -> BoxThreshold:
    return BoxThreshold(
        id=entry["id"],
        method=entry["method"],
        label=entry["label"],
        policy=entry["policy"],
        source=ThresholdSource(entry["source"]),
        recipe=recipe_from_json(entry["parameters"]),
        split=entry["split"],
        criterion=entry["criterion"],
        n=int(entry["n"]),
        reached=dict(entry.get("reached", {})),
    )
