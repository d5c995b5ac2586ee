"""What a plan is made from: films, labels and boxes of a data set, the machine, and what the user gave."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Sections = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class LabelFacts:
    """Films of one finding.

    Parameters
    ----------
    name : str
        The finding.
    present, absent : int
        Films that show it, and films that are known not to.
    boxed : int
        Films with a box of it.
    """

    name: str
    present: int
    absent: int
    boxed: int = 0

    @property
    def is_one_class(self) -> bool:
        """Whether no film shows it, or every one does."""
        return self.present == 0 or self.absent == 0


@dataclass(frozen=True)
class DataFacts:
    """A data set, seen by its file names, tables and some headers.

    Parameters
    ----------
    films : int
        Films that are expected to be usable.
    labelled : int
        Those with a known label.
    labels : tuple of LabelFacts
        Findings of the tables.
    boxed : int
        Films with a box.
    rows, cols : int
        Median native size, px; 0 if no header could be read.
    aspect : float
        Median height over width, with the pixels' spacing.
    headers : int
        Number of headers that size and aspect are from.
    """

    films: int
    labelled: int
    labels: tuple[LabelFacts, ...]
    boxed: int
    rows: int
    cols: int
    aspect: float
    headers: int


@dataclass(frozen=True)
class Machine:
    """What computes.

    Parameters
    ----------
    cores : int
        Cores that the process may use.
    has_gpu : bool
        Whether training runs on a GPU.
    """

    cores: int
    has_gpu: bool = False

    @property
    def name(self) -> str:
        """How a plan calls it."""
        return "a GPU" if self.has_gpu else f"{self.cores} core" + ("s" if self.cores != 1 else "")


@dataclass(frozen=True)
class PlanRequest:
    """What the user gave.

    Parameters
    ----------
    given : mapping
        Sections with the settings of the experiment's file and the command line; the plan never changes them.
    minutes : float or None
        Duration of the whole run at most; None sets `plan.default_minutes`.
    fractions : tuple of float
        Shares of the films to train, validate and test on.
    """

    given: Sections = field(default_factory=dict)
    minutes: float | None = None
    fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)

    def value(self, section: str, key: str) -> Any:
        """Return a given setting, or None."""
        return self.given.get(section, {}).get(key)


@dataclass(frozen=True)
class Reason:
    """Settings of a plan, and why they are so.

    Parameters
    ----------
    settings : tuple of str
        Dotted names.
    text : str
        Why.
    """

    settings: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Plan:
    """Settings for a data set, with reasons.

    Parameters
    ----------
    values : mapping
        Sections with the planned settings; given ones are not among them.
    reasons : tuple of Reason
        One for each decision.
    warnings : tuple of str
        What the films cannot give.
    minutes : float
        Estimated duration of the whole run.
    refusal : str
        Why nothing can be trained; empty otherwise.
    """

    values: Sections
    reasons: tuple[Reason, ...]
    warnings: tuple[str, ...]
    minutes: float
    refusal: str = ""
