"""Results as DICOM objects in the studies of their films; no stage of its own.

Reads   the source films, and heat maps of ``explain/``
Writes  ``export/dicom/<film>.<kind>.dcm objects.csv refused.csv``, and ``exported.sqlite`` in the run's root
"""

import csv
import hashlib
import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from camray.adapters.dicom.read.image import read_dicom
from camray.adapters.dicom.write import gsps, pdf, sc, seg, sr
from camray.adapters.dicom.write.source_header import patient_digest, read_source
from camray.adapters.ledgers.export_history import ExportHistory
from camray.adapters.pixel_store import PixelStore
from camray.adapters.progress import progress
from camray.adapters.run_folder import RunFolder, write_bytes
from camray.adapters.settings.schema import Settings
from camray.core.imaging.grayscale import to_unit_scale
from camray.core.imaging.voi import shown_voi
from camray.domain.errors import ExportError, ImageError
from camray.domain.file_names import file_names
from camray.domain.film_results import FilmResult, FoundFinding
from camray.domain.films import GreyScale, LookupTable, StoredFilm, VoiWindow
from camray.domain.geometry import GridTransform
from camray.domain.object_identity import ObjectIdentity
from camray.io.explained_films import ExplainedFilms, read_explained
from camray.io.film_files import pixel_digest
from camray.io.film_results import ShownResults, film_results, found_at
from camray.reporting.overlays import heat01_of
from camray.reporting.secondary_capture import LabelledBox, display_shape, draw_capture, heat_on_film

FORMATS = ("sr", "gsps", "sc", "seg", "pdf")
OBJECT_COLUMNS = ("image_id", "kind", "version", "sop_instance_uid", "predecessor", "file")
HISTORY = "exported.sqlite"


@dataclass(frozen=True)
class Exported:
    """How many objects were written, and why films have none: (image_id, reason)."""

    objects: int
    refused: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Film:
    """One film and all that its objects are made of."""

    result: FilmResult
    source: Dataset
    stored: StoredFilm
    heat01: NDArray[np.float32]  # of the reported findings, native grid; empty where nothing is reported
    picture: NDArray[np.uint8]

    @property
    def mapped(self) -> tuple[FoundFinding, ...]:
        return self.result.reported


@dataclass(frozen=True)
class _Plan:
    """One object to be: its kind, class, further words for its digest, and how it is built."""

    kind: str
    sop_class_uid: str
    words: tuple[str, ...]
    build: Callable[[ObjectIdentity], Dataset]


def write_objects(settings: Settings, folder: RunFolder, found: ShownResults, target: Path) -> Exported:
    """Write the objects that ``export.formats`` names.

    Parameters
    ----------
    settings : Settings
        ``export`` and ``data``.
    folder : RunFolder
        The run.
    found : ShownResults
        From `read_results`.
    target : Path
        Folder to write into; made if it is missing.

    Raises
    ------
    ExportError
        If no film at all can have objects.
    """
    formats = [name for name in FORMATS if name in settings.export.formats]
    results, explained = film_results(found, settings, folder), read_explained(folder)
    history = ExportHistory(settings.export.history or folder.root / HISTORY)
    names, root, when = file_names(results), source_root(settings, folder), found_at(folder)
    target.mkdir(parents=True, exist_ok=True)
    rows: list[tuple[Any, ...]] = []
    refused: list[tuple[str, str]] = []
    for image_id, result in progress(results.items(), len(results), "writing DICOM objects"):
        try:
            film = _film(result, found, explained, root, folder, settings)
        except (ExportError, ImageError) as error:
            refused.append((image_id, str(error)))
            continue
        for plan in _plans(film, formats):
            content = result.digest(plan.kind, *plan.words, patient_digest(film.source))
            source = film.source
            identity = history.identify(
                source.SOPInstanceUID, source.StudyInstanceUID, plan.kind, plan.sop_class_uid, content, when
            )
            path = target / f"{names[image_id]}.{plan.kind}.dcm"
            write_bytes(path, _file_bytes(plan.build(identity)))
            before = "" if identity.predecessor is None else identity.predecessor.sop_instance_uid
            rows.append((image_id, plan.kind, identity.version, identity.sop_instance_uid, before, path.name))
    if results and len(refused) == len(results):
        raise ExportError(f"no film can have DICOM objects; the first: {refused[0][1]}")
    _write_csv(target / "objects.csv", OBJECT_COLUMNS, rows)
    _write_csv(target / "refused.csv", ("image_id", "reason"), refused)
    return Exported(len(rows), tuple(refused))


def source_root(settings: Settings, folder: RunFolder) -> Path:
    """Return the folder that the images table's sources are relative to.

    Raises
    ------
    ExportError
        If the settings name none.
    """
    root = folder.root / "generate" if settings.data.generate is not None else settings.data.root
    if root is None:
        raise ExportError("data.root is missing: DICOM objects need the source films")
    return root.parent if root.is_file() else root


def _film(
    result: FilmResult, found: ShownResults, explained: ExplainedFilms, root: Path, folder: RunFolder,
    settings: Settings,
) -> _Film:  # fmt: skip
    image = found.images[result.image_id]
    path = root / str(image["source"])
    if not path.is_file():
        raise ExportError(f"{result.image_id}: its source is no longer under {root}")
    source = read_source(path)
    stored = read_dicom(path, None)
    if pixel_digest(stored.values) != image["pixel_sha256"]:
        raise ExportError(f"{result.image_id}: the film has changed since it was ingested; run the pipeline again")
    maps = PixelStore(folder.root / "explain", f"heat-{found.method}").shard(int(image["shard_heat"]))
    transform = GridTransform(*(float(image[key]) for key in ("scale_x", "scale_y", "offset_x", "offset_y")))
    shape = (result.rows, result.cols)

    def heat(shape_out: tuple[int, int]) -> list[NDArray[np.float32]]:
        return [
            heat01_of(heat_on_film(
                np.asarray(maps[int(image["index_heat"]), found.labels.index(one.finding.name)], np.float32),
                transform, explained.shape_model, shape, shape_out, found.smooth(one.finding.name),
            ))
            for one in result.reported
        ]  # fmt: skip

    wants_seg = "seg" in settings.export.formats
    heat01 = np.stack(heat(shape)) if wants_seg and result.reported else np.empty((0, *shape), np.float32)
    wants_picture = bool({"sc", "pdf"} & set(settings.export.formats))
    picture = _picture(result, stored, image, heat, settings.export.capture_px) if wants_picture else None
    return _Film(result, source, stored, heat01, np.empty((0, 0, 3), np.uint8) if picture is None else picture)


def _picture(
    result: FilmResult, stored: StoredFilm, image: dict[str, Any],
    heat: Callable[[tuple[int, int]], list[NDArray[np.float32]]], longest_px: int,
) -> NDArray[np.uint8]:  # fmt: skip
    row_mm, col_mm = float(image["row_spacing_mm"]), float(image["col_spacing_mm"])
    aspect = row_mm / col_mm if row_mm > 0 and col_mm > 0 else 1.0
    shape = display_shape((result.rows, result.cols), aspect, longest_px)
    maps = heat(shape)
    lines = [
        one.summary if one.boxes else f"{one.summary}: the map holds no localization" for one in result.reported
    ] or ["No finding reported"]  # fmt: skip
    boxes = [
        LabelledBox(each.box, f"{one.finding.name} {one.probability:.2f}")
        for one in result.reported
        for each in one.boxes
    ]
    grey = to_unit_scale(stored.values, stored.grey)
    return draw_capture(
        grey, np.max(maps, axis=0) if maps else None, boxes, lines, shape, col_mm if col_mm > 0 else None
    )


def _plans(film: _Film, formats: Collection[str]) -> Iterator[_Plan]:
    result, source = film.result, film.source
    if "sr" in formats:
        yield _Plan("sr", sr.SOP_CLASS_UID, (sr.FORMAT,), lambda who: sr.build_sr(result, source, who))
    if "gsps" in formats:
        voi = shown_voi(film.stored.values, film.stored.grey)
        tracking = {
            (one.finding.name, number): sr.tracking_uid(result, one, number)
            for one in result.reported
            for number in range(len(one.boxes))
        }
        words = (gsps.FORMAT, *_grey_words(film.stored.grey, voi))
        yield _Plan(
            "gsps", gsps.SOP_CLASS_UID, words,
            lambda who: gsps.build_gsps(result, source, who, film.stored.grey, voi, tracking),
        )  # fmt: skip
    if "sc" in formats:
        words = (sc.FORMAT, _digest(film.picture))
        yield _Plan("sc", sc.SOP_CLASS_UID, words, lambda who: sc.build_sc(result, source, who, film.picture))
    if "pdf" in formats:
        page = pdf.report_page(result, film.picture)
        words = (pdf.FORMAT, hashlib.sha256(page).hexdigest())
        yield _Plan("pdf", pdf.SOP_CLASS_UID, words, lambda who: pdf.build_pdf(result, source, who, page))
    if "seg" in formats:
        yield from _segmentations(film)


def _segmentations(film: _Film) -> Iterator[_Plan]:
    """Plan segmentations of what there is: a segment must hold something."""
    result, source = film.result, film.source
    hot = [number for number in range(len(film.mapped)) if film.heat01[number].any()]
    if hot:
        shown, heat01 = [film.mapped[number] for number in hot], film.heat01[hot]
        words = (seg.FORMAT, _digest(heat01))
        yield _Plan(
            "seg-heat", seg.SOP_CLASS_UID, words,
            lambda who: seg.build_heat_seg(result, source, who, shown, heat01),
        )  # fmt: skip
    boxed = [one for one in film.mapped if one.boxes]
    if boxed:
        yield _Plan(
            "seg-boxes", seg.SOP_CLASS_UID, (seg.FORMAT,), lambda who: seg.build_box_seg(result, source, who, boxed)
        )


def _grey_words(grey: GreyScale, voi: VoiWindow | LookupTable) -> tuple[str, ...]:
    tables = [lut for lut in (grey.modality_lut, voi) if isinstance(lut, LookupTable)]
    words = [f"{lut.first_mapped} {lut.bits} {_digest(lut.entries)}" for lut in tables]
    window = ""
    if isinstance(voi, VoiWindow):  # spelled out: the object's identity must not depend on a class's name
        window = f"Window(centre={voi.centre!r}, width={voi.width!r}, function={voi.function!r})"
    return *words, f"{grey.slope} {grey.intercept} {grey.is_inverted}", window


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()


def _file_bytes(ds: Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _write_csv(path: Path, columns: tuple[str, ...], rows: list[Any]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
