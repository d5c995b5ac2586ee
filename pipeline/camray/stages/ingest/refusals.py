"""The refusals table: files and entries that are not used, and films that are missing, each counted once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from camray.adapters.datasets.film_files import UnreadEntry
from camray.adapters.datasets.reading import Dataset
from camray.domain.file_names import printable
from camray.domain.records import RefusalReason

_UNIDENTIFIED = frozenset({RefusalReason.UNREADABLE_HEADER, RefusalReason.NOT_DICOM, RefusalReason.UNREADABLE_PIXELS})


@dataclass(frozen=True)
class MissingFilms:
    """Films that tables name and that are not under the root.

    Parameters
    ----------
    rows : sequence of (str, int)
        Table and line.
    may_be_refused : int
        Number of further such films, which may be refused files without a readable identifier.
    """

    rows: Sequence[tuple[str, int]] = ()
    may_be_refused: int = 0


def missing_once(records: pd.DataFrame, dataset: Dataset, unread: Sequence[UnreadEntry], table: str) -> MissingFilms:
    """Return the missing films of the tables, less the refused files that may be these: nothing is counted twice.

    Parameters
    ----------
    records : DataFrame
        Records of all files.
    dataset : Dataset
        Its report receives what is counted as a refused file.
    unread : sequence of UnreadEntry
        Entries of the folder that cannot be read.
    table : str
        Name of the table, for the report.

    Notes
    -----
    A file without a readable identifier may be any film; it counts as one if it has the ending of a film's file.
    """
    endings = set(records["source"][records["reason"] == ""].map(_ending))
    by_stem = records["image_id"] == records["source"].map(lambda name: PurePosixPath(name).stem)
    is_unidentified = records["reason"].isin(_UNIDENTIFIED) & by_stem & ~dataset.is_named
    names = [*records["source"][is_unidentified], *(e.source for e in unread if e.reason == RefusalReason.NOT_A_FILE)]
    count = min(sum(_ending(name) in endings for name in names), len(dataset.missing))
    what = "films under the root are not found; refused files without a readable identifier may be these, counted once"
    lines = [line for _, line in dataset.missing[len(dataset.missing) - count :]]
    dataset.report.add(table, f"rows whose {what}", lines, stops=False)
    return MissingFilms(dataset.missing[: len(dataset.missing) - count], count)


def refusals_table(
    records: pd.DataFrame,
    refusals_by_row: dict[int, tuple[str, str]],
    missing: MissingFilms,
    unread: Sequence[UnreadEntry],
) -> pd.DataFrame:
    """Return the refusals table: files in order, then entries that are no files, then missing films.

    Parameters
    ----------
    records : DataFrame
        Records of all files.
    refusals_by_row : dict
        Reason and message by row of `records`.
    missing : MissingFilms
        Films of the tables that are not found.
    unread : sequence of UnreadEntry
        Entries of the folder that cannot be read.
    """
    rows = [(str(records.at[row, "source"]), *refusals_by_row[row]) for row in sorted(refusals_by_row)]
    rows += [(printable(entry.source), str(entry.reason), entry.message) for entry in unread]
    unclear = f", or is 1 of {missing.may_be_refused} refused file(s) without a readable identifier"
    more = unclear if missing.may_be_refused else ""
    for table, line in missing.rows:
        message = f"{table} names a film in line {line} that is not under the root{more}"
        rows.append((f"{table}:{line}", str(RefusalReason.MISSING_FILE), message))
    return pd.DataFrame(rows, columns=["source", "reason", "message"])


def _ending(name: str) -> str:
    return PurePosixPath(name).suffix.casefold()
