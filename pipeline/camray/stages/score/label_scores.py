"""Main score table of one split: classifier, boxes, maps and baselines of each label."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.adapters.settings.schema import Settings
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.baselines import FEW_SHOT
from camray.core.metrics.localization.rows import (
    ORACLE,
    VALIDATION,
    BaselineInputs,
    ChosenLevels,
    add_baselines,
    add_max_box_acc,
    add_predictions,
    baseline_levels,
    choose_levels,
    sweep_maps,
)
from camray.core.metrics.protocols.max_box_acc import max_box_acc_at, max_box_acc_at_levels, oracle_values
from camray.core.metrics.score_table import LabelLogits, LabelValues, score_table
from camray.core.metrics.summary import PROBE_PREFIX
from camray.domain.records import Split
from camray.io.bootstrap import bootstrap_of
from camray.io.split_films import SplitFilms
from camray.stages.score.protocol_inputs import ProtocolInputs

Levels = Mapping[tuple[str, str], ChosenLevels | None]  # by (method or baseline, label)


@dataclass(frozen=True)
class SplitScores:
    """Scores of one split.

    Parameters
    ----------
    table : DataFrame
        `SCORE_COLUMNS`.
    accuracy : mapping
        Method and label to MaxBoxAcc at every threshold, [T].
    levels : mapping
        Method and label to the threshold (an index) of MaxBoxAcc that was chosen on validation films.
    """

    table: pd.DataFrame
    accuracy: Mapping[tuple[str, str], NDArray[np.float64]]
    levels: Mapping[tuple[str, str], int]


def validation_levels(validation: SplitFilms, settings: Settings) -> dict[tuple[str, str], ChosenLevels | None]:
    """Choose the levels of MaxBoxAcc and of the baselines' maps on validation films."""
    run, criterion = validation.run, settings.localize.calibrate_iou
    levels: dict[tuple[str, str], ChosenLevels | None] = {}
    for label, items in progress(validation.items.items(), len(validation.items), "thresholds on validation"):
        for method in run.methods:
            sweep, _ = sweep_maps(items, run.heat_reader(method, label), validation.geometry)
            levels[method, label] = choose_levels(sweep, criterion)
        of_baselines = baseline_levels(
            items, validation.geometry, run.grid.shape_feature, settings.score.seed, criterion
        )
        levels |= {(baseline, label): level for baseline, level in of_baselines.items()}
    return levels


def score_split(inputs: ProtocolInputs, levels: Levels) -> SplitScores:
    """Score one split.

    Parameters
    ----------
    inputs : ProtocolInputs
        Films, boxes and settings.
    levels : mapping
        From `validation_levels`; not used where the validation films themselves are scored.
    """
    films, settings = inputs.films, inputs.settings
    if films.split == Split.VALIDATION:
        levels = {}  # chosen on these very films
    accuracy: dict[tuple[str, str], NDArray[np.float64]] = {}
    localization = {
        label: _label_values(inputs, items, levels, accuracy)
        for label, items in progress(films.items.items(), len(films.items), f"scoring {films.split}")
    }
    table = score_table(
        films.split,
        films.n_patients,
        films.logits,
        localization,
        bootstrap_of(settings),
        _probe_logits(films),
    )
    max_box_acc_levels = {key: level.max_box_acc for key, level in levels.items() if level is not None}
    return SplitScores(table, accuracy, max_box_acc_levels)


def _label_values(
    inputs: ProtocolInputs,
    items: AnnotatedFilms,
    levels: Levels,
    accuracy: dict[tuple[str, str], NDArray[np.float64]],
) -> LabelValues:
    """Collect the values of one label; MaxBoxAcc at every threshold is added to `accuracy`."""
    run, label, oracle = inputs.run, items.label, inputs.settings.oracle
    values, boxes = LabelValues(items.patients), inputs.best_predictions(label)
    for use in inputs.uses:
        rows = boxes[(boxes["method"] == use.method) & boxes["threshold_id"].isin(use.threshold_ids)]
        if len(rows):
            add_predictions(values, use.row_method, use.threshold_source, items, rows)
    for method in run.methods:
        sweep, _ = sweep_maps(items, run.heat_reader(method, label), inputs.films.geometry)
        if len(items):
            accuracy[method, label] = max_box_acc_at_levels(sweep)
        add_max_box_acc(values, method, sweep, levels.get((method, label)), oracle)
    if inputs.few_shot is not None and label in inputs.few_shot.trained.labels:
        sweep, _ = sweep_maps(items, inputs.few_shot.heat_reader(label), inputs.films.geometry)
        chosen = inputs.few_shot.trained.levels[label]
        values.add(FEW_SHOT, VALIDATION, max_box_acc_at(sweep, chosen.max_box_acc, chosen.max_box_acc_v2))
        if oracle:
            values.add(FEW_SHOT, ORACLE, oracle_values(sweep))
    baseline_inputs = BaselineInputs(
        inputs.training[label],
        inputs.films.geometry,
        run.grid.shape_feature,
        {method: level for (method, of), level in levels.items() if of == label},
        inputs.settings.seed,
        oracle,
    )
    add_baselines(values, items, baseline_inputs)
    return values


def _probe_logits(films: SplitFilms) -> dict[str, dict[str, LabelLogits]]:
    """Return the logits of the audit's probes on the classifier's films; nothing if there was no audit."""
    by_probe: dict[str, dict[str, LabelLogits]] = {}
    for kind, table in films.run.films.probes.items():
        for label, known in films.logits.items():
            if label not in table.columns:
                continue
            values = table.loc[list(known.image_ids), label].to_numpy(dtype=np.float64)
            if len(values) and np.isfinite(values).all():
                probe = by_probe.setdefault(f"{PROBE_PREFIX}{kind}", {})
                probe[label] = LabelLogits(known.patients, values, known.present)
    return by_probe
