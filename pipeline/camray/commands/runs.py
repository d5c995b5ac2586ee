"""``runs``: the runs of a folder, one of them in detail, and their removal."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from camray.commands.arguments import AsJson, Runs, console, print_json


class _ListFirst(TyperGroup):
    """Reads ``camray runs`` as ``camray runs list``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert ``list`` before options, or where there is no command."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(help="List runs with state, scores and size; show one, or remove some.", cls=_ListFirst)
Yes = Annotated[bool, typer.Option("--yes", help="Delete without asking")]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, for instance runs/phantom")]
Folders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders")]
_SCORES = {"AUROC": "mean_auroc", "hit rate": "mean_hit_rate"}


@app.command("list")
def runs_list(runs: Runs = Path("runs"), as_json: AsJson = False) -> None:
    """List the folders in a runs folder, the newest first: data, state, mean scores, size. `list` may be omitted.

    Example: [bold]camray runs list --runs runs[/bold]
    """
    from camray.io.run_states import run_states

    states = run_states(runs)
    if as_json:
        print_json({"runs": [_plain(state) for state in states]})
        return
    table = Table(padding=(0, 1))
    for column in ("run", "changed", "data", "state", *_SCORES, "size"):
        is_number = column in {*_SCORES, "size"}
        justify: Literal["left", "right"] = "right" if is_number else "left"
        table.add_column(column, overflow="fold", justify=justify, no_wrap=column == "changed")
    for state in states:
        scores = (_number(state.figures.get(key)) for key in _SCORES.values())
        cells = (state.root.name, f"{state.changed:%Y-%m-%d %H:%M}", state.data, state.text)
        table.add_row(*map(escape, cells), *scores, _size(state.size_bytes))
    Console().print(table)


@app.command("show")
def runs_show(run: Folder, as_json: AsJson = False) -> None:
    """Show the stages of a run with state, time and counts, its parts at work, mean scores, and where results are.

    Example: [bold]camray runs show runs/phantom[/bold]
    """
    from camray.commands.run_output import print_paths
    from camray.io.run_lookup import check_is_run
    from camray.io.run_states import OTHER, run_state

    state = run_state(run)
    if state.kind == OTHER:
        check_is_run(run)
    if as_json:
        stages = [
            {"stage": each.name, "state": each.state, **_of_record(each.record), "figures": each.record.get("figures")}
            for each in state.stages
        ]
        print_json({**_plain(state), "stages": stages, "parts": [each.as_json() for each in state.parts]})
        return
    console.print(f"[bold]{escape(str(run))}[/bold]  {escape(state.text)}, {_size(state.size_bytes)}", highlight=False)
    console.print(f"data      {escape(state.data)}", highlight=False, soft_wrap=True)
    table = Table(padding=(0, 1))
    for column in ("stage", "state", "finished", "seconds", "done", "refused", "version"):
        table.add_column(column)
    for each in state.stages:
        record = _of_record(each.record)
        table.add_row(
            each.name, each.state, *("" if value is None else escape(str(value)) for value in record.values())
        )
    Console().print(table)
    for shared in state.parts:
        console.print(f"parts     {shared.stage} {escape(shared.text())}", highlight=False, soft_wrap=True)
    for name, key in _SCORES.items():
        if key in state.figures:
            console.print(f"{name:<9} {_number(state.figures[key])}", highlight=False)
    print_paths(run)


@app.command("rm")
def runs_rm(run: Folders, yes: Yes = False) -> None:
    """Delete run folders, and nothing outside them; what is not a run, or is running, is refused.

    Entries in MLflow stay.

    Example: [bold]camray runs rm runs/exp2 runs/exp3[/bold]
    """
    from camray.adapters.run_folders.run_removal import check_removable

    for root in run:
        check_removable(root)
    _remove(run, yes=yes or _is_agreed(run))


@app.command("prune")
def runs_prune(
    runs: Runs = Path("runs"),
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Runs that were interrupted or stopped before the last stage")
    ] = False,
    keep: Annotated[
        int | None, typer.Option(min=0, help="Complete runs, except for this number of newest ones")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; without it, only print what would be deleted")] = False,
) -> None:
    """Print which runs --unfinished or --keep selects, and with --yes delete them.

    Running and damaged runs, comparisons and other folders are never selected.

    Example: [bold]camray runs prune --keep 5[/bold]
    """
    from camray.io.run_states import COMPLETE, UNFINISHED, run_states

    if keep is None and not unfinished:
        raise typer.BadParameter("expected --unfinished or --keep NUMBER", param_hint="prune")
    states = run_states(runs)
    selected = [state for state in states if unfinished and state.kind == UNFINISHED]
    if keep is not None:
        selected += [state for state in states if state.kind == COMPLETE][keep:]
    for state in selected:
        console.print(f"{escape(str(state.root))}  {escape(state.text)}, {_size(state.size_bytes)}", highlight=False)
    if yes:
        _remove([state.root for state in selected], yes=True)
    else:
        console.print(f"{len(selected)} run(s) would be deleted; add --yes to delete them")


def _is_agreed(roots: list[Path]) -> bool:
    from camray.io.run_states import size_on_disk

    for root in roots:
        console.print(f"{escape(str(root))}  {_size(size_on_disk(root))}", highlight=False)
    try:
        return typer.confirm(f"delete {len(roots)} run(s)?", err=True)
    except typer.Abort:
        return False


def _remove(roots: list[Path], *, yes: bool) -> None:
    from camray.adapters.run_folders.run_removal import remove_run

    for root in roots if yes else ():
        remove_run(root)
        console.print(f"deleted   {escape(str(root))}", highlight=False)
    if not yes:
        console.print("nothing was deleted; --yes deletes without asking")
        raise typer.Exit(1)


def _plain(state: Any) -> dict[str, Any]:
    return {
        "run": str(state.root),
        "kind": state.kind,
        "state": state.text,
        "data": state.data,
        "changed": state.changed.isoformat(timespec="seconds"),
        **{key: state.figures.get(key) for key in _SCORES.values()},
        "bytes": state.size_bytes,
    }


def _of_record(record: dict[str, Any]) -> dict[str, Any]:
    counts = record.get("counts") or {}
    return {
        "finished_at": record.get("finished_at"),
        "seconds": record.get("seconds"),
        "done": counts.get("done"),
        "refused": counts.get("refused"),
        "code_version": record.get("code_version"),
    }


def _number(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else ""


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
