"""Attributes that all exported objects share: equipment, codes, series, dates and the replaced object."""

import hashlib
import re
from datetime import datetime
from typing import Any

from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code as DicomCode

from camray.adapters.dicom.write.source_header import TYPE_3
from camray.domain.errors import ExportError
from camray.domain.film_results import UNVERIFIED, Algorithm, FilmResult
from camray.domain.labels import Code, Finding
from camray.domain.object_identity import ObjectIdentity

MANUFACTURER = "camray"
PRIVATE_SCHEME = "99CAMRAY"
_KINDS = {  # digit of the series number, description
    "sr": (1, "findings"),
    "gsps": (2, "boxes"),
    "sc": (3, "picture"),
    "seg-heat": (4, "heat map"),
    "seg-boxes": (5, "box regions"),
    "pdf": (6, "report"),
}
_DATES = ("InstanceCreationDate", "ContentDate", "PresentationCreationDate", "DateOfSecondaryCapture")
_TIMES = ("InstanceCreationTime", "ContentTime", "PresentationCreationTime", "TimeOfSecondaryCapture")
_MAX_LO, _MAX_SH = 64, 16  # characters of Long String and Short String (PS3.5, 6.2)
# body parts without a side (PS3.16 annex L); for any other part the element Laterality is required, if empty
_UNPAIRED = {
    *("ABDOMEN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "HEAD", "HEADNECK", "HEART", "LSPINE", "MEDIASTINUM"),
    *("NECK", "NECKCHEST", "PELVIS", "SKULL", "SPINE", "STERNUM", "TSPINE", "WHOLEBODY"),
}
_REPLACED = DicomCode("PREDECESSOR", PRIVATE_SCHEME, "Earlier version that this object replaces")


def single_value(text: str, length: int) -> str:
    """Return the start of a text with `/` for the backslash, which separates values of an element (PS3.5, 6.2)."""
    return text.replace("\\", "/")[:length]


def code_of(finding: Finding) -> Code:
    """Return a finding's code; a finding without one gets a code of camray's own scheme that is unique to its name."""
    if finding.code is not None:
        return Code(finding.code.value, finding.code.scheme, single_value(finding.code.meaning, _MAX_LO))
    digest = hashlib.sha256(finding.name.encode()).hexdigest()[:6].upper()
    plain = re.sub(r"[^A-Z0-9]+", "_", finding.name.upper()).strip("_")[: _MAX_SH - len(digest) - 1].rstrip("_")
    return Code(f"{plain or 'FINDING'}_{digest}", PRIVATE_SCHEME, single_value(finding.name, _MAX_LO))


def finding_code(finding: Finding) -> CodedConcept:
    """Return a finding's code, from `code_of`, as an item of a code sequence."""
    code = code_of(finding)
    return CodedConcept(code.value, code.scheme, code.meaning)


def refuse_shared_codes(result: FilmResult) -> None:
    """Refuse findings that objects could not tell apart.

    Raises
    ------
    ExportError
        If two findings have one code.
    """
    names: dict[tuple[str, str], str] = {}
    for finding in result.findings:
        code = finding_code(finding.finding)
        other = names.setdefault((code.value, code.scheme_designator), finding.name)
        if other != finding.name:
            raise ExportError(
                f"'{other}' and '{finding.name}' have one code, ({code.value}, {code.scheme_designator}); "
                "expected a code per finding, so that viewers can tell them apart; correct the data manifest's codes"
            )


def character_set(result: FilmResult, source: Dataset) -> str:
    """Return Latin-1 where it holds all text, since the most readers understand it, and UTF-8 otherwise."""
    texts = [str(element.value) for element in source if element.VR in ("LO", "LT", "PN", "SH", "ST", "UC", "UT")]
    texts += [finding.name for finding in result.findings] + [result.algorithm.name]
    return "ISO_IR 100" if all(letter < "\u0100" for text in texts for letter in text) else "ISO_IR 192"


def series_attributes(kind: str, source: Dataset, identity: ObjectIdentity) -> dict[str, Any]:
    """Return UIDs, numbers and description of an object and its series; films of one study get different ones.

    Parameters
    ----------
    kind : str
        Kind of object: ``sr``, ``gsps``, ``sc``, ``seg-heat``, ``seg-boxes`` or ``pdf``.
    source : Dataset
        The film's header, from `read_source`.
    identity : ObjectIdentity
        UIDs, version and predecessor of the new instance.

    Returns
    -------
    dict
        Keyword arguments of highdicom's builders. The series number is 91, the kind's digit, and six digits derived
        from the film and the version; the description names the film's view, series and instance where known.
    """
    digit, name = _KINDS[kind]
    digest = int(hashlib.sha256(f"{source.SOPInstanceUID} {identity.version}".encode()).hexdigest(), 16)
    numbers = [str(source.get(keyword) or "") for keyword in ("SeriesNumber", "InstanceNumber")]
    film = " ".join(filter(None, [source.get("ViewPosition", ""), "/".join(numbers) if all(numbers) else ""]))
    body = ", ".join(
        filter(None, [f"camray {name}", film, f"version {identity.version}" if identity.version > 1 else ""])
    )
    suffix = f" ({UNVERIFIED})"
    return {
        "series_instance_uid": identity.series_instance_uid,
        "series_number": int(f"91{digit}{digest % 10**6:06d}"),
        "sop_instance_uid": identity.sop_instance_uid,
        "instance_number": identity.version,
        "series_description": body[: _MAX_LO - len(suffix)] + suffix,
    }


def equipment_attributes(algorithm: Algorithm) -> dict[str, Any]:
    """Return the General Equipment elements, as keyword arguments of highdicom's builders."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": f"camray {algorithm.name}"[:_MAX_LO],
        "software_versions": algorithm.version[:_MAX_LO],
        "device_serial_number": algorithm.model_digest[:_MAX_LO],
    }


def algorithm_parameters(algorithm: Algorithm) -> list[str]:
    """Return what identifies an algorithm beyond its name and version."""
    return [
        f"model sha256 {algorithm.model_digest}",
        f"thresholds sha256 {algorithm.threshold_digest}",
        f"explanation method {algorithm.method}",
    ]


def reference_to(source: Dataset) -> Dataset:
    """Return an item that refers to a film."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    return item


def copy_burned_in(ds: Dataset, source: Dataset) -> None:
    """State of a picture of the film what the film's header states of text burned into it; nothing if it does not."""
    if source.get("BurnedInAnnotation") in ("YES", "NO"):
        ds.BurnedInAnnotation = source.BurnedInAnnotation
    elif "BurnedInAnnotation" in ds:
        del ds.BurnedInAnnotation


def complete_object(ds: Dataset, source: Dataset, identity: ObjectIdentity, *, is_image: bool) -> Dataset:
    """Add dates, patient and study, body part, the replaced object and the coding scheme to a built object.

    Parameters
    ----------
    ds : Dataset
        The object; changed in place.
    source : Dataset
        The film's header, from `read_source`.
    identity : ObjectIdentity
        UIDs, version and predecessor of the new instance.
    is_image : bool
        The object is displayed as a picture of the film: its body part and side are the film's.

    Returns
    -------
    Dataset
        `ds`.
    """
    created = _in_zone_of(source, identity.created)
    for keywords, form in ((_DATES, "%Y%m%d"), (_TIMES, "%H%M%S")):
        for keyword in keywords:
            if keyword in ds:
                setattr(ds, keyword, created.strftime(form))
    if "TimezoneOffsetFromUTC" in source:
        ds.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    for keyword in TYPE_3:  # highdicom copies some of them into some objects
        if keyword in source and keyword not in ds:
            ds[keyword] = source[keyword]
    if "ContributingEquipmentSequence" in ds:
        del ds.ContributingEquipmentSequence  # highdicom describes the film's device there, with today's date
    if is_image:
        ds.BodyPartExamined = source.BodyPartExamined
        if source.BodyPartExamined not in _UNPAIRED and ds.Modality != "SEG":
            ds.Laterality = source.get("ImageLaterality", "")
    if identity.predecessor is not None and "PredecessorDocumentsSequence" not in ds:
        item = Dataset()
        item.ReferencedSOPClassUID = identity.predecessor.sop_class_uid
        item.ReferencedSOPInstanceUID = identity.predecessor.sop_instance_uid
        item.PurposeOfReferenceCodeSequence = Sequence([CodedConcept.from_code(_REPLACED)])
        ds.ReferencedInstanceSequence = Sequence([item])
    if any(element.keyword == "CodingSchemeDesignator" and element.value == PRIVATE_SCHEME for element in ds.iterall()):
        ds.CodingSchemeIdentificationSequence = [_coding_scheme()]
    return ds


def _in_zone_of(source: Dataset, created: datetime) -> datetime:
    """Return a time in the film's time zone, which counts for all times of an object (PS3.3 C.12.1.1.8).

    A film without a zone gets none: that of this machine would count for the study's time too.
    """
    if "TimezoneOffsetFromUTC" not in source:
        return created
    return created.astimezone(datetime.strptime(source.TimezoneOffsetFromUTC, "%z").tzinfo)


def _coding_scheme() -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator = PRIVATE_SCHEME
    item.CodingSchemeName = "Findings and concepts of camray without a standard code"
    item.CodingSchemeResponsibleOrganization = MANUFACTURER
    return item
