"""``review``: the page that radiologists read in, and their decisions back."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from camray.commands.arguments import AsJson, console, print_json
from camray.commands.pacs import (
    Aet,
    Attempts,
    CaFile,
    CertFile,
    Date,
    KeyFile,
    Listen,
    Study,
    Timeout,
    Tls,
    access_of,
    fetch_from,
)
from camray.domain.errors import SettingsError

Trained = Annotated[
    Path | None, typer.Option(help="Run that the network is from, where RUN was made by `predict` and uses prior maps")
]
SHOWN_PROBLEMS = 12
REPORTS = "reports"  # folder of a run for what --from fetches


class _RunFirst(TyperGroup):
    """Takes ``camray review RUN`` for ``camray review build RUN``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``build`` before a first word that is no command."""
        if args and args[0] not in self.commands and args[0] not in {"-h", "--help"}:
            args = ["build", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_RunFirst,
    help="The reading room: a page for radiologists (`camray review RUN`), and their decisions back "
    "(`camray review import`).",
    no_args_is_help=True,
)


@app.command("build")
def build(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder, for instance runs/phantom")],
    split: Annotated[list[str] | None, typer.Option(help="Split to show, repeatable; default: export.splits")] = None,
    annotations: Annotated[bool, typer.Option(help="Put the annotations on the page too")] = True,
    side: Annotated[int, typer.Option(min=128, help="Longest side of a film's picture, px")] = 1024,
    picture: Annotated[Literal["png", "webp"], typer.Option(help="PNG is exact, WebP small")] = "png",
    trained: Trained = None,
    as_json: AsJson = False,
) -> None:
    """Write RUN/review: a folder that opens from the disk, without a server or a network. `build` may be left out.

    Example: [bold]camray review runs/phantom[/bold], then open runs/phantom/review/index.html
    """
    from camray.adapters.run_folder import RunFolder
    from camray.workflows.review.export_page import build as build_page
    from camray.workflows.run import settings_of

    settings, folder = settings_of(run), RunFolder(run, trained=trained)
    with folder.locked():
        built = build_page(
            settings,
            folder,
            splits=tuple(split or ()),
            annotations=annotations,
            display_px=side,
            picture=picture,
        )
    if as_json:
        print_json({"page": str(built.index), "films": built.films, "coarse": built.coarse, "bytes": built.size_bytes})
        return
    console.print(f"{built.films} films, {built.size_bytes / 2**20:.1f} MiB: open {escape(str(built.index))}")
    if built.coarse:
        console.print(
            f"[yellow]{built.coarse} films only as the network saw them: their sources are not at hand[/yellow]"
        )


@app.command("import")
def import_(
    words: Annotated[
        list[Path],
        typer.Argument(
            metavar="[DECISIONS...] RUN",
            help="JSON of the page, COCO or Label Studio, DICOM reports, folders of reports; last the run",
        ),
    ],
    source: Annotated[
        tuple[str, str] | None,
        typer.Option("--from", help="Fetch reports from a PACS first: dicomweb URL, or dimse AET@host:port"),
    ] = None,
    study: Study = "",
    date: Date = "",
    reader: Annotated[
        str, typer.Option(help="Who read; default: whom the file names, else the file's or folder's own name")
    ] = "",
    policy: Annotated[Literal["majority", "union"], typer.Option(help="How readers become one truth")] = "majority",
    resamples: Annotated[int, typer.Option(min=0, help="Of the patients, for intervals")] = 1000,
    trained: Trained = None,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    tls: Tls = False,
    aet: Aet = "CAMRAY",
    listen: Listen = None,
    timeout: Timeout = 60.0,
    attempts: Attempts = 6,
    as_json: AsJson = False,
) -> None:
    """Measure readers against the AI and one another, and merge their answers into RUN/reviewed.

    With --from, reports of the studies that camray exported (or of --study, or --date) are fetched into RUN/reports.

    The merged tables are annotations: train or score with data.manifest=folder data.labels=RUN/reviewed/labels.csv
    data.boxes=RUN/reviewed/boxes.csv.

    Example: [bold]camray review import decisions-*.json runs/phantom[/bold]

    From a PACS: [bold]camray review import runs/phantom --from dicomweb https://pacs.example/dicom-web[/bold]
    """
    from camray.adapters.run_folder import RunFolder
    from camray.io.tracking import open_tracker
    from camray.workflows.pacs.send import studies_of
    from camray.workflows.review.import_decisions import headline, import_decisions
    from camray.workflows.run import settings_of

    *paths, run = words
    settings, folder = settings_of(run), RunFolder(run, trained=trained)
    if source is not None:
        access = access_of(ca_file, cert_file, key_file, tls, timeout)
        studies = [study] if study or date else studies_of(folder) or [""]
        queries = [(each, date, "SR") for each in studies]
        fetch_from(source, access, aet, queries, run / REPORTS, attempts, listen, quiet=as_json)
        paths.append(run / REPORTS)
    if not paths:
        raise SettingsError("no decisions: name files or folders before RUN, or a PACS with --from")
    with open_tracker(settings, folder) as tracker:
        found = import_decisions(paths, folder, tracker, reader=reader, policy=policy, resamples=resamples)
    rows = headline(found.agreement)
    if as_json:
        plain = found.agreement.astype(object).where(found.agreement.notna(), None).to_dict("records")
        problems = [vars(problem) for problem in found.problems]
        print_json({"folder": str(found.folder), "counts": found.counts, "agreement": plain, "problems": problems})
        return
    _tell(found, rows)


def _tell(found: Any, rows: Any) -> None:
    table = Table(title="Readers (95 % intervals by patient; times with quartiles)", padding=(0, 1))
    for column in ("phase", "reader", "against", "metric", "value", "n"):
        table.add_column(column)
    for row in rows.itertuples(index=False):
        name = row.metric + (f" at IoU {row.criterion:g}" if row.criterion == row.criterion else "")
        between = f" ({row.low:.2f} to {row.high:.2f})" if row.low == row.low else ""
        value = f"{row.value:.2f}{between}" if row.value == row.value else "undefined"
        table.add_row(row.phase, escape(row.reader), escape(row.other), name, value, str(row.n))
    Console().print(table)
    console.print(", ".join(f"{name.replace('_', ' ')} {count}" for name, count in found.counts.items()))
    for problem in found.problems[:SHOWN_PROBLEMS]:
        where = " ".join(part for part in (problem.reader, problem.image_id, problem.label) if part)
        console.print(
            f"[yellow]{escape(problem.source)}[/yellow] {escape(where)}: {escape(problem.what)}", highlight=False
        )
    if len(found.problems) > SHOWN_PROBLEMS:
        console.print(
            f"and {len(found.problems) - SHOWN_PROBLEMS} more in {escape(str(found.folder / 'problems.csv'))}"
        )
    console.print(f"written to {escape(str(found.folder))}")
