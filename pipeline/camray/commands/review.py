"""``review``: the page for radiologists, and the import of their decisions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from camray.commands.arguments import AsJson, console, print_json
from camray.commands.connection import (
    CONNECTION_PANEL,
    Date,
    FetchOptions,
    Study,
    fetch_from,
    film_query,
)
from camray.commands.option_groups import expand_option_groups
from camray.domain.errors import SettingsError

Trained = Annotated[
    Path | None,
    typer.Option(help="Run that holds the model, if `camray predict` wrote RUN and it uses prior maps"),
]
MAX_PROBLEMS_PRINTED = 12
REPORTS_FOLDER = "reports"  # in the run folder, for the reports that --from fetches


@dataclass(frozen=True)
class ReportOptions:
    """Reports that ``review import`` fetches first."""

    source: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--from",
            metavar="PROTOCOL ADDRESS",
            help="Fetch the reports from a PACS first: dicomweb URL, or dimse AET@host:port",
            rich_help_panel=CONNECTION_PANEL,
        ),
    ] = None
    study: Study = ""
    date: Date = ""


@dataclass(frozen=True)
class ReaderOptions:
    """Who read, and how readers are compared and merged."""

    reader: Annotated[
        str, typer.Option(help="Name of the reader; default: as the file says, else the name of the file or folder")
    ] = ""
    policy: Annotated[
        Literal["majority", "union"], typer.Option(help="How the readers' boxes and findings are merged")
    ] = "majority"
    resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples of patients, for intervals")] = 1000
    trained: Trained = None


class _RunFirst(TyperGroup):
    """Reads ``camray review RUN`` as ``camray review build RUN``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert ``build`` before a first argument that is not a command."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["build", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunFirst,
    help="Write the review page for radiologists (`camray review RUN`), or import their decisions "
    "(`camray review import`).",
    no_args_is_help=True,
)


@dataclass(frozen=True)
class PageOptions:
    """What the review page shows."""

    split: Annotated[list[str] | None, typer.Option(help="Split, may be repeated; default: export.splits")] = None
    annotations: Annotated[bool, typer.Option(help="Show the annotations too")] = True
    side: Annotated[int, typer.Option(min=128, help="Longest side of a film's image, px")] = 1024
    picture: Annotated[Literal["png", "webp"], typer.Option(help="Image format: PNG is lossless, WebP is smaller")] = (
        "png"
    )
    trained: Trained = None


@app.command("build")
@expand_option_groups
def build(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, for instance runs/phantom")],
    options: PageOptions,
    as_json: AsJson = False,
) -> None:
    """Write RUN/review: a page that opens from the disk, without a server or a network. `build` may be omitted.

    Open RUN/review/index.html in a browser.

    Example: [bold]camray review runs/phantom[/bold]
    """
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.workflows.review.export_page import build as build_page
    from camray.workflows.stored_settings import settings_of

    settings, folder = settings_of(run), RunFolder(run, trained=options.trained)
    with folder.locked():
        built = build_page(
            settings,
            folder,
            splits=tuple(options.split or ()),
            annotations=options.annotations,
            display_px=options.side,
            picture=options.picture,
        )
    if as_json:
        print_json({"page": str(built.index), "films": built.films, "coarse": built.coarse, "bytes": built.size_bytes})
        return
    console.print(f"{built.films} films, {built.size_bytes / 2**20:.1f} MiB: open {escape(str(built.index))}")
    if built.coarse:
        console.print(
            f"[yellow]{built.coarse} films are shown at the model's resolution: their source files are missing[/yellow]"
        )


@app.command("import")
@expand_option_groups
def import_(
    arguments: Annotated[
        list[Path],
        typer.Argument(
            metavar="[DECISIONS...] RUN",
            help="JSON of the page, COCO or Label Studio, DICOM reports, folders of reports; the run folder last",
        ),
    ],
    reports: ReportOptions,
    readers: ReaderOptions,
    connection: FetchOptions,
    as_json: AsJson = False,
) -> None:
    """Measure readers against the AI and against each other, and merge their decisions into RUN/reviewed.

    With --from, the reports of the exported studies (or of --study, or --date) are fetched into RUN/reports.

    The merged tables are annotations. Train or score on them with data.manifest=folder
    data.labels=RUN/reviewed/labels.csv data.boxes=RUN/reviewed/boxes.csv.

    Example: [bold]camray review import decisions-*.json runs/phantom[/bold]

    From a PACS: [bold]camray review import runs/phantom --from dicomweb https://pacs.example/dicom-web[/bold]
    """
    from camray.adapters.run_folders.run_folder import RunFolder
    from camray.core.metrics.bootstrap import Bootstrap
    from camray.io.tracking import missing_password, open_tracker
    from camray.workflows.pacs.send import studies_of
    from camray.workflows.review.import_decisions import ImportOptions, headline, import_decisions
    from camray.workflows.stored_settings import settings_of

    *paths, run = arguments
    settings, folder = settings_of(run), RunFolder(run, trained=readers.trained)
    if reports.source is not None:
        studies = [reports.study] if reports.study or reports.date else studies_of(folder) or [""]
        queries = [film_query(study, reports.date, "SR") for study in studies]
        fetch_from(reports.source, connection, queries, run / REPORTS_FOLDER, quiet=as_json)
        paths.append(run / REPORTS_FOLDER)
    if not paths:
        raise SettingsError("no decisions to import; name files or folders before RUN, or a PACS with --from")
    if not as_json and (fault := missing_password(settings, folder)):
        console.print(f"[yellow]not tracked[/yellow] {escape(fault)}", highlight=False, soft_wrap=True)
    with open_tracker(settings, folder, must_track=False) as tracker:
        options = ImportOptions(Bootstrap(readers.resamples, 0.95, 1), readers.reader, readers.policy)
        imported = import_decisions(paths, folder, tracker, options)
    rows = headline(imported.agreement)
    if as_json:
        plain = imported.agreement.astype(object).where(imported.agreement.notna(), None).to_dict("records")
        problems = [vars(problem) for problem in imported.problems]
        print_json(
            {"folder": str(imported.folder), "counts": imported.counts, "agreement": plain, "problems": problems}
        )
        return
    _print_agreement(imported, rows)


def _print_agreement(imported: Any, rows: Any) -> None:
    table = Table(title="Readers (95 % intervals by patient; times with quartiles)", padding=(0, 1))
    for column in ("phase", "reader", "against", "metric", "value", "n"):
        table.add_column(column)
    for row in rows.itertuples(index=False):
        name = row.metric + (f" at IoU {row.criterion:g}" if row.criterion == row.criterion else "")
        between = f" ({row.low:.2f} to {row.high:.2f})" if row.low == row.low else ""
        value = f"{row.value:.2f}{between}" if row.value == row.value else "undefined"
        table.add_row(row.phase, escape(row.reader), escape(row.other), name, value, str(row.n))
    Console().print(table)
    console.print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in imported.counts.items()))
    if told := imported.counts["annotations_shown"]:
        what = "decisions were made with the annotations shown: they are no independent reading of their films"
        console.print(f"[yellow]{told} {what}[/yellow]", soft_wrap=True)
    for problem in imported.problems[:MAX_PROBLEMS_PRINTED]:
        where = " ".join(part for part in (problem.reader, problem.image_id, problem.label) if part)
        console.print(
            f"[yellow]{escape(problem.source)}[/yellow] {escape(where)}: {escape(problem.what)}", highlight=False
        )
    if len(imported.problems) > MAX_PROBLEMS_PRINTED:
        from camray.io.workflow_artifacts import ReviewedFiles

        more = len(imported.problems) - MAX_PROBLEMS_PRINTED
        console.print(f"and {more} more in {escape(str(ReviewedFiles(imported.folder).problems))}")
    console.print(f"written to {escape(str(imported.folder))}")
