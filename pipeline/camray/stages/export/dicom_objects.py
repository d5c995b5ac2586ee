"""DICOM objects of one film: kinds, contents that determine their identity, and builders."""

import hashlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from camray.adapters.dicom.write import gsps, pdf, sc, seg, sr
from camray.adapters.dicom.write.common_attributes import code_of
from camray.core.imaging.voi import display_voi
from camray.domain.film_results import FilmResult
from camray.domain.films import GreyScale, LookupTable, StoredFilm, VoiWindow
from camray.domain.object_identity import ObjectIdentity
from camray.reporting.film_page import film_page

FORMATS = ("sr", "gsps", "sc", "seg", "pdf")


@dataclass(frozen=True, eq=False)
class ExportedFilm:
    """One film and the contents of its objects.

    Parameters
    ----------
    result : FilmResult
        What is stated of the film.
    source : Dataset
        Header of the source film.
    stored : StoredFilm
        Its stored values and grey scale.
    heat01 : ndarray of shape (reported findings, rows, cols), float32
        Native grid, 0-1; empty where no segmentation is requested.
    picture : ndarray of shape (H, W, 3), uint8
        Capture; empty where none is requested.
    header_changes : tuple of str
        Header values that break the standard's rules, and what became of them; without the values.
    """

    result: FilmResult
    source: Dataset
    stored: StoredFilm
    heat01: NDArray[np.float32]
    picture: NDArray[np.uint8]
    header_changes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ObjectPlan:
    """One object before it is built.

    Parameters
    ----------
    kind : str
        Part of its file name and of its identity.
    sop_class_uid : str
        SOP class.
    digested : tuple of str
        What else its identity depends on, besides the film's result.
    build : callable
        From its identity to the object.
    """

    kind: str
    sop_class_uid: str
    digested: tuple[str, ...]
    build: Callable[[ObjectIdentity], Dataset]


def plan_objects(film: ExportedFilm, formats: Collection[str]) -> Iterator[ObjectPlan]:
    """Plan the objects of one film that `formats` names."""
    result, source = film.result, film.source
    if "sr" in formats:
        yield ObjectPlan("sr", sr.SOP_CLASS_UID, (sr.FORMAT,), lambda identity: sr.build_sr(result, source, identity))
    if "gsps" in formats:
        voi = display_voi(film.stored.values, film.stored.grey)
        digested = (gsps.FORMAT, *_grey_texts(film.stored.grey, voi))
        yield ObjectPlan(
            "gsps",
            gsps.SOP_CLASS_UID,
            digested,
            lambda identity: gsps.build_gsps(result, source, identity, film.stored, voi),
        )
    if "sc" in formats:
        digested = (sc.FORMAT, _digest(film.picture))
        yield ObjectPlan(
            "sc", sc.SOP_CLASS_UID, digested, lambda identity: sc.build_sc(result, source, identity, film.picture)
        )
    if "pdf" in formats:
        codes = {finding.name: code_of(finding.finding) for finding in result.findings}
        page = film_page(result, pdf.patient_and_study(source), codes, film.picture)
        digested = (pdf.FORMAT, hashlib.sha256(page).hexdigest())
        yield ObjectPlan(
            "pdf", pdf.SOP_CLASS_UID, digested, lambda identity: pdf.build_pdf(result, source, identity, page)
        )
    if "seg" in formats:
        yield from _segmentations(film)


def _segmentations(film: ExportedFilm) -> Iterator[ObjectPlan]:
    """Plan segmentations of what there is: a segment must hold something."""
    result, source = film.result, film.source
    hot = [number for number in range(len(result.reported)) if film.heat01[number].any()]
    if hot:
        with_heat, heat01 = [result.reported[number] for number in hot], film.heat01[hot]
        digested = (seg.FORMAT, _digest(heat01))
        yield ObjectPlan(
            "seg-heat",
            seg.SOP_CLASS_UID,
            digested,
            lambda identity: seg.build_heat_seg(result, source, identity, with_heat, heat01),
        )
    boxed = [finding for finding in result.reported if finding.boxes]
    if boxed:
        yield ObjectPlan(
            "seg-boxes",
            seg.SOP_CLASS_UID,
            (seg.FORMAT,),
            lambda identity: seg.build_box_seg(result, source, identity, boxed),
        )


def _grey_texts(grey: GreyScale, voi: VoiWindow | LookupTable) -> tuple[str, ...]:
    tables = [lut for lut in (grey.modality_lut, voi) if isinstance(lut, LookupTable)]
    texts = [f"{lut.first_mapped} {lut.bits} {_digest(lut.entries)}" for lut in tables]
    window = ""
    if isinstance(voi, VoiWindow):  # spelled out: the object's identity must not depend on a class's name
        window = f"Window(centre={voi.centre!r}, width={voi.width!r}, function={voi.function!r})"
    return *texts, f"{grey.slope} {grey.intercept} {grey.is_inverted}", window


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes()).hexdigest()
