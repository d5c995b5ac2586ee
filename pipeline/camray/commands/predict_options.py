"""Options of ``predict``: new films, how far it goes, and what it writes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from camray.commands.arguments import OUTPUT_PANEL, RUN_PANEL, OutputOptions
from camray.commands.parts import PartOptions


@dataclass(frozen=True)
class NewFilms:
    """Labels, boxes and prevalences of new films."""

    labels: Annotated[Path | None, typer.Option(help="Label table, in the form of the run's data manifest")] = None
    boxes: Annotated[Path | None, typer.Option(help="Box table, in the same form; the films are then scored too")] = (
        None
    )
    manifest: Annotated[str | None, typer.Option(help="Data manifest of these tables, if not the run's own")] = None
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FINDING=NUMBER",
            help="Prevalence of a finding at the site, 0 to 1: its probabilities are moved to it; may be repeated",
        ),
    ] = None


@dataclass(frozen=True)
class PredictOutput(OutputOptions):
    """As other commands, with the tables as CSV by default."""

    csv: Annotated[
        bool, typer.Option(help="Write every table as CSV into OUT/csv too", rich_help_panel=OUTPUT_PANEL)
    ] = True


@dataclass(frozen=True)
class PredictExtent(PartOptions):
    """How far ``predict`` goes, and what it exports."""

    until: Annotated[
        str,
        typer.Option(help="Last stage to run: ingest, explain, localize, score or export", rich_help_panel=RUN_PANEL),
    ] = "export"
    formats: Annotated[
        str | None,
        typer.Option(help="Export formats, separated by commas: csv, coco, sr, gsps, ...; see camray export"),
    ] = None
