"""Collection of one file's decisions, readings and problems."""

import math
from typing import Any

from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, DecisionsRead, Phase, Problem, Reading


class DecisionCollector:
    """Decisions, readings and problems of one file."""

    def __init__(self, source: str, form: str) -> None:
        self.source, self._form = source, form
        self._decisions: dict[tuple[str, str, str, Phase], Decision] = {}
        self._readings: dict[tuple[str, str], Reading] = {}
        self._problems: list[Problem] = []

    def problem(self, what: str, reader: str = "", image_id: str = "", label: str = "") -> None:
        """Record a problem of the file, or of a film or finding in it."""
        self._problems.append(Problem(self.source, what, reader, image_id, label))

    def decide(self, decision: Decision) -> None:
        """Add a decision; a different one for the same finding replaces it and is a problem."""
        key = (decision.reader, decision.image_id, decision.label, decision.phase)
        if key in self._decisions and self._decisions[key] != decision:
            self.problem("decided twice in this file; the later decision is used", *key[:3])
        self._decisions[key] = decision

    def read(self, reading: Reading) -> None:
        """Add a reading of a film; a second one replaces it and is a problem."""
        key = (reading.reader, reading.image_id)
        if key in self._readings:
            self.problem("the film is in this file twice; the later entry is used", *key)
        self._readings[key] = reading

    def done(self, run_digest: str = "") -> DecisionsRead:
        """Return what was collected; `run_digest` is the digest of the run that the file names."""
        return DecisionsRead(
            self.source,
            self._form,
            run_digest,
            tuple(self._decisions.values()),
            tuple(self._readings.values()),
            tuple(self._problems),
        )


def valid_boxes(corners: Any, collector: DecisionCollector, where: tuple[str, str, str]) -> tuple[Box, ...]:
    """Turn lists of corners into boxes; an invalid one is a problem."""
    boxes = []
    for each in corners or ():
        try:
            boxes.append(Box(*(float(side) for side in each)))
        except (TypeError, ValueError):
            collector.problem("a box without finite corners or without area was ignored", *where)
    return tuple(boxes)


def seconds_or_none(value: Any) -> float | None:
    """Return a finite number as it is, anything else as None."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
