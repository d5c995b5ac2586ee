"""Admission of films: records joined with the published tables; refusals, patients, splits, labels and boxes.

Reads   the records of all files, and the tables of the data manifest
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.box_table import IGNORE
from camray.adapters.datasets.film_files import UnreadEntry
from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.reading import Dataset, read_tables
from camray.adapters.datasets.split_lists import read_split_lists
from camray.adapters.datasets.table_paths import TablePaths
from camray.adapters.pseudonyms import pseudonym
from camray.adapters.settings.films import IngestSettings
from camray.core.cohort.deduplication import (
    RefusedFilm,
    conflicting_patients,
    duplicate_ids,
    duplicate_pixels,
    patient_split_key,
)
from camray.core.cohort.patient_splits import check_no_leak, official_splits, seeded_splits
from camray.core.cohort.reader_fusion import fuse_readers
from camray.domain.errors import ImageError
from camray.domain.films import FilmHeader, FilmPolicy
from camray.domain.labels import Finding
from camray.domain.records import ANNOTATION_COLUMNS, CORNERS, LABEL_COLUMNS, RefusalReason, Split
from camray.stages.ingest.film_worker import printable

_VALUE_NAMES = np.array(["0", "1", "uncertain"], dtype=object)  # positions are the codes of a label matrix


@dataclass(frozen=True)
class Source:
    """Where films and tables come from.

    Parameters
    ----------
    root : Path
        Folder that sources are relative to.
    tables : TablePaths
        Tables to be read.
    manifest : Manifest
        What they mean.
    fixed : tuple of Finding
        A trained run's findings; empty for a run that trains.
    """

    root: Path
    tables: TablePaths
    manifest: Manifest
    fixed: tuple[Finding, ...]

    @property
    def is_training(self) -> bool:
        """Tell whether the films are to train a network."""
        return not self.fixed


@dataclass(frozen=True, eq=False)
class Admitted:
    """Admitted films with labels and boxes, and refused files.

    Parameters
    ----------
    films : DataFrame
        Records of the admitted films, in order of their sources, with patient and view completed, and their ``split``.
    values : ndarray of shape (films, labels), int8
        Label matrix of these films.
    boxes : DataFrame
        Columns of `box_table.BOX_COLUMNS`; ``film`` is a position in `films`.
    ignored : DataFrame
        Likewise: regions whose pixels do not count.
    refusals : DataFrame
        Columns of the refusals table; files and, for complete data sets, films that are missing.
    findings : tuple of Finding
        In the order of the columns of `values`.
    faults : list of dict
        Faults of the tables that do not make the result wrong.
    """

    films: pd.DataFrame
    values: NDArray[np.int8]
    boxes: pd.DataFrame
    ignored: pd.DataFrame
    refusals: pd.DataFrame
    findings: tuple[Finding, ...]
    faults: list[dict[str, object]]


def admit(
    records: pd.DataFrame, source: Source, settings: IngestSettings, key: bytes, unread: Sequence[UnreadEntry] = ()
) -> Admitted:
    """Join the records of all files with the tables.

    Parameters
    ----------
    records : DataFrame
        Columns of `RECORD_COLUMNS`, one row per file, sorted by source.
    source : Source
        Tables and their meaning.
    settings : IngestSettings
        Views, duplicates and splits.
    key : bytes
        The site's key, for patients that only a table names.
    unread : sequence of UnreadEntry
        Entries of the folder that cannot be read; they are refused.

    Raises
    ------
    ManifestError, AnnotationError
        If the tables would make the result wrong, or a patient would be in two splits.
    """
    refusals_by_row = {
        int(row): (str(records.at[row, "reason"]), str(records.at[row, "message"]))
        for row in _rows(records["reason"] != "")
    }
    _refuse(refusals_by_row, conflicting_patients(_remaining(records, refusals_by_row)))
    _refuse(refusals_by_row, duplicate_ids(_remaining(records, refusals_by_row)))
    usable = np.array([row not in refusals_by_row for row in range(len(records))], dtype=bool)
    index = FilmIndex(records["image_id"].astype(str), records["source"].astype(str), usable)
    sizes_rc = records[["rows", "cols"]].to_numpy(np.int64)
    dataset = read_tables(source.manifest, source.tables, index, sizes_rc, source.fixed)
    films, different = _completed(records, dataset, source.manifest, key)
    dataset.report.add(
        source.tables.labels.name if source.tables.labels else "",
        "films whose header names another patient than the table; the data manifest's choice was taken",
        stops=False,
        count=different,
    )
    _refuse(refusals_by_row, _unwanted_views(_remaining(films, refusals_by_row), FilmPolicy(views=settings.views)))
    if source.is_training and dataset.has_label_table:
        absent = _remaining(films, refusals_by_row).index[
            ~dataset.labels.in_table[_remaining(films, refusals_by_row).index]
        ]
        _refuse(
            refusals_by_row,
            [RefusedFilm(int(row), RefusalReason.NOT_IN_TABLE, "the label table does not name it") for row in absent],
        )
    official = _official(source, settings, index, films, refusals_by_row)
    if not settings.keep_duplicates:
        _refuse(refusals_by_row, duplicate_pixels(_remaining(films, refusals_by_row)))
    kept = _remaining(films, refusals_by_row)
    positions = kept.index.to_numpy()
    values = dataset.labels.values[positions]
    splits = _splits(kept, values, settings, official[positions] if official is not None else None, source)
    new_position = np.full(len(records), -1, dtype=np.int64)
    new_position[positions] = np.arange(len(positions))
    fused = fuse_readers(dataset.boxes, dataset.readers, source.manifest.readers)
    boxes, ignored = (
        marks.assign(film=new_position[marks["film"].to_numpy(np.int64)]) for marks in (fused, dataset.ignored)
    )
    return Admitted(
        kept.assign(split=splits).reset_index(drop=True),
        values,
        boxes[boxes["film"] >= 0].reset_index(drop=True),
        ignored[ignored["film"] >= 0].reset_index(drop=True),
        _refusals(
            records, refusals_by_row, dataset.missing if source.manifest.complete and source.is_training else [], unread
        ),
        dataset.findings,
        [fault.as_json() for fault in dataset.report.faults],
    )


def label_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the labels table: film by film, findings in order, nothing where there is no information."""
    film, label = np.nonzero(admitted.values >= 0)
    names = np.array([finding.name for finding in admitted.findings], dtype=object)
    return pd.DataFrame(
        {
            "image_id": admitted.films["image_id"].to_numpy(dtype=object)[film],
            "label": names[label] if len(names) else np.array([], dtype=object),
            "value": _VALUE_NAMES[admitted.values[film, label]],
        },
        columns=list(LABEL_COLUMNS),
    )


def annotation_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the annotations table: film by film, findings in order, boxes as the table lists them."""
    return _mark_rows(admitted, admitted.boxes)


def ignored_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the regions to ignore, in the form of the annotations table, with the kind ``ignore``."""
    return _mark_rows(admitted, admitted.ignored).assign(kind=IGNORE)


def _mark_rows(admitted: Admitted, marks: pd.DataFrame) -> pd.DataFrame:
    boxes = marks.sort_values(["film", "label"], kind="stable")
    names = np.array([finding.name for finding in admitted.findings], dtype=object)
    film, label = boxes["film"].to_numpy(np.int64), boxes["label"].to_numpy(np.int64)
    table = pd.DataFrame(
        {
            "image_id": admitted.films["image_id"].to_numpy(dtype=object)[film],
            "label": names[label] if len(names) else np.array([], dtype=object),
            "reader": boxes["reader"].to_numpy(dtype=object),
            "kind": np.where(boxes["rle"] == "", "box", "mask"),
            "rle": boxes["rle"].to_numpy(dtype=object),
        }
    )
    for corner in CORNERS:
        table[corner] = boxes[corner].to_numpy(np.float64)
    return table[list(ANNOTATION_COLUMNS)]


def data_digest(admitted: Admitted) -> str:
    """Digest what a network could learn from: films, splits, labels and boxes; independent of the site's key."""
    total = hashlib.sha256()
    for column in ("image_id", "pixel_sha256", "split"):
        total.update("\n".join(admitted.films[column].astype(str)).encode() + b"\0")
    total.update("\n".join(finding.name for finding in admitted.findings).encode() + b"\0")
    total.update(np.ascontiguousarray(admitted.values).tobytes())
    total.update(annotation_rows(admitted).to_csv(index=False).encode())
    if len(admitted.ignored):
        total.update(ignored_rows(admitted).to_csv(index=False).encode())
    return total.hexdigest()


def _rows(mask: "pd.Series[bool]") -> list[int]:
    return [int(row) for row in np.flatnonzero(mask.to_numpy(dtype=bool))]


def _remaining(films: pd.DataFrame, refusals_by_row: dict[int, tuple[str, str]]) -> pd.DataFrame:
    return films.loc[[row for row in range(len(films)) if row not in refusals_by_row]]


def _refuse(refusals_by_row: dict[int, tuple[str, str]], refused: Sequence[RefusedFilm]) -> None:
    for refusal in refused:
        refusals_by_row.setdefault(refusal.row, (str(refusal.reason), refusal.message))


def _completed(records: pd.DataFrame, dataset: Dataset, manifest: Manifest, key: bytes) -> tuple[pd.DataFrame, int]:
    """Fill in what only the tables know; count the patients that header and table name differently."""
    tabled_facts = dataset.labels.facts
    named = tabled_facts["patient_id"].to_numpy(dtype=object)
    patients = {name: pseudonym(key, "patient", name) for name in set(named) if name}
    tabled = np.array([patients.get(name, "") for name in named], dtype=object)
    films = records.copy()
    from_header = (films["patient_source"] == "header").to_numpy(dtype=bool)
    different = from_header & (tabled != "") & (films["patient_key"].to_numpy(dtype=object) != tabled)
    taken = (tabled != "") & (~from_header if manifest.films.patient == "header" else manifest.films.patient == "table")
    films.loc[taken, "patient_key"] = tabled[taken]
    films.loc[taken, "patient_source"] = "table"
    for column, short in (("view", None), ("sex", 1)):
        silent = (films[column] == "").to_numpy(dtype=bool)
        films.loc[silent, column] = tabled_facts[column].str.upper().str[:short].to_numpy(dtype=object)[silent]
    films.loc[~films["sex"].isin(["M", "F", "O"]), "sex"] = ""
    years = pd.to_numeric(tabled_facts["age"].str.extract(r"(\d+(?:\.\d+)?)", expand=False), errors="coerce")
    films["age_years"] = films["age_years"].fillna(years)
    sites = {name: pseudonym(key, "site", name)[:8] for name in set(tabled_facts["site"]) if name}
    films["site"] = [sites.get(name, "") for name in tabled_facts["site"]]
    return films, int(different.sum())


def _unwanted_views(films: pd.DataFrame, policy: FilmPolicy) -> list[RefusedFilm]:
    refused = []
    verdicts: dict[str, ImageError | None] = {}
    for view in sorted(films["view"].unique()):
        try:
            policy.check(FilmHeader("", view=view))
            verdicts[view] = None
        except ImageError as error:
            verdicts[view] = error
    for row, view in films["view"].items():
        verdict = verdicts[view]
        if verdict is not None:
            refused.append(RefusedFilm(int(str(row)), verdict.reason, verdict.message))
    return refused


def _official(
    source: Source,
    settings: IngestSettings,
    index: FilmIndex,
    films: pd.DataFrame,
    refusals_by_row: dict[int, tuple[str, str]],
) -> NDArray[np.object_] | None:
    if not source.is_training or settings.split == "seeded":
        return None
    official = read_split_lists(source.manifest, source.root, index)
    message = "no official split list names it; ingest.split=seeded would let it in"
    unnamed = [int(row) for row in _remaining(films, refusals_by_row).index if not official[row]]
    _refuse(refusals_by_row, [RefusedFilm(row, RefusalReason.NOT_IN_TABLE, message) for row in unnamed])
    return official


def _splits(
    kept: pd.DataFrame,
    values: NDArray[np.int8],
    settings: IngestSettings,
    official: NDArray[np.object_] | None,
    source: Source,
) -> NDArray[np.object_]:
    if not source.is_training:
        return np.full(len(kept), str(Split.TEST), dtype=object)
    patients = patient_split_key(kept["patient_key"].to_numpy(dtype=object), kept["source"].to_numpy(dtype=object))
    signatures = [",".join(map(str, row)) for row in values]
    if official is None:
        splits = seeded_splits(patients, signatures, settings.fractions, settings.split_seed)
    else:
        splits = official_splits(list(official), patients, signatures, settings.fractions, settings.split_seed)
    check_no_leak(list(kept["patient_key"]), list(splits))
    return splits


def _refusals(
    records: pd.DataFrame,
    refusals_by_row: dict[int, tuple[str, str]],
    missing: Sequence[tuple[str, int]],
    unread: Sequence[UnreadEntry],
) -> pd.DataFrame:
    rows = [(str(records.at[row, "source"]), *refusals_by_row[row]) for row in sorted(refusals_by_row)]
    rows += [(printable(entry.source), str(entry.reason), entry.message) for entry in unread]
    rows += [
        (
            f"{table}:{line}",
            str(RefusalReason.MISSING_FILE),
            f"{table} names a film in line {line} that is not under the root",
        )
        for table, line in missing
    ]
    return pd.DataFrame(rows, columns=["source", "reason", "message"])
