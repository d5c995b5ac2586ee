"""Agreement of readers with the AI and with one another, as a table.

A subject is one film and one finding. Uncertain answers take no part in kappa, agreement and predictive values; they
are counted. Intervals resample patients; a predictive value of boxes has Wilson's interval beside it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.core.metrics.agreement import best_overlaps, box_agreement, cohen_kappa, fleiss_kappa, wilson_interval
from camray.core.metrics.bootstrap import percentile_intervals, resampled_counts
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, Reading

AI, ALL_READERS, ALL_LABELS = "AI", "all readers", "all findings"
COLUMNS = {
    "phase": "string",  # blind or final
    "reader": "string",
    "other": "string",  # AI, another reader, or all readers
    "label": "string",
    "metric": "string",
    "criterion": "float64",  # IoU from which a box counts as right; missing for other metrics
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "interval": "string",  # patients (bootstrap), wilson, or empty
    "n": "int64",  # films, boxes or readings
}
Key = tuple[str, str]  # image_id, label


@dataclass(frozen=True)
class Claim:
    """The AI's answer to one finding on one film: reported or not, and its boxes (only where it is)."""

    reported: bool
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class AgreementPlan:
    """Settings of the agreement measures.

    Parameters
    ----------
    patients : mapping of str to str
        By film.
    iou_thresholds : tuple of float
        From which IoU with a reader's box a box of the AI counts as right.
    resamples : int
        Of the patients; 0 gives no such intervals.
    confidence : float
        0-1.
    seed : int
        Of the resampling.
    """

    patients: Mapping[str, str]
    iou_thresholds: tuple[float, ...] = (0.3, 0.5)
    resamples: int = 1000
    confidence: float = 0.95
    seed: int = 1


def agreement_rows(
    decisions: Sequence[Decision], claims: Mapping[Key, Claim], readings: Sequence[Reading], plan: AgreementPlan
) -> pd.DataFrame:
    """Measure readers against the AI and against one another.

    Parameters
    ----------
    decisions : sequence of Decision
        One at most for each reader, film, label and phase.
    claims : mapping of (image_id, label) to Claim
        The AI's answers; a decision without one is not measured against it.
    readings : sequence of Reading
        One at most for each reader and film.
    plan : AgreementPlan
        Patients, thresholds and intervals.

    Returns
    -------
    DataFrame
        `COLUMNS`; sorted by phase, reader, other, label and metric.
    """
    rows: list[tuple[object, ...]] = []
    for phase in ("blind", "final"):
        by_reader: dict[str, dict[Key, Decision]] = {}
        for decision in decisions:
            if decision.phase == phase:
                by_reader.setdefault(_column_name(decision.reader), {})[decision.image_id, decision.label] = decision
        for reader, judged in sorted(by_reader.items()):
            for label, keys in _by_label(judged):
                rows += [(phase, reader, AI, label, *row) for row in _against_ai(keys, judged, claims, plan)]
        for first, second in combinations(sorted(by_reader), 2):
            shared = {key: decision for key, decision in by_reader[first].items() if key in by_reader[second]}
            for label, keys in _by_label(shared):
                pair_rows = _between(keys, by_reader[first], by_reader[second], plan)
                rows += [(phase, first, second, label, *row) for row in pair_rows]
        if len(by_reader) > 1:
            every = {key: decision for judged in by_reader.values() for key, decision in judged.items()}
            for label, keys in _by_label(every):
                rows.append((phase, ALL_READERS, ALL_READERS, label, *_fleiss(keys, list(by_reader.values()))))
    rows += [("final", _column_name(reader), "", ALL_LABELS, *row) for reader, row in _times(readings)]
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return table.sort_values(
        ["phase", "reader", "other", "label", "metric", "criterion"], kind="stable", ignore_index=True
    )


def _column_name(reader: str) -> str:
    """Return a reader's name as the table has it: never that of the AI or of all readers."""
    return f"{reader} (a reader)" if reader.casefold() in (AI.casefold(), ALL_READERS) else reader


def _by_label(decided: Mapping[Key, Decision]) -> Iterator[tuple[str, list[Key]]]:
    """Yield each label, and all together, with its subjects."""
    labels = sorted({label for _, label in decided})
    for label in labels:
        yield label, sorted(key for key in decided if key[1] == label)
    if len(labels) > 1:
        yield ALL_LABELS, sorted(decided)


def _against_ai(
    keys: list[Key], decisions: Mapping[Key, Decision], claims: Mapping[Key, Claim], plan: AgreementPlan
) -> Iterator[tuple[object, ...]]:
    sure = [key for key in keys if decisions[key].value != "uncertain" and key in claims]
    says = np.array([decisions[key].value == "1" for key in sure], dtype=np.int64)
    claimed = np.array([claims[key].reported for key in sure], dtype=np.int64)
    draws = _Draws([key[0] for key in sure], plan)
    yield from _agreement(says, claimed, draws)
    yield _plain("uncertain", float(sum(decisions[key].value == "uncertain" for key in keys)), len(keys))
    yield _share("claim_ppv", says == 1, claimed == 1, draws)
    yield _share("claim_npv", says == 0, claimed == 0, draws)
    both = [key for key in sure if claims[key].boxes and decisions[key].boxes]
    overlaps = [box_agreement(claims[key].boxes, decisions[key].boxes) for key in both]
    yield _mean("box_iou", overlaps, _Draws([key[0] for key in both], plan))
    yield from _box_values(sure, decisions, claims, plan)


def _box_values(
    keys: list[Key], decisions: Mapping[Key, Decision], claims: Mapping[Key, Claim], plan: AgreementPlan
) -> Iterator[tuple[object, ...]]:
    """Yield the predictive value of the AI's boxes: the share that the reader's boxes bear out.

    Boxes of a finding that the reader calls present without drawing it are left out: whether they are right is not
    known. Both intervals are given: Wilson's takes boxes as independent, the bootstrap keeps patients together.
    """
    overlaps: list[float] = []
    films: list[str] = []
    for key in keys:
        if decisions[key].value == "1" and not decisions[key].boxes:
            continue
        best = best_overlaps(claims[key].boxes, decisions[key].boxes)
        overlaps += best
        films += [key[0]] * len(best)
    draws = _Draws(films, plan)
    for threshold in plan.iou_thresholds:
        right = np.array(overlaps) >= threshold
        low, high = wilson_interval(int(right.sum()), len(right), plan.confidence)
        value = float(right.mean()) if len(right) else math.nan
        yield "box_ppv", threshold, value, low, high, "wilson", len(right)
        name, _, *rest = _share("box_ppv", right, np.ones(len(right), dtype=bool), draws)
        yield name, threshold, *rest


def _between(
    keys: list[Key], first: Mapping[Key, Decision], second: Mapping[Key, Decision], plan: AgreementPlan
) -> Iterator[tuple[object, ...]]:
    sure = [key for key in keys if "uncertain" not in {first[key].value, second[key].value}]
    answers = [np.array([who[key].value == "1" for key in sure], dtype=np.int64) for who in (first, second)]
    yield from _agreement(answers[0], answers[1], _Draws([key[0] for key in sure], plan))
    both = [key for key in sure if first[key].boxes and second[key].boxes]
    overlaps = [box_agreement(first[key].boxes, second[key].boxes) for key in both]
    yield _mean("box_iou", overlaps, _Draws([key[0] for key in both], plan))


def _fleiss(keys: list[Key], readers: Sequence[Mapping[Key, Decision]]) -> tuple[object, ...]:
    counts = np.zeros((len(keys), 2), dtype=np.int64)
    for subject, key in enumerate(keys):
        for decisions in readers:
            if key in decisions and decisions[key].value != "uncertain":
                counts[subject, int(decisions[key].value)] += 1
    return _plain("fleiss_kappa", fleiss_kappa(counts), int((counts.sum(axis=1) >= 2).sum()))


def _times(readings: Sequence[Reading]) -> Iterator[tuple[str, tuple[object, ...]]]:
    for reader in sorted({reading.reader for reading in readings}):
        finished = [reading for reading in readings if reading.reader == reader and reading.is_finished]
        yield reader, _plain("films_read", float(len(finished)), len(finished))
        for name, seconds in (
            ("seconds", [reading.seconds for reading in finished if reading.seconds is not None]),
            ("seconds_blind", [reading.blind_seconds for reading in finished if reading.blind_seconds is not None]),
        ):
            if seconds:
                low, middle, high = (float(value) for value in np.quantile(seconds, (0.25, 0.5, 0.75)))
                yield reader, (f"median_{name}", math.nan, middle, low, high, "quartiles", len(seconds))
                yield reader, _plain(f"total_{name}", float(sum(seconds)), len(seconds))


class _Draws:
    """Resamples of the patients of some subjects, as weights of the subjects."""

    def __init__(self, films: Sequence[str], plan: AgreementPlan) -> None:
        names = [plan.patients.get(film, film) for film in films]
        patients = {name: number for number, name in enumerate(sorted(set(names)))}
        self.confidence = plan.confidence
        self._numbers = np.array([patients[name] for name in names], dtype=np.int64)
        self._args = (len(patients), plan.resamples if len(patients) > 1 else 0, plan.seed)

    def interval(self, measure: Callable[[NDArray[np.float64]], float]) -> tuple[float, float, str]:
        """Return low, high and the interval's name for a measure of weights [N]."""
        if not self._args[1]:
            return math.nan, math.nan, ""
        drawn = [measure(counts[self._numbers]) for chunk in resampled_counts(*self._args) for counts in chunk]
        low, high = percentile_intervals(np.array(drawn)[:, None], self.confidence)
        return float(low[0]), float(high[0]), "patients"


def _agreement(first: NDArray[np.int64], second: NDArray[np.int64], draws: _Draws) -> Iterator[tuple[object, ...]]:
    low, high, interval = draws.interval(lambda weights: cohen_kappa(first, second, weights))
    yield "cohen_kappa", math.nan, cohen_kappa(first, second), low, high, interval, len(first)
    yield _share("agreement", first == second, np.ones(len(first), dtype=bool), draws)


def _share(name: str, right: NDArray[np.bool_], among: NDArray[np.bool_], draws: _Draws) -> tuple[object, ...]:
    """Return the share of `right` among the subjects chosen, with an interval by patients."""

    def share(weights: NDArray[np.float64]) -> float:
        total = float(weights[among].sum())
        return float(weights[among & right].sum()) / total if total > 0 else math.nan

    low, high, interval = draws.interval(share)
    return name, math.nan, share(np.ones(len(right))), low, high, interval, int(among.sum())


def _mean(name: str, values: Sequence[float], draws: _Draws) -> tuple[object, ...]:
    numbers = np.array(values)

    def mean(weights: NDArray[np.float64]) -> float:
        total = float(weights.sum())
        return float(weights @ numbers) / total if total > 0 else math.nan

    low, high, interval = draws.interval(mean)
    return name, math.nan, mean(np.ones(len(numbers))), low, high, interval, len(numbers)


def _plain(name: str, value: float, n: int) -> tuple[object, ...]:
    return name, math.nan, value, math.nan, math.nan, "", n
