"""Default explanation method and box thresholds: those that are exported and reviewed."""

from collections.abc import Collection, Iterable

from camray.core.localization.box_thresholds import BoxThreshold
from camray.domain.records import ThresholdSource

PREFERRED_METHOD = "cam"
_ORDER = {ThresholdSource.VALIDATION: 0, ThresholdSource.FIXED: 1}


def default_method(methods: Collection[str]) -> str:
    """Return ``cam`` where it is there, else the first.

    Raises
    ------
    ValueError
        If there is no method.
    """
    if not methods:
        raise ValueError("no explanation method to show")
    return PREFERRED_METHOD if PREFERRED_METHOD in methods else next(iter(methods))


def default_thresholds(
    thresholds: Iterable[BoxThreshold], method: str, labels: Iterable[str]
) -> dict[str, BoxThreshold]:
    """Pick one threshold per label: chosen on validation films if there is one, else fixed; never the oracle's.

    Parameters
    ----------
    thresholds : iterable of BoxThreshold
        All of a run.
    method : str
        Explanation method.
    labels : iterable of str
        Labels to pick for.

    Returns
    -------
    dict of str to BoxThreshold
        By label; a label without any threshold is left out. Among equals the first wins.
    """
    usable = [each for each in thresholds if each.method == method and each.source in _ORDER]
    ranked = sorted(usable, key=lambda each: _ORDER[each.source])
    by_label: dict[str, BoxThreshold] = {}
    for label in labels:
        fitting = [each for each in ranked if each.label == label]
        if fitting:
            by_label[label] = fitting[0]
    return by_label
