"""Each command has help with an example, and is in the command reference."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from camray.commands.app import app

ROOT = Path(__file__).resolve().parents[2]
GROUPS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
COMMANDS = sorted(GROUPS)
# a group's own page lists its commands; each of them has the example
PAGES = sorted((name, part) for name in COMMANDS for part in getattr(GROUPS[name], "commands", {"": None}))


@pytest.mark.parametrize(("name", "part"), PAGES)
def test_a_command_has_help_with_an_example(name: str, part: str) -> None:
    shown = CliRunner().invoke(app, [name, *([part] if part else []), "--help"])
    assert shown.exit_code == 0
    assert "Example" in shown.stdout


@pytest.mark.parametrize(("name", "part"), PAGES)
def test_a_command_is_in_the_command_reference(name: str, part: str) -> None:
    title = f"### camray {name} {part}" if part else f"## camray {name}"
    assert title in (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("name", "part"), PAGES)
def test_an_option_that_is_on_can_be_switched_off(name: str, part: str) -> None:
    command = GROUPS[name].commands[part] if part else GROUPS[name]  # type: ignore[attr-defined]
    for parameter in command.params:
        assert parameter.default is not True or parameter.secondary_opts, parameter.name
