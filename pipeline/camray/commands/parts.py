"""``--part I/N``: one of several processes that share a stage's work."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from camray.commands.arguments import RUN_PANEL, OutputOptions, console, print_json
from camray.domain.errors import SettingsError
from camray.domain.parts import Part, parse_part


@dataclass(frozen=True)
class PartOptions:
    """Which share of a stage's work a process does."""

    part: Annotated[
        str | None,
        typer.Option(
            "--part",
            metavar="I/N",
            help="Do only part I of N of the stage, for instance 2/5; earlier stages must have finished. The command "
            "without --part merges the parts, and does what they have not done",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None

    def parsed(self, *, force: bool = False) -> Part | None:
        """Return the part, or None for the whole stage; what is no part is refused before anything is read."""
        part = None if self.part is None else parse_part(self.part)
        if part is not None and force:
            raise SettingsError(
                "--part with --force: parts do nothing for a stage that is finished; use --force without --part, or "
                "another run (name=NAME)"
            )
        return part


def execute_part(settings: Any, folder: Any, until: str, part: Part, output: OutputOptions) -> None:
    """Do one part of a stage, or of the next one before it that has parts, and print what it did."""
    from camray.workflows.parts import run_part, shared_stage
    from camray.workflows.setting_names import check_names

    check_names(settings, folder, until)
    report = run_part(settings, folder, shared_stage(settings, folder, until), part)
    if output.as_json:
        print_json({"run": str(folder.root), **report.as_json()})
    elif report.is_stage_finished:
        console.print(f"[bold]{report.stage:<9}[/bold] finished before; part {part} has nothing to do", highlight=False)
    else:
        console.print(
            f"[bold]{report.stage:<9}[/bold] part {part}: {report.units} shards, {report.before} of them there before, "
            f"in {report.seconds:.1f} s\n          when all parts have ended, repeat the command without --part"
            + ("" if report.stage == until else f" and with --until {report.stage}"),
            highlight=False,
        )
