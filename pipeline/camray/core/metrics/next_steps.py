"""Next steps that are likely to help findings whose boxes are not above the trivial baselines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import HeadlineRow

FEW_STEPS, ENOUGH_STEPS = 300, 400  # on 175 training films nothing is localized before 150-200 steps of batch 16
ENOUGH_POSITIVES = 50
LISTED = 4
SHORTCUTS = 2


@dataclass(frozen=True)
class TrainingFacts:
    """How a network was trained.

    Parameters
    ----------
    has_pretrained_weights : bool
        Whether it began with given weights.
    pretrained_backbone : str
        A backbone whose weights are installed; empty if there is none.
    steps : int
        Steps of the fit.
    positives : mapping
        Label to training films that show it.
    boxed_validation_films : int
        Validation films with an annotated box.
    warnings : sequence of str
        Shortcuts that the audit reports.
    """

    has_pretrained_weights: bool
    pretrained_backbone: str
    steps: int
    positives: Mapping[str, int]
    boxed_validation_films: int
    warnings: Sequence[str]


def next_steps(rows: Sequence[HeadlineRow], facts: TrainingFacts) -> list[str]:
    """Say what is likely to help, most likely first.

    Parameters
    ----------
    rows : sequence of HeadlineRow
        The headline of one run.
    facts : TrainingFacts
        How its network was trained.

    Returns
    -------
    list of str
        The first one names the findings whose hit rate is not above the best baseline; empty if there are none.
    """
    low = [row.label for row in rows if row.label != MEAN_LABEL and row.hit_rate.verdict == "not above"]
    labels = list(dict.fromkeys(low))
    if not labels:
        return []
    steps = [f"{_listed(labels)}: the hit rate is not above a baseline that does not look at the film"]
    if not facts.has_pretrained_weights and facts.pretrained_backbone:
        steps.append(
            f"start from pretrained weights: model.backbone={facts.pretrained_backbone} (with the settings of "
            "configs/folder.yaml)"
        )
    if facts.steps < FEW_STEPS:
        steps.append(f"train longer: {facts.steps} steps are few; set train.min_steps={ENOUGH_STEPS}")
    if facts.warnings:
        steps.append(
            f"read the audit: labels can be predicted without the lungs ({'; '.join(facts.warnings[:SHORTCUTS])})"
        )
    few = [label for label in labels if facts.positives.get(label, 0) < ENOUGH_POSITIVES]
    if few:
        counts = ", ".join(f"{label} {facts.positives.get(label, 0)}" for label in few[:LISTED])
        steps.append(f"add films: fewer than {ENOUGH_POSITIVES} training films show it ({counts})")
    if facts.boxed_validation_films == 0:
        steps.append("draw boxes on some validation films (camray review), so that the threshold can be chosen on them")
    if len(steps) == 1:
        steps.append(
            "compare networks and methods: camray compare CONFIG; look at the maps of hits and misses in the report"
        )
    return steps


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
    return ", ".join(labels[:LISTED]) + more
