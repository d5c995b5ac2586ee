"""What the earlier stages found, cut down to the films and the thresholds that are shown; no stage of its own.

Reads   ``ingest/``, ``explain/``, ``localize/``, and ``train/`` of the run that owns the network
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.export_formats import BOX_COLUMNS
from camray.adapters.run_folder import RunFolder, code_version, file_digest, read_table
from camray.adapters.settings.schema import Settings
from camray.core.localization.default_method import default_method, default_thresholds
from camray.domain.errors import ExportError
from camray.domain.film_results import Algorithm, FilmResult, FoundBox, FoundFinding, on_export_grid
from camray.domain.geometry import Box
from camray.domain.labels import Code, Finding
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    CORNERS,
    EXPLAINED_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    PREDICTION_COLUMNS,
)


@dataclass(frozen=True)
class ShownResults:
    """What is shown of a run.

    Parameters
    ----------
    images : dict
        Row of each film by its image_id, sorted; ``shard_heat`` and ``index_heat`` say where its maps lie.
    labels : tuple of str
        In the order of the maps.
    values : dict
        (image_id, label) to the label table's value.
    annotations, predictions : DataFrame
        Of these films; predictions of the shown method and thresholds alone.
    thresholds : dict
        Label to its entry in ``thresholds.json``.
    cutoffs : dict
        Label to the probability from which it is reported.
    method : str
        Explanation method.
    stretched : bool
        Films were stretched to the model grid.
    """

    images: dict[str, dict[str, Any]]
    labels: tuple[str, ...]
    values: dict[tuple[str, str], str]
    annotations: pd.DataFrame
    predictions: pd.DataFrame
    thresholds: dict[str, Any]
    cutoffs: dict[str, float]
    method: str
    stretched: bool

    def pixel_aspect(self, image: Mapping[str, Any]) -> float:
        """Return height over width of a model pixel as it should be shown: 1 unless films were stretched."""
        row_mm, col_mm = float(image["row_spacing_mm"]), float(image["col_spacing_mm"])
        spacing = row_mm / col_mm if row_mm > 0 and col_mm > 0 else 1.0
        return float(image["scale_x"] / image["scale_y"] * spacing) if self.stretched else 1.0

    def smooth(self, label: str) -> float:
        """Return the sigma that a label's maps are smoothed with, in feature cells."""
        return float(self.thresholds[label].get("parameters", {}).get("smooth", 0.0))

    def boxes(self, *, everything: bool) -> pd.DataFrame:
        """Return the boxes worth telling, one row each, in a fixed order."""
        boxes = self.predictions.dropna(subset=CORNERS)
        if not everything:
            boxes = boxes[boxes["reported"]]
        sources = {label: entry["source"] for label, entry in self.thresholds.items()}
        boxes = boxes.assign(threshold_source=boxes["label"].map(sources))
        order = {label: number for number, label in enumerate(self.labels)}
        boxes = boxes.assign(_order=boxes["label"].map(order)).sort_values(["image_id", "_order", "rank"])
        return boxes.loc[:, list(BOX_COLUMNS)].reset_index(drop=True)


def read_results(settings: Settings, folder: RunFolder) -> ShownResults:
    """Read what is shown of a run whose boxes are drawn.

    Raises
    ------
    PipelineError
        If an earlier stage has not happened.
    """
    ingest, explain, localize = (folder.root / name for name in ("ingest", "explain", "localize"))
    images = read_table(ingest / "images.parquet", IMAGE_COLUMNS)
    explained = read_table(explain / "images.parquet", EXPLAINED_COLUMNS)[["image_id", "shard", "index"]]
    images = images[images["split"].isin(settings.export.splits)].merge(
        explained, on="image_id", suffixes=("", "_heat")
    )
    films: dict[str, dict[str, Any]] = {
        str(film["image_id"]): {str(key): value for key, value in film.items()}
        for film in images.sort_values("image_id").to_dict("records")
    }
    predictions = read_table(localize / "predictions.parquet", PREDICTION_COLUMNS)
    method = default_method(sorted(predictions["method"].dropna().unique()) or list(settings.explain.methods))
    labels = tuple(json.loads((explain / "grid.json").read_text(encoding="utf-8"))["labels"])
    entries = json.loads(thresholds_path(folder).read_text(encoding="utf-8"))
    thresholds = default_thresholds(entries["thresholds"], method, labels)
    keys = pd.MultiIndex.from_arrays([predictions["label"], predictions["threshold_id"]])
    shown = keys.isin([(label, entry["id"]) for label, entry in thresholds.items()])
    predictions = predictions[shown & (predictions["method"] == method) & predictions["image_id"].isin(list(films))]
    table = read_table(ingest / "labels.parquet", LABEL_COLUMNS)
    return ShownResults(
        images=films,
        labels=labels,
        values={(i, label): value for i, label, value in table.itertuples(index=False) if i in films},
        annotations=read_table(ingest / "annotations.parquet", ANNOTATION_COLUMNS),
        predictions=predictions,
        thresholds=dict(thresholds),
        cutoffs={entry["label"]: float(entry["probability"]) for entry in entries.get("cutoffs", [])},
        method=method,
        stretched=settings.ingest.fit == "stretch",
    )


def thresholds_path(folder: RunFolder) -> Path:
    """Return where the thresholds of a run stand: with the run that owns the network."""
    return folder.model_run.root / "localize" / "thresholds.json"


def film_results(found: ShownResults, settings: Settings, folder: RunFolder) -> dict[str, FilmResult]:
    """Return what is said of each film, in the order of `found.images`.

    Raises
    ------
    ExportError
        If the run that owns the network has no weights to identify it by.
    """
    findings = {finding.name: finding for finding in findings_of(folder)}
    algorithm = _algorithm(found, settings, folder)
    everything = settings.localize.report == "all"
    ranked = found.predictions.sort_values("rank")
    groups = {key: rows for key, rows in ranked.groupby(["image_id", "label"], observed=True)}
    return {
        image_id: FilmResult(
            image_id=image_id,
            rows=int(image["rows"]),
            cols=int(image["cols"]),
            laterality=str(image["laterality"]) if image["laterality"] in ("L", "R") else "",
            findings=tuple(
                _found(found, findings.get(label) or Finding(label), groups[image_id, label], image, everything)
                for label in found.labels
                if (image_id, label) in groups
            ),
            algorithm=algorithm,
        )
        for image_id, image in found.images.items()
    }


def found_at(folder: RunFolder) -> datetime:
    """Return when a run's boxes were drawn: the time of their table, whole seconds, local time."""
    changed = (folder.root / "localize" / "predictions.parquet").stat().st_mtime
    return datetime.fromtimestamp(int(changed))


def _found(
    found: ShownResults, finding: Finding, rows: pd.DataFrame, image: Mapping[str, Any], everything: bool
) -> FoundFinding:
    first, boxes = rows.iloc[0], []
    is_reported = everything or bool(first["reported"])
    for row in rows.dropna(subset=CORNERS).to_dict("records") if is_reported else []:
        box = on_export_grid(Box(*(float(row[side]) for side in CORNERS)), int(image["rows"]), int(image["cols"]))
        if box is not None:
            boxes.append(FoundBox(box, float(row["score"]), str(row.get("zone") or "")))
    return FoundFinding(
        finding=finding,
        probability=float(first["probability"]),
        cutoff=found.cutoffs.get(finding.name, 0.5),
        is_reported=is_reported,
        boxes=tuple(boxes),
        threshold_source=str(found.thresholds[finding.name]["source"]),
    )


def findings_of(folder: RunFolder) -> tuple[Finding, ...]:
    """Return the model's findings with their codes, as the ingest of its training wrote them down."""
    path = folder.model_run.root / "ingest" / "contract.json"
    if not path.is_file():
        return ()
    plain = json.loads(path.read_text(encoding="utf-8")).get("findings", [])
    return tuple(Finding(each["name"], Code(**each["code"]) if each["code"] else None) for each in plain)


def _algorithm(found: ShownResults, settings: Settings, folder: RunFolder) -> Algorithm:
    weights = folder.model_run.root / "train" / "model.safetensors"
    trained = folder.model_run.record("train") or {}
    digest = trained.get("outputs", {}).get(weights.name)
    if digest is None and not weights.is_file():
        raise ExportError(f"{weights}: no weights; DICOM objects must say which model found them: train first")
    localized = folder.record("localize") or {}
    return Algorithm(
        name=settings.name,
        version=str(localized.get("code_version") or code_version()),
        model_digest=str(digest or file_digest(weights)),
        threshold_digest=file_digest(thresholds_path(folder)),
        method=found.method,
    )
