"""Films of a run as inputs of the tracked run: a data set for each split, with counts and a digest, never a row.

Reads   ``ingest/images.parquet contract.json``
"""

from collections.abc import Sequence

from camray.adapters.tracking.interface import Tracker
from camray.domain.records import Split
from camray.io.ingested_films import IngestedFilms

_CONTEXTS = {Split.TRAIN: "training", Split.VALIDATION: "validation", Split.TEST: "test"}
_COLUMNS = ["image_id", "patient_key", "rows", "cols"]


def track_films(films: IngestedFilms, splits: Sequence[Split], tracker: Tracker) -> None:
    """Record the films of these splits; a split without films is left out."""
    contract = films.contract
    for split in splits:
        table = films.split(split)[_COLUMNS]
        if len(table):
            name = f"{contract.manifest}-{split.value}"
            source = f"data manifest {contract.manifest}"
            tracker.dataset(table, name, source, contract.data_digest, _CONTEXTS[split])
