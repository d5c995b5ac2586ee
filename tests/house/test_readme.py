"""README and docs: short, whole, links that lead somewhere, and no machine named."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from camray.adapters.datasets import manifest as manifest_models
from camray.adapters.datasets.manifest_files import load_manifest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "data_manifests" / "README.md"]


def test_readme_is_short_and_has_the_two_commands() -> None:
    assert len(README.splitlines()) <= 130
    assert "\nmake demo " in README
    assert "\nmake test " in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target


def test_no_machine_is_named() -> None:
    for path in [*PAGES, *ROOT.glob("configs/*.yaml"), ROOT / "mkdocs.yml"]:
        assert not re.search(r"/(home|root|work|tmp)/", path.read_text(encoding="utf-8")), path


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert named == {page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md")}


def test_places_that_the_architecture_names_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page[page.index("## Where is ...") : page.index("## A stage")]
    places = re.findall(r"`((?:adapters|core|domain|io|reporting|stages|workflows)/[\w/.]*)`", table)
    assert len(places) >= 12
    for place in places:
        assert (ROOT / "pipeline" / "camray" / place).exists(), place


def test_experiments_of_the_readme_exist() -> None:
    for page in (README, (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")):
        for config in re.findall(r"configs/\w+\.yaml", page):
            assert (ROOT / config).is_file(), config


def test_the_manifest_of_the_how_to_is_legal(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "data_manifest.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "manifest.yaml").write_text(block, encoding="utf-8")
    manifest = load_manifest(str(tmp_path / "manifest.yaml"))
    assert [label.name for label in manifest.labels] == [label["name"] for label in yaml.safe_load(block)["labels"]]


def test_every_key_of_a_data_manifest_is_documented() -> None:
    models = [kind for kind in vars(manifest_models).values() if isinstance(kind, type) and issubclass(kind, BaseModel)]
    keys = {key for model in models for key in model.model_fields}
    assert len(keys) > 40
    documented = set(re.findall(r"\w+", (ROOT / "data_manifests" / "README.md").read_text(encoding="utf-8")))
    assert keys <= documented
