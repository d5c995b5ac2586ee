"""Head of the score report: which camray, when, which films, which network, and how to have it again."""

from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.package_marks import lacks_films
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.contract import ModelContract
from camray.domain.records import Split
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import ExplainedRun
from camray.io.film_results import localized_at
from camray.io.ingested_films import IngestedFilms, read_ingested

_SHOWN_DIGEST = 12  # characters


def report_head(settings: Settings, run: ExplainedRun) -> list[tuple[str, str]]:
    """Return titles and texts, in order.

    The date is the day on which the boxes were drawn: a report that is made again is the same, byte for byte.
    """
    contract, network = run.films.contract, artifacts_of(run.folder.model_run).train.contract
    lines = [
        ("Version", f"camray {code_version()}"),
        ("Date", f"{localized_at(run).date().isoformat()} (boxes drawn)"),
        ("Data", f"data manifest {contract.manifest}, digest {contract.data_digest[:_SHOWN_DIGEST]}"),
        ("Films", films_by_split(run.films)),
    ]
    if run.folder.trained is not None and not lacks_films(run.folder.model_run.root):
        lines.append(("Trained on", films_by_split(read_ingested(run.folder.model_run))))
    if network.path.is_file():
        lines.append(("Network", network_text(network.read())))
    return [*lines, ("Command", _command(settings, run.folder))]


def films_by_split(films: IngestedFilms) -> str:
    """Count films and patients: ``train 77 (58 patients), test 26 (21 patients)``."""
    parts = {split.value: films.split(split) for split in Split}
    return ", ".join(
        f"{name} {len(part)} ({part['patient_key'].nunique()} patients)" for name, part in parts.items() if len(part)
    )


def network_text(contract: ModelContract) -> str:
    """Name the network, its pool, its input and its map."""
    network = contract.network
    return (
        f"{network.backbone}, pool {network.pool}, films of {contract.rows} x {contract.cols} px, maps of "
        f"{contract.feature_rows} x {contract.feature_cols} cells"
    )


def _command(settings: Settings, folder: RunFolder) -> str:
    if folder.trained is not None:
        return "camray predict RUN FILMS, with the settings that are stored in the run"
    return f"camray run RUNS/{settings.name}, with the settings that are stored there"
