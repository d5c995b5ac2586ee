"""Sites of the shipped manifests' findings, and codes that say what the finding is."""

import pytest

from camray.adapters.datasets.manifest_files import known_manifests, load_manifest
from camray.domain.finding_sites import Site, site_of
from camray.domain.labels import Finding


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
    ("name", "site"), [("Nodule/Mass", Site.LUNG), ("Pleural_Thickening", Site.PLEURA), ("Fracture", Site.UNKNOWN)]
)
def test_findings_without_a_code_are_known_by_name(name: str, site: Site) -> None:
    assert site_of(Finding(name)) is site
