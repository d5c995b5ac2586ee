import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from camray.core.metrics.bootstrap import Bootstrap
from camray.core.metrics.localization.detections import Detections
from camray.core.metrics.protocols.rodeo import generalized_iou, rodeo_statistic
from camray.core.metrics.statistics import ALL_LABELS, statistics_table

Boxes = list[tuple[int, tuple[float, float, float, float]]]  # film and corners


def detections_of(label: str, annotated: Boxes, predicted: Boxes, n_films: int) -> Detections:
    def columns(boxes: Boxes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        corners = np.array([box for _, box in boxes], float).reshape(-1, 4)
        return corners, np.array([film for film, _ in boxes], np.int64)

    return Detections(label, np.arange(n_films), *columns(annotated), *columns(predicted), np.zeros(len(predicted)))


A, B = (0.0, 0.0, 10.0, 20.0), (30.0, 10.0, 50.0, 20.0)


def values_of(detections: list[Detections], decidable: NDArray[np.bool_] | None = None) -> dict[tuple[str, str], float]:
    n_films = len(detections[0].patients)
    decidable = np.ones((len(detections), n_films), bool) if decidable is None else decidable
    statistic = rodeo_statistic(detections, decidable, "cam", "validation")
    values = statistic(np.ones((1, n_films)))[0]
    return {(row.label, row.metric.split("/")[1]): v for row, v in zip(statistic.rows, values, strict=True)}


def test_by_hand() -> None:
    """A is met half its width away and half as high; B has the wrong finding; one box too many, one missed."""
    moved = (5.0, 5.0, 15.0, 15.0)  # center (10, 10) for (5, 10): half a width
    first = detections_of("a", [(0, A), (2, A)], [(0, moved), (1, A)], 4)
    second = detections_of("b", [], [(3, B)], 4)
    third = detections_of("c", [(3, B)], [], 4)
    values = values_of([first, second, third])
    near = 2.0 ** -(0.5**2)
    assert values[ALL_LABELS, "localization"] == pytest.approx((near + 1) / 4)  # 2 pairs, 2 boxes alone
    assert values[ALL_LABELS, "shape"] == pytest.approx((0.5 + 1) / 4)
    assert values[ALL_LABELS, "classification"] == pytest.approx((0.5 * 3 - 1) / 2 * 2 / 4)
    assert values["a", "localization"] == pytest.approx(near / 3)
    assert values["c", "localization"] == pytest.approx(1.0)
    assert values["c", "classification"] == 0.0
    parts = [values[ALL_LABELS, name] for name in ("localization", "shape", "classification")]
    assert values[ALL_LABELS, "total"] == pytest.approx(3 / sum(1 / part for part in parts), abs=1e-5)
    assert np.isnan(values["b", "total"])  # its only box is a partner of another finding


def test_perfect_boxes_score_one_and_none_score_zero() -> None:
    perfect = [detections_of("a", [(0, A)], [(0, A)], 2), detections_of("b", [(1, B)], [(1, B)], 2)]
    assert list(values_of(perfect).values()) == pytest.approx([1.0] * 12, abs=1e-5)
    nothing = [detections_of("a", [(0, A)], [], 2), detections_of("b", [(1, B)], [], 2)]
    assert list(values_of(nothing).values()) == [0.0] * 12


def test_a_box_on_an_undecidable_film_does_not_count() -> None:
    first = detections_of("a", [(0, A)], [(0, A), (1, A)], 2)
    second = detections_of("b", [(1, B)], [(1, B)], 2)
    assert values_of([first, second])["a", "localization"] == pytest.approx(0.5)
    decidable = np.array([[True, False], [True, True]])
    assert values_of([first, second], decidable)["a", "localization"] == pytest.approx(1.0)


def test_one_finding_is_refused() -> None:
    with pytest.raises(ValueError, match="two or more"):
        values_of([detections_of("a", [(0, A)], [(0, A)], 1)])


def test_intervals_by_patient() -> None:
    detections = [
        detections_of("a", [(0, A), (1, A)], [(0, A), (1, B)], 3),
        detections_of("b", [(2, B)], [(2, B)], 3),
    ]
    statistic = rodeo_statistic(detections, np.ones((2, 3), bool), "cam", "validation")
    table = statistics_table("test", 3, [statistic], Bootstrap(50, 0.95, 1), ())
    known = table.dropna(subset=["value", "low"])
    assert len(known) > 0
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert set(table["label"]) == {"a", "b", "mean", ALL_LABELS}


def _reference(detections: list[Detections], n_films: int) -> dict[tuple[str, str], float]:
    """The definition in plain loops: one-hot vectors for Matthews' correlation, pairs by the Hungarian method."""
    n = len(detections)

    def matthews(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
        both = np.array([[np.sum((first == i) & (second == j)) for j in (0, 1)] for i in (0, 1)], float)
        scale = np.sqrt(both.sum(0).prod() * both.sum(1).prod())
        return 0.0 if scale == 0 else float((both[1, 1] * both[0, 0] - both[0, 1] * both[1, 0]) / scale)

    has = np.zeros((2, n_films, n))
    for label, each in enumerate(detections):
        has[0, each.predicted_film, label] = has[1, each.annotated_film, label] = 1
    bonus = max(0.0, matthews(has[0].ravel(), has[1].ravel()))
    pairs, alone_predicted, alone_annotated = [], [], []
    for film in range(n_films):
        own = [(k, box) for k, d in enumerate(detections) for box in d.predicted[d.predicted_film == film]]
        truth = [(k, box) for k, d in enumerate(detections) for box in d.annotated[d.annotated_film == film]]
        cost = np.zeros((len(own), len(truth)))
        for i, (k, p) in enumerate(own):
            for j, (m, t) in enumerate(truth):
                cost[i, j] = -_giou(p, t) - bonus * (k == m)
        rows, columns = linear_sum_assignment(cost)
        pairs += [(own[i], truth[j]) for i, j in zip(rows, columns, strict=True)]
        alone_predicted += [k for i, (k, _) in enumerate(own) if i not in rows]
        alone_annotated += [m for j, (m, _) in enumerate(truth) if j not in columns]
    values = {}
    for label, name in [*((k, d.label) for k, d in enumerate(detections)), (None, ALL_LABELS)]:
        mine = [pair for pair in pairs if label is None or pair[1][0] == label]
        alone = sum(label is None or k == label for k in [*alone_predicted, *alone_annotated])
        near, shape = [], []
        for (_, p), (_, t) in mine:
            sides = t[2:] - t[:2]
            near.append(np.exp(-np.log(2) * ((((p[:2] + p[2:]) - (t[:2] + t[2:])) / 2 / sides) ** 2).sum()))
            overlap = np.minimum(p[2:] - p[:2], sides).prod()
            shape.append(overlap / ((p[2:] - p[:2]).prod() + sides.prod() - overlap))
        hot = [np.eye(n)[[pair[side][0] for pair in mine]].ravel() for side in (0, 1)]
        parts = [sum(near), sum(shape), max(0.0, matthews(*hot)) * len(mine) if mine else 0.0]
        for metric, part in zip(("localization", "shape", "classification"), parts, strict=True):
            values[name, metric] = part / (len(mine) + alone)
    return values


def _giou(p: NDArray[np.float64], t: NDArray[np.float64]) -> float:
    inside = np.clip(np.minimum(p[2:], t[2:]) - np.maximum(p[:2], t[:2]), 0, None).prod()
    union = (p[2:] - p[:2]).prod() + (t[2:] - t[:2]).prod() - inside
    around = (np.maximum(p[2:], t[2:]) - np.minimum(p[:2], t[:2])).prod()
    return float(inside / union - (around - union) / around)


def random_detections(rng: np.random.Generator, n_films: int, n_labels: int) -> list[Detections]:
    def boxes(count: int) -> Boxes:
        low, sides = rng.uniform(0, 60, (count, 2)), rng.uniform(3, 40, (count, 2))
        corners = np.concatenate([low, low + sides], axis=1)
        return [
            (int(film), tuple(map(float, box)))
            for film, box in zip(rng.integers(0, n_films, count), corners, strict=True)
        ]  # type: ignore[misc]

    return [
        detections_of(f"l{k}", boxes(int(rng.integers(1, 8))), boxes(int(rng.integers(1, 8))), n_films)
        for k in range(n_labels)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_definition_in_loops(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_films = int(rng.integers(1, 9))
    detections = random_detections(rng, n_films, int(rng.integers(2, 5)))
    values = values_of(detections)
    for key, value in _reference(detections, n_films).items():
        assert values[key] == pytest.approx(value, abs=1e-9), key


def test_generalized_iou_of_distant_boxes_is_negative() -> None:
    first, second = np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([[3.0, 0.0, 4.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    np.testing.assert_allclose(generalized_iou(first, second), [[-0.5, 1.0]])
