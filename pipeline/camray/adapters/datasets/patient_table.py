"""Patients of films, from a table of their own."""

from dataclasses import replace

import numpy as np

from camray.adapters.datasets.faults import FaultReport
from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.label_table import LabelMatrix
from camray.adapters.datasets.manifest import PatientTableRules
from camray.adapters.datasets.table_paths import TablePaths
from camray.adapters.datasets.tables import missing_columns, open_table, report_unknown_columns


def read_patients(
    rules: PatientTableRules | None, paths: TablePaths, films: FilmIndex, labels: LabelMatrix, report: FaultReport
) -> LabelMatrix:
    """Take each film's patient from the table that the manifest names for it.

    Parameters
    ----------
    rules : PatientTableRules or None
        The table's columns.
    paths : TablePaths
        Where it is, or that it is missing.
    films : FilmIndex
        All films.
    labels : LabelMatrix
        Labels and facts of the films.
    report : FaultReport
        Receives a missing table, films that it does not name, and rows of one film that name several patients.

    Returns
    -------
    LabelMatrix
        With the table's ``patient_id``; films that it does not name keep theirs.
    """
    for name in paths.missing:
        what = "missing: each film counts as a patient of its own, and films of one patient may be in two splits"
        report.add(name, what, stops=False, count=len(films.usable))
    if rules is None or paths.patients is None:
        return labels
    table = open_table(paths.patients, rules, films, report)
    if table is None:
        return labels
    if rules.patient_id not in table.cells.columns:
        what = missing_columns([rules.patient_id], "with the patients", table.cells.columns)
        report.add(table.name, what, stops=True, count=1)
        return labels
    report_unknown_columns(table, rules.columns, report)
    table = table.rows((table.films >= 0) & table.cells[rules.patient_id].notna().to_numpy(dtype=bool))
    texts = table.cells[rules.patient_id].astype(str).to_numpy(dtype=object)
    patients = labels.facts["patient_id"].to_numpy(dtype=object, copy=True)
    patients[table.films[::-1]] = texts[::-1]
    report.add(
        table.name, "rows of one film name several patients", table.lines[patients[table.films] != texts], stops=True
    )
    named = np.isin(np.arange(len(films.usable)), table.films)
    what = "films that it does not name: each counts as a patient of its own"
    report.add(table.name, what, stops=False, count=int((films.usable & ~named).sum()))
    return replace(labels, facts=labels.facts.assign(patient_id=patients))
