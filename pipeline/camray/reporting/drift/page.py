"""The drift page: verdict, folders over time, features with the worst first, distributions, and how to read them."""

from collections.abc import Sequence
from dataclasses import dataclass

from camray.core.drift.reference import FEWEST_FILMS, RunReference
from camray.core.drift.summary import RULES
from camray.core.drift.verdict import LEVELS, FeatureDrift, FolderDrift, Level
from camray.reporting.drift.charts import distribution_chart, trend_chart
from camray.reporting.page_rendering import render

FEW_PATIENTS = 50  # with fewer, shifts of one standard deviation are missed now and then
MISSING = "–"
VERDICTS = {
    Level.TOO_FEW: f"No verdict: expected at least {FEWEST_FILMS} patients. That is no all-clear.",
    Level.NONE: "No drift found: every feature differs by no more than chance explains, or by little.",
    Level.WATCH: "At least one feature differs by more than chance, moderately. Look at what changed.",
    Level.ALARM: "At least one feature differs strongly from the films of the run. Until it is known why, "
    "results on these films cannot be trusted as on the films that the run was scored on.",
}


@dataclass(frozen=True)
class DriftLine:
    """One feature as it is printed."""

    title: str
    level: str
    change: str
    psi: str
    psi_interval: str
    ks: str
    p: str
    films: str
    history: tuple["HistoryCell", ...]


@dataclass(frozen=True)
class HistoryCell:
    """PSI of one feature in one folder, and its level."""

    psi: str
    level: str


def drift_page(name: str, reference: RunReference, folders: Sequence[FolderDrift], notes: Sequence[str]) -> str:
    """Lay the page out.

    Parameters
    ----------
    name : str
        Of the run.
    reference : RunReference
        What the folders are compared with.
    folders : sequence of FolderDrift
        In the order of time; the last one is shown in detail.
    notes : sequence of str
        What is not compared, and why.

    Returns
    -------
    str
        HTML without any reference to another file.
    """
    last = folders[-1]
    shown = [row for row in last.rows if row.level in (Level.ALARM, Level.WATCH)] or list(last.rows[:3])
    return render(
        "drift.html.j2",
        name=name,
        reference=reference,
        folders=folders,
        last=last,
        verdict=VERDICTS[last.level],
        few=FEWEST_FILMS <= last.patients < FEW_PATIENTS,
        lines=[_line(row, folders) for row in last.rows],
        counts=[{level: sum(row.level == level for row in folder.rows) for level in LEVELS} for folder in folders],
        distributions=distribution_chart(shown),
        trend=trend_chart(folders),
        notes=notes,
        rules=RULES,
    )


def _line(row: FeatureDrift, folders: Sequence[FolderDrift]) -> DriftLine:
    shift, films = row.shift, f"{row.films} / {row.reference.films}"
    history = tuple(_history(folder, row.reference.key) for folder in folders)
    names = (row.reference.title, str(row.level), row.change)
    if shift is None:
        return DriftLine(*names, MISSING, "", MISSING, MISSING, films, history)
    ks = MISSING if shift.ks != shift.ks else f"{shift.ks:.2f} ({shift.ks_low:.2f}–{shift.ks_high:.2f})"
    interval = f"{shift.psi_low:.2f}–{shift.psi_high:.2f}"
    p = "< 0.001" if row.p < 0.001 else f"{row.p:.3f}"
    return DriftLine(*names, f"{shift.psi:.2f}", interval, ks, p, films, history)


def _history(folder: FolderDrift, key: str) -> HistoryCell:
    for row in folder.rows:
        if row.reference.key == key and row.shift is not None:
            return HistoryCell(f"{row.shift.psi:.2f}", str(row.level))
    return HistoryCell(MISSING, "")
