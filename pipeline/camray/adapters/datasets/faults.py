"""Faults of tables, collected into one report."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from camray.domain.errors import AnnotationError, ManifestError

MAX_LINES_LISTED = 8


@dataclass(frozen=True)
class TableFault:
    """One kind of fault in one table.

    Parameters
    ----------
    table : str
        File name.
    what : str
        What is wrong and what was expected: columns, labels and counts, never a key, which may identify a patient.
    count : int
        Number of rows or columns.
    lines : tuple of int
        The first lines with the fault, counted from 1 for the header; empty if it is not about lines.
    stops : bool
        Whether the result would be wrong.
    """

    table: str
    what: str
    count: int
    lines: tuple[int, ...]
    stops: bool

    def as_json(self) -> dict[str, Any]:
        """Return the fault for ``audit.json``."""
        return {"table": self.table, "what": self.what, "count": self.count, "lines": list(self.lines)}

    def __str__(self) -> str:
        more = ", ..." if self.count > len(self.lines) else ""
        where = f" (line {', '.join(str(line) for line in self.lines)}{more})" if self.lines else ""
        return f"  {self.table}: {self.what}{where}"


@dataclass
class FaultReport:
    """All faults so far.

    Parameters
    ----------
    is_strict : bool
        Whether missing or unknown labels make the result wrong; False if the labels are another run's.
    """

    faults: list[TableFault] = field(default_factory=list)
    is_strict: bool = True

    def add(self, table: str, what: str, lines: Iterable[int] = (), *, stops: bool, count: int | None = None) -> None:
        """Add a fault of these lines, or of `count` rows or columns; zero adds nothing."""
        listed = [int(line) for line in lines]
        number = len(listed) if count is None else count
        if number:
            self.faults.append(TableFault(table, what, number, tuple(listed[:MAX_LINES_LISTED]), stops))

    def stop_if_wrong(self, box_tables: Collection[str]) -> None:
        """Raise one error that lists all faults, if the result would be wrong.

        Parameters
        ----------
        box_tables : collection of str
            Names of the box tables: faults in them alone make the error an `AnnotationError`.

        Raises
        ------
        ManifestError, AnnotationError
            If any fault stops a run; the message lists the other ones as well.
        """
        stopping = [fault for fault in self.faults if fault.stops]
        if not stopping:
            return
        rest = [fault for fault in self.faults if not fault.stops]
        text = [
            f"{len(stopping)} fault(s) in the tables would make the result wrong; correct them:",
            *map(str, stopping),
        ]
        text += [f"and {len(rest)} fault(s) that would not change the result:", *map(str, rest)] if rest else []
        kind = AnnotationError if all(fault.table in box_tables for fault in stopping) else ManifestError
        raise kind("\n".join(text))
