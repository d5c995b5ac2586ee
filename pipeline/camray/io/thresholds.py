"""``localize/thresholds.json``: box thresholds, report cutoffs, calibrations and promises of a run."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from camray.adapters.run_folders.atomic_files import write_json
from camray.core.imaging.film_range import FilmRange
from camray.core.localization.box_recipes import recipe_from_json
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.probability.calibration import Kind, LabelCalibration
from camray.core.probability.promise import Candidate, Promise, PromiseTerms
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
                    output=float(entry["output"] if "output" in entry else entry["probability"]),
                    split=entry["split"],
                    criterion=entry["criterion"],
                    n=int(entry["n"]),
                    not_judged=str(entry.get("not_judged", "")),
                )
                for entry in plain["cutoffs"]
            ),
            tuple(plain["notes"]),
            tuple(_calibration(entry) for entry in plain.get("calibrations", ())),
            tuple(_promise(entry) for entry in plain.get("promises", ())),
            _film_range(plain.get("films")),
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
                    "output": cutoff.output,
                    "split": cutoff.split,
                    "criterion": cutoff.criterion,
                    "n": cutoff.n,
                    **({"not_judged": cutoff.not_judged} if cutoff.not_judged else {}),
                }
                for cutoff in thresholds.cutoffs
            ],
            "notes": list(thresholds.notes),
            "calibrations": [asdict(each) for each in thresholds.calibrations],
            "promises": [asdict(each) for each in thresholds.promises],
            "films": None if thresholds.films is None else asdict(thresholds.films),
        },
    )


def _calibration(entry: Mapping[str, Any]) -> LabelCalibration:
    """Return a calibration; an entry that is none raises ValueError, TypeError or KeyError."""
    values = {each.name: entry[each.name] for each in fields(LabelCalibration)}
    if values["kind"] not in get_args(Kind):
        raise ValueError(f"calibration of kind {values['kind']!r}")
    knots = tuple((float(at), float(value)) for at, value in values["knots"])
    for name in ("slope", "shift", "prevalence", "site_prevalence"):
        values[name] = None if values[name] is None else float(values[name])
    return LabelCalibration(**{**values, "knots": knots})


def _promise(entry: Mapping[str, Any]) -> Promise:
    """Return a promise; an entry that is none raises ValueError, TypeError or KeyError."""
    values = {each.name: entry[each.name] for each in fields(Promise)}
    for name in ("lower", "upper", "not_judged", "site_prevalence"):
        values[name] = None if values[name] is None else float(values[name])
    candidates = tuple(Candidate(float(at), int(n), int(present)) for at, n, present in values["candidates"])
    return Promise(**{**values, "terms": PromiseTerms(**values["terms"]), "candidates": candidates})


def _film_range(entry: Mapping[str, Any] | None) -> FilmRange | None:
    """Return which films are like those of training; an entry that is none raises ValueError, TypeError or KeyError."""
    if entry is None:
        return None
    values = {each.name: entry[each.name] for each in fields(FilmRange)}
    for name in ("centre", "scale", "spreads"):
        values[name] = tuple(map(float, values[name]))
    values["directions"] = tuple(tuple(map(float, direction)) for direction in values["directions"])
    values["views"], values["limit"] = tuple(map(str, values["views"])), float(values["limit"])
    for name in ("deviations", "widths_mm"):
        if values[name] is not None:
            low, high = values[name]
            values[name] = float(low), float(high)
    return FilmRange(**values)


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
