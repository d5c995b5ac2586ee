"""Findings of a run's films that are neither reported nor denied, with the reasons.

Reads   ``explain/logits.npy``, ``localize/thresholds.json films.parquet``
"""

import numpy as np
import pandas as pd

from camray.core.localization.box_thresholds import Thresholds
from camray.io.explained_run import ExplainedRun


def not_judged_table(run: ExplainedRun, report: str, thresholds: Thresholds | None = None) -> pd.DataFrame:
    """Say of each film and finding why it is not judged.

    Parameters
    ----------
    run : ExplainedRun
        With boxes.
    report : {'judged', 'cutoff', 'all'}
        As `localize.report` of the run: only of ``judged`` is anything not judged.
    thresholds : Thresholds, optional
        By default those of the run.

    Returns
    -------
    DataFrame
        Texts by ``image_id`` and label; empty where the finding is judged.
    """
    thresholds = run.thresholds if thresholds is None else thresholds
    known = thresholds.cutoff_of
    columns = {
        label: thresholds.why_not_judged(label, run.logits[:, number], report)
        if label in known
        else np.full(len(run.logits), "", object)
        for number, label in enumerate(run.labels)
    }
    table = pd.DataFrame(columns, index=run.image_ids, dtype=object)
    file = run.artifacts.localize.films
    if report == "judged" and file.is_file():
        foreign = file.read().set_index("image_id")["foreign"].astype(object)
        for image_id, why in foreign[foreign != ""].items():
            table.loc[str(image_id)] = str(why)
    return table
