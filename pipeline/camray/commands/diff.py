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
class ComparisonFiles:
    """Files with all metrics."""

    out: Annotated[Path | None, typer.Option("--out", help="JSON file to write, with all metrics")] = None
    page: Annotated[Path | None, typer.Option("--page", help="HTML page to write, with all metrics")] = None


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
    files: ComparisonFiles,
    split: Annotated[str, typer.Option(help="Split of both runs")] = "test",
    method: Annotated[str | None, typer.Option(help="Explanation method; default: each run's first")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs on the same films: DeLong's test for AUROC, bootstrap and sign flips by patient for boxes.

    Example: [bold]camray diff runs/rsna-seed1 runs/rsna-seed2[/bold]
    """
    for run in (runs.first, runs.second):
        print_start("diff", run, quiet=as_json)
    from camray.adapters.run_folders.atomic_files import write_bytes, write_json
    from camray.core.metrics.bootstrap import Bootstrap
    from camray.reporting.paired_comparison_page import comparison_page
    from camray.workflows.paired_comparison import compare_runs

    bootstrap = Bootstrap(statistics.resamples, statistics.confidence, statistics.seed)
    comparison = compare_runs(runs.first, runs.second, split, method, bootstrap)
    if files.out is not None:
        write_json(files.out, comparison.as_json())
    if files.page is not None:
        write_bytes(files.page, comparison_page(comparison.as_json()).encode())
    if as_json:
        print_json(comparison.as_json())
        return
    _print_comparison(comparison)


def _print_comparison(comparison: Any) -> None:
    from camray.reporting.paired_comparison_page import comparison_lines

    about = comparison.about
    title = f"{about['second']} against {about['first']}: {about['films']} films of {about['patients']} patients"
    table = Table(title=escape(title), padding=(0, 1))
    for column in ("finding", "metric", "A", "B", f"B - A ({about['confidence']:.0%})", "p", "films"):
        table.add_column(column)
    plain = comparison.as_json()
    for row, cells in zip(plain["rows"], comparison_lines(plain), strict=True):
        if (row["metric"], row["criterion"]) in PRINTED:
            table.add_row(*map(escape, cells))
    Console().print(table)
    console.print(
        "p is two-sided and not corrected for the number of rows; for the mean, the last column counts labels"
    )
    for what, key in (("A", "films_only_in_first"), ("B", "films_only_in_second")):
        if about[key]:
            console.print(f"{about[key]} film(s) of this split are only in {what} and were omitted")
    if not about["annotations_agree"]:
        console.print("[yellow]the runs have different boxes for these films[/yellow]; both are scored on those of A")
