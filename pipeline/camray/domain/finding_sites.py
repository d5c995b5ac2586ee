"""Anatomical site of a finding, by its code or name: only findings of lung and pleura have a lung zone."""

import re
from enum import StrEnum
from typing import Final

from camray.domain.labels import Finding


class Site(StrEnum):
    """Where in the chest a finding is."""

    LUNG = "lung"
    PLEURA = "pleura"
    HEART = "heart"
    DIAPHRAGM = "diaphragm"
    ELSEWHERE = "elsewhere"  # neither in the lung nor in the pleura
    UNKNOWN = ""


_SITES: Final = {  # SNOMED CT, as in data_manifests/
    Site.LUNG: {
        "4147007",  # mass
        "19242006",  # pulmonary edema
        "27925004",  # nodule
        "46621007",  # atelectasis
        "51615001",  # pulmonary fibrosis
        "87433001",  # pulmonary emphysema
        "95436008",  # lung consolidation
        "154283005",  # pulmonary tuberculosis
        "233604007",  # pneumonia
        "233703007",  # interstitial lung disease
        "309529002",  # lung mass
        "427099000",  # active tuberculosis
        "428697002",  # inactive tuberculosis of lung
    },
    Site.PLEURA: {"36118008", "60046008"},  # pneumothorax, pleural effusion
    Site.HEART: {"8186001"},  # cardiomegaly
    Site.DIAPHRAGM: {"39839004"},  # diaphragmatic hernia
}
_NAMED_SITES: Final = {  # findings of data_manifests/ that no code means
    "nodule/mass": Site.LUNG,
    "lung lesion": Site.LUNG,
    "pleural thickening": Site.PLEURA,
    "pleural other": Site.PLEURA,
}
_DICOM_SITES: Final = {"112001": Site.LUNG, "112121": Site.LUNG}  # PS3.16 annex D: opacity, infiltrate

_NAMES_OF_ELSEWHERE: Final = re.compile(  # whole words where names of findings of the lung contain them
    r"cardiomegal|\bheart\b|pericard|mediastin|aort|hernia|diaphragm|fracture|\bribs?\b|clavic|scapul|humer|spine|spinal|"
    r"vertebr|scolio|\bbones?\b|osseous|device|catheter|\btubes?\b|pacemaker|implant|prosthe|sternotomy|subcutaneous",
    re.IGNORECASE,
)


def site_of(finding: Finding) -> Site:
    """Return the site of a finding: of its code or, without one, of its name; if neither is listed, of words in it.

    Examples
    --------
    >>> from camray.domain.labels import Code
    >>> site_of(Finding("Cardiomegaly", Code("8186001", "SCT", "Cardiomegaly")))
    <Site.HEART: 'heart'>
    >>> site_of(Finding("Rib fracture")), site_of(Finding("Calcification"))
    (<Site.ELSEWHERE: 'elsewhere'>, <Site.UNKNOWN: ''>)
    """
    name = finding.name.casefold().replace("_", " ")
    if finding.code is None:
        listed = _NAMED_SITES.get(name)
    elif finding.code.scheme == "DCM":
        listed = _DICOM_SITES.get(finding.code.value)
    else:
        listed = next((site for site, values in _SITES.items() if finding.code.value in values), None)
    if listed is not None:
        return listed
    return Site.ELSEWHERE if _NAMES_OF_ELSEWHERE.search(name) else Site.UNKNOWN
