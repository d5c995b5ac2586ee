"""What all objects have in common: the device that made them, dates, and the predecessor."""

import re
from typing import Any

from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.coding import Code as DicomCode

from camray.domain.film_results import UNVERIFIED, Algorithm, FilmResult
from camray.domain.labels import Finding
from camray.domain.object_identity import ObjectIdentity

MANUFACTURER = "camray"
PRIVATE_SCHEME = "99CAMRAY"
SERIES_NUMBERS = {"sr": 9101, "gsps": 9102, "sc": 9103, "seg-heat": 9104, "seg-boxes": 9105, "pdf": 9106}
_DATES = ("InstanceCreationDate", "ContentDate", "PresentationCreationDate", "DateOfSecondaryCapture")
_TIMES = ("InstanceCreationTime", "ContentTime", "PresentationCreationTime", "TimeOfSecondaryCapture")
# without a side (PS3.16 annex L); any other part must have the element Laterality, if empty
_UNPAIRED = {
    "ABDOMEN", "CHEST", "CHESTABDOMEN", "CHESTABDPELVIS", "HEAD", "HEADNECK", "HEART", "LSPINE", "MEDIASTINUM", "NECK",
    "NECKCHEST", "PELVIS", "SKULL", "SPINE", "STERNUM", "THORAX", "TSPINE", "WHOLEBODY",
}  # fmt: skip
_REPLACED = DicomCode("PREDECESSOR", PRIVATE_SCHEME, "Earlier version that this object replaces")


def code_of(finding: Finding) -> CodedConcept:
    """Return a finding's code; one without gets a code of camray's own scheme, made from its name."""
    if finding.code is not None:
        return CodedConcept(finding.code.value, finding.code.scheme, finding.code.meaning[:64])
    plain = re.sub(r"[^A-Z0-9]+", "_", finding.name.upper()).strip("_")[:16]
    return CodedConcept(plain or "FINDING", PRIVATE_SCHEME, finding.name[:64])


def character_set(result: FilmResult, source: Dataset) -> str:
    """Return Latin-1 where it holds all text, which the most readers understand, and UTF-8 otherwise."""
    texts = [str(element.value) for element in source if element.VR in ("LO", "LT", "PN", "SH", "ST", "UC", "UT")]
    texts += [found.finding.name for found in result.findings] + [result.algorithm.name]
    return "ISO_IR 100" if all(letter < "\u0100" for text in texts for letter in text) else "ISO_IR 192"


def series_words(kind: str) -> str:
    """Describe an object's series for a viewer's list."""
    what = {
        "sr": "findings", "gsps": "boxes", "sc": "picture", "seg-heat": "heat map", "seg-boxes": "box regions",
        "pdf": "report",
    }  # fmt: skip
    return f"camray {what[kind]} ({UNVERIFIED})"


def device_words(algorithm: Algorithm) -> dict[str, Any]:
    """Return the General Equipment elements as highdicom's builders take them."""
    return {
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": f"camray {algorithm.name}"[:64],
        "software_versions": algorithm.version[:64],
        "device_serial_number": algorithm.model_digest[:64],
    }


def algorithm_words(algorithm: Algorithm) -> list[str]:
    """Return what identifies an algorithm beyond its name and version."""
    return [
        f"model sha256 {algorithm.model_digest}",
        f"thresholds sha256 {algorithm.threshold_digest}",
        f"explanation method {algorithm.method}",
    ]


def finish(ds: Dataset, source: Dataset, identity: ObjectIdentity, *, is_image: bool) -> Dataset:
    """Put dates, body part and predecessor into a built object.

    Parameters
    ----------
    ds : Dataset
        The object; changed in place.
    source : Dataset
        From `read_source`.
    identity : ObjectIdentity
        Who it is.
    is_image : bool
        The object stands for a picture of the film: its body part and orientation are the film's.

    Returns
    -------
    Dataset
        `ds`.
    """
    for keywords, form in ((_DATES, "%Y%m%d"), (_TIMES, "%H%M%S")):
        for keyword in keywords:
            if keyword in ds:
                setattr(ds, keyword, identity.created.strftime(form))
    if "ContributingEquipmentSequence" in ds:
        del ds.ContributingEquipmentSequence  # highdicom's word on the film's device: dated now, and nothing known
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
    return ds
