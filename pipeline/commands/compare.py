"""``compare``: networks, pools and explanation methods in one table."""

import time
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.commands.words import AsJson, Config, Overrides, Runs, console, print_json

app = typer.Typer()
SHOWN = {
    "AUROC": "auroc",
    "top-1 class": "top1_classification_error",
    "top-1 loc.": "top1_localization_error",
    "top-5 loc.": "top5_localization_error",
    "hit rate": "hit_rate",
    "IoU 0.3": "iou_accuracy_0.3",
    "IoU 0.5": "iou_accuracy_0.5",
    "mean IoU": "mean_iou",
    "s a film": "seconds_a_film",
}


@app.command()
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
    from pipeline.adapters.settings import load_settings
    from pipeline.stages.compare import compare as compare_all

    started = time.monotonic()

    def tell(line: str) -> None:
        if not as_json:
            console.print(f"[dim]{time.monotonic() - started:7.0f} s[/dim]  {escape(line)}", highlight=False)

    found = compare_all(load_settings(config, overrides), runs, tell)
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
    table = Table(title="Errors: lower is better; means over findings; thresholds chosen on validation", padding=(0, 1))
    for column in ("network", "pool", "method", *SHOWN, "films"):
        table.add_column(column)
    for row in rows:
        if row["threshold_source"] == "validation" or row["network"] == "baseline":
            numbers = ("–" if row[key] is None else f"{row[key]:.3f}" for key in SHOWN.values())
            names = (escape(str(row[key])) for key in ("network", "pool", "method"))
            table.add_row(*names, *numbers, str(row["films"]))
    return table
