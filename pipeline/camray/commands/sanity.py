"""``sanity``: checks of explanation methods that need no boxes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import RESULT_COMMANDS, AsJson, Force, TrainedRun, console, print_json, start_on_run
from camray.commands.option_groups import expand_option_groups

app = typer.Typer()
LEGEND = (
    "deletion   mean probability while cells are removed, hottest first: lower is better",
    "insertion  mean probability while cells are restored in a blurred film, hottest first: higher is better",
    "drop       share of the probability lost when only the cells of the map are visible: lower is better",
    "increase   share of films whose probability rises in this case: higher is better",
    "head, all  rank correlation with the original map after randomizing the last layer, or all layers: 0 is best; "
    "near 1 the map does not depend on what was learned",
    "noise      largest relative change of the map when slight noise is added to the film: lower is more stable",
)
UNINFORMATIVE = 0.02  # difference in probability below which deletion and insertion rank nothing
PRINTED = {
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


@dataclass(frozen=True)
class CheckOptions:
    """Methods and films of the checks, and their cost."""

    methods: Annotated[
        str | None,
        typer.Option(
            help="Methods, separated by commas, or 'all'; default: all but integrated_gradients and occlusion"
        ),
    ] = None
    films: Annotated[int, typer.Option(min=1, help="Maximum number of films, distributed over the labels")] = 16
    split: Annotated[str, typer.Option(help="Split of the films")] = "test"
    label: Annotated[str | None, typer.Option(help="Only films with this finding")] = None
    seed: Annotated[int, typer.Option(help="Random seed of weights, noise and selection of films")] = 0
    most_passes: Annotated[
        int,
        typer.Option(
            min=0, help="Maximum forward passes per method; more expensive methods use fewer films; 0 sets no limit"
        ),
    ] = 2500


class Baseline(StrEnum):
    """Films that deletion and insertion use."""

    MEAN = "mean"
    BLACK = "black"
    BLURRED = "blurred"


@dataclass(frozen=True)
class BaselineOptions:
    """What the film is replaced by."""

    deletion_baseline: Annotated[Baseline, typer.Option(help="What replaces deleted cells")] = Baseline.MEAN
    insertion_baseline: Annotated[Baseline, typer.Option(help="Image that insertion starts from")] = Baseline.BLURRED


@app.command(rich_help_panel=RESULT_COMMANDS)
@expand_option_groups
def sanity(
    trained: TrainedRun,
    options: CheckOptions,
    baselines: BaselineOptions,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Check explanation methods without boxes: random weights, noise, deletion, insertion and average drop.

    Example: [bold]camray sanity runs/phantom --methods cam,gradcam,saliency[/bold]
    """
    start_on_run("sanity", trained, quiet=as_json)
    from camray.workflows.map_sanity import SanityChoice, check_run, parse_methods

    choice = SanityChoice(
        parse_methods(options.methods),
        options.films,
        options.split,
        options.label,
        options.seed,
        options.most_passes,
        baselines.deletion_baseline.value,
        baselines.insertion_baseline.value,
    )
    checked = check_run(trained, choice, force)
    rows: list[dict[str, Any]] = [{str(key): row[key] for key in row} for row in checked.table.to_dict("records")]
    if as_json:
        print_json(
            {"folder": str(checked.folder), "skipped": checked.skipped, "methods": [_plain(row) for row in rows]}
        )
        return
    if checked.skipped:
        console.print("[dim]up to date, skipped[/dim]")
    Console().print(_table(rows))
    for line in (*LEGEND, *uninformative(rows)):
        text = f"[dim]{escape(line)}[/dim]" if line in LEGEND else f"[yellow]note[/yellow] {escape(line)}"
        console.print(text, highlight=False, soft_wrap=True)
    for row in rows:
        if row["reason"]:
            console.print(f"[yellow]{escape(row['method'])}[/yellow]: {escape(row['reason'])}")
    console.print(f"tables and figures: {escape(str(checked.folder))}")


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Sanity checks of the maps (columns are explained below)", padding=(0, 0))
    for column in ("method", *PRINTED.values()):
        table.add_column(column, overflow="fold")
    for row in rows:
        if not row["reason"]:
            table.add_row(escape(row["method"]), *[_short(row[name]) for name in PRINTED])
    return table


def uninformative(rows: list[dict[str, Any]]) -> list[str]:
    """List figures that carry no information, and why.

    Parameters
    ----------
    rows : list of dict
        Rows of the sanity table.
    """
    notes = []
    printed = [row for row in rows if not row["reason"]]
    for row in printed:
        if row["constant"] >= row["films"] > 0:
            notes.append(f"{row['method']}: every map is constant; its figures are undefined")
        elif row["constant"]:
            notes.append(
                f"{row['method']}: {row['constant']} of {row['films']} maps are constant and omitted from the figures"
            )
    apart = [abs(row["insertion_auc"] - row["deletion_auc"]) for row in printed]
    known = [gap for gap in apart if gap == gap]  # NaN differs from itself
    if known and max(known) < UNINFORMATIVE:
        notes.append(
            f"deletion and insertion differ by less than {UNINFORMATIVE:g} for every method: the probability hardly "
            "depends on the removed cells, and these columns cannot rank methods (is the network trained?)"
        )
    if any(row["checked_films"] and row["rank_all"] != row["rank_all"] for row in printed):
        notes.append(
            "head, all: a dash means that the map of the randomized network is constant, so no ranks can be compared"
        )
    return notes


def _short(value: Any) -> str:
    if isinstance(value, int):
        return str(value)
    return "–" if value != value else f"{value:.2f}"  # NaN differs from itself


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Replace NaN, which JSON does not have, by None."""
    return {key: None if value != value else value for key, value in row.items()}
