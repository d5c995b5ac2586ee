"""Reports of a small run, saved and imported again."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pydicom

from camray.adapters.dicom.silence import suppress_warnings
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.bootstrap import Bootstrap
from camray.domain.geometry import Box
from camray.workflows.review.import_decisions import Imported, ImportOptions, import_decisions
from tests.adapters.dicom.edited_reports import film_of
from tests.dicom_run import LABELS

MASS, EFFUSION = LABELS
SUMMARY = f"{MASS} 0.90, right upper zone (AI, not verified)"


def reports_of(run: RunFolder) -> dict[str, pydicom.Dataset]:
    """Camray's reports by film, in the films' order."""
    found = (pydicom.dcmread(path) for path in (run.root / "export" / "dicom").glob("*.sr.dcm"))
    table = pd.read_parquet(run.root / "ingest" / "images.parquet")
    by_film = {film_of(report)[1]: report for report in found}
    return {image_id: by_film[image_id] for image_id in table["image_id"]}


def saved(ds: pydicom.Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress_warnings():
        ds.save_as(path, enforce_file_format=True)
    return path


def imported(run: RunFolder, *paths: Path, reader: str = "") -> tuple[Imported, dict[tuple[str, str, str], Any]]:
    found = import_decisions(list(paths), run, NullTracker(), ImportOptions(Bootstrap(0, 0.95, 1), reader))
    table = pd.read_parquet(found.folder / "decisions.parquet")
    rows = {(row.reader, row.image_id, row.label): row for row in table.itertuples(index=False)}
    return found, rows


def boxes_of(row: Any) -> list[Box]:
    return [Box(*corners) for corners in json.loads(row.boxes)]
