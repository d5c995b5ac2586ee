"""What every command imports: loaded once, in the process that all warm commands are forked from."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from camray.adapters.tracking.store import import_mlflow
from camray.cli import main
from camray.stages.ingest.film_worker import read_row
from camray.workflows import run
from camray.workflows.review import export_page

__all__ = ["export_page", "main", "read_row", "run"]
import_mlflow()
