"""Predictions to score: which thresholds make which rows. Thresholds chosen on the scored split need `oracle`."""

from collections.abc import Sequence
from dataclasses import dataclass

from camray.core.localization.box_thresholds import BoxThreshold
from camray.domain.errors import PipelineError
from camray.domain.records import ThresholdSource

CAM_PAPER_POLICY = "fraction_of_max"
MAIN_POLICIES = ("above_background", CAM_PAPER_POLICY)  # the first of a run carries the plain method name


@dataclass(frozen=True)
class ThresholdUse:
    """One method and policy to score.

    Parameters
    ----------
    row_method : str
        Method in the score table.
    method : str
        Method in the predictions.
    threshold_source : str
        Source in the score table.
    threshold_ids : frozenset of str
        Predictions to take; they may differ by label.
    """

    row_method: str
    method: str
    threshold_source: str
    threshold_ids: frozenset[str]


def thresholds_to_score(thresholds: Sequence[BoxThreshold], split: str, oracle: bool) -> list[ThresholdUse]:
    """Group box thresholds into the rows that they make on a split.

    Parameters
    ----------
    thresholds : sequence of BoxThreshold
        All of a run.
    split : str
        The split to score.
    oracle : bool
        Whether thresholds chosen on that very split may be used; their rows are then marked ``oracle``.

    Returns
    -------
    list of ThresholdUse
        Where a method has several policies of one source, the first of `MAIN_POLICIES` (else of the run) carries the
        plain method name and the others a suffix: ``cam:otsu``.

    Raises
    ------
    PipelineError
        If a threshold was chosen on the split and `oracle` is False.
    """
    groups: dict[tuple[str, str, str], set[str]] = {}
    for threshold in thresholds:
        source = str(threshold.source)
        if threshold.split == split:
            if not oracle:
                raise PipelineError(
                    f"threshold '{threshold.id}' was chosen on the split '{split}', which is to be scored; score "
                    "another split, or request such scores with score.oracle=true (they are then marked 'oracle')"
                )
            source = ThresholdSource.ORACLE.value
        groups.setdefault((threshold.method, source, threshold.policy), set()).add(threshold.id)
    uses = []
    for (method, source, policy), ids in groups.items():
        policies = [other for m, s, other in groups if (m, s) == (method, source)]
        plain = next((policy for policy in MAIN_POLICIES if policy in policies), policies[0])
        row_method = method if policy == plain else f"{method}:{policy}"
        uses.append(ThresholdUse(row_method, method, source, frozenset(ids)))
    return uses
