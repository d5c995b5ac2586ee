"""Preparation of one file: its record, its pixels on the model grid and their statistics; runs in worker processes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from camray.adapters.object_stores import StoredObject
from camray.adapters.pseudonyms import pseudonym
from camray.core.imaging.chest_plausibility import chest_plausibility_warning
from camray.core.imaging.film_statistics import StoredPixels, film_area, image_statistics, quantise
from camray.core.preparation.prepared_film import ModelGrid, prepare_film
from camray.domain.errors import ImageError
from camray.domain.file_names import printable
from camray.domain.films import Film, FilmHeader, FilmPolicy
from camray.domain.preparation import UNCHANGED, FilmPreparation
from camray.io.film_files import local_film, read_film, read_film_header
from camray.io.prepared_films import lungs_for
from camray.stages.ingest.ingest_record import IngestRecord

_UID = re.compile(r"[0-9.]{1,64}")


@dataclass(frozen=True)
class FilmPlan:
    """How a worker prepares each file.

    Parameters
    ----------
    root : Path
        Folder that sources are relative to.
    policy : FilmPolicy
        Which films are admitted.
    grid : ModelGrid
        The model grid, as in the ingest settings.
    bits : int
        Bits of a stored pixel.
    preparation : FilmPreparation
        Changes before the film is resampled.
    image_id, patient : str
        As in the data manifest's ``films``.
    key : bytes
        The site's key: identifiers are hashed here and go no further.
    """

    root: Path
    policy: FilmPolicy
    grid: ModelGrid
    bits: int
    preparation: FilmPreparation
    image_id: Literal["sop_instance_uid", "stem", "path"]
    patient: Literal["header", "table", "stem", "stem_prefix", "path"]
    key: bytes = field(repr=False)
    patient_pattern: str | None = None  # its group is the patient, where `patient` is ``path``
    objects: Mapping[str, StoredObject] = field(default_factory=dict)  # films in a store as listed, by address


@dataclass(frozen=True, eq=False)
class FilmRow:
    """Result of one file.

    Parameters
    ----------
    record : IngestRecord
        What is known of it.
    pixels : ndarray of shape (rows, cols), uint8 or uint16, or None
        Model grid; None for a refused file.
    statistics : ndarray of shape (384,), float32, or None
        Histogram, thumbnail and tiles.
    """

    record: IngestRecord
    pixels: StoredPixels | None = None
    statistics: NDArray[np.float32] | None = None


def read_row(plan: FilmPlan, source: str) -> FilmRow:
    """Read one file and make its row.

    Parameters
    ----------
    plan : FilmPlan
        What to do.
    source : str
        Path relative to the root, with ``/``.

    Returns
    -------
    FilmRow
        Refused, with its reason, if the file is no usable film.
    """
    try:
        with local_film(plan.root / source, plan.objects) as path:
            return _read_row(plan, source, path)
    except ImageError as error:
        return refused_row(source, error)


def _read_row(plan: FilmPlan, source: str, path: Path) -> FilmRow:
    try:
        film = read_film(path, plan.policy)
    except ImageError as error:
        return refused_row(source, error, _uid_of_refused(plan, path))
    header = film.header
    spaced = header.row_spacing_mm is not None and header.col_spacing_mm is not None
    spacing = (header.row_spacing_mm, header.col_spacing_mm) if spaced else (None, None)
    lungs = lungs_for(plan.preparation, film.pixels, spacing)
    prepared = prepare_film(film.pixels, spacing, plan.grid, plan.preparation, lungs)
    grid, stored = prepared.transform, quantise(prepared.grey, plan.bits)
    inside = stored[film_area(stored.shape, film.pixels.shape, grid)]
    statistics = image_statistics(inside)
    in_mm = spaced and header.spacing_source != "aspect"  # else only the ratio of the two is known
    record = IngestRecord(
        **_identity(plan, source, film),
        rows=film.pixels.shape[0],
        cols=film.pixels.shape[1],
        row_spacing_mm=header.row_spacing_mm if in_mm else None,
        col_spacing_mm=header.col_spacing_mm if in_mm else None,
        spacing_source=header.spacing_source,
        photometric=header.photometric,
        bits_stored=header.bits_stored,
        transfer_syntax=header.transfer_syntax,
        modality=header.modality,
        view=header.view,
        laterality=header.laterality,
        scale_x=grid.scale_x,
        scale_y=grid.scale_y,
        offset_x=grid.offset_x,
        offset_y=grid.offset_y,
        sex=header.sex if header.sex in {"M", "F", "O"} else "",
        age_years=header.age_years,
        maker=pseudonym(plan.key, "maker", header.manufacturer)[:8],
        voi=film.voi,
        doubt="; ".join(filter(None, (_plausibility_warning(plan, film, inside), film.note, prepared.note))),
        grey_mean=statistics.mean,
        grey_deviation=statistics.deviation,
        grey_low=statistics.low,
        grey_median=statistics.median,
        grey_high=statistics.high,
    )
    return FilmRow(record, stored, np.concatenate([statistics.histogram, statistics.thumbnail, statistics.tiles]))


def _plausibility_warning(plan: FilmPlan, film: Film, prepared: StoredPixels) -> str:
    """Say why a film does not look like a chest film; a film that was changed is judged as it was before."""
    if plan.preparation.is_identity:
        return chest_plausibility_warning(prepared)
    spacing = film.header.row_spacing_mm, film.header.col_spacing_mm
    plain = prepare_film(film.pixels, spacing, plan.grid, UNCHANGED, None)
    stored = quantise(plain.grey, plan.bits)
    return chest_plausibility_warning(stored[film_area(stored.shape, film.pixels.shape, plain.transform)])


def refused_row(source: str, error: ImageError, image_id: str = "") -> FilmRow:
    """Return the row of a file that is not used; without an `image_id`, the file's stem is taken."""
    name = printable(source)
    return FilmRow(IngestRecord(name, image_id or PurePosixPath(name).stem, str(error.reason), error.message))


def _uid_of_refused(plan: FilmPlan, path: Path) -> str:
    """Return the identifier of a file whose pixels or properties are refused, so that tables still find it."""
    if plan.image_id != "sop_instance_uid":
        return ""
    try:
        image_id = read_film_header(path, None).image_id
    except ImageError:
        return ""
    return image_id if _UID.fullmatch(image_id) else ""


def _identity(plan: FilmPlan, source: str, film: Film) -> dict[str, str]:
    path, header = PurePosixPath(printable(source)), film.header
    match plan.image_id:
        case "stem":
            image_id = path.stem
        case "path":
            image_id = path.with_suffix("").as_posix()
        case _:
            image_id = header.image_id if _UID.fullmatch(header.image_id) else path.stem
    patient_key, patient_source = _patient(plan, path, header)
    return {
        "source": path.as_posix(),
        "image_id": image_id,
        "patient_key": patient_key,
        "patient_source": patient_source,
        "study_key": pseudonym(plan.key, "study", header.study_uid) if header.study_uid else "",
        "pixel_sha256": film.pixel_sha256,
    }


def _patient(plan: FilmPlan, path: PurePosixPath, header: FilmHeader) -> tuple[str, str]:
    """Return the patient's pseudonym and where it comes from; a film that names nobody is a patient of its own."""
    if plan.patient_pattern is not None and (match := re.search(plan.patient_pattern, path.as_posix())):
        return pseudonym(plan.key, "patient", match[1]), plan.patient
    if plan.patient in {"stem", "stem_prefix"}:
        name = path.stem if plan.patient == "stem" else path.stem.split("_")[0]
        return pseudonym(plan.key, "patient", name), plan.patient
    if header.patient_id.strip(" \0"):
        return pseudonym(plan.key, "patient", header.patient_id), "header"
    if header.study_uid.strip(" \0"):
        return pseudonym(plan.key, "patient of study", header.study_uid), "study"
    return pseudonym(plan.key, "patient of file", path.as_posix()), "file"
