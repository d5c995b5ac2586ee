"""The pictures of the score report: charts, and the best, median and worst films of each finding.

Reads   ``ingest/store/``, the films' tables and maps
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folder import RunFolder
from camray.core.localization.default_method import default_method, default_thresholds
from camray.core.localization.heat_maps import upsampled
from camray.core.metrics.auroc import roc_points
from camray.core.metrics.curves import precision_recall_points, reliability
from camray.core.metrics.localization.annotated_films import AnnotatedFilms
from camray.core.metrics.localization.hits_and_iou import best_overlaps, point_hits
from camray.core.metrics.localization.rows import Placement
from camray.core.metrics.protocols.detection import froc_curve
from camray.core.metrics.score_table import CLASSIFIER, LabelLogits
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import HEADLINE_IOU, PREFERRED_SOURCES, rows_of
from camray.core.metrics.threshold_selection import ThresholdUse
from camray.domain.geometry import Box
from camray.domain.records import CORNERS
from camray.io.scored_films import Maps, SplitItems
from camray.reporting.overlays import draw_overlay, heat01_of
from camray.reporting.score_report.charts import forest_chart, overlap_chart
from camray.reporting.score_report.curves import Curve, curve_chart, froc_chart, reliability_chart, threshold_chart
from camray.reporting.score_report.page import FilmPicture, SplitReport
from camray.stages.score.protocol_inputs import ProtocolInputs

PLACES = ("best", "median", "worst")
CURVES = frozenset({"thresholds", "froc", "roc", "pr", "reliability"})  # stand two in a row
MOST_LABELS = 20  # shown with films and curves; the tables hold all


@dataclass(frozen=True)
class SplitPictures:
    """One split of the page, and the pictures as files of their own."""

    page: SplitReport
    files: dict[str, bytes]


@dataclass(frozen=True)
class Shown:
    """One split's films with what is drawn of them.

    Parameters
    ----------
    split : str
        Name.
    maps : Maps
        Of this run.
    items : SplitItems
        Films and annotations.
    logits : mapping
        Label to films of known presence.
    thresholds : sequence of mapping
        Entries of ``thresholds.json``.
    boxes : DataFrame
        All predictions.
    accuracy : mapping
        Method and label to MaxBoxAcc at every threshold, [T].
    chosen : mapping
        Method and label to the threshold (an index) chosen on validation.
    scored : ProtocolInputs
        The same split as the protocols see it.
    """

    split: str
    maps: Maps
    items: SplitItems
    logits: Mapping[str, LabelLogits]
    thresholds: Sequence[Mapping[str, Any]]
    boxes: pd.DataFrame
    accuracy: Mapping[tuple[str, str], NDArray[np.float64]]
    chosen: Mapping[tuple[str, str], int]
    scored: ProtocolInputs

    @property
    def predictions(self) -> pd.DataFrame:
        """Rows of rank 0: the best box of each film, label, method and threshold."""
        return self.boxes[self.boxes["rank"] == 0]


def split_pictures(folder: RunFolder, shown: Shown, scores: pd.DataFrame, draw: bool) -> SplitPictures:
    """Draw everything the page shows of one split.

    Parameters
    ----------
    folder : RunFolder
        This run; its pixel store holds the films.
    shown : Shown
        What is drawn.
    scores : DataFrame
        `SCORE_COLUMNS` of the split.
    draw : bool
        False leaves the page without pictures.
    """
    charts = _charts(shown, scores) if draw else {}
    films = _film_pictures(PixelStore(folder.root / "ingest" / "store"), shown) if draw else []
    boxed = {image_id for items in shown.items.items.values() for image_id in items.image_ids}
    page = SplitReport(
        split=shown.split,
        films=len(shown.items.films),
        patients=len(set(shown.items.patients.values())),
        annotated=len(boxed),
        scores=scores,
        charts={title: png for name, (title, png) in charts.items() if name.split("-")[0] not in CURVES},
        pictures=films,
        curves={title: png for name, (title, png) in charts.items() if name.split("-")[0] in CURVES},
        protocols=shown.scored.asked.protocols,
    )
    files = {f"{shown.split}-{name}.png": png for name, (_, png) in charts.items()}
    labels = list(shown.maps.labels)
    for film in films:  # numbers, not names: what a label is called never chooses where we write
        files[f"{shown.split}-finding-{labels.index(film.label):02d}-{film.rank}.png"] = film.png
    return SplitPictures(page, files)


def _charts(shown: Shown, scores: pd.DataFrame) -> dict[str, tuple[str, bytes]]:
    """Draw the charts that have anything to show: file name to title and PNG."""
    methods, charts = list(shown.maps.methods), {}
    if np.isfinite(rows_of(scores, "hit_rate")["value"]).any():
        title = "Hit rate: the map's peak lies inside a reader's box"
        charts["hit-rate"] = title, forest_chart(scores, methods, "hit_rate", None, title)
        title = f"The box overlaps a reader's box with IoU of at least {HEADLINE_IOU}"
        charts["iou-accuracy"] = title, forest_chart(scores, methods, "iou_accuracy", HEADLINE_IOU, title)
        labels = [label for label, items in shown.items.items.items() if len(items)][:MOST_LABELS]
        if len(labels) > 1:
            labels.append(MEAN_LABEL)
        charts["overlap"] = "Share of films by the IoU that counts", overlap_chart(scores, methods, labels)
        charts |= _threshold_charts(shown)
    return {**charts, **_classification_charts(shown, scores)}


def _threshold_charts(shown: Shown) -> dict[str, tuple[str, bytes]]:
    """Draw what a threshold does: every one of them on the shown method's maps, and FROC of each method's boxes."""
    method, charts = default_method(shown.maps.methods), {}
    labels = [label for label, items in shown.items.items.items() if len(items)][:MOST_LABELS]
    accuracy = {label: shown.accuracy[method, label] for label in labels if (method, label) in shown.accuracy}
    chosen = {label: shown.chosen[method, label] for label in labels if (method, label) in shown.chosen}
    if accuracy:
        charts["thresholds"] = "MaxBoxAcc at every threshold", threshold_chart(accuracy, chosen)
    for number, (use_method, curves) in enumerate(_froc_curves(shown, labels).items()):
        name = "froc" if use_method == method else f"froc-{number:02d}"  # numbers: no name chooses where we write
        charts[name] = f"FROC curves of {use_method}", froc_chart(curves, use_method)
    return charts


def _froc_curves(shown: Shown, labels: Sequence[str]) -> dict[str, list[Curve]]:
    """Return each method's curves, its boxes cut where the headline cuts them: on validation if possible."""
    uses: dict[str, ThresholdUse] = {}
    for source in PREFERRED_SOURCES:
        for use in shown.scored.uses:
            if use.row_method == use.method and use.threshold_source == source:
                uses.setdefault(use.method, use)
    found: dict[str, list[Curve]] = {}
    for method in (method for method in shown.maps.methods if method in uses):
        for label in labels:
            items = shown.items.items[label]
            detections, _ = shown.scored.detections(items, uses[method], shown.scored.telling_films(items))
            froc = froc_curve(detections)
            caption = f"{label}, CPM {froc.cpm:.2f}, at most {froc.sensitivity[-1]:.2f}"
            found.setdefault(method, []).append(Curve(froc.false_positives, froc.sensitivity, caption))
    return found


def _classification_charts(shown: Shown, scores: pd.DataFrame) -> dict[str, tuple[str, bytes]]:
    """Draw ROC, precision and recall, and reliability of the labels that are both present and absent."""
    of_classifier = scores[scores["method"] == CLASSIFIER]
    values = of_classifier.set_index(["metric", "label"])["value"]
    roc, recall, promises = [], [], {}
    for label, found in list(shown.logits.items())[:MOST_LABELS]:
        false_positive, true_positive = roc_points(found.logits, found.present)
        kept = reliability(found.logits, found.present)
        if false_positive.size and kept is not None:
            roc.append(Curve(false_positive, true_positive, f"{label}, AUROC {values['auroc', label]:.2f}"))
            points = precision_recall_points(found.logits, found.present)
            told = f"{label}, AP {values['auprc', label]:.2f} (chance {found.present.mean():.2f})"
            recall.append(Curve(*points, told))
            promises[label] = kept
    if not roc:
        return {}
    title = "ROC: is the finding on the film?"
    return {
        "roc": ("ROC curves", curve_chart(roc, title, "1 - specificity", "sensitivity", diagonal=True)),
        "pr": ("Precision and recall", curve_chart(recall, "Precision and recall", "recall", "precision")),
        "reliability": ("Reliability", reliability_chart(promises)),
    }


def _film_pictures(store: PixelStore, shown: Shown) -> list[FilmPicture]:
    method = default_method(shown.maps.methods)
    labels = [label for label, items in shown.items.items.items() if len(items)][:MOST_LABELS]
    entries = default_thresholds(shown.thresholds, method, labels)
    films = {str(film["image_id"]): film for film in shown.items.films.to_dict("records")}
    pictures = []
    for label, entry in entries.items():
        items = shown.items.items[label]
        of_label = shown.predictions[
            (shown.predictions["label"] == label) & (shown.predictions["threshold_id"] == entry["id"])
        ]
        rows = of_label.set_index("image_id").reindex(list(items.image_ids))
        iou, _ = best_overlaps(items, rows[CORNERS].to_numpy(dtype=np.float64))
        hits = point_hits(items, rows[["peak_x", "peak_y"]].to_numpy(dtype=np.float64))
        for place, number in _chosen(iou).items():
            image_id, row = items.image_ids[number], rows.iloc[number]
            zone = row["zone"] if isinstance(row["zone"], str) else ""
            said = ", ".join(filter(None, (label, f"IoU {iou[number]:.2f}", zone)))
            pictures.append(
                FilmPicture(
                    label=label,
                    rank=place,
                    image_id=image_id,
                    iou=float(iou[number]),
                    is_hit=bool(hits[number]),
                    probability=float(row["probability"]),
                    png=_png_of(_overlay(store, shown, items, number, films[image_id], row, entry, said)),
                )
            )
    return pictures


def _chosen(iou: "np.ndarray[Any, np.dtype[np.float64]]") -> dict[str, int]:
    """Choose the best, the median and the worst film; fewer where there are fewer films. Ties go by ``image_id``."""
    order = np.argsort(-iou, kind="stable")
    middle = {"best": 0, "median": len(order) // 2, "worst": len(order) - 1}
    chosen: dict[str, int] = {}
    for place, rank in middle.items():
        if int(order[rank]) not in chosen.values():
            chosen[place] = int(order[rank])
    return chosen


def _overlay(
    store: PixelStore,
    shown: Shown,
    items: AnnotatedFilms,
    number: int,
    film: Mapping[Any, Any],
    row: "pd.Series[Any]",
    entry: Mapping[str, Any],
    caption: str,
) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Draw the part of the model grid that the film covers, with the map as its box was drawn from it."""
    placed = shown.items.geometry.placements[items.image_ids[number]]
    window = placed.window
    stored = store.shard(int(film["shard"]))[int(film["index"])]
    grey = (stored / np.float32(np.iinfo(stored.dtype).max)).astype(np.float32)
    raw = shown.maps.heat(str(entry["method"]), items.label, items.image_ids[number])
    smooth = float(entry.get("parameters", {}).get("smooth", 0.0))
    heat = upsampled(raw[None], shown.items.geometry.shape_model, window, smooth)[0]
    corners = row[CORNERS].to_numpy(dtype=np.float64)
    predicted = [Box(*map(float, corners))] if np.isfinite(corners).all() else []
    annotated = [Box(*map(float, corners)) for corners in items.boxes_of(number)]
    return draw_overlay(
        grey[window.row0 : window.row1, window.col0 : window.col1],
        heat01_of(heat),
        _on_window(predicted, placed),
        _on_window(annotated, placed),
        caption,
        aspect=_aspect(film, placed),
    )


def _on_window(boxes: Sequence[Box], placed: Placement) -> list[Box]:
    shown = placed.transform.then(1.0, 1.0, -float(placed.window.col0), -float(placed.window.row0))
    return [shown.box_to_model(box) for box in boxes]


def _aspect(film: Mapping[Any, Any], placed: Placement) -> float:
    """Height over width of the film's window as it looks in the patient, where the spacing is known."""
    row_mm, col_mm = float(film["row_spacing_mm"]), float(film["col_spacing_mm"])
    native = row_mm / col_mm if row_mm > 0 and col_mm > 0 else 1.0
    window, transform = placed.window, placed.transform
    height = (window.row1 - window.row0) / transform.scale_y
    return native * height / ((window.col1 - window.col0) / transform.scale_x)


def _png_of(picture: "np.ndarray[Any, np.dtype[np.uint8]]") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, format="png", compress_level=4)
    return stream.getvalue()
