"""Findings of the tables that an experiment leaves out."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.reading import Dataset
from camray.domain.errors import SettingsError
from camray.domain.suggestions import did_you_mean


def without_findings(dataset: Dataset, names: Collection[str]) -> Dataset:
    """Leave findings out, with their labels, boxes and regions to ignore.

    Parameters
    ----------
    dataset : Dataset
        Content of the tables.
    names : collection of str
        Findings to leave out; findings that are derived from them keep their values.

    Raises
    ------
    SettingsError
        If there is no finding of a name, or none is left.
    """
    if not names:
        return dataset
    known = [finding.name for finding in dataset.findings]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise SettingsError(f"data.leave_out: no finding {unknown}; {did_you_mean(unknown, known, 'the findings are')}")
    kept = [number for number, name in enumerate(known) if name not in names]
    if not kept:
        raise SettingsError(f"data.leave_out: names every finding {known}; keep at least one to train on")
    new_number = np.full(len(known), -1, np.int64)
    new_number[kept] = np.arange(len(kept))
    findings = (dataset.findings[number] for number in kept)
    return replace(
        dataset,
        findings=tuple(
            replace(finding, any_of=tuple(part for part in finding.any_of if part not in names)) for finding in findings
        ),
        labels=replace(dataset.labels, values=dataset.labels.values[:, kept]),
        boxes=_renumbered(dataset.boxes, new_number),
        ignored=_renumbered(dataset.ignored, new_number),
    )


def _renumbered(marks: pd.DataFrame, new_number: NDArray[np.int64]) -> pd.DataFrame:
    label = new_number[marks["label"].to_numpy(np.int64)]
    renumbered = marks.assign(label=label)
    return renumbered[renumbered["label"] >= 0].reset_index(drop=True)
