"""Options for the connection to a PACS, and fetching with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from camray.commands.arguments import console

if TYPE_CHECKING:
    from camray.adapters.pacs.credentials import Credentials
    from camray.domain.delivery import FilmQuery
    from camray.workflows.pacs.retry import RetryPolicy

CONNECTION_PANEL, QUERY_PANEL = "Connection to the PACS", "Selection in the PACS"

Study = Annotated[
    str, typer.Option("--study", help="Study Instance UID; default: all studies", rich_help_panel=QUERY_PANEL)
]
Date = Annotated[
    str,
    typer.Option("--date", help="Study date, YYYYMMDD or YYYYMMDD-YYYYMMDD", rich_help_panel=QUERY_PANEL),
]
Modality = Annotated[
    str,
    typer.Option("--modality", help="Modalities, separated by commas; empty for all", rich_help_panel=QUERY_PANEL),
]


def _option(*names: str, **rest: Any) -> Any:
    return typer.Option(*names, rich_help_panel=CONNECTION_PANEL, **rest)


@dataclass(frozen=True)
class ConnectionOptions:
    """Certificates, encryption, titles and retries of a connection; secrets come from the environment."""

    ca_file: Annotated[Path | None, _option("--ca-file", help="Trusted authorities (PEM); default: the system's")] = (
        None
    )
    cert_file: Annotated[Path | None, _option("--cert-file", help="Client certificate (PEM)")] = None
    key_file: Annotated[
        Path | None, _option("--key-file", help="Private key of --cert-file, if in a separate file")
    ] = None
    tls: Annotated[bool, _option("--tls", help="Use TLS for DIMSE (for DICOMweb use an https URL)")] = False
    aet: Annotated[str, _option("--aet", help="Application entity title of camray, for DIMSE")] = "CAMRAY"
    timeout: Annotated[float, _option("--timeout", min=1, help="Seconds for one network operation")] = 60.0
    attempts: Annotated[
        int, _option("--attempts", min=1, help="Attempts per object; the wait between them doubles")
    ] = 6

    def credentials(self) -> "Credentials":
        """Return the certificates, and the secrets from the environment."""
        from camray.adapters.pacs.credentials import load_credentials

        return load_credentials(self.ca_file, self.cert_file, self.key_file, self.tls, self.timeout)

    def retry_policy(self) -> "RetryPolicy":
        """Return how often a request is tried."""
        from camray.workflows.pacs.retry import RetryPolicy

        return RetryPolicy(self.attempts)


@dataclass(frozen=True)
class FetchOptions(ConnectionOptions):
    """Options of a connection that fetches."""

    listen: Annotated[
        str | None,
        _option(
            "--listen",
            metavar="[AET@][ADDRESS:]PORT",
            help="Fetch by C-MOVE to this port of this machine, which the PACS must know under --aet; default: C-GET. "
            "ADDRESS: interface to bind, default the one that reaches the PACS; AET: title that the PACS must call "
            "with, default any",
        ),
    ] = None


@dataclass(frozen=True)
class QueryOptions:
    """Which films are fetched."""

    study: Study = ""
    date: Date = ""
    modality: Modality = "CR,DX"


def film_query(study: str, date: str, modality: str) -> "FilmQuery":
    """Return the query of --study, --date and --modality."""
    from camray.domain.delivery import FilmQuery

    return FilmQuery(study, date, tuple(part.strip() for part in modality.split(",") if part.strip()))


def fetch_from(
    source: tuple[str, str], options: FetchOptions, queries: "Sequence[FilmQuery]", out: Path, *, quiet: bool = False
) -> list[Any]:
    """Fetch the objects of each query into a folder, and report the counts.

    Parameters
    ----------
    source : tuple of str
        Protocol and address.
    options : FetchOptions
        Of the connection.
    queries : sequence of FilmQuery
        One connection serves them all.
    out : Path
        Folder.
    quiet : bool
        Print nothing.

    Raises
    ------
    InputRefusedError
        If no query lists an object.
    """
    from camray.domain.errors import InputRefusedError
    from camray.workflows.pacs.connection import open_peer
    from camray.workflows.pacs.retrieve import fetch_films

    done, nothing_listed = [], None
    with open_peer(*source, options.credentials(), (), options.aet, options.listen) as archive:
        for query in queries:
            try:
                done.append(fetch_films(archive, query, out, options.retry_policy()))
            except InputRefusedError as error:
                nothing_listed = error
    if nothing_listed is not None and not done:
        raise nothing_listed
    if not quiet:
        _report(done, out)
    return done


def _report(done: list[Any], out: Path) -> None:
    fetched, already = sum(each.fetched for each in done), sum(each.already for each in done)
    console.print(f"[bold]fetched[/bold]   {fetched} objects, {already} there already: {escape(str(out))}")
    for uid, reason in {uid: reason for each in done for uid, reason in each.refused.items()}.items():
        console.print(f"  [yellow]refused[/yellow] {escape(uid)}: {escape(reason)}")
