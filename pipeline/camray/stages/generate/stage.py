"""Generated chest films with known lesions, as DICOM with label, box and mask tables (data manifest ``phantom``).

Reads   ``data.generate`` (films, rows, seed).
Writes  ``generate/``: ``films/*.dcm``, ``labels.csv``, ``boxes.csv``, ``masks.parquet``, ``lung_masks.parquet``.
Run     ``camray generate configs/phantom.yaml``
"""

import hashlib
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.phantom_dicom import PhantomHeader, draw_encoding, encode_film
from camray.adapters.process_pool import count_workers, map_processes
from camray.adapters.progress import progress
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.adapters.settings.films import GenerateSettings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.phantom.fields import stream
from camray.core.phantom.film import PhantomFilm, render_film
from camray.core.phantom.findings import FINDINGS
from camray.core.phantom.run_lengths import rle_from_mask
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.geometry import box_from_mask
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import GeneratedFiles, artifacts_of
from camray.io.json_files import read_json

BOX_COLUMNS = ("image_id", "label", "x0", "y0", "x1", "y1")
MASK_COLUMNS = {
    "image_id": "string",
    "label": "string",
    "rows": "int32",
    "cols": "int32",
    "rle": "string",  # COCO compressed run lengths, native grid; one row a lesion, in the order of the boxes
}
ENCODING = 100  # this stage's stream of random numbers; the drawing's own are smaller


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Draw all films over processes, then write their tables.

    Films that an interrupted start left whole are kept; the bytes are the same either way, and for any number of
    processes.

    Raises
    ------
    SettingsError
        If ``data.generate`` is not set.
    """
    drawn = settings.data.generate
    if drawn is None:
        raise SettingsError(
            "data.generate is not set: nothing to generate; set data.generate.films, or omit this stage"
        )
    files = artifacts_of(folder).generate
    make = partial(make_film, files, drawn)
    outcomes = map_processes(make, range(drawn.films), count_workers(settings.ingest.workers))
    records: list[dict[str, Any]] = []
    for outcome in progress(outcomes, drawn.films, "drawing films"):
        if outcome.value is None:
            raise PipelineError(
                f"film {outcome.item}: could not be generated: {outcome.error}; run the command again to resume"
            )
        records.append(outcome.value)
    figures = _write_tables(files, records)
    shutil.rmtree(files.unfinished)
    return StageResult(Counts(drawn.films, drawn.films), figures)


def make_film(files: GeneratedFiles, settings: GenerateSettings, index: int) -> dict[str, Any]:
    """Draw and write one film, unless it is complete; return its row of the tables.

    Parameters
    ----------
    files : GeneratedFiles
        Where to write.
    settings : GenerateSettings
        Seed and resolution.
    index : int
        Number of the film, from 0.

    Returns
    -------
    dict
        image_id, patient, sha256, rows, cols, and `lesions` and `lungs`: lists of {label, box, rle}.
    """
    name = f"film-{index + 1:05d}"
    path, part = files.film(name), files.unfinished_film(name)
    known = _finished(path, part)
    if known is not None:
        return known
    film = render_film(settings.seed, index, settings.rows)
    meta = film.meta
    header = PhantomHeader(
        seed=settings.seed,
        index=index,
        patient=meta.patient,
        sex=meta.sex,
        age_years=meta.age_years,
        view=meta.view,
        row_spacing_mm=meta.row_spacing_mm,
        col_spacing_mm=meta.col_spacing_mm,
    )
    content = encode_film(film.image, header, draw_encoding(stream(settings.seed, index, ENCODING)))
    record = _record(film, header.image_id, hashlib.sha256(content).hexdigest())
    write_bytes(path, content)
    write_json(part, record)
    return record


def _finished(path: Path, part: Path) -> dict[str, Any] | None:
    if not (path.is_file() and part.is_file()):
        return None
    record: dict[str, Any] = read_json(part)
    return record if hashlib.sha256(path.read_bytes()).hexdigest() == record["sha256"] else None


def _record(film: PhantomFilm, image_id: str, sha256: str) -> dict[str, Any]:
    lesions = [
        {"label": label, "box": box.as_tuple(), "rle": rle_from_mask(mask)}
        for label, masks in film.masks.items()
        for mask in masks
        if (box := box_from_mask(mask)) is not None
    ]
    return {
        "image_id": image_id,
        "patient": film.meta.patient,
        "sha256": sha256,
        "rows": film.image.shape[0],
        "cols": film.image.shape[1],
        "lesions": lesions,
        "lungs": [{"label": label, "rle": rle_from_mask(mask)} for label, mask in film.lung_masks.items()],
    }


def _write_tables(files: GeneratedFiles, records: list[dict[str, Any]]) -> dict[str, Any]:
    labels = pd.DataFrame({"image_id": [record["image_id"] for record in records]})
    for finding in FINDINGS:
        labels[finding] = [int(any(lesion["label"] == finding for lesion in record["lesions"])) for record in records]
    boxes = pd.DataFrame(
        [(record["image_id"], lesion["label"], *lesion["box"]) for record in records for lesion in record["lesions"]],
        columns=list(BOX_COLUMNS),
    )
    write_bytes(files.labels, labels.to_csv(index=False, lineterminator="\n").encode())
    write_bytes(files.boxes, boxes.to_csv(index=False, lineterminator="\n").encode())
    for key, path in (("lesions", files.lesion_masks), ("lungs", files.lung_masks)):
        rows = [
            (record["image_id"], region["label"], record["rows"], record["cols"], region["rle"])
            for record in records
            for region in record[key]
        ]
        write_table(path, pd.DataFrame(rows, columns=list(MASK_COLUMNS)), MASK_COLUMNS)
    figures: dict[str, Any] = {"films": len(records), "patients": len({record["patient"] for record in records})}
    figures["films without a finding"] = int((labels[list(FINDINGS)].sum(axis=1) == 0).sum())
    return figures | {f"films with {finding}": int(labels[finding].sum()) for finding in FINDINGS}
