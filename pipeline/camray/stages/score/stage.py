"""Scores of films, maps and boxes beside trivial baselines, with intervals by patient.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (logits, maps), ``localize/`` (boxes, thresholds); the
        training and validation films of the trained run
Writes  ``score/scores.csv report.html pictures/*.png``
Run     ``camray score configs/phantom.yaml``
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.progress import progress
from camray.adapters.run_folder import RunFolder, read_table, write_bytes
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.rows import (
    ChosenLevels,
    add_baselines,
    add_max_box_acc,
    add_predictions,
    baseline_levels,
    choose_levels,
    sweep_maps,
)
from camray.core.metrics.protocols.max_box_acc import max_box_acc_at_levels
from camray.core.metrics.score_table import LabelLogits, LabelValues, score_table
from camray.core.metrics.summary import PROBE_PREFIX, mean_figures
from camray.core.metrics.threshold_selection import ThresholdUse, thresholds_to_score
from camray.domain.errors import PipelineError
from camray.domain.records import PREDICTION_COLUMNS, SCORE_COLUMNS, Counts, Split, StageResult
from camray.io.scored_films import Films, Maps, SplitItems, known_logits, read_films, read_maps, split_items
from camray.reporting.score_report.page import report_page
from camray.reporting.score_report.protocol_sections import protocols_without_rows
from camray.stages.score.figures import Shown, split_pictures
from camray.stages.score.protocol_inputs import ProtocolInputs
from camray.stages.score.protocols import protocol_rows

VALIDATION = Split.VALIDATION.value
_CATEGORIES = ("image_id", "label", "method", "threshold_id", "zone")


@dataclass(frozen=True)
class _Scoring:
    """All that is known before a split is scored: this run's films and maps, and what the trained run chose."""

    settings: Settings
    films: Films
    maps: Maps
    labels: list[str]  # those with any annotated box, here or in training
    training: dict[str, np.ndarray[Any, np.dtype[np.float64]]]
    chosen: dict[tuple[str, str], ChosenLevels | None]  # (method or baseline, label) to levels chosen on validation
    thresholds: list[dict[str, Any]]
    boxes: pd.DataFrame  # all predictions

    def chosen_levels(self, split: str) -> dict[tuple[str, str], int]:
        """Return the threshold of MaxBoxAcc chosen on validation, by method and label; none on validation itself."""
        if split == VALIDATION:
            return {}
        return {key: chosen.max_box_acc for key, chosen in self.chosen.items() if chosen is not None}


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Score all wanted splits; see `camray.workflows.run` for the calling.

    Raises
    ------
    PipelineError
        If maps or boxes of a film are missing, or a threshold was chosen on a split that is to be scored and
        ``score.oracle`` is not set.
    """
    scoring = _prepare(settings, folder)
    target = folder.stage("score")
    tables, summaries = [], []
    silent: dict[str, str] = {}
    for split in settings.score.splits:
        chosen = split_items(scoring.films, scoring.maps, split, scoring.labels)
        uses = thresholds_to_score(scoring.thresholds, split, settings.score.oracle)
        logits = known_logits(scoring.films, scoring.maps, chosen)
        table, accuracy = _score_split(scoring, split, chosen, logits, uses)
        seen = ProtocolInputs(
            settings.score, folder, split, scoring.maps, chosen, logits, uses, scoring.boxes, scoring.training
        )
        tables.append(pd.concat([table, protocol_rows(seen)], ignore_index=True))
        silent |= {
            f"{split}: {name}": why for name, why in protocols_without_rows(tables[-1], seen.asked.protocols).items()
        }
        shown = Shown(
            split,
            scoring.maps,
            chosen,
            logits,
            scoring.thresholds,
            scoring.boxes,
            accuracy,
            scoring.chosen_levels(split),
            seen,
        )
        summaries.append(split_pictures(folder, shown, tables[-1], settings.score.pictures))
    scores = pd.concat(tables, ignore_index=True).astype(SCORE_COLUMNS)
    write_bytes(target / "scores.csv", scores.to_csv(index=False).encode())
    for summary in summaries:
        for name, png in summary.files.items():
            write_bytes(target / "pictures" / name, png)
    pages = [summary.page for summary in summaries]
    page = report_page(settings.name, pages, scoring.thresholds, settings.score.confidence)
    write_bytes(target / "report.html", page.encode())
    figures = mean_figures(scores)
    tracker.artifact(target / "report.html")
    tracker.artifact(target / "scores.csv")
    for chart in sorted((target / "pictures").glob("*.png")):
        if "-finding-" not in chart.name:
            tracker.picture(chart, f"score/{chart.stem}")
    films = sum(page.films for page in pages)
    return StageResult(Counts(films, films), {**figures, **silent})


def _prepare(settings: Settings, folder: RunFolder) -> _Scoring:
    maps = read_maps(folder)
    if maps is None:
        raise PipelineError(f"{folder.root}: no maps to score; run `explain` first")
    films = read_films(folder)
    trained = films if folder.trained is None else read_films(folder.model_run)
    trained_maps = maps if folder.trained is None else read_maps(folder.model_run)
    annotated = set(films.boxes["label"]) | set(trained.boxes["label"])
    labels = [label for label in maps.labels if label in annotated]
    predictions = read_table(folder.root / "localize" / "predictions.parquet", PREDICTION_COLUMNS, _CATEGORIES)
    path = folder.model_run.root / "localize" / "thresholds.json"
    if not path.is_file():
        raise PipelineError(f"{path}: no thresholds; run `localize` first")
    return _Scoring(
        settings=settings,
        films=films,
        maps=maps,
        labels=labels,
        training={label: trained.training_fractions(label) for label in labels},
        chosen={} if trained_maps is None else _validation_levels(settings, trained, trained_maps, labels),
        thresholds=json.loads(path.read_text(encoding="utf-8"))["thresholds"],
        boxes=predictions,
    )


def _validation_levels(
    settings: Settings, films: Films, maps: Maps, labels: list[str]
) -> dict[tuple[str, str], ChosenLevels | None]:
    """Choose the levels of MaxBoxAcc and of the baselines' maps on the trained run's validation films."""
    if VALIDATION not in set(maps.images["split"]):
        return {}
    validation = split_items(films, maps, VALIDATION, labels)
    chosen: dict[tuple[str, str], ChosenLevels | None] = {}
    criterion = settings.localize.calibrate_iou
    for label in progress(labels, len(labels), "thresholds on validation"):
        items = validation.items[label]
        for method in maps.methods:
            sweep, _ = sweep_maps(items, maps.reader(method, label), validation.geometry)
            chosen[method, label] = choose_levels(sweep, criterion)
        levels = baseline_levels(items, validation.geometry, maps.shape_feature, settings.score.seed, criterion)
        chosen |= {(baseline, label): level for baseline, level in levels.items()}
    return chosen


def _score_split(
    scoring: _Scoring, split: str, chosen: SplitItems, logits: dict[str, LabelLogits], uses: list[ThresholdUse]
) -> tuple[pd.DataFrame, dict[tuple[str, str], np.ndarray[Any, np.dtype[np.float64]]]]:
    """Make one split's rows, and MaxBoxAcc of each method and label at every threshold for the report."""
    asked = scoring.settings.score
    accuracy: dict[tuple[str, str], np.ndarray[Any, np.dtype[np.float64]]] = {}
    localization = {
        label: _label_values(scoring, split, chosen, chosen.items[label], uses, accuracy)
        for label in progress(scoring.labels, len(scoring.labels), f"scoring {split}")
    }
    table = score_table(
        split,
        len(set(chosen.patients.values())),
        logits,
        localization,
        Bootstrap(asked.bootstrap, asked.confidence, asked.seed),
        _probe_logits(scoring, logits),
    )
    return table, accuracy


def _label_values(
    scoring: _Scoring,
    split: str,
    chosen: SplitItems,
    items: AnnotatedFilms,
    uses: list[ThresholdUse],
    accuracy: dict[tuple[str, str], np.ndarray[Any, np.dtype[np.float64]]],
) -> LabelValues:
    values, label, asked, maps = LabelValues(items.patients), items.label, scoring.settings.score, scoring.maps
    # levels chosen on validation are an oracle's there
    levels: Mapping[tuple[str, str], ChosenLevels | None] = {} if split == VALIDATION else scoring.chosen
    best = scoring.boxes[(scoring.boxes["label"] == label) & (scoring.boxes["rank"] == 0)]
    for use in uses:
        rows = best[(best["method"] == use.method) & best["threshold_id"].isin(use.threshold_ids)]
        if len(rows):
            add_predictions(values, use.row_method, use.threshold_source, items, rows)
    for method in maps.methods:
        sweep, _ = sweep_maps(items, maps.reader(method, label), chosen.geometry)
        if len(items):
            accuracy[method, label] = max_box_acc_at_levels(sweep)
        add_max_box_acc(values, method, sweep, levels.get((method, label)), asked.oracle)
    add_baselines(
        values,
        items,
        scoring.training[label],
        chosen.geometry,
        maps.shape_feature,
        {method: level for (method, of), level in levels.items() if of == label},
        asked.seed,
        asked.oracle,
    )
    return values


def _probe_logits(scoring: _Scoring, logits: dict[str, LabelLogits]) -> dict[str, dict[str, LabelLogits]]:
    """Put what the audit's probes say of the same films beside the classifier; nothing where there was no audit."""
    found: dict[str, dict[str, LabelLogits]] = {}
    for kind, table in scoring.films.probes.items():
        for label, known in logits.items():
            if label not in table.columns:
                continue
            values = table.loc[list(known.image_ids), label].to_numpy(dtype=np.float64)
            if len(values) and np.isfinite(values).all():
                found.setdefault(f"{PROBE_PREFIX}{kind}", {})[label] = LabelLogits(
                    known.patients, values, known.present
                )
    return found
