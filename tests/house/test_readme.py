"""The README's tree equals the disk, and what it links to exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_module_stands_in_the_tree() -> None:
    named = set(re.findall(r"[\w./]+", README))
    for folder in (
        "pipeline/commands",
        "pipeline/core",
        "pipeline/adapters",
        "pipeline/stages",
        "pipeline/domain",
        "data_manifests",
        "configs",
    ):
        for path in sorted((ROOT / folder).iterdir()):
            if path.name.startswith(("_", ".")):
                continue
            assert {path.name, path.name + "/"} & named, f"{folder}/{path.name} is missing from the README's tree"


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_no_machine_is_named() -> None:
    for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("configs/*.yaml")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"/(home|root|work|tmp)/", text), path
