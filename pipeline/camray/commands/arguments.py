"""What commands share: their arguments, and how they speak to people and to machines."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console(stderr=True)

Config = Annotated[Path, typer.Argument(help="Experiment, for instance configs/phantom.yaml, or the folder of a run")]
Overrides = Annotated[list[str] | None, typer.Argument(help="Settings to change, for instance train.max_epochs=3")]
Runs = Annotated[Path, typer.Option("--runs", envvar="CAMRAY_RUNS", help="Folder that holds the runs")]
Force = Annotated[bool, typer.Option("--force", help="Run the last stage again even if nothing changed")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, for machines")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Also write every table as CSV into RUN/csv")]


def print_json(value: Any) -> None:
    """Write one JSON object to stdout; a number that is none (NaN, infinite) becomes null, which JSON has."""
    sys.stdout.write(json.dumps(_plain(value), indent=1, default=str, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if type(value).__module__ == "numpy":
        return _plain(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
