"""``export``, ``ingest`` and ``fetch``: what may go to a PACS, or come from one."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from camray.commands.arguments import AsCsv, AsJson, Config, Force, Overrides, Runs, console, print_json
from camray.commands.experiment import execute, opened
from camray.domain.errors import SettingsError

app = typer.Typer()
DICOM_FORMATS = ("sr", "gsps", "sc", "seg", "pdf")
DEFAULT_FORMATS = ("sr", "gsps")

CaFile = Annotated[Path | None, typer.Option("--ca-file", help="Authorities to trust (PEM); default: the system's")]
CertFile = Annotated[Path | None, typer.Option("--cert-file", help="Own certificate (PEM)")]
KeyFile = Annotated[Path | None, typer.Option("--key-file", help="Key of --cert-file, if it is another file")]
Tls = Annotated[bool, typer.Option("--tls", help="Encrypt DIMSE; DICOMweb goes by its address")]
Aet = Annotated[str, typer.Option("--aet", help="Our own application entity title")]
Timeout = Annotated[float, typer.Option("--timeout", min=1, help="Seconds for one network operation")]
Listen = Annotated[
    int | None,
    typer.Option(
        "--listen",
        min=1,
        max=65535,
        help="DIMSE: by C-MOVE to this port of ours, which the other side knows under --aet; default: by C-GET",
    ),
]
Attempts = Annotated[int, typer.Option("--attempts", min=1, help="Tries for one object, with growing waits")]
Study = Annotated[str, typer.Option("--study", help="Study Instance UID; default: all")]
Date = Annotated[str, typer.Option("--date", help="Study date, YYYYMMDD or YYYYMMDD-YYYYMMDD")]
Modality = Annotated[str, typer.Option("--modality", help="Modalities, with commas; empty for all")]


@app.command()
def export(
    config: Annotated[Path, typer.Argument(help="Experiment, or the folder of a run, for instance runs/phantom")],
    overrides: Overrides = None,
    formats: Annotated[
        str | None,
        typer.Option(
            help="overlays, csv, coco, labelstudio, voc, and as DICOM sr, gsps, sc, seg, pdf; with commas. "
            "They come beside what is exported already"
        ),
    ] = None,
    to: Annotated[
        tuple[str, str] | None,
        typer.Option("--to", help="Deliver DICOM objects: dicomweb URL, or dimse AET@host:port"),
    ] = None,
    trained: Annotated[
        Path | None, typer.Option(help="Run that the network is from, where the folder was made by `predict`")
    ] = None,
    runs: Runs = Path("runs"),
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    tls: Tls = False,
    aet: Aet = "CAMRAY",
    timeout: Timeout = 60.0,
    attempts: Attempts = 6,
    force: Force = False,
    csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Write overlays, tables and DICOM objects, and deliver the objects. Earlier stages run first where needed.

    Secrets come from CAMRAY_PACS_USER and CAMRAY_PACS_PASSWORD, or CAMRAY_PACS_TOKEN. What a broken line left behind
    is delivered when the same command is given again; nothing is delivered twice.

    Example: [bold]camray export runs/phantom --formats sr,gsps --to dicomweb https://pacs.example/dicom-web[/bold]

    By DIMSE: [bold]camray export runs/phantom --to dimse PACS@pacs.example:11112 --tls[/bold]
    """
    settings, folder = opened(config, overrides, runs, trained)
    settings = _with_formats(settings, folder, formats, to is not None)
    access = access_of(ca_file, cert_file, key_file, tls, timeout)
    if to is not None:
        _check_destination(to, access, aet)
    execute(settings, folder, "export", force, csv, as_json and to is None)
    if to is not None:
        _deliver(folder, to, access, aet, attempts, as_json)


@app.command()
def ingest(
    config: Config,
    overrides: Overrides = None,
    source: Annotated[
        tuple[str, str] | None,
        typer.Option("--from", help="Fetch the films first: dicomweb URL, or dimse AET@host:port"),
    ] = None,
    study: Study = "",
    date: Date = "",
    modality: Modality = "CR,DX",
    runs: Runs = Path("runs"),
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    tls: Tls = False,
    aet: Aet = "CAMRAY",
    listen: Listen = None,
    timeout: Timeout = 60.0,
    attempts: Attempts = 6,
    force: Force = False,
    csv: AsCsv = False,
    as_json: AsJson = False,
) -> None:
    """Read films and tables into the pixel store; audit them for shortcuts. Earlier stages run first where needed.

    Example: [bold]camray ingest configs/phantom.yaml[/bold]

    From a PACS: [bold]camray ingest configs/folder.yaml --from dicomweb https://pacs.example/dicom-web --date
    20260101-20260131[/bold]
    """
    settings, folder = opened(config, overrides, runs)
    if source is not None:
        films = folder.root / "fetched"
        access = access_of(ca_file, cert_file, key_file, tls, timeout)
        fetch_from(source, access, aet, [(study, date, modality)], films, attempts, listen)
        settings, _ = opened(config, [*(overrides or []), f"data.root={films}", "data.generate=null"], runs)
        console.print(f"later stages need these films too: give them data.root={escape(str(films))}")
    execute(settings, folder, "ingest", force, csv, as_json)


@app.command()
def fetch(
    how: Annotated[str, typer.Argument(help="dicomweb or dimse")],
    address: Annotated[str, typer.Argument(help="URL, or AET@host:port")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the films")],
    study: Study = "",
    date: Date = "",
    modality: Modality = "CR,DX",
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
    """Fetch films from a PACS into a folder. A second call goes on.

    By QIDO-RS and WADO-RS, or by C-FIND and C-GET, or, with --listen, C-MOVE. Reports come with --modality SR.

    Example: [bold]camray fetch dicomweb https://pacs.example/dicom-web --out films --date 20260101-20260131[/bold]

    By C-MOVE: [bold]camray fetch dimse PACS@pacs.example:11112 --aet CAMRAY --listen 11113 --out films[/bold]
    """
    access = access_of(ca_file, cert_file, key_file, tls, timeout)
    queries = [(study, date, modality)]
    done = fetch_from((how, address), access, aet, queries, out, attempts, listen, quiet=as_json)[0]
    if as_json:
        print_json(done.as_json())
    if done.refused:
        raise typer.Exit(4)


def _with_formats(settings: Any, folder: Any, formats: str | None, delivers: bool) -> Any:
    """Return settings with the formats of the command line beside those that are there; DICOM is what is delivered.

    The stage makes its folder anew, so what was exported before is named again, or it would go.
    """
    from camray.adapters.settings import with_export_formats

    given = [word.strip() for word in (formats or "").split(",") if word.strip()]
    if delivers and given and not set(given) & set(DICOM_FORMATS):
        raise SettingsError(f"--formats {formats}: none of them is DICOM; --to delivers {', '.join(DICOM_FORMATS)}")
    there = list(((folder.record("export") or {}).get("settings") or {}).get("export", {}).get("formats", ()))
    wanted = given or list(settings.export.formats)
    if delivers and not set(wanted) & set(DICOM_FORMATS):
        wanted += [name for name in there if name in DICOM_FORMATS] or DEFAULT_FORMATS
    if formats is None and wanted == list(settings.export.formats):
        return settings
    return with_export_formats(settings, ",".join(dict.fromkeys([*there, *wanted])))


def access_of(ca_file: Path | None, cert_file: Path | None, key_file: Path | None, tls: bool, timeout: float) -> Any:
    """Join certificates from the command line with secrets from the environment."""
    from camray.adapters.pacs.credentials import access_from

    return access_from(ca_file, cert_file, key_file, tls, timeout)


def _check_destination(to: tuple[str, str], access: Any, aet: str) -> None:
    """Find a wrong address before hours are spent on what is to go there."""
    from camray.workflows.pacs.send import open_destination

    with open_destination(*to, access, (), aet):
        pass


def _deliver(folder: Any, to: tuple[str, str], access: Any, aet: str, attempts: int, as_json: bool) -> None:
    from camray.adapters.ledgers.delivery_log import DeliveryLog
    from camray.workflows.pacs.send import LEDGER, Patience, deliver, objects_of, open_destination

    files = objects_of(folder)
    with folder.locked(), open_destination(*to, access, files, aet) as destination:
        done = deliver(files, destination, DeliveryLog(folder.root / LEDGER), Patience(attempts), time.sleep)
    if as_json:
        print_json(done.as_json())
    else:
        console.print(
            f"[bold]delivered[/bold] to {escape(done.address)}: {done.accepted} accepted, {done.already} there "
            f"already, {len(done.refused)} refused, {done.unreached} not reached"
        )
        for reason, count in done.reasons.items():
            console.print(f"  [yellow]refused[/yellow] {count} x {escape(reason)}")
        if done.fault:
            console.print(f"  {escape(done.fault)}; give the same command again: it goes on where it stopped")
    if done.refused or done.unreached:
        raise typer.Exit(4)


def fetch_from(
    source: tuple[str, str],
    access: Any,
    aet: str,
    queries: list[tuple[str, str, str]],
    out: Path,
    attempts: int,
    listen: int | None = None,
    *,
    quiet: bool = False,
) -> list[Any]:
    """Fetch what each query (study, date, modalities) lists, and tell how it went; all of them empty is an error."""
    from camray.domain.delivery import FilmQuery
    from camray.domain.errors import InputRefusedError
    from camray.workflows.pacs.retrieve import fetch_films
    from camray.workflows.pacs.send import Patience, open_destination

    patience, done, empty = Patience(attempts), [], None
    with open_destination(*source, access, (), aet, listen) as archive:
        for study, date, modality in queries:
            asked = FilmQuery(study, date, tuple(word.strip() for word in modality.split(",") if word.strip()))
            try:
                done.append(fetch_films(archive, asked, out, attempts, patience.wait_s, time.sleep))
            except InputRefusedError as error:
                empty = error
    if empty is not None and not done:
        raise empty
    if not quiet:
        fetched, already = sum(one.fetched for one in done), sum(one.already for one in done)
        console.print(f"[bold]fetched[/bold]   {fetched} objects, {already} there already: {escape(str(out))}")
        for uid, reason in {uid: reason for one in done for uid, reason in one.refused.items()}.items():
            console.print(f"  [yellow]not handed out[/yellow] {escape(uid)}: {escape(reason)}")
    return done
