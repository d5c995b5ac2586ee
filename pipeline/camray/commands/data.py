"""``data``: which data sets camray knows, and whether one is there and fits."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import AsJson, console, print_json

app = typer.Typer(help="Data sets: which are known, and whether one is there and fits.", no_args_is_help=True)


@app.command("list")
def data_list(as_json: AsJson = False) -> None:
    """List the data manifests that camray ships.

    Example: [bold]camray data list[/bold]
    """
    from camray.adapters.datasets.manifest import known_manifests, load_manifest

    manifests = [load_manifest(name) for name in known_manifests()]
    if as_json:
        keys = {"name", "title", "licence", "citation", "how_to_obtain", "expected"}
        print_json([manifest.model_dump(mode="json", include=keys) for manifest in manifests])
        return
    table = Table(title="Data sets", padding=(0, 1))
    for column in ("name", "what it is", "labels", "films"):
        table.add_column(column)
    for manifest in manifests:
        labels = "as its tables" if manifest.labels == "auto" else str(len(manifest.labels))
        films = manifest.expected.get("films")
        table.add_row(manifest.name, escape(manifest.title), labels, "" if films is None else f"{films:,}")
    Console().print(table)


@app.command("check")
def data_check(
    name: Annotated[str, typer.Argument(help="Data manifest, see `camray data list`, or a path to one")],
    root: Annotated[Path, typer.Option("--root", help="Folder that holds the data set")],
    headers: Annotated[int, typer.Option(help="Most films whose header is read; 0 reads all")] = 2000,
    pixels: Annotated[int, typer.Option(min=1, help="Films that are read whole")] = 24,
    as_json: AsJson = False,
) -> None:
    """Say what of a data set is there, what is missing and what does not fit, before hours are spent.

    Exit code 2: it does not fit as it is; 3: no film is there.

    Example: [bold]camray data check nih_chestxray14 --root /data/nih[/bold]
    """
    from camray.workflows.dataset_check import check_data

    found = check_data(name, root, headers, pixels)
    if as_json:
        print_json(found.as_json())
    else:
        _tell(found)
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _tell(found: Any) -> None:
    out = Console()
    out.print(f"[bold]{escape(found.name)}[/bold] under {escape(str(found.root))}")
    for what, value in found.counts.items():
        if what != "labels":
            out.print(f"  {what.replace('_', ' '):<18} {escape(_shown(value))}")
    if found.counts.get("labels"):
        columns = ("present", "absent", "uncertain", "boxes", "boxed_films")
        table = Table(padding=(0, 1))
        table.add_column("label")
        for column in columns:
            table.add_column(column.replace("_", " "), justify="right")
        for label, counts in found.counts["labels"].items():
            table.add_row(escape(label), *(f"{counts[column]:,}" for column in columns))
        out.print(table)
    for line in found.notes:
        out.print(f"[yellow]note[/yellow]  {escape(line)}", highlight=False)
    for line in found.wrong:
        out.print(f"[bold red]wrong[/bold red] {escape(line)}", highlight=False)
    console.print("fits: it can be ingested" if not found.wrong else f"{len(found.wrong)} thing(s) to put right first")


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {count:,}" for key, count in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}"
