"""Presentation contexts: the SOP classes and transfer syntaxes that an association proposes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from pynetdicom import build_context, build_role
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedSRStorage,
    SecondaryCaptureImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
)

FILM_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
)
REPORT_CLASSES = (ComprehensiveSRStorage, EnhancedSRStorage, Comprehensive3DSRStorage)  # edited reports to import
RETRIEVED_CLASSES = (*FILM_CLASSES, *REPORT_CLASSES)
_UNCOMPRESSED = [str(ExplicitVRLittleEndian), str(ImplicitVRLittleEndian)]
_COMPRESSED = (
    DeflatedExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEG2000Lossless,
    JPEG2000,
    HTJ2KLossless,
    HTJ2K,
    RLELossless,
)


def retrieve_contexts() -> list[Any]:
    """Return the contexts for C-GET.

    Each transfer syntax has a context of its own: the other side accepts one syntax per context, and cannot send an
    object that is stored in another one.
    """
    syntaxes = (_UNCOMPRESSED, *([str(each)] for each in _COMPRESSED))
    contexts = [build_context(StudyRootQueryRetrieveInformationModelGet)]
    contexts += [build_context(sop_class, syntax) for sop_class in FILM_CLASSES for syntax in syntaxes]
    return contexts + [build_context(sop_class, _UNCOMPRESSED) for sop_class in REPORT_CLASSES]


def retrieve_roles() -> list[Any]:
    """Return the role selection for C-GET: camray is the storage provider of what it retrieves."""
    return [build_role(sop_class, scp_role=True) for sop_class in RETRIEVED_CLASSES]


def storage_contexts(files: Sequence[Path]) -> list[Any]:
    """Return the contexts for sending these DICOM files by C-STORE, by their SOP classes and transfer syntaxes."""
    pairs: dict[str, set[str]] = {}
    for path in files:
        ds = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"])
        pairs.setdefault(str(ds.SOPClassUID), set()).add(str(ds.file_meta.TransferSyntaxUID))
    uncompressed = set(_UNCOMPRESSED)
    contexts = []
    for sop_class, syntaxes in sorted(pairs.items()):
        contexts += [build_context(sop_class, syntax) for syntax in sorted(syntaxes - uncompressed)]
        if syntaxes & uncompressed:
            contexts.append(build_context(sop_class, sorted(uncompressed, reverse=True)))
    return contexts
