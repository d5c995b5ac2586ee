"""Groups of options: a dataclass in a command's signature gives the same options as repeated parameters would."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from camray.commands.app import app
from camray.commands.option_groups import expand_option_groups


@dataclass(frozen=True)
class Pair:
    left: Annotated[int, typer.Option("--left", help="Left")] = 1
    right: Annotated[list[str] | None, typer.Option("--right", help="Right")] = None


@dataclass(frozen=True)
class Triple(Pair):
    left: Annotated[int, typer.Option("--left", help="Left")] = 5
    third: Annotated[bool, typer.Option("--third", help="Third")] = False


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["x"], "x Triple(left=5, right=None, third=False) 0"),
        (
            ["x", "--left", "7", "--right", "a", "--right", "b", "--third", "--last", "3"],
            "x Triple(left=7, right=['a', 'b'], third=True) 3",
        ),
    ],
)
def test_a_group_is_filled_from_the_command_line(words: list[str], expected: str) -> None:
    small = typer.Typer()

    @small.command()
    @expand_option_groups
    def command(name: str, group: Triple, last: Annotated[int, typer.Option("--last", help="Last")] = 0) -> None:
        typer.echo(f"{name} {group} {last}")

    told = CliRunner().invoke(small, words)
    assert (told.exit_code, told.stdout.strip()) == (0, expected)


def test_every_option_has_a_help_text_in_one_of_the_panels() -> None:
    pages = [typer.main.get_command(app)]
    for page in pages:
        pages += list(getattr(page, "commands", {}).values())
        for parameter in page.params:
            if not parameter.name.endswith("_completion"):
                assert getattr(parameter, "help", None), f"{page.name}: {parameter.name}"
    assert len(pages) > 20


def test_the_version_is_printed() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert told.exit_code == 0
    assert told.stdout.startswith("camray 0.")
