"""``compare``: networks, pools and explanation methods in one table."""

import time
from pathlib import Path
from typing import Any

import typer
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import EXPERIMENT_COMMANDS, AsJson, Config, Overrides, Runs, console, print_json
from camray.commands.experiment import opened

app = typer.Typer()
PRINTED = {  # what fits 80 columns; comparison.csv has all columns
    "error": "top1_localization_error",
    "hits": "hit_rate",
    "IoU.3": "iou_accuracy_0.3",
    "IoU": "mean_iou",
    "s/film": "seconds_a_film",
}


@app.command(rich_help_panel=EXPERIMENT_COMMANDS)
def compare(
    config: Config,
    overrides: Overrides = None,
    runs: Runs = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """Compare networks, pools and explanation methods: errors, boxes, sanity checks and seconds in one table.

    All networks are trained with the same settings. The settings' section `compare` lists what is compared.
    Finished networks are skipped: run the same command again to resume.

    Example: [bold]camray compare configs/phantom.yaml compare.test_films=24 compare.sanity_films=0[/bold]
    """
    from camray.io.method_options import check_options_belong
    from camray.io.workflow_artifacts import ComparisonFiles
    from camray.workflows.model_comparison.comparison import compare as compare_all
    from camray.workflows.model_comparison.plan import plan_of

    started = time.monotonic()

    def report(line: str) -> None:
        if not as_json:
            console.print(f"[dim]{time.monotonic() - started:7.0f} s[/dim]  {escape(line)}", highlight=False)

    settings = opened(config, overrides, runs)[0]
    check_options_belong(overrides or (), plan_of(settings).methods)
    comparison = compare_all(settings, runs, report)
    rows: list[dict[str, Any]] = [
        {str(key): None if value != value else value for key, value in row.items()}  # NaN is not JSON
        for row in comparison.table.to_dict("records")
    ]
    if as_json:
        print_json({"folder": str(comparison.folder), "seconds": comparison.seconds, "rows": rows})
        return
    Console().print(_table(rows))
    files = ComparisonFiles(comparison.folder)
    for path in (files.page, files.table):
        console.print(f"{path.name}  {escape(str(path))}")


def _table(rows: list[dict[str, Any]]) -> Table:
    """Return the rows with validation thresholds and the baselines; comparison.csv lists refused methods too."""
    caption = "error: top-1 localization error, lower is better; means over findings, thresholds from validation"
    table = Table(caption=caption, box=SIMPLE, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("network, pool, method", no_wrap=True)
    for column in ("AUROC", *PRINTED, "films"):
        table.add_column(column, justify="right", no_wrap=True)
    last = None
    for row in rows:
        if row["threshold_source"] != "validation" and row["network"] != "baseline":
            continue
        if (group := (row["network"], row["pool"])) != last:
            table.add_section()
            auroc = "" if row["network"] == "baseline" else _number(row["auroc"])
            table.add_row(f"[bold]{escape(' '.join(name for name in group if name))}[/bold]", auroc)
            last = group
        method = str(row["method"]).removeprefix("baseline:")
        table.add_row(f"  {escape(method)}", "", *(_number(row[key]) for key in PRINTED.values()), str(row["films"]))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
