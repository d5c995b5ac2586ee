"""Texts that users read: British spelling with -ize; grey, never both grey and gray."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("configs/*.yaml"),
    *ROOT.glob("data_manifests/**/*.*"),
    *ROOT.glob("pipeline/camray/reporting/templates/**/*.j2"),
]
AMERICAN = re.compile(
    r"\b(gray|grays|color|colors|colored|center|centers|centered|neighbors?|behaviors?)\b", re.IGNORECASE
)
NO_PROSE = re.compile(
    r"Clinical Center|`[^`]*`|<style.*?</style>|<!--.*?-->|[\w-]*color[\w-]*[:=]\S*|color-[\w-]+", re.DOTALL
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_words_have_one_spelling(page: Path) -> None:
    assert AMERICAN.findall(NO_PROSE.sub("", page.read_text(encoding="utf-8"))) == []
