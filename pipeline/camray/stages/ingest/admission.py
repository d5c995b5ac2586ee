"""Admission of films: records joined with the published tables; refusals, patients, splits, labels and boxes.

Reads   the records of all files, and the tables of the data manifest
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.film_files import UnreadEntry
from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.left_out import without_findings
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.reading import Dataset, read_tables
from camray.adapters.pseudonyms import pseudonym
from camray.adapters.settings.films import IngestSettings
from camray.core.cohort.deduplication import (
    RefusedFilm,
    conflicting_patients,
    duplicate_ids,
    duplicate_pixels,
    image_ids_by_path,
)
from camray.core.cohort.patient_splits import folders_warning, patients_warning, studies_warning
from camray.core.cohort.reader_fusion import fuse_readers
from camray.domain.errors import ImageError
from camray.domain.films import FilmHeader, FilmPolicy
from camray.domain.labels import Finding
from camray.domain.records import RefusalReason, Split
from camray.stages.ingest.refusals import MissingFilms, missing_once, refusals_table
from camray.stages.ingest.source import Source
from camray.stages.ingest.split_choice import choose_splits, read_official_splits
from camray.stages.ingest.unlabelled_films import unlabelled_films


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
    notes : dict
        Texts for the log, by the name of the figure.
    """

    films: pd.DataFrame
    values: NDArray[np.int8]
    boxes: pd.DataFrame
    ignored: pd.DataFrame
    refusals: pd.DataFrame
    findings: tuple[Finding, ...]
    faults: list[dict[str, object]]
    notes: dict[str, str]


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
    if source.manifest.films.image_id == "sop_instance_uid":
        records = records.assign(image_id=image_ids_by_path(_remaining(records, refusals_by_row), records["image_id"]))
    _refuse(refusals_by_row, duplicate_ids(_remaining(records, refusals_by_row)))
    usable = np.array([row not in refusals_by_row for row in range(len(records))], dtype=bool)
    index = FilmIndex(records["image_id"].astype(str), records["source"].astype(str), usable)
    sizes_rc = records[["rows", "cols"]].to_numpy(np.int64)
    dataset = read_tables(source.manifest, source.tables, index, sizes_rc, source.fixed)
    dataset = without_findings(dataset, source.leave_out)
    films, different = _completed(records, dataset, source.manifest, key)
    dataset.report.add(
        source.tables.labels.name if source.tables.labels else "",
        "films whose header names another patient than the table; the one that the data manifest prefers is used",
        stops=False,
        count=different,
    )
    _refuse(refusals_by_row, _unwanted_views(_remaining(films, refusals_by_row), FilmPolicy(views=settings.views)))
    if source.is_training and dataset.has_label_table:
        _refuse(refusals_by_row, _without_row(_remaining(films, refusals_by_row), dataset))
    unlabelled = [row for row, (reason, _) in refusals_by_row.items() if reason == RefusalReason.NOT_IN_TABLE]
    official = _official(source, settings, index, dataset, _remaining(films, refusals_by_row))
    if official is not None:
        _refuse(refusals_by_row, _without_split(_remaining(films, refusals_by_row), official))
    if not settings.keep_duplicates:
        _refuse(refusals_by_row, duplicate_pixels(_remaining(films, refusals_by_row)))
    kept = _remaining(films, refusals_by_row)
    positions = kept.index.to_numpy()
    values = dataset.labels.values[positions]
    splits = np.full(len(kept), str(Split.TEST), dtype=object)
    if source.is_training:
        splits = choose_splits(kept, values, settings, official if official is None else official[positions])
    if source.is_training and settings.keep_unlabelled:
        by_row = pd.Series(splits, index=kept.index)
        spare = unlabelled_films(films.loc[sorted(unlabelled)], kept, splits, official, settings.keep_duplicates)
        for row in unlabelled:
            del refusals_by_row[row]
        _refuse(refusals_by_row, spare.refused)
        kept = _remaining(films, refusals_by_row)
        positions = kept.index.to_numpy()
        values = dataset.labels.values[positions]
        splits = by_row.reindex(positions, fill_value=str(Split.TRAIN)).to_numpy(dtype=object)
    new_position = np.full(len(records), -1, dtype=np.int64)
    new_position[positions] = np.arange(len(positions))
    fused = fuse_readers(dataset.boxes, dataset.readers, source.manifest.readers)
    boxes, ignored = (
        marks.assign(film=new_position[marks["film"].to_numpy(np.int64)]) for marks in (fused, dataset.ignored)
    )
    _report_lost_boxes(dataset, new_position < 0, source)
    missing = MissingFilms()
    if source.manifest.complete and source.is_training:
        table = source.tables.labels or source.tables.boxes
        missing = missing_once(records, dataset, unread, table.name if table else "")
    return Admitted(
        kept.assign(split=splits).reset_index(drop=True),
        values,
        boxes[boxes["film"] >= 0].reset_index(drop=True),
        ignored[ignored["film"] >= 0].reset_index(drop=True),
        refusals_table(records, refusals_by_row, missing, unread),
        dataset.findings,
        [fault.as_json() for fault in dataset.report.faults],
        _notes(kept, splits, dataset, settings) if source.is_training else {},
    )


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
    rules = manifest.films
    from_table = rules.patient == "table" or rules.patient_table is not None
    taken = (tabled != "") & (from_table | (~from_header if rules.patient == "header" else False))
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


def _without_row(films: pd.DataFrame, dataset: Dataset) -> list[RefusedFilm]:
    refused = []
    for row in films.index[~dataset.labels.in_table[films.index]]:
        message = "the label table does not name it" + dataset.nearly.get(int(row), "")
        refused.append(RefusedFilm(int(row), RefusalReason.NOT_IN_TABLE, message))
    return refused


def _without_split(films: pd.DataFrame, official: NDArray[np.object_]) -> list[RefusedFilm]:
    message = "no official split names it; ingest.split=seeded would let it in"
    unnamed = [int(row) for row in films.index if not official[row]]
    return [RefusedFilm(row, RefusalReason.NOT_IN_TABLE, message) for row in unnamed]


def _official(
    source: Source, settings: IngestSettings, index: FilmIndex, dataset: Dataset, films: pd.DataFrame
) -> NDArray[np.object_] | None:
    """Return the official splits, if they are used; the splits of refused films are not looked at."""
    if not source.is_training or settings.split == "seeded":
        return None
    texts = dataset.labels.facts["split"]
    remaining = texts.where(texts.index.isin(films.index), "")
    return read_official_splits(source.manifest, source.root, index, remaining)


def _report_lost_boxes(dataset: Dataset, is_refused: NDArray[np.bool_], source: Source) -> None:
    """Report the boxes of films that are refused after the tables were read."""
    own = [not dataset.findings[label].any_of for label in dataset.boxes["label"].to_numpy(np.int64)]
    lost = is_refused[dataset.boxes["film"].to_numpy(np.int64)] & np.array(own, dtype=bool)
    name = source.tables.boxes.name if source.tables.boxes else ""
    dataset.report.add(name, "boxes of refused films; not used", stops=False, count=int(lost.sum()))


def _notes(
    kept: pd.DataFrame, splits: NDArray[np.object_], dataset: Dataset, settings: IngestSettings
) -> dict[str, str]:
    sources = list(kept["patient_source"])
    warnings = {
        "note_patients": patients_warning(list(kept["patient_key"]), list(splits), sources),
        "note_patient_folders": folders_warning(list(kept["source"]), sources),
        "note_patient_studies": studies_warning(sources, list(splits)),
    }
    notes = {name: warning for name, warning in warnings.items() if warning}
    if settings.split == "seeded" and (dataset.labels.facts["split"] != "").any():
        notes["note_split"] = (
            "the label table has a column of splits, which is not used: films are split at random by patient; "
            "ingest.split=official uses the column"
        )
    return notes
