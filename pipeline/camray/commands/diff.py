"""``diff``: paired comparison of two runs on the same films."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import RESULT_COMMANDS, AsJson, console, print_json, print_start
from camray.commands.option_groups import expand_option_groups

app = typer.Typer()
PRINTED = {("auroc", None), ("hit_rate", None), ("iou_accuracy", 0.3), ("iou_accuracy", 0.5), ("mean_iou", None)}


@dataclass(frozen=True)
class StatisticsOptions:
    """Bootstrap and intervals."""

    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples of patients, the same for both runs")] = (
        2000
    )
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Confidence level of the intervals")] = 0.95
    seed: Annotated[int, typer.Option(help="Random seed of the resampling")] = 1


@dataclass(frozen=True)
class RunPair:
    """The runs that are compared."""

    first: Annotated[Path, typer.Argument(metavar="RUN_A", help="Run folder")]
    second: Annotated[Path, typer.Argument(metavar="RUN_B", help="Run folder to compare with it")]


@app.command(rich_help_panel=RESULT_COMMANDS)
@expand_option_groups
def diff(
    runs: RunPair,
    statistics: StatisticsOptions,
    split: Annotated[str, typer.Option(help="Split of both runs")] = "test",
    method: Annotated[str | None, typer.Option(help="Explanation method; default: each run's first")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write, with all metrics")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the same films: DeLong's test for AUROC, bootstrap and sign flips by patient for boxes.

    Example: [bold]camray diff runs/rsna-seed1 runs/rsna-seed2[/bold]
    """
    for run in (runs.first, runs.second):
        print_start("diff", run, quiet=as_json)
    from camray.adapters.run_folders.atomic_files import write_json
    from camray.core.metrics.bootstrap import Bootstrap
    from camray.workflows.paired_comparison import compare_runs

    bootstrap = Bootstrap(statistics.resamples, statistics.confidence, statistics.seed)
    comparison = compare_runs(runs.first, runs.second, split, method, bootstrap)
    if out is not None:
        write_json(out, comparison.as_json())
    if as_json:
        print_json(comparison.as_json())
        return
    _print_comparison(comparison)


def _print_comparison(comparison: Any) -> None:
    about = comparison.about
    title = f"{about['second']} against {about['first']}: {about['films']} films of {about['patients']} patients"
    table = Table(title=escape(title), padding=(0, 1))
    for column in ("finding", "metric", "A", "B", f"B - A ({about['confidence']:.0%})", "p", "films"):
        table.add_column(column)
    for row in comparison.as_json()["rows"]:
        if (row["metric"], row["criterion"]) not in PRINTED:
            continue
        name = row["metric"] + (f" >= {row['criterion']:g}" if row["criterion"] is not None else "")
        low, high, p = (row[key] for key in ("low", "high", "p"))
        between = f"{_number(row['difference'], '+')} ({_number(low, '+')} to {_number(high, '+')})"
        p_text = "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
        ours = (_number(row["first"]), _number(row["second"]))
        table.add_row(escape(row["label"]), name, *ours, between, p_text, str(row["n"]))
    Console().print(table)
    console.print(
        "p is two-sided and not corrected for the number of rows; for the mean, the last column counts labels"
    )
    for what, key in (("A", "films_only_in_first"), ("B", "films_only_in_second")):
        if about[key]:
            console.print(f"{about[key]} film(s) of this split are only in {what} and were omitted")
    if not about["annotations_agree"]:
        console.print("[yellow]the runs have different boxes for these films[/yellow]; both are scored on those of A")


def _number(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.3f}"
