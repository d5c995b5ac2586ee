"""Data manifests: those we ship are legal, and mistakes are named."""

from pathlib import Path

import pytest

from camray.adapters.datasets.manifest_files import load_manifest, manifest_path
from camray.domain.errors import ManifestError
from camray.domain.package_data import shipped

SHIPPED = sorted(path.parent.name for path in shipped("data_manifests").glob("*/manifest.yaml"))
MINIMAL = "name: x\ntitle: t\nlicence: l\ncitation: c\nhow_to_obtain: h\n"


def _write(folder: Path, text: str) -> str:
    (folder / "manifest.yaml").write_text(MINIMAL + text)
    return str(folder)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_manifest_is_legal_and_bears_its_folders_name(name: str) -> None:
    manifest = load_manifest(name)
    assert manifest.name == name
    for finding in manifest.findings():
        assert finding.code is None or finding.code.value.isdigit()


def test_a_derived_label_keeps_its_parts() -> None:
    findings = {finding.name: finding for finding in load_manifest("tb_hemithorax").findings()}
    assert findings["Tuberculosis"].any_of == ("Active Tuberculosis", "Obsolete Tuberculosis")


def test_names_of_labels_are_plain_as_those_of_tables(tmp_path: Path) -> None:
    labels = '[{name: "Mass\\n(left)", aliases: ["\\tA\\r"]}, {name: B, any_of: ["Mass\\n(left)"]}]'
    first, second = load_manifest(_write(tmp_path, f"labels: {labels}\n")).findings()
    assert (first.name, first.aliases, second.any_of) == ("Mass (left)", ("A",), ("Mass (left)",))


def test_a_manifest_may_lie_anywhere(tmp_path: Path) -> None:
    folder = _write(tmp_path, "labels: auto\n")
    assert load_manifest(folder) == load_manifest(f"{folder}/manifest.yaml")
    assert manifest_path("folder") == shipped("data_manifests") / "folder" / "manifest.yaml"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("labels: auto\nlable_table: {}\n", "did you mean 'label_table'"),
        ("labels: auto\nfilms: {includ: []}\n", "did you mean 'include'"),
        ("labels: [{name: A, aliases: [B]}, {name: B}]\n", "used twice: B"),
        ("labels: [{name: A, any_of: [B]}, {name: B}]\n", "not listed before it"),
        ("labels: auto\nlabel_table: {file: a.csv, key: k, form: joined}\n", "needs `column`"),
        ("labels: auto\nbox_table: {file: a.csv, key: k, label: l}\n", "corners"),
        ("labels: auto\nbox_table: {file: a.csv, key: k, corners: [a, b, c, d]}\n", "`label`"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ManifestError, match="fault") as caught:
        load_manifest(_write(tmp_path, text))
    assert told in str(caught.value)


@pytest.mark.parametrize("link", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_that_multiply_a_manifest_are_refused(tmp_path: Path, link: str) -> None:
    levels = ["a0: &a0 {x: 1}"] + [f"a{n}: &a{n} " + link.format(", ".join([f"*a{n - 1}"] * 9)) for n in range(1, 30)]
    with pytest.raises(ManifestError, match="261 aliases"):
        load_manifest(_write(tmp_path, "\n".join(levels)))
    labels = "labels:\n- {name: A, code: &c {value: '1', scheme: SCT, meaning: A}}\n- {name: B, code: *c}\n"
    assert load_manifest(_write(tmp_path, labels)).findings()[1].code is not None


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="did you mean 'tb_hemithorax'"):
        load_manifest("tb_hemithrax")
    (tmp_path / "manifest.yaml").write_text("- a list")
    with pytest.raises(ManifestError, match="expected a mapping"):
        load_manifest(str(tmp_path))
    (tmp_path / "manifest.yaml").write_text("a: [unclosed")
    with pytest.raises(ManifestError, match="cannot be read"):
        load_manifest(str(tmp_path))
