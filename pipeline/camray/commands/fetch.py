"""``fetch``: films or reports from a PACS into a folder."""

from pathlib import Path
from typing import Annotated

import typer

from camray.commands.arguments import PACS_COMMANDS, AsJson, print_json
from camray.commands.connection import FetchOptions, QueryOptions, fetch_from, film_query
from camray.commands.option_groups import expand_option_groups
from camray.domain.errors import PeerError

app = typer.Typer()


@app.command(rich_help_panel=PACS_COMMANDS)
@expand_option_groups
def fetch(
    protocol: Annotated[str, typer.Argument(help="dicomweb or dimse")],
    address: Annotated[str, typer.Argument(help="URL, or AET@host:port")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the films")],
    query: QueryOptions,
    connection: FetchOptions,
    as_json: AsJson = False,
) -> None:
    """Fetch films from a PACS into a folder. Run the command again to resume: existing files are not fetched again.

    By QIDO-RS and WADO-RS, or by C-FIND and C-GET, or, with --listen, C-MOVE. With --modality SR it fetches reports.
    Exit code 4: the PACS could not be reached; 5: it refused the credentials or some films.

    Example: [bold]camray fetch dicomweb https://pacs.example/dicom-web --out films --date 20260101-20260131[/bold]

    By C-MOVE: [bold]camray fetch dimse PACS@pacs.example:11112 --aet CAMRAY --listen 11113 --out films[/bold]
    """
    queries = [film_query(query.study, query.date, query.modality)]
    done = fetch_from((protocol, address), connection, queries, out, quiet=as_json)[0]
    if as_json:
        print_json(done.as_json())
    if done.refused:
        raise typer.Exit(PeerError.exit_code)
