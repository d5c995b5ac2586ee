"""Which charts the score report has, and their numbers; `camray.reporting.score_report` draws them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.metrics.auroc import roc_points
from camray.core.metrics.curves import Reliability, precision_recall_points, reliability
from camray.core.metrics.localization.annotated_films import FloatArray
from camray.core.metrics.operating_points import expected_calibration_error
from camray.core.metrics.protocols.detection import froc_curve
from camray.core.metrics.score_table import CLASSIFIER
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import HEADLINE_IOU, PREFERRED_SOURCES, rows_of
from camray.core.metrics.threshold_selection import ThresholdUse
from camray.core.probability.logistic import probabilities_of
from camray.io.split_films import SplitFilms
from camray.reporting.score_report.charts import forest_chart, overlap_chart
from camray.reporting.score_report.curves import Curve, curve_chart, froc_chart, reliability_chart, threshold_chart
from camray.stages.score.label_scores import SplitScores
from camray.stages.score.protocol_inputs import ProtocolInputs

CURVES = frozenset({"thresholds", "froc", "roc", "pr", "reliability"})  # two per row on the page
MOST_LABELS = 20  # drawn with films and curves; the tables hold all
Charts = dict[str, tuple[str, bytes]]  # file name to title and PNG


def annotated_labels(films: SplitFilms) -> list[str]:
    """Return the labels with annotated films that are drawn."""
    return [label for label, items in films.items.items() if len(items)][:MOST_LABELS]


def draw_charts(inputs: ProtocolInputs, scores: SplitScores) -> Charts:
    """Draw the charts whose numbers exist."""
    methods, names = list(inputs.run.methods), inputs.names
    table = scores.table.assign(label=[names.get(label, label) for label in scores.table["label"]])
    charts: Charts = {}
    if np.isfinite(rows_of(table, "hit_rate")["value"]).any():
        title = "Hit rate: the map's peak is inside a reader's box"
        charts["hit-rate"] = title, forest_chart(table, methods, "hit_rate", None, title)
        title = f"The box overlaps a reader's box with IoU of at least {HEADLINE_IOU}"
        charts["iou-accuracy"] = title, forest_chart(table, methods, "iou_accuracy", HEADLINE_IOU, title)
        labels = [names[label] for label in annotated_labels(inputs.films)]
        if len(labels) > 1:
            labels.append(MEAN_LABEL)
        charts["overlap"] = "Share of films by required IoU", overlap_chart(table, methods, labels)
        charts |= _threshold_charts(inputs, scores)
    return {**charts, **_classification_charts(inputs, scores.table)}


def _threshold_charts(inputs: ProtocolInputs, scores: SplitScores) -> Charts:
    """Draw MaxBoxAcc of the default method at every threshold, and FROC curves of the boxes of each method."""
    method, charts = inputs.run.default_method, Charts()
    labels = annotated_labels(inputs.films)
    names = inputs.names
    accuracy = {names[label]: scores.accuracy[method, label] for label in labels if (method, label) in scores.accuracy}
    levels = {names[label]: scores.levels[method, label] for label in labels if (method, label) in scores.levels}
    if accuracy:
        charts["thresholds"] = "MaxBoxAcc at every threshold", threshold_chart(accuracy, levels)
    for number, (use_method, curves) in enumerate(_froc_curves(inputs, labels).items()):
        name = "froc" if use_method == method else f"froc-{number:02d}"  # numbers: a method's name never becomes a path
        charts[name] = f"FROC curves of {use_method}", froc_chart(curves, use_method)
    return charts


def _froc_curves(inputs: ProtocolInputs, labels: Sequence[str]) -> dict[str, list[Curve]]:
    """Return the curves of each method, with the headline's thresholds: those of validation if possible."""
    uses: dict[str, ThresholdUse] = {}
    for source in PREFERRED_SOURCES:
        for use in inputs.uses:
            if use.row_method == use.method and use.threshold_source == source:
                uses.setdefault(use.method, use)
    curves: dict[str, list[Curve]] = {}
    for method in (method for method in inputs.run.methods if method in uses):
        for label in labels:
            items = inputs.films.items[label]
            detections, _ = inputs.detections(items, uses[method], inputs.decidable_films(items))
            froc = froc_curve(detections)
            caption = f"{inputs.names[label]}, CPM {froc.cpm:.2f}, highest {froc.sensitivity[-1]:.2f}"
            curves.setdefault(method, []).append(Curve(froc.false_positives, froc.sensitivity, caption))
    return curves


def _classification_charts(inputs: ProtocolInputs, scores: pd.DataFrame) -> Charts:
    """Draw ROC, precision and recall, and reliability of the labels that are both present and absent."""
    values = scores[scores["method"] == CLASSIFIER].set_index(["metric", "label"])["value"]
    roc, recall = [], []
    before, after = dict[str, Reliability](), dict[str, Reliability]()
    for label, known in list(inputs.films.logits.items())[:MOST_LABELS]:
        false_positive, true_positive = roc_points(known.logits, known.present)
        if false_positive.size:
            name = inputs.names[label]
            roc.append(Curve(false_positive, true_positive, f"{name}, AUROC {values['auroc', label]:.2f}"))
            points = precision_recall_points(known.logits, known.present)
            caption = f"{name}, AP {values['auprc', label]:.2f} (chance {known.present.mean():.2f})"
            recall.append(Curve(*points, caption))
            before |= _reliability(name, probabilities_of(known.logits), known.present)
            after |= _reliability(name, inputs.probabilities(label), known.present)
    if not roc:
        return {}
    title = "ROC: is the finding present?"
    charts = {
        "roc": ("ROC curves", curve_chart(roc, title, "1 - specificity", "sensitivity", diagonal=True)),
        "pr": ("Precision and recall", curve_chart(recall, "Precision and recall", "recall", "precision")),
    }
    title = "Reliability of the network's output, not calibrated"
    charts["reliability-uncalibrated"] = title, reliability_chart(before, title)
    if after:
        title = "Reliability: are probabilities right?"
        charts["reliability"] = title, reliability_chart(after, title)
    return charts


def _reliability(name: str, probability: FloatArray | None, present: NDArray[np.bool_]) -> dict[str, Reliability]:
    """Return a label's curve by its caption; nothing without probabilities."""
    bins = None if probability is None else reliability(probability, present)
    if probability is None or bins is None:
        return {}
    return {f"{name}, ECE {expected_calibration_error(probability, present):.2f}": bins}
