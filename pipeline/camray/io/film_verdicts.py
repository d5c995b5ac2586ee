"""Findings of a run's films that are neither reported nor denied, with the reasons.

Reads   ``explain/logits.npy``, ``localize/thresholds.json films.parquet``
"""

import numpy as np
import pandas as pd

from camray.io.explained_run import ExplainedRun


def not_judged_table(run: ExplainedRun, report: str) -> pd.DataFrame:
    """Say of each film and finding why it is not judged.

    Parameters
    ----------
    run : ExplainedRun
        With boxes.
    report : {'judged', 'cutoff', 'all'}
        As `localize.report` of the run: only of ``judged`` is anything not judged.

    Returns
    -------
    DataFrame
        Texts by ``image_id`` and label; empty where the finding is judged.
    """
    known = run.thresholds.cutoff_of
    columns = {
        label: run.thresholds.why_not_judged(label, run.logits[:, number], report)
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
