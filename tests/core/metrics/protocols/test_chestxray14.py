from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.detections import Detections
from camray.core.metrics.protocols.chestxray14 import (
    CRITERIA,
    accuracy_statistics,
    hits_and_false_boxes,
)
from camray.core.metrics.statistics import MeanOver, statistics_table
from camray.domain.geometry import iobb_matrix, iou_matrix

TABLE = Path(__file__).parents[5] / "shared" / "data" / "nih_sample" / "BBox_List_2017.csv.gz"
LABELS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
)
OTHER_NAMES = {"Infiltrate": "Infiltration"}
FRAME_PX = 1024.0


def label_name(name: str) -> str:
    """Return the label table's name of a label of the box table."""
    return OTHER_NAMES.get(name, name)


def frame_boxes(boxes: np.ndarray, sizes_xy: np.ndarray) -> np.ndarray:
    """Take native boxes [B, 4] of films of (columns, rows) [B, 2] to the frame of 1024 x 1024 px."""
    return np.asarray(boxes * (FRAME_PX / np.tile(sizes_xy, 2)))


def leave_one_out_mean_boxes(boxes: np.ndarray) -> np.ndarray:
    """Average, for each box, all the others corner by corner: [B, 4] to [B, 4]; NaN for a box without others."""
    others = len(boxes) - 1
    return np.asarray((boxes.sum(axis=0) - boxes) / others if others > 0 else np.full(boxes.shape, np.nan))


def detections_of(label: str = "Mass") -> Detections:
    """Three annotated films: two boxes of the label, one box, and one film annotated for another label only."""
    return Detections(
        label,
        np.array([0, 1, 2]),
        annotated=np.array([[0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10]], float),
        annotated_film=np.array([0, 0, 1]),
        # finds the first box with IoU 0.5; inside the second with IoU 0.25, IoBB 1; far off; false
        predicted=np.array([[0, 0, 10, 5], [20, 20, 25, 25], [50, 50, 60, 60], [0, 0, 5, 5]], float),
        predicted_film=np.array([0, 0, 1, 2]),
        confidence=np.zeros(4),
    )


ALL_BOXES = np.array([2.0, 1.0, 3.0])  # of any label; the third film's are of others


def values_of(table: pd.DataFrame, label: str = "Mass") -> pd.Series:
    return table[table.label == label].set_index(["metric", "criterion"]).value


def test_accuracy_and_false_positives_by_hand() -> None:
    reported = np.array([True, True, True, False])
    table = statistics_table(
        "test", 3, accuracy_statistics(detections_of(), "cam", "fixed", ALL_BOXES, reported), Bootstrap(10, 0.95, 1)
    )
    value = values_of(table)
    assert value["chestxray14/iou_accuracy", 0.1] == pytest.approx(2 / 3)  # of three annotated boxes
    assert value["chestxray14/iou_accuracy", 0.2] == pytest.approx(2 / 3)
    assert value["chestxray14/iou_accuracy", 0.3] == pytest.approx(1 / 3)
    assert value["chestxray14/iou_accuracy", 0.5] == 0  # more than 0.5, not 0.5 itself
    assert value["chestxray14/iobb_accuracy", 0.9] == pytest.approx(2 / 3)
    assert value["chestxray14/iou_afp", 0.1] == pytest.approx(2 / 6)  # over six annotated boxes, not three films
    assert value["chestxray14/iou_afp", 0.5] == pytest.approx(4 / 6)
    assert value["chestxray14/iobb_afp", 0.9] == pytest.approx(2 / 6)
    assert value["chestxray14/iou_afp_reported", 0.1] == pytest.approx(1 / 6)
    counted = table[table.label == "Mass"].set_index(["metric", "criterion"]).n
    assert counted["chestxray14/iou_accuracy", 0.1] == 3
    assert counted["chestxray14/iou_afp", 0.1] == 6
    low = table[table.label == "Mass"].set_index(["metric", "criterion"]).low
    assert np.isfinite(low["chestxray14/iou_afp", 0.1])


def test_means_with_and_without_cardiomegaly() -> None:
    heart = detections_of("Cardiomegaly")
    perfect = Detections(
        heart.label,
        heart.patients,
        heart.annotated,
        heart.annotated_film,
        heart.annotated,
        heart.annotated_film,
        np.zeros(3),
    )
    parts = [
        *accuracy_statistics(detections_of(), "cam", "fixed", ALL_BOXES),
        *accuracy_statistics(perfect, "cam", "fixed", ALL_BOXES),
    ]
    further = [MeanOver("mean without Cardiomegaly", "chestxray14/", {"Cardiomegaly"})]
    table = statistics_table("test", 3, parts, Bootstrap(0, 0.95, 1), further)
    key = ("chestxray14/iou_accuracy", 0.3)
    assert values_of(table, "Cardiomegaly")[key] == 1
    assert values_of(table, "mean")[key] == pytest.approx((1 / 3 + 1) / 2)
    assert values_of(table, "mean without Cardiomegaly")[key] == pytest.approx(1 / 3)


def test_nothing_predicted_and_nothing_annotated() -> None:
    box = np.array([[0.0, 0.0, 2.0, 2.0]])
    np.testing.assert_array_equal(hits_and_false_boxes(box, np.zeros((0, 4))), np.zeros((2, len(CRITERIA))))
    found, false = hits_and_false_boxes(np.zeros((0, 4)), box)
    assert (found == 0).all()
    assert (false == 1).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_counts_equal_the_matrices_of_the_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 20, (7, 2))
    boxes = np.concatenate([low, low + rng.uniform(1, 20, (7, 2))], axis=1)
    annotated, predicted = boxes[:3], boxes[3:]
    found, false = hits_and_false_boxes(annotated, predicted)
    for place, (kind, criterion) in enumerate(CRITERIA):
        overlap = (iou_matrix if kind == "iou" else iobb_matrix)(predicted, annotated)
        assert found[place] == (overlap.max(axis=0) > criterion).sum()
        assert false[place] == (overlap.max(axis=1) <= criterion).sum()
    # overlaps do not depend on the frame
    wide = np.array([[2048.0, 512.0]])
    np.testing.assert_allclose(
        hits_and_false_boxes(frame_boxes(annotated, wide), frame_boxes(predicted, wide)), (found, false)
    )


def test_the_frame_and_the_names() -> None:
    np.testing.assert_allclose(
        frame_boxes(np.array([[0.0, 100, 1024, 200]]), np.array([[2048.0, 1024.0]])), [[0, 100, 512, 200]]
    )
    assert label_name("Infiltrate") == "Infiltration"
    assert label_name("Mass") == "Mass"


def test_leave_one_out_by_hand() -> None:
    boxes = np.array([[0, 0, 2, 2], [2, 2, 4, 4], [4, 4, 12, 6]], float)
    np.testing.assert_allclose(leave_one_out_mean_boxes(boxes)[0], [3, 3, 8, 5])
    assert np.isnan(leave_one_out_mean_boxes(boxes[:1])).all()


@pytest.mark.realdata
@pytest.mark.skipif(not TABLE.is_file(), reason=f"needs {TABLE.name} of the NIH sample in ../shared/data")
def test_trivial_boxes_on_the_real_table() -> None:
    table = pd.read_csv(TABLE)
    corners = table.iloc[:, 2:6].to_numpy(float)
    boxes = np.concatenate([corners[:, :2], corners[:, :2] + corners[:, 2:]], axis=1)
    labels = table["Finding Label"].map(label_name).to_numpy()
    assert (len(table), table["Image Index"].nunique()) == (984, 880)
    assert set(labels) == set(LABELS)
    centre = np.array([256.0, 256.0, 768.0, 768.0])
    parts = []
    for label in LABELS:
        own = labels == label
        for method, predicted in (
            ("class mean", leave_one_out_mean_boxes(boxes[own])),
            ("centre", np.tile(centre, (own.sum(), 1))),
        ):
            # each annotated box has its own prediction here: a film a box
            alone = np.arange(own.sum())
            found = Detections(label, alone, boxes[own], alone, predicted, alone, np.zeros(own.sum()))
            parts += accuracy_statistics(found, method, "fixed", np.ones(len(alone)))
    scores = statistics_table("all", 200, parts, Bootstrap(0, 0.95, 1))
    value = scores.set_index(["label", "method", "metric", "criterion"]).value
    assert value["mean", "class mean", "chestxray14/iou_accuracy", 0.5] == pytest.approx(0.108, abs=5e-4)
    assert value["mean", "centre", "chestxray14/iou_accuracy", 0.5] == pytest.approx(0.087, abs=5e-4)
    assert value["mean", "class mean", "chestxray14/iobb_accuracy", 0.25] == pytest.approx(0.257, abs=5e-4)
    assert value["mean", "centre", "chestxray14/iobb_accuracy", 0.25] == pytest.approx(0.243, abs=5e-4)
    assert value["Cardiomegaly", "class mean", "chestxray14/iou_accuracy", 0.5] == pytest.approx(0.85, abs=5e-3)
