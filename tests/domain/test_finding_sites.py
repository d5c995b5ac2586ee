"""Sites of the shipped manifests' findings, and codes that say what the finding is."""

import pytest

from camray.adapters.datasets.manifest_files import known_manifests, load_manifest
from camray.domain.film_results import FindingResult, ScoredBox
from camray.domain.finding_sites import Site, site_of
from camray.domain.geometry import Box
from camray.domain.labels import Code, Finding


@pytest.mark.parametrize("name", known_manifests())
def test_codes_of_a_manifest_are_unique_and_have_a_site(name: str) -> None:
    coded = [finding for finding in load_manifest(name).findings() if finding.code is not None]
    assert len({(finding.code.value, finding.code.scheme) for finding in coded if finding.code}) == len(coded)
    assert [finding.name for finding in coded if site_of(finding) is Site.UNKNOWN] == []


@pytest.mark.parametrize(
    ("manifest", "name", "code"),
    [
        ("rsna_pneumonia", "Lung Opacity", ("112001", "DCM", "Opacity")),  # an opacity, no diagnosis
        ("nih_chestxray14", "Infiltration", ("112121", "DCM", "Infiltrate")),
        ("vindr_cxr", "Nodule/Mass", None),  # a nodule is no mass
    ],
)
def test_codes_mean_the_finding(manifest: str, name: str, code: tuple[str, str, str] | None) -> None:
    (finding,) = (each for each in load_manifest(manifest).findings() if each.name == name)
    assert code == (None if finding.code is None else (finding.code.value, finding.code.scheme, finding.code.meaning))


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("Nodule/Mass", Site.LUNG),
        ("Pleural_Thickening", Site.PLEURA),
        ("Fracture", Site.ELSEWHERE),
        ("rib_fracture", Site.ELSEWHERE),
        ("Aortic enlargement", Site.ELSEWHERE),
        ("Enlarged Cardiomediastinum", Site.ELSEWHERE),
        ("Cardiomegaly", Site.ELSEWHERE),
        ("Hiatal Hernia", Site.ELSEWHERE),
        ("Support Devices", Site.ELSEWHERE),
        ("Retrocardiac opacity", Site.UNKNOWN),
        ("Uncertain Tuberculosis", Site.UNKNOWN),
        ("Pneumothorax", Site.UNKNOWN),
        ("Atrib", Site.UNKNOWN),
    ],
)
def test_findings_without_a_code_are_known_by_name(name: str, site: Site) -> None:
    assert site_of(Finding(name)) is site


def test_a_code_says_more_than_the_name() -> None:
    assert site_of(Finding("Rib", Code("27925004", "SCT", "Nodule"))) is Site.LUNG
    assert site_of(Finding("Aneurysm of aorta", Code("67362008", "SCT", "Aortic aneurysm"))) is Site.ELSEWHERE


@pytest.mark.parametrize(("name", "zone"), [("Cardiomegaly", ""), ("Rib fracture", ""), ("Scar", ", left lower zone")])
def test_only_what_may_be_in_the_lung_has_a_zone_in_texts(name: str, zone: str) -> None:
    box = ScoredBox(Box(0, 0, 9, 9), 1.0, "left lower")
    result = FindingResult(Finding(name), 0.91, 0.5, is_reported=True, boxes=(box,))
    assert result.box_summary(box) == f"{name} 0.91{zone} (AI, not verified)"
