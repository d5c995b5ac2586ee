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
SHOWN = {  # as much as 80 columns hold; the files have the rest
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
    """Train networks x pools alike, explain by all methods, and put errors, boxes, sanity and seconds in one table.

    What is compared stands in the settings' section compare. Finished networks are skipped: the same command goes on.

    Example: [bold]camray compare configs/phantom.yaml compare.test_films=24 compare.sanity_films=0[/bold]
    """
    from camray.workflows.model_comparison.comparison import compare as compare_all

    started = time.monotonic()

    def tell(line: str) -> None:
        if not as_json:
            console.print(f"[dim]{time.monotonic() - started:7.0f} s[/dim]  {escape(line)}", highlight=False)

    found = compare_all(opened(config, overrides, runs)[0], runs, tell)
    rows: list[dict[str, Any]] = [
        {str(key): None if value != value else value for key, value in row.items()}  # NaN is not JSON
        for row in found.table.to_dict("records")
    ]
    if as_json:
        print_json({"folder": str(found.folder), "seconds": found.seconds, "rows": rows})
        return
    Console().print(_table(rows))
    for name in ("comparison.html", "comparison.csv"):
        console.print(f"{name}  {escape(str(found.folder / name))}")


def _table(rows: list[dict[str, Any]]) -> Table:
    """Show the rows of validation thresholds, and the baselines'; refusals stay in the files."""
    caption = "error: top-1 localization, less is better; all are means over findings, thresholds chosen on validation"
    table = Table(caption=caption, box=SIMPLE, padding=(0, 1), pad_edge=False, collapse_padding=True)
    table.add_column("network, pool, method", no_wrap=True)
    for column in ("AUROC", *SHOWN, "films"):
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
        table.add_row(f"  {escape(method)}", "", *(_number(row[key]) for key in SHOWN.values()), str(row["films"]))
    return table


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
