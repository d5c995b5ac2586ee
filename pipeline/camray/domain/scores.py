"""Scores as programs receive them: one number with its interval and its count."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """One row of a score table.

    Parameters
    ----------
    label : str
        Finding; ``*`` stands for a mean over findings.
    metric : str
        ``auroc``, ``hit_rate``, ``mean_iou``, ...; see the page *Scores*.
    method : str
        Explanation method, baseline, or ``classifier``.
    threshold : str
        Where the boxes' threshold came from; empty where there is none.
    criterion : float or None
        IoU or other bound that belongs to the metric.
    value : float or None
        None where it is undefined: a single class, no box.
    low, high : float or None
        Of its 95 % interval, by patient.
    n : int
        Films, boxes or lesions that it rests on, as the metric says.
    """

    label: str
    metric: str
    method: str
    threshold: str
    criterion: float | None
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True)
class Scores:
    """All scores of films, in the order of the score table.

    Parameters
    ----------
    rows : tuple of Score
    films : int
        Films that were scored.
    refused : tuple of str
        Why files are no usable films, one text for each.
    """

    rows: tuple[Score, ...]
    films: int
    refused: tuple[str, ...]

    def of(self, label: str, metric: str, method: str | None = None) -> tuple[Score, ...]:
        """Return the rows of a finding and a metric, of one method if it is given."""
        wanted = (row for row in self.rows if (row.label, row.metric) == (label, metric))
        return tuple(row for row in wanted if method is None or row.method == method)
