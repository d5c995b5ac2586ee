"""Tables of a data set that is checked: rows, labels, boxes, patients and official splits."""

import re
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.label_values import ABSENT, PRESENT, UNCERTAIN
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.mask_table import UNKNOWN_SIDE
from camray.adapters.datasets.reading import Dataset, survey_tables
from camray.adapters.datasets.split_lists import read_split_lists, split_list
from camray.adapters.datasets.table_paths import TablePaths, table_paths
from camray.adapters.datasets.tables import read_cells
from camray.core.cohort.patient_splits import patients_in_two
from camray.domain.errors import ManifestError
from camray.domain.films import FilmHeader
from camray.domain.records import Split
from camray.workflows.dataset_check.report import DataCheck


def list_tables(manifest: Manifest, root: Path, report: DataCheck) -> TablePaths | None:
    """Find the tables and count their rows; None if a table that the manifest needs is missing."""
    try:
        paths = table_paths(manifest, root, None, None, own=True)
    except ManifestError as error:
        report.wrong.append(str(error))
        return None
    report.counts["label_tables"] = [path.name for path in paths.label_tables]
    report.counts["box_tables"] = [path.name for path in paths.box_tables]
    if not paths.label_tables and manifest.label_table is not None:
        report.notes.append(
            f"no label table {manifest.label_table.file}: films can be explained by a trained run, none can be trained"
        )
    if manifest.box_table is not None and not paths.box_tables:
        report.notes.append(f"no box table {manifest.box_table.file}: nothing can be scored for localization")
    if paths.label_tables:
        report.counts["rows"] = sum(len(read_cells(path, _label_columns(manifest))) for path in paths.label_tables)
        report.compare_with_published(manifest, "rows", report.counts["rows"])
    return paths


def _label_columns(manifest: Manifest) -> tuple[str, ...]:
    return () if manifest.label_table is None else manifest.label_table.columns


def check_tables(
    manifest: Manifest,
    root: Path,
    paths: TablePaths,
    index: FilmIndex,
    headers: dict[int, FilmHeader | None],
    report: DataCheck,
) -> None:
    """Match tables with films: faults, labels, boxes, patients and splits."""
    sizes = np.full((len(index.usable), 2), UNKNOWN_SIDE, dtype=np.int64)
    for number, header in headers.items():
        if header is not None:
            sizes[number] = header.rows, header.cols
    try:
        data = survey_tables(manifest, paths, index, sizes)
    except ManifestError as error:
        report.wrong.append(str(error))
        return
    for fault in data.report.faults:
        (report.wrong if fault.stops else report.notes).append(f"{str(fault).strip()} [{fault.count}]")
    named = data.labels.in_table & index.usable
    unnamed = int((~named & index.usable).sum())
    if data.has_label_table and unnamed:
        report.notes.append(f"{unnamed} film(s) are in no label table and would be refused")
    if data.missing:
        what = "would be refused as missing" if manifest.complete else "are not here and would only be counted"
        report.notes.append(f"{len(data.missing)} film(s) that the tables name {what}")
    if data.has_label_table and not named.any():
        report.wrong.append("no film is named by the tables: do file names and the key column belong together?")
    _count_labels(manifest, data, report)
    patients = _patients(manifest, data, index, headers)
    if patients is not None:
        report.counts["patients"] = len(set(patients[index.usable]) - {""})
        report.compare_with_published(manifest, "patients", report.counts["patients"])
        if report.counts["patients"] == 1 and index.usable.sum() > 1:
            report.notes.append("one Patient ID on all films: is it a placeholder? there would be no film to test on")
    _splits(manifest, root, index, patients, report)


def _count_labels(manifest: Manifest, data: Dataset, report: DataCheck) -> None:
    boxes = data.boxes["label"].to_numpy(np.int64)
    report.counts["labels"] = {
        finding.name: {
            "present": int((data.labels.values[:, i] == PRESENT).sum()),
            "absent": int((data.labels.values[:, i] == ABSENT).sum()),
            "uncertain": int((data.labels.values[:, i] == UNCERTAIN).sum()),
            "boxes": int((boxes == i).sum()),
            "boxed_films": int(data.boxes.loc[boxes == i, "film"].nunique()),
        }
        for i, finding in enumerate(data.findings)
    }
    own = data.boxes[np.array([not data.findings[i].any_of for i in boxes], dtype=bool)]
    report.counts["boxes"], report.counts["boxed_films"] = len(own), int(own["film"].nunique())
    for quantity in ("boxes", "boxed_films"):
        report.compare_with_published(manifest, quantity, report.counts[quantity])
    if len(data.ignored):
        report.counts["regions_to_ignore"] = len(data.ignored)
    if data.readers.any():
        numbers, films = np.unique(data.readers[data.readers > 0], return_counts=True)
        report.counts["readers_per_film"] = {str(n): int(count) for n, count in zip(numbers, films, strict=True)}
    one_sided = [name for name, count in report.counts["labels"].items() if not count["present"] or not count["absent"]]
    if one_sided and data.has_label_table:
        report.notes.append(
            f"no film with, or no film without: {', '.join(one_sided)}; these labels cannot be trained or tested here"
        )


def _patients(
    manifest: Manifest, data: Dataset, index: FilmIndex, headers: dict[int, FilmHeader | None]
) -> NDArray[np.object_] | None:
    """Return each film's patient, to be counted and compared but never printed; None unless all are known."""
    rules = manifest.films
    tabled = data.labels.facts["patient_id"].to_numpy(dtype=object)
    if rules.patient == "table":
        return tabled
    if rules.patient == "header":
        if len(headers) < len(index.usable):
            return None
        names = [header.patient_id if header is not None else "" for _, header in sorted(headers.items())]
        return np.array(names, dtype=object)
    stems = [PurePosixPath(source).stem for source in index.sources]
    if rules.patient_pattern is not None:
        matches = [re.search(rules.patient_pattern, source) for source in index.sources]
        stems = [match[1] if match else stem for match, stem in zip(matches, stems, strict=True)]
    elif rules.patient == "stem_prefix":
        stems = [stem.split("_")[0] for stem in stems]
    return (
        np.where(tabled != "", tabled, np.array(stems, dtype=object))
        if rules.patient_table
        else np.array(stems, dtype=object)
    )


def _splits(
    manifest: Manifest, root: Path, index: FilmIndex, patients: NDArray[np.object_] | None, report: DataCheck
) -> None:
    if not manifest.splits:
        return
    lacking = [
        manifest.splits[split] for split in Split if split in manifest.splits and not split_list(manifest, root, split)
    ]
    if lacking:
        report.notes.append(f"no split list {', '.join(lacking)}: ingest.split=official would stop, seeded would not")
        return
    try:
        splits = read_split_lists(manifest, root, index)
    except ManifestError as error:
        report.wrong.append(str(error))
        return
    report.counts["official_split"] = {
        name or "in no list": int((splits == name).sum()) for name in sorted(set(splits))
    }
    if patients is None:
        return
    in_split = index.usable & (splits != "") & (patients != "")
    mixed = patients_in_two(list(patients[in_split]), list(splits[in_split]))
    if mixed:
        report.wrong.append(f"{mixed} patient(s) are in more than one official split: ingest.split=official is refused")
