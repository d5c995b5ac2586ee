"""``sanity``: whether the maps are true."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import RESULT_COMMANDS, AsJson, Force, console, print_json

app = typer.Typer()
LEGEND = (
    "deletion   the probability while the hottest cells are taken away first, mean over the way: lower is better",
    "insertion  the same while the hottest cells are given back first to a blurred film: higher is better",
    "drop       share of the probability lost where only the map's own cells show: lower is better",
    "increase   share of films whose probability rises then: higher is better",
    "head, all  rank correlation with the original map once the last layer, or every layer, is random: 0 is right, "
    "near 1 the map does not show what was learnt",
    "noise      largest relative change of the map over slightly noisy films: lower is steadier",
)
UNMOVED = 0.02  # of the probability: deletion and insertion that lie no further apart say nothing
SHOWN = {
    "films": "n",
    "deletion_auc": "deletion",
    "insertion_auc": "insertion",
    "average_drop": "drop",
    "average_increase": "increase",
    "checked_films": "n checked",
    "rank_head": "head",
    "rank_all": "all",
    "noise_max": "noise",
}


@app.command(rich_help_panel=RESULT_COMMANDS)
def sanity(
    trained: Annotated[Path, typer.Argument(metavar="RUN", help="Trained run, for instance runs/phantom")],
    methods: Annotated[
        str | None,
        typer.Option(
            help="Explanation methods, with commas, or 'all'; default: all but integrated_gradients and occlusion"
        ),
    ] = None,
    films: Annotated[int, typer.Option(min=1, help="Films at most, shared out among the labels they show")] = 16,
    split: Annotated[str, typer.Option(help="Where the films come from")] = "test",
    label: Annotated[str | None, typer.Option(help="Films that show this finding alone")] = None,
    seed: Annotated[int, typer.Option(help="Of the random weights, the noise and the choice of films")] = 0,
    most_passes: Annotated[
        int, typer.Option(min=0, help="Dear methods get fewer films: passes a method may cost; 0 sets no limit")
    ] = 2500,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Check each explanation method without any box: random weights, noise, deletion and insertion, average drop.

    Example: [bold]camray sanity runs/phantom --methods cam,gradcam,saliency[/bold]
    """
    from camray.workflows.map_sanity import SanityChoice, check_run, parse_methods

    choice = SanityChoice(parse_methods(methods), films, split, label, seed, most_passes)
    checked = check_run(trained, choice, force)
    rows: list[dict[str, Any]] = [{str(key): row[key] for key in row} for row in checked.table.to_dict("records")]
    if as_json:
        print_json(
            {"folder": str(checked.folder), "skipped": checked.skipped, "methods": [_plain(row) for row in rows]}
        )
        return
    if checked.skipped:
        console.print("[dim]up to date, nothing computed[/dim]")
    Console().print(_table(rows))
    for line in (*LEGEND, *uninformative(rows)):
        console.print(f"[dim]{escape(line)}[/dim]" if line in LEGEND else f"[yellow]note[/yellow] {escape(line)}",
                      highlight=False, soft_wrap=True)  # fmt: skip
    for row in rows:
        if row["reason"]:
            console.print(f"[yellow]{escape(row['method'])}[/yellow]: {escape(row['reason'])}")
    console.print(f"tables and figures: {escape(str(checked.folder))}")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Are the maps true? What the columns mean stands below", padding=(0, 0))
    for column in ("method", *SHOWN.values()):
        table.add_column(column, overflow="fold")
    for row in rows:
        if not row["reason"]:
            table.add_row(escape(row["method"]), *[_short(row[name]) for name in SHOWN])
    return table


def uninformative(rows: list[dict[str, Any]]) -> list[str]:
    """Say which figures tell nothing, and why.

    Parameters
    ----------
    rows : list of dict
        Of the sanity table.
    """
    told = []
    shown = [row for row in rows if not row["reason"]]
    for row in shown:
        if row["constant"] >= row["films"] > 0:
            told.append(f"{row['method']}: every map is constant and orders nothing; its figures are undefined")
        elif row["constant"]:
            told.append(
                f"{row['method']}: {row['constant']} of {row['films']} maps are constant; the figures leave them out"
            )
    apart = [abs(row["insertion_auc"] - row["deletion_auc"]) for row in shown]
    known = [gap for gap in apart if gap == gap]  # NaN differs from itself
    if known and max(known) < UNMOVED:
        told.append(
            f"deletion and insertion differ by less than {UNMOVED:g} for every method: the probability hardly "
            "depends on what is taken away, and these columns rank nothing (is the network trained?)"
        )
    if any(row["checked_films"] and row["rank_all"] != row["rank_all"] for row in shown):
        told.append(
            "head, all: a dash means that the random network's map is constant, so that no order can be compared"
        )
    return told


def _short(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "–" if value != value else f"{value:.2f}"  # NaN differs from itself


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Turn NaN, which JSON does not have, into null."""
    return {key: None if value != value else value for key, value in row.items()}
