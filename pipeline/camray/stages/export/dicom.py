"""DICOM objects of a run, in the studies of their source films.

Reads   the source films, and heat maps of ``explain/``
Writes  ``export/dicom/<film>.<kind>.dcm objects.csv refused.csv header_changes.csv``; ``exported.sqlite`` in the run's
        root
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydicom import Dataset

from camray.adapters.dicom.read.image import read_dicom
from camray.adapters.dicom.write.source_header import header_digest, read_source
from camray.adapters.ledgers.export_history import ExportHistory
from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.settings.schema import ExportSettings, Settings
from camray.domain.errors import ExportError, ImageError
from camray.domain.file_names import file_names
from camray.domain.film_results import FilmResult
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.explained_run import ExplainedRun
from camray.io.film_files import pixel_digest
from camray.io.film_results import film_results, localized_at
from camray.io.source_films import source_root
from camray.stages.export.captures import draw_picture, heat_maps
from camray.stages.export.dicom_objects import FORMATS, ExportedFilm, plan_objects

OBJECT_COLUMNS = ("image_id", "kind", "version", "sop_instance_uid", "predecessor", "file")


@dataclass(frozen=True)
class WrittenObjects:
    """Number of written objects, why films have none, and header values that were changed: (image_id, text)."""

    n_objects: int
    refused: tuple[tuple[str, str], ...]
    header_changes: tuple[tuple[str, str], ...]


def write_objects(settings: Settings, run: ExplainedRun, image_ids: list[str]) -> WrittenObjects:
    """Write the objects that ``export.formats`` names.

    Parameters
    ----------
    settings : Settings
        ``export`` and ``data``.
    run : ExplainedRun
        The run.
    image_ids : list of str
        Films to write objects of.

    Raises
    ------
    ExportError
        If the settings name no folder of source films, or no film at all can have objects.
    """
    formats = [name for name in FORMATS if name in settings.export.formats]
    files, root = run.artifacts, source_root(settings, run.folder)
    if root is None:
        raise ExportError("data.root is missing: DICOM objects need the source films")
    results, names, when = film_results(run, image_ids, settings), file_names(image_ids), localized_at(run)
    history = ExportHistory(settings.export.history or files.export_history)
    rows: list[tuple[Any, ...]] = []
    refused: list[tuple[str, str]] = []
    changed: list[tuple[str, str]] = []
    for image_id, result in progress(results.items(), len(results), "writing DICOM objects"):
        try:
            film = _read_film(run, result, root, settings.export)
        except (ExportError, ImageError) as error:
            refused.append((image_id, str(error)))
            continue
        source = film.source
        if film.header_changes:
            changed.append((image_id, "; ".join(film.header_changes)))
        for plan in plan_objects(film, formats):
            content = result.digest(plan.kind, *plan.digested, header_digest(source))
            identity = history.identify(
                source.SOPInstanceUID, source.StudyInstanceUID, plan.kind, plan.sop_class_uid, content, when
            )
            path = files.export.dicom_object(names[image_id], plan.kind)
            write_bytes(path, _file_bytes(plan.build(identity)))
            before = "" if identity.predecessor is None else identity.predecessor.sop_instance_uid
            rows.append((image_id, plan.kind, identity.version, identity.sop_instance_uid, before, path.name))
    if results and len(refused) == len(results):
        raise ExportError(f"no film can have DICOM objects; the first: {refused[0][1]}")
    _write_csv(files.export.objects, OBJECT_COLUMNS, rows)
    _write_csv(files.export.refused, ("image_id", "reason"), refused)
    _write_csv(files.export.header_changes, ("image_id", "changes"), changed)
    return WrittenObjects(len(rows), tuple(refused), tuple(changed))


def _read_film(run: ExplainedRun, result: FilmResult, root: Path, settings: ExportSettings) -> ExportedFilm:
    """Read the source of one film, and compute what its objects need."""
    film = run.films.film(result.image_id)
    path = root / film.source
    if not path.is_file():
        raise ExportError(
            f"{result.image_id}: its source is not under {root.absolute()}; run the command in the folder where the "
            "run was made, or set data.root=FOLDER to where the films are now"
        )
    changes: list[str] = []
    source, stored = read_source(path, changes), read_dicom(path, None)
    if pixel_digest(stored.values) != film.pixel_sha256:
        raise ExportError(f"{result.image_id}: the film has changed since it was ingested; run the pipeline again")
    heat01 = np.empty((0, *film.shape_native), np.float32)
    if "seg" in settings.formats and result.reported:
        heat01 = np.stack(heat_maps(run, result, film.shape_native))
    picture = np.empty((0, 0, 3), np.uint8)
    if {"sc", "pdf"} & set(settings.formats):
        picture = draw_picture(run, result, source, stored, settings.capture_px)
    return ExportedFilm(result, source, stored, heat01, picture, tuple(changes))


def _file_bytes(ds: Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[Any]) -> None:
    table = without_formulas(pd.DataFrame(rows, columns=list(columns)))
    write_bytes(path, table.to_csv(index=False, lineterminator="\n").encode())
