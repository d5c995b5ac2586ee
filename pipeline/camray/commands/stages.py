"""One command per stage; ``ingest`` can fetch from a PACS, and ``export`` deliver to one."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from camray.commands.arguments import (
    STAGE_COMMANDS,
    Config,
    OutputOptions,
    RunOptions,
    console,
    print_json,
)
from camray.commands.connection import (
    CONNECTION_PANEL,
    ConnectionOptions,
    FetchOptions,
    QueryOptions,
    fetch_from,
    film_query,
)
from camray.commands.experiment import execute, opened
from camray.commands.option_groups import expand_option_groups
from camray.commands.parts import PartOptions, execute_part
from camray.domain.errors import PeerError, SettingsError, UnreachableError

app = typer.Typer()
DICOM_FORMATS = ("sr", "gsps", "sc", "seg", "pdf")
DEFAULT_FORMATS = ("sr", "gsps")
_EARLIER = "Earlier stages run first if needed."


@dataclass(frozen=True)
class ExportOptions:
    """What ``export`` writes, and where the objects go."""

    formats: Annotated[
        str | None,
        typer.Option(
            help="Formats, separated by commas: overlays, csv, coco, labelstudio, voc, and as DICOM sr, gsps, sc, seg, "
            "pdf. Formats exported before are kept"
        ),
    ] = None
    to: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--to",
            metavar="PROTOCOL ADDRESS",
            help="Deliver the DICOM objects: dicomweb URL, or dimse AET@host:port",
            rich_help_panel=CONNECTION_PANEL,
        ),
    ] = None
    trained: Annotated[
        Path | None, typer.Option(help="Run that holds the model, if CONFIG is a folder that `camray predict` wrote")
    ] = None


@dataclass(frozen=True)
class IngestOptions(QueryOptions):
    """Films that ``ingest`` fetches first."""

    source: Annotated[
        tuple[str, str] | None,
        typer.Option(
            "--from",
            metavar="PROTOCOL ADDRESS",
            help="Fetch the films first: dicomweb URL, or dimse AET@host:port",
            rich_help_panel=CONNECTION_PANEL,
        ),
    ] = None


def _stage_command(name: str, summary: str) -> None:
    def command(config: Config, options: RunOptions, output: OutputOptions) -> None:
        settings, folder = opened(config, options.overrides, options.runs, quiet=output.as_json)
        execute(settings, folder, name, options, output, must_track=name != "score")

    command.__doc__ = f"""{summary}

    Example: [bold]camray {name} configs/phantom.yaml[/bold]
    """
    app.command(name, rich_help_panel=STAGE_COMMANDS)(expand_option_groups(command))


def _shared_stage_command(name: str, summary: str) -> None:
    def command(config: Config, options: RunOptions, share: PartOptions, output: OutputOptions) -> None:
        part = share.parsed(force=options.force)
        settings, folder = opened(config, options.overrides, options.runs, quiet=output.as_json)
        if part is not None:
            execute_part(settings, folder, name, part, output)
        else:
            execute(settings, folder, name, options, output)

    command.__doc__ = f"""{summary}

    Example: [bold]camray {name} configs/phantom.yaml[/bold]

    The first of five machines: [bold]camray {name} configs/phantom.yaml --part 1/5[/bold]
    """
    app.command(name, rich_help_panel=STAGE_COMMANDS)(expand_option_groups(command))


_stage_command("generate", "Generate the films of the data manifest 'phantom'.")


@app.command(rich_help_panel=STAGE_COMMANDS)
@expand_option_groups
def ingest(
    *,
    config: Config,
    run: RunOptions,
    share: PartOptions,
    options: IngestOptions,
    connection: FetchOptions,
    output: OutputOptions,
) -> None:
    """Read films and tables into the pixel store; audit them for shortcuts.

    Earlier stages run first if needed.

    Example: [bold]camray ingest configs/phantom.yaml[/bold]

    From a PACS: [bold]camray ingest configs/folder.yaml --from dicomweb https://pacs.example/dicom-web --date
    20260101-20260131[/bold]

    The first of five machines: [bold]camray ingest configs/folder.yaml --part 1/5[/bold]
    """
    part = share.parsed(force=run.force)
    if part is not None and options.source is not None:
        raise SettingsError("--part with --from: fetch the films once, by the command without --part")
    settings, folder = opened(config, run.overrides, run.runs, quiet=output.as_json)
    if options.source is not None:
        films = folder.root / "fetched"
        fetch_from(options.source, connection, [film_query(options.study, options.date, options.modality)], films)
        overrides = [*(run.overrides or []), f"data.root={films}", "data.generate=null"]
        settings, _ = opened(config, overrides, run.runs)
        console.print(f"later stages need these films too: run them with data.root={escape(str(films))}")
    if part is not None:
        execute_part(settings, folder, "ingest", part, output)
    else:
        execute(settings, folder, "ingest", run, output)


_stage_command("train", f"Fit the classifier to image-level labels.\n\n    {_EARLIER}")
_shared_stage_command("explain", f"Compute logits and raw heat maps.\n\n    {_EARLIER}")
_shared_stage_command("localize", f"Turn heat maps into boxes on the native grid.\n\n    {_EARLIER}")
_stage_command("score", f"Score boxes and maps beside trivial baselines.\n\n    {_EARLIER}")


@app.command(rich_help_panel=STAGE_COMMANDS)
@expand_option_groups
def export(
    config: Config, run: RunOptions, options: ExportOptions, connection: ConnectionOptions, output: OutputOptions
) -> None:
    """Write overlays, tables and DICOM objects, and deliver the objects.

    Earlier stages run first if needed.

    Secrets come from CAMRAY_PACS_USER and CAMRAY_PACS_PASSWORD, or CAMRAY_PACS_TOKEN. If the connection drops, run the
    command again: no object is lost or sent twice. Exit code 4: not all objects were delivered, run again; 5: the PACS
    refused the credentials or some objects.

    Example: [bold]camray export runs/phantom --formats sr,gsps --to dicomweb https://pacs.example/dicom-web[/bold]

    By DIMSE: [bold]camray export runs/phantom --to dimse PACS@pacs.example:11112 --tls[/bold]
    """
    settings, folder = opened(config, run.overrides, run.runs, options.trained, quiet=output.as_json)
    settings = _with_formats(settings, folder, options.formats, options.to is not None)
    if options.to is None:
        execute(settings, folder, "export", run, output, must_track=False)
        return
    _check_destination(options.to, connection)
    execute(settings, folder, "export", run, OutputOptions(output.csv, as_json=False), must_track=False)
    _deliver(folder, options.to, connection, output.as_json)


def _with_formats(settings: Any, folder: Any, formats: str | None, delivers: bool) -> Any:
    """Return settings that export the formats of the command line and those that the run has exported already.

    The stage writes its folder anew: a format that is not in the settings would disappear. A delivery needs at least
    one DICOM format.
    """
    from camray.adapters.settings.loading import with_export_formats

    given = [name.strip() for name in (formats or "").split(",") if name.strip()]
    if delivers and given and not set(given) & set(DICOM_FORMATS):
        raise SettingsError(
            f"--formats {formats}: none of these is a DICOM format; --to delivers {', '.join(DICOM_FORMATS)}"
        )
    exported = list(((folder.record("export") or {}).get("settings") or {}).get("export", {}).get("formats", ()))
    selected = given or list(settings.export.formats)
    if delivers and not set(selected) & set(DICOM_FORMATS):
        selected += [name for name in exported if name in DICOM_FORMATS] or DEFAULT_FORMATS
    if formats is None and selected == list(settings.export.formats):
        return settings
    return with_export_formats(settings, ",".join(dict.fromkeys([*exported, *selected])))


def _check_destination(to: tuple[str, str], connection: ConnectionOptions) -> None:
    """Report an invalid address before the stages run."""
    from camray.workflows.pacs.connection import open_peer

    with open_peer(*to, connection.credentials(), (), connection.aet):
        pass


def _deliver(folder: Any, to: tuple[str, str], connection: ConnectionOptions, as_json: bool) -> None:
    from camray.adapters.ledgers.delivery_log import DeliveryLog
    from camray.io.artifacts import artifacts_of
    from camray.workflows.pacs.connection import open_peer
    from camray.workflows.pacs.send import deliver, objects_of

    files = objects_of(folder)
    with folder.locked(), open_peer(*to, connection.credentials(), files, connection.aet) as destination:
        done = deliver(files, destination, DeliveryLog(artifacts_of(folder).delivery_log), connection.retry_policy())
    if as_json:
        print_json(done.as_json())
    else:
        console.print(
            f"[bold]delivered[/bold] to {escape(done.address)}: {done.accepted} accepted, {done.already} there "
            f"already, {len(done.refused)} refused, {done.unreached} not delivered"
        )
        for reason, count in done.reasons.items():
            console.print(f"  [yellow]refused[/yellow] {count} x {escape(reason)}")
        if done.fault:
            console.print(f"  {escape(done.fault)}")
    if done.unreached or done.refused:
        raise typer.Exit(UnreachableError.exit_code if done.unreached else PeerError.exit_code)
