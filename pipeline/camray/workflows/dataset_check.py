"""Check of a data set before it is ingested: what is present, what is missing, and what does not fit.

Reads   the data manifest, its tables and split lists, films' headers, and the pixels of a few films
Run     ``camray data check nih_chestxray14 --root FOLDER``
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.film_files import list_films
from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.label_values import ABSENT, PRESENT, UNCERTAIN
from camray.adapters.datasets.manifest import Manifest, load_manifest
from camray.adapters.datasets.mask_table import UNKNOWN_SIDE
from camray.adapters.datasets.reading import Dataset, survey_tables
from camray.adapters.datasets.split_lists import read_split_lists, split_list
from camray.adapters.datasets.table_paths import TablePaths, own_table_files, table_paths
from camray.adapters.datasets.tables import read_cells
from camray.adapters.progress import progress
from camray.core.cohort.deduplication import image_ids_by_path
from camray.core.cohort.patient_splits import patients_in_two
from camray.core.imaging.chest_plausibility import chest_plausibility_warning
from camray.core.imaging.film_statistics import film_area, quantise
from camray.core.imaging.resampling import to_model_grid
from camray.domain.errors import ImageError, ManifestError
from camray.domain.films import Film, FilmHeader, FilmPolicy
from camray.domain.records import Split
from camray.io.film_files import read_film, read_film_header

SHOWN_FILES = 5
DOUBT_SIDE = 256


@dataclass
class DataCheck:
    """What was found.

    Parameters
    ----------
    name : str
        Of the data manifest.
    root : Path
        Where was looked.
    counts : dict
        Films, headers and pixels read, table rows, labels, boxes, splits; keys in the order of the check.
    wrong : list of str
        What would stop an ingest or make its result wrong.
    notes : list of str
        What is missing or odd, and would not.
    """

    name: str
    root: Path
    counts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """0 if it can be ingested, 2 if it cannot as it is, 3 if there is no usable film."""
        return 2 if self.wrong and self.counts.get("films") else 3 if not self.counts.get("films") else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines."""
        return {
            "manifest": self.name,
            "root": str(self.root),
            "fits": not self.wrong,
            "counts": self.counts,
            "wrong": self.wrong,
            "notes": self.notes,
        }


def check_data(name: str, root: Path, headers: int = 2000, pixels: int = 24) -> DataCheck:
    """Look at a data set without ingesting it.

    Parameters
    ----------
    name : str
        Data manifest.
    root : Path
        Folder that would be ``data.root``.
    headers : int
        Most films whose header is read, evenly spread; 0 reads all. All are read, too, where only the header tells
        which row of the tables means a film.
    pixels : int
        Films that are read whole, evenly spread.

    Returns
    -------
    DataCheck
        No identifier of a patient or film stands in it.

    Raises
    ------
    ManifestError
        If there is no such manifest.
    """
    manifest = load_manifest(name)
    found = DataCheck(manifest.name, root)
    if not root.is_dir():
        found.wrong.append(f"{root}: no such folder; to obtain the data: {manifest.how_to_obtain}")
        return found
    paths = _tables(manifest, root, found)
    listed = list_films(root, manifest.films.include, manifest.films.exclude, set(own_table_files(manifest, root)))
    sources = listed.sources
    found.counts["films"] = len(sources)
    found.counts["ignored"] = dict(sorted(listed.ignored.items()))
    found.notes += [f"{_printable(entry.source)}: not read: {entry.message}" for entry in listed.unread[:SHOWN_FILES]]
    if len(listed.unread) > SHOWN_FILES:
        found.notes.append(f"{len(listed.unread)} files and folders are not read, the first {SHOWN_FILES} are above")
    _against_published(found, manifest, "films", len(sources))
    if not sources:
        found.wrong.append(f"no file matches {', '.join(manifest.films.include)}; to obtain: {manifest.how_to_obtain}")
        return found
    read = _headers(root, sources, _spread(len(sources), 0 if _needs_headers(manifest) else headers), found)
    index = _index(manifest, sources, read)
    if paths is not None:
        _survey(manifest, root, paths, index, read, found)
    _pixels(root, sources, _spread(len(sources), pixels), found)
    return found


def _printable(source: str) -> str:
    return source.encode("utf-8", "backslashreplace").decode("utf-8")


def _tables(manifest: Manifest, root: Path, found: DataCheck) -> TablePaths | None:
    try:
        paths = table_paths(manifest, root, None, None, own=True)
    except ManifestError as error:
        found.wrong.append(str(error))
        return None
    found.counts["label_tables"] = [path.name for path in paths.label_tables]
    found.counts["box_tables"] = [path.name for path in paths.box_tables]
    if not paths.label_tables and manifest.label_table is not None:
        found.notes.append(
            f"no label table {manifest.label_table.file}: films can be explained by a trained run, none can be trained"
        )
    if manifest.box_table is not None and not paths.box_tables:
        found.notes.append(f"no box table {manifest.box_table.file}: nothing can be scored for localization")
    if paths.label_tables:
        found.counts["rows"] = sum(len(read_cells(path, _columns(manifest))) for path in paths.label_tables)
        _against_published(found, manifest, "rows", found.counts["rows"])
    return paths


def _columns(manifest: Manifest) -> tuple[str, ...]:
    return () if manifest.label_table is None else manifest.label_table.columns


def _needs_headers(manifest: Manifest) -> bool:
    if manifest.films.image_id != "sop_instance_uid":
        return False
    rules = [rules for rules in (manifest.label_table, manifest.box_table) if rules is not None]
    return any(rule.key_is in ("image_id", "any") for rule in rules)


def _spread(films: int, wanted: int) -> list[int]:
    if wanted <= 0 or wanted >= films:
        return list(range(films))
    return sorted({int(place) for place in np.linspace(0, films - 1, wanted)})


def _headers(
    root: Path, sources: Sequence[str], places: Sequence[int], found: DataCheck
) -> dict[int, FilmHeader | None]:
    """Read headers: position of the film to its header, or to None where it is refused."""
    read: dict[int, FilmHeader | None] = {}
    reasons: Counter[str] = Counter()
    for place in progress(places, len(places), "reading headers"):
        try:
            read[place] = read_film_header(root / sources[place], FilmPolicy())
        except ImageError as error:
            read[place] = None
            reasons[str(error.reason)] += 1
    found.counts["headers_read"] = len(read)
    found.counts["refused_by_header"] = dict(sorted(reasons.items()))
    if reasons:
        told = ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
        found.notes.append(f"{sum(reasons.values())} of {len(read)} films looked at would be refused: {told}")
    return read


def _index(manifest: Manifest, sources: Sequence[str], read: dict[int, FilmHeader | None]) -> FilmIndex:
    ids = []
    for place, source in enumerate(sources):
        path, header = PurePosixPath(source), read.get(place)
        if manifest.films.image_id == "path":
            ids.append(path.with_suffix("").as_posix())
        else:
            by_header = manifest.films.image_id == "sop_instance_uid" and header is not None and header.image_id
            ids.append(str(by_header) if by_header else path.stem)
    usable = np.array([place not in read or read[place] is not None for place in range(len(sources))], dtype=bool)
    names, paths = pd.Series(ids, dtype=str), pd.Series(list(sources), dtype=str)
    if manifest.films.image_id == "sop_instance_uid":
        syntax = [header.transfer_syntax if (header := read.get(i)) is not None else "" for i in range(len(sources))]
        films = pd.DataFrame({"image_id": names, "source": paths, "pixel_sha256": paths, "transfer_syntax": syntax})
        names = image_ids_by_path(films, names)
    return FilmIndex(names, paths, usable)


def _survey(
    manifest: Manifest, root: Path, paths: TablePaths, index: FilmIndex, read: dict[int, FilmHeader | None],
    found: DataCheck,
) -> None:  # fmt: skip
    sizes = np.full((len(index.usable), 2), UNKNOWN_SIDE, dtype=np.int64)
    for place, header in read.items():
        if header is not None:
            sizes[place] = header.rows, header.cols
    try:
        data = survey_tables(manifest, paths, index, sizes)
    except ManifestError as error:
        found.wrong.append(str(error))
        return
    for fault in data.report.faults:
        (found.wrong if fault.stops else found.notes).append(f"{str(fault).strip()} [{fault.count}]")
    named = data.labels.in_table & index.usable
    unnamed = int((~named & index.usable).sum())
    if data.has_label_table and unnamed:
        found.notes.append(f"{unnamed} film(s) are in no label table and would be refused")
    if data.missing:
        what = "would be refused as missing" if manifest.complete else "are not here and would only be counted"
        found.notes.append(f"{len(data.missing)} film(s) that the tables name {what}")
    if data.has_label_table and not named.any():
        found.wrong.append("no film is named by the tables: do file names and the key column belong together?")
    _count_labels(manifest, data, found)
    patients = _patients(manifest, data, index, read)
    if patients is not None:
        found.counts["patients"] = len(set(patients[index.usable]) - {""})
        _against_published(found, manifest, "patients", found.counts["patients"])
        if found.counts["patients"] == 1 and index.usable.sum() > 1:
            found.notes.append("one Patient ID on all films: is it a placeholder? there would be no film to test on")
    _splits(manifest, root, index, patients, found)


def _count_labels(manifest: Manifest, data: Dataset, found: DataCheck) -> None:
    boxes = data.boxes["label"].to_numpy(np.int64)
    found.counts["labels"] = {
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
    found.counts["boxes"], found.counts["boxed_films"] = len(own), int(own["film"].nunique())
    for what in ("boxes", "boxed_films"):
        _against_published(found, manifest, what, found.counts[what])
    if len(data.ignored):
        found.counts["regions_to_ignore"] = len(data.ignored)
    if data.readers.any():
        numbers, films = np.unique(data.readers[data.readers > 0], return_counts=True)
        found.counts["readers_a_film"] = {str(n): int(count) for n, count in zip(numbers, films, strict=True)}
    silent = [name for name, count in found.counts["labels"].items() if not count["present"] or not count["absent"]]
    if silent and data.has_label_table:
        found.notes.append(f"no film, or no film without it: {', '.join(silent)}; nothing can be learnt of them here")


def _patients(
    manifest: Manifest, data: Dataset, index: FilmIndex, read: dict[int, FilmHeader | None]
) -> NDArray[np.object_] | None:
    """Return who each film is of, to be counted and compared and never shown; None where not all is known."""
    rules = manifest.films
    if rules.patient == "table":
        return data.labels.facts["patient_id"].to_numpy(dtype=object)
    if rules.patient == "header":
        if len(read) < len(index.usable):
            return None
        names = [header.patient_id if header is not None else "" for _, header in sorted(read.items())]
        return np.array(names, dtype=object)
    stems = [PurePosixPath(source).stem for source in index.sources]
    if rules.patient_pattern is not None:
        matches = [re.search(rules.patient_pattern, source) for source in index.sources]
        stems = [match[1] if match else stem for match, stem in zip(matches, stems, strict=True)]
    elif rules.patient == "stem_prefix":
        stems = [stem.split("_")[0] for stem in stems]
    return np.array(stems, dtype=object)


def _splits(
    manifest: Manifest, root: Path, index: FilmIndex, patients: NDArray[np.object_] | None, found: DataCheck
) -> None:
    if not manifest.splits:
        return
    lacking = [
        manifest.splits[split] for split in Split if split in manifest.splits and not split_list(manifest, root, split)
    ]
    if lacking:
        found.notes.append(f"no split list {', '.join(lacking)}: ingest.split=official would stop, seeded would not")
        return
    try:
        splits = read_split_lists(manifest, root, index)
    except ManifestError as error:
        found.wrong.append(str(error))
        return
    found.counts["official_split"] = {name or "in no list": int((splits == name).sum()) for name in sorted(set(splits))}
    if patients is None:
        return
    told = index.usable & (splits != "") & (patients != "")
    mixed = patients_in_two(list(patients[told]), list(splits[told]))
    if mixed:
        found.wrong.append(
            f"{mixed} patient(s) stand in more than one official split: ingest.split=official is refused"
        )


def _pixels(root: Path, sources: Sequence[str], places: Sequence[int], found: DataCheck) -> None:
    reasons: Counter[str] = Counter()
    names: list[str] = []
    doubts: list[tuple[str, str]] = []
    for place in progress(places, len(places), "reading pixels"):
        try:
            doubt = _doubt(read_film(root / sources[place], FilmPolicy()))
            if doubt[1]:
                doubts.append(doubt)
        except ImageError as error:
            reasons[str(error.reason)] += 1
            names.append(sources[place])
    found.counts["films_read_whole"] = len(places)
    found.counts["refused_of_these"] = dict(sorted(reasons.items()))
    if doubts:
        told = "; ".join(f"{image_id}: {why}" for image_id, why in doubts[:SHOWN_FILES])
        more = "; ..." if len(doubts) > SHOWN_FILES else ""
        found.counts["doubtful_of_these"] = len(doubts)
        found.notes.append(
            f"{len(doubts)} of {len(places)} films tried do not look like chest films and would be kept: {told}{more}"
        )
    if len(names) == len(places):
        told = ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
        found.wrong.append(f"not one of {len(places)} films tried can be used: {told}")


def _doubt(film: Film) -> tuple[str, str]:
    """Return the film's id and why it does not look like a chest film, or an empty text."""
    grey, grid = to_model_grid(film.pixels, DOUBT_SIDE, DOUBT_SIDE, "letterbox")
    stored = quantise(grey, 8)
    inside = stored[film_area(stored.shape, film.pixels.shape, grid)]
    return film.header.image_id, chest_plausibility_warning(inside)


def _against_published(found: DataCheck, manifest: Manifest, what: str, count: int) -> None:
    published = {str(key): value for key, value in manifest.expected.items()}.get(what)
    if published is not None and published != count:
        found.notes.append(f"{what.replace('_', ' ')}: {count:,} here, {published:,} published")
