"""docs/settings.md is what the command prints."""

from pathlib import Path

from typer.testing import CliRunner

from camray.cli import app

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    found = CliRunner().invoke(app, ["settings", "--markdown"])
    assert found.exit_code == 0
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == found.stdout, "run `camray settings --markdown > docs/settings.md`"
