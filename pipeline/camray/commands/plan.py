"""Options of a planned run, and how its plan is printed."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from camray.commands.arguments import RUN_PANEL, RunOptions, console, print_json, print_start
from camray.domain.errors import SettingsError
from camray.domain.package_data import experiment_file


@dataclass(frozen=True)
class PlanOptions:
    """What settings are planned from."""

    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Folder of films and their label table: settings that are not given are planned from them",
            rich_help_panel=RUN_PANEL,
        ),
    ] = None
    minutes: Annotated[
        float | None,
        typer.Option(min=0.5, help="Plan settings for a run of this duration at most", rich_help_panel=RUN_PANEL),
    ] = None

    @property
    def is_given(self) -> bool:
        """Whether the run is planned."""
        return self.data is not None or self.minutes is not None


def opened_by_plan(
    config: str | None, options: PlanOptions, run: RunOptions, quiet: bool, *, writes: bool
) -> tuple[Any, Any]:
    """Return settings and run folder of a planned run; print the plan unless `quiet`, and write it if it `writes`."""
    overrides = run.overrides

    if config is not None and options.data is not None and "=" in config:  # a setting: --data needs no CONFIG
        overrides, config = [config, *(overrides or [])], None
    if config is None and options.data is None:
        raise SettingsError("--minutes: name an experiment (CONFIG), or a folder of films (--data FOLDER)")
    path = None if config is None else experiment_file(Path(config))
    if path is not None and path.is_dir():
        raise SettingsError(
            f"{config}: a folder that is a run has its settings, which no plan changes; name an experiment, or leave "
            "--data and --minutes out"
        )
    print_start("plan for", options.data or path or Path(), quiet=quiet)
    from camray.workflows.planning.planned_run import plan_run, write_planned

    planned = plan_run(path, options.data, overrides, options.minutes, run.runs)
    if writes:
        write_planned(planned, overwrite=run.overwrite)
    if not quiet:
        _print_plan(planned)
    return planned.settings, planned.folder


def print_plan_alone(folder: Any, as_json: bool) -> None:
    """End a command that plans and runs no stage: print the plan for programs, or how it is run."""
    from camray.io.artifacts import artifacts_of

    if as_json:
        print_json({"run": str(folder.root), **plan_as_json(folder)})
        return
    path = artifacts_of(folder).planned_settings
    console.print(f"run it with: camray run {escape(str(path))}", highlight=False, soft_wrap=True)


def plan_as_json(folder: Any) -> dict[str, Any]:
    """Return the plan of a run for programs; empty if it has none."""
    from camray.io.artifacts import artifacts_of

    stored = artifacts_of(folder).plan
    return {"plan": asdict(stored.read().plan)} if stored.is_file() else {}


def _print_plan(planned: Any) -> None:
    from camray.io.artifacts import artifacts_of

    path, plan = artifacts_of(planned.folder).planned_settings, planned.plan
    again = "" if planned.is_new else ", the same films and settings as before"
    console.print(
        f"[bold]plan[/bold]      about {plan.minutes:.1f} minutes: {escape(str(path))}{again}", soft_wrap=True
    )
    for line in _lines(plan) if planned.is_new else ():
        console.print(f"          [dim]{escape(line)}[/dim]", highlight=False, soft_wrap=True)
    for text in plan.warnings:
        console.print(f"[yellow]note[/yellow]      {escape(text)}", highlight=False, soft_wrap=True)


def _lines(plan: Any) -> Iterator[str]:
    """Yield a line per decision: the settings as the command line takes them, and why."""
    for reason in plan.reasons:
        parts = (name.split(".") for name in reason.settings)
        values = (f"{section}.{key}={_text(plan.values[section][key])}" for section, key in parts)
        yield f"{' '.join(values)}: {reason.text}"


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(str, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
