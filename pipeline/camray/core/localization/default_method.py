"""Which of several threshold choices a person is shown: one for each label."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from camray.domain.records import ThresholdSource

PREFERRED_METHOD = "cam"
_ORDER = {ThresholdSource.VALIDATION: 0, ThresholdSource.FIXED: 1}


def default_method(methods: Collection[str]) -> str:
    """Return ``cam`` where it is there, else the first.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not methods:
        raise ValueError("no explanation method to show")
    return PREFERRED_METHOD if PREFERRED_METHOD in methods else next(iter(methods))


def default_thresholds(
    entries: Iterable[Mapping[str, Any]], method: str, labels: Iterable[str]
) -> dict[str, Mapping[str, Any]]:
    """Pick one threshold a label: chosen on validation films if there is one, else fixed; never the oracle's.

    Parameters
    ----------
    entries : iterable of mapping
        ``thresholds`` of ``thresholds.json``; keys ``id``, ``method``, ``label``, ``source``. An entry without a label
        holds for all.
    method : str
        Explanation method.
    labels : iterable of str
        Wanted.

    Returns
    -------
    dict
        Label to entry; a label without any is left out. Among equals the first wins.
    """
    usable = [entry for entry in entries if entry["method"] == method and entry["source"] in _ORDER]
    ranked = sorted(usable, key=lambda entry: _ORDER[ThresholdSource(entry["source"])])
    chosen: dict[str, Mapping[str, Any]] = {}
    for label in labels:
        fitting = [entry for entry in ranked if entry.get("label") in (None, label)]
        if fitting:
            chosen[label] = fitting[0]
    return chosen
