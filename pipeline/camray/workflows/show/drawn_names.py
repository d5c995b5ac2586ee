"""Names of a run's findings as pictures can write them.

Reads   ``ingest/contract.json``, where the run has it
"""

from collections.abc import Sequence
from dataclasses import dataclass

from camray.adapters.dicom.write.common_attributes import code_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.labels import Finding
from camray.io.artifacts import artifacts_of
from camray.reporting.fonts import drawable_names, font_note

AGAIN = "run the same command again"


@dataclass(frozen=True)
class DrawnNames:
    """What pictures write for each name, and a note on the names that no installed font has; may be empty."""

    by_name: dict[str, str]
    note: str


def drawn_names(folder: RunFolder, labels: Sequence[str], drawn: Sequence[str]) -> DrawnNames:
    """Return what pictures write for a run's labels, as its stages do.

    Parameters
    ----------
    folder : RunFolder
        A trained run.
    labels : sequence of str
        All of its labels.
    drawn : sequence of str
        Those that are written; the note speaks of these.
    """
    contract = artifacts_of(folder).ingest.contract
    known = {finding.name: finding for finding in contract.read().findings} if contract.path.is_file() else {}
    names = drawable_names({label: code_of(known.get(label, Finding(label))) for label in labels})
    return DrawnNames(names, font_note(drawn, again=AGAIN))
