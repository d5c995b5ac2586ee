"""Model card of a trained run, made again from what the run holds.

Reads   ``ingest/ train/ score/`` and the settings
Writes  ``card/card.md card.html``
Run     ``camray card runs/phantom``
"""

from pathlib import Path

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.io.artifacts import artifacts_of
from camray.io.model_card import read_card_facts
from camray.io.workflow_artifacts import CardFiles
from camray.reporting.model_card import card_markdown, card_page
from camray.workflows.stored_settings import settings_of


def write_card(run: Path, out: Path | None = None) -> CardFiles:
    """Write the model card of a run as Markdown and as a page.

    Parameters
    ----------
    run : Path
        Folder of the run that trained the network.
    out : Path, optional
        Folder to write into; default: ``card`` in the run.

    Returns
    -------
    CardFiles
        What was written.

    Raises
    ------
    SettingsError
        If the folder holds no run.
    PipelineError
        If the run has no trained network.
    """
    settings, folder = settings_of(run), RunFolder(run)
    facts = read_card_facts(folder, settings)
    files = artifacts_of(folder).card if out is None else CardFiles(out)
    files.folder.mkdir(parents=True, exist_ok=True)
    write_bytes(files.markdown, card_markdown(facts).encode())
    write_bytes(files.page, card_page(facts).encode())
    return files
