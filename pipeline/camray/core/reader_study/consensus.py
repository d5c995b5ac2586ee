"""Consensus of several readers, subject by subject."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from camray.core.cohort.reader_fusion import fuse
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision

MergePolicy = Literal["majority", "union"]
Key = tuple[str, str]  # image_id, label


@dataclass(frozen=True)
class MergedDecision:
    """What all readers together say of one finding on one film: its value, and (reader, box) for each box."""

    value: str
    boxes: tuple[tuple[str, Box], ...]


def merge(decisions: Sequence[Decision], policy: MergePolicy) -> dict[Key, MergedDecision]:
    """Merge final decisions, subject by subject.

    Parameters
    ----------
    decisions : sequence of Decision
        Blind ones are left out.
    policy : {'majority', 'union'}
        ``union``: present if any reader says so, with every box. ``majority``: what more than half of the readers who
        are not uncertain say, ``uncertain`` on a tie; boxes are fused (weighted boxes fusion, IoU > 0.5), and those
        stay that more than half of the readers who call the finding present drew.

    Returns
    -------
    dict
        By (image_id, label). A subject on which all are uncertain is ``uncertain``. One reader's answer stays as it is.
    """
    answers: dict[Key, list[Decision]] = {}
    for decision in sorted(decisions, key=lambda decision: decision.reader):
        if decision.phase == "final":
            answers.setdefault((decision.image_id, decision.label), []).append(decision)
    return {key: _merged(decisions_of_subject, policy) for key, decisions_of_subject in sorted(answers.items())}


def _merged(answers: list[Decision], policy: MergePolicy) -> MergedDecision:
    present, absent = ([answer for answer in answers if answer.value == value] for value in ("1", "0"))
    if policy == "union":
        value = "1" if present else "0" if absent else "uncertain"
    else:
        value = "uncertain" if len(present) == len(absent) else "1" if len(present) > len(absent) else "0"
    if value != "1":
        return MergedDecision(value, ())
    drawn = [(answer.reader, box) for answer in present for box in answer.boxes]
    if policy == "union" or len(present) == 1 or not drawn:
        return MergedDecision(value, tuple(drawn))
    corners = np.array([box.as_tuple() for _, box in drawn])
    return MergedDecision(
        value,
        tuple(
            ("majority", Box(*map(float, box)))
            for box, members in fuse(corners)
            if 2 * len({drawn[member][0] for member in members}) > len(present)
        ),
    )
