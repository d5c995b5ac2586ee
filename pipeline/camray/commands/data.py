"""``data``: list the data manifests, and check a data set against one."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import AsJson, console, print_json

app = typer.Typer(
    help="List the known data sets, or check that one is complete and fits its manifest.", no_args_is_help=True
)


@app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data manifests that camray ships.

    Example: [bold]camray data list[/bold]
    """
    from camray.adapters.datasets.manifest_files import known_manifests, load_manifest

    manifests = [load_manifest(name) for name in known_manifests()]
    if as_json:
        keys = {"name", "title", "licence", "citation", "how_to_obtain", "expected"}
        print_json([manifest.model_dump(mode="json", include=keys) for manifest in manifests])
        return
    table = Table(title="Data sets", padding=(0, 1))
    for column in ("name", "description", "labels", "films"):
        table.add_column(column)
    for manifest in manifests:
        labels = "from its tables" if manifest.labels == "auto" else str(len(manifest.labels))
        films = manifest.expected.get("films")
        table.add_row(manifest.name, escape(manifest.title), labels, "" if films is None else f"{films:,}")
    Console().print(table)


@app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="Data manifest, see `camray data list`, or the path of one")],
    root: Annotated[Path, typer.Option("--root", help="Folder of the data set")],
    headers: Annotated[int, typer.Option(help="Maximum number of film headers to read; 0 reads all")] = 2000,
    pixels: Annotated[int, typer.Option(min=1, help="Number of films to read whole, pixels included")] = 24,
    as_json: AsJson = False,
) -> None:
    """Report what a data set contains, what is missing and what does not fit its manifest.

    Exit code 2: something does not fit; 3: there is no film.

    Example: [bold]camray data check nih_chestxray14 --root /data/nih[/bold]
    """
    from camray.workflows.dataset_check.check import check_data

    report = check_data(name, root, headers, pixels)
    if as_json:
        print_json(report.as_json())
    else:
        _print_report(report)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


def _print_report(report: Any) -> None:
    out = Console()
    out.print(f"[bold]{escape(report.name)}[/bold] under {escape(str(report.root))}")
    for what, value in report.counts.items():
        if what != "labels":
            out.print(f"  {what.replace('_', ' '):<18} {escape(_count_text(value))}")
    if report.counts.get("labels"):
        columns = ("present", "absent", "uncertain", "boxes", "boxed_films")
        table = Table(padding=(0, 1))
        table.add_column("label")
        for column in columns:
            table.add_column(column.replace("_", " "), justify="right")
        for label, counts in report.counts["labels"].items():
            table.add_row(escape(label), *(f"{counts[column]:,}" for column in columns))
        out.print(table)
    for line in report.notes:
        out.print(f"[yellow]note[/yellow]  {escape(line)}", highlight=False)
    for line in report.wrong:
        out.print(f"[bold red]fault[/bold red] {escape(line)}", highlight=False)
    console.print("ready to ingest" if not report.wrong else f"{len(report.wrong)} fault(s) to correct first")


def _count_text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count:,}" for key, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}"
