"""Artifacts of a run: every file name and its type. No other module names a file of a run folder.

``RunArtifacts(root).ingest.images.read()`` reads a table, ``RunArtifacts(root).score.report_page`` is a path.
"""

import io
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.checkpoints import read_contract
from camray.adapters.pixel_store import OPEN_SHARDS, PixelStore, shard_path
from camray.adapters.run_folder import RunFolder, read_table, write_bytes, write_json, write_table
from camray.core.localization.box_thresholds import Thresholds
from camray.core.map_sanity.table import SANITY_COLUMNS
from camray.core.metrics.model_comparison import COMPARE_COLUMNS
from camray.domain.contract import ModelContract
from camray.domain.records import (
    ANNOTATION_COLUMNS,
    EPOCH_COLUMNS,
    EXPLAINED_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    LUNG_COLUMNS,
    PREDICTION_COLUMNS,
    REFUSAL_COLUMNS,
)
from camray.io.explanation_grid import ExplanationGrid, read_grid, write_grid
from camray.io.ingest_contract import IngestContract, read_ingest_contract, write_ingest_contract
from camray.io.thresholds import read_thresholds, write_thresholds

_T = TypeVar("_T")


@dataclass(frozen=True)
class TableFile:
    """A Parquet table with fixed columns."""

    path: Path
    columns: Mapping[str, str]

    def read(self, categories: Collection[str] = ()) -> pd.DataFrame:
        """Read the table; see `camray.adapters.run_folder.read_table`."""
        return read_table(self.path, self.columns, categories)

    def write(self, table: pd.DataFrame) -> None:
        """Write the table; see `camray.adapters.run_folder.write_table`."""
        write_table(self.path, table, self.columns)

    def is_file(self) -> bool:
        """Tell whether the file exists."""
        return self.path.is_file()


@dataclass(frozen=True)
class RecordFile(Generic[_T]):
    """A JSON file that holds one record."""

    path: Path
    reader: Callable[[Path], _T]
    writer: Callable[[Path, _T], None]

    def read(self) -> _T:
        """Read the record."""
        return self.reader(self.path)

    def write(self, record: _T) -> None:
        """Write the record."""
        self.writer(self.path, record)

    def is_file(self) -> bool:
        """Tell whether the file exists."""
        return self.path.is_file()


@dataclass(frozen=True)
class _Folder:
    """A folder of artifacts."""

    folder: Path


class _Named(Generic[_T]):
    """A descriptor: the artifact of a fixed name in the folder of its owner."""

    def __init__(self, name: str, kind: Callable[[Path], _T]) -> None:
        self._name, self._kind = name, kind

    def __get__(self, owner: _Folder, owner_type: type[_Folder] | None = None) -> _T:
        return self._kind(owner.folder / self._name)


def _path(name: str) -> _Named[Path]:
    return _Named(name, Path)


def _table(name: str, columns: Mapping[str, str]) -> _Named[TableFile]:
    return _Named(name, lambda path: TableFile(path, columns))


def _record(name: str, reader: Callable[[Path], _T], writer: Callable[[Path, _T], None]) -> _Named[RecordFile[_T]]:
    return _Named(name, lambda path: RecordFile(path, reader, writer))


def _write_contract(path: Path, contract: ModelContract) -> None:
    write_json(path, contract.as_json())


class GeneratedFiles(_Folder):
    """``generate/``: phantom films and their tables."""

    labels = _path("labels.csv")
    boxes = _path("boxes.csv")
    lesion_masks = _path("masks.parquet")
    lung_masks = _path("lung_masks.parquet")
    unfinished = _path("parts")

    def film(self, name: str) -> Path:
        """Return one film."""
        return self.folder / "films" / f"{name}.dcm"

    def unfinished_film(self, name: str) -> Path:
        """Return what the tables will need of one film, while the stage runs."""
        return self.unfinished / f"{name}.json"


class IngestFiles(_Folder):
    """``ingest/``: films on the model grid, labels and annotations."""

    images = _table("images.parquet", IMAGE_COLUMNS)
    labels = _table("labels.parquet", LABEL_COLUMNS)
    annotations = _table("annotations.parquet", ANNOTATION_COLUMNS)
    ignored = _table("ignored.parquet", ANNOTATION_COLUMNS)
    refusals = _table("refusals.parquet", REFUSAL_COLUMNS)
    contract: _Named[RecordFile[IngestContract]] = _record("contract.json", read_ingest_contract, write_ingest_contract)
    store_folder = _path("store")
    audit = _path("audit.json")
    audit_page = _path("audit.html")
    probe_logits = _path("probes.npy")
    unfinished = _path("parts")

    @property
    def store(self) -> PixelStore:
        """Pixels on the model grid."""
        return PixelStore(self.store_folder)


class UnfinishedIngestFiles(_Folder):
    """``ingest/parts/``: chunks of an ingest that has not ended."""

    def rows(self, chunk: int) -> Path:
        """Return the table of a chunk's files."""
        return self.folder / f"facts-{chunk:05d}.parquet"

    def statistics(self, chunk: int) -> Path:
        """Return the image statistics of a chunk."""
        return shard_path(self.folder, chunk, "glance")

    def pixels(self, chunk: int) -> Path:
        """Return the pixels of a chunk."""
        return shard_path(self.folder, chunk)


class TrainFiles(_Folder):
    """``train/``: a trained network."""

    weights = _path("model.safetensors")
    contract: _Named[RecordFile[ModelContract]] = _record("contract.json", read_contract, _write_contract)
    epochs = _table("epochs.parquet", EPOCH_COLUMNS)
    epochs_csv = _path("epochs.csv")
    weights_report = _path("weights_report.json")
    unfinished = _path("state")


class ExplainFiles(_Folder):
    """``explain/``: logits and heat maps."""

    images = _table("images.parquet", EXPLAINED_COLUMNS)
    logits = _path("logits.npy")
    grid: _Named[RecordFile[ExplanationGrid]] = _record("grid.json", read_grid, write_grid)
    costs = _path("costs.json")

    def heat_shard(self, method: str, shard: int) -> Path:
        """Return one shard of a method's raw maps, float16 [n, labels, h, w]."""
        return shard_path(self.folder, shard, f"heat-{method}")

    def heat_store(self, method: str, most_open: int = OPEN_SHARDS) -> PixelStore:
        """Open a method's raw maps."""
        return PixelStore(self.folder, f"heat-{method}", most_open)

    def prior(self, method: str) -> Path:
        """Return a method's prior maps, float32 [labels, h, w]."""
        return self.folder / f"prior-{method}.npy"

    def read_prior(self, method: str) -> NDArray[np.float32] | None:
        """Return a method's prior maps [labels, h, w], or None where none were made."""
        path = self.prior(method)
        return np.asarray(np.load(path, allow_pickle=False), np.float32) if path.is_file() else None

    def unfinished_logits(self, shard: int) -> Path:
        """Return the logits of one shard while the stage runs."""
        return self.folder / f"logits-{shard:05d}.npy.tmp"

    def unfinished_cost(self, method: str) -> Path:
        """Return what one method cost, while a comparison explains."""
        return self.folder / f"cost-{method}.tmp"


class LocalizeFiles(_Folder):
    """``localize/``: thresholds, boxes and lungs."""

    thresholds: _Named[RecordFile[Thresholds]] = _record("thresholds.json", read_thresholds, write_thresholds)
    predictions = _table("predictions.parquet", PREDICTION_COLUMNS)
    lungs = _table("lungs.parquet", LUNG_COLUMNS)


class ScoreFiles(_Folder):
    """``score/``: scores and the report."""

    scores = _path("scores.csv")
    report_page = _path("report.html")
    pictures = _path("pictures")

    def segmentations(self, split: str) -> Path:
        """Return the predicted masks of a split."""
        return self.folder / f"segmentations-{split}.json"


class ExportFiles(_Folder):
    """``export/``: boxes for other tools, overlays and DICOM objects."""

    overlays = _path("overlays")
    boxes = _path("boxes.csv")
    coco = _path("coco.json")
    label_studio = _path("labelstudio.json")
    voc = _path("voc")
    dicom = _path("dicom")

    @property
    def objects(self) -> Path:
        """List of the DICOM objects."""
        return self.dicom / "objects.csv"

    @property
    def refused(self) -> Path:
        """List of the films without DICOM objects."""
        return self.dicom / "refused.csv"

    @property
    def header_changes(self) -> Path:
        """Header values of source films that objects do not repeat as they are."""
        return self.dicom / "header_changes.csv"

    def dicom_object(self, film_name: str, kind: str) -> Path:
        """Return one DICOM object of a film."""
        return self.dicom / f"{film_name}.{kind}.dcm"

    def dicom_objects(self) -> list[Path]:
        """List the DICOM objects that exist, sorted."""
        return sorted(self.dicom.glob("*.dcm"))


class SanityFiles(_Folder):
    """``sanity/``: results of the map checks."""

    table = _table("sanity.parquet", SANITY_COLUMNS)
    table_csv = _path("sanity.csv")
    cascade_csv = _path("cascade.csv")
    curves_csv = _path("curves.csv")
    cascade_chart = _path("cascade.png")
    curves_chart = _path("curves.png")


class ReviewFiles(_Folder):
    """``review/``: the review page."""

    index = _path("index.html")


class ReviewedFiles(_Folder):
    """``reviewed/``: decisions of the readers, and the data set that they make."""

    decisions = _path("decisions.parquet")
    readings = _path("readings.parquet")
    agreement = _path("agreement.csv")
    problems = _path("problems.csv")
    unread = _path("unread.csv")
    labels = _table("labels.parquet", LABEL_COLUMNS)
    annotations = _table("annotations.parquet", ANNOTATION_COLUMNS)
    labels_csv = _path("labels.csv")
    boxes_csv = _path("boxes.csv")
    manifest = _path("manifest.yaml")
    summary = _path("summary.json")

    def split_list(self, split: str) -> Path:
        """Return the list of a split's films."""
        return self.folder / f"split-{split}.txt"

    def split_table(self, table: Path, split: str) -> Path:
        """Return the part of `labels_csv` or `boxes_csv` that belongs to a split."""
        return table.with_name(f"{table.stem}-{split}{table.suffix}")


class ComparedFiles(_Folder):
    """``compared/`` of one network of a comparison."""

    rows = _table("rows.parquet", COMPARE_COLUMNS)
    baselines = _path("baselines.json")
    strip = _path("strip.jpg")
    strip_texts = _path("strip.json")


class ComparisonFiles(_Folder):
    """Root of a comparison of networks: its results, the shared inputs, and the samples that are explained."""

    table = _path("comparison.csv")
    page = _path("comparison.html")
    summary = _path("comparison.json")
    inputs = _path("inputs")

    def sample(self, size: str) -> Path:
        """Return the root of a sample."""
        return self.folder / "sample" / size


class SpreadFiles(_Folder):
    """Results over several seeds, in a root of their own."""

    table = _path("spread.csv")
    headline = _path("spread.json")


class RunArtifacts(_Folder):
    """Artifacts of one run by stage; `folder` is the run's root."""

    settings = _path("settings.json")
    generate = _Named("generate", GeneratedFiles)
    ingest = _Named("ingest", IngestFiles)
    train = _Named("train", TrainFiles)
    explain = _Named("explain", ExplainFiles)
    localize = _Named("localize", LocalizeFiles)
    score = _Named("score", ScoreFiles)
    export = _Named("export", ExportFiles)
    sanity = _Named("sanity", SanityFiles)
    review = _Named("review", ReviewFiles)
    reviewed = _Named("reviewed", ReviewedFiles)
    compared = _Named("compared", ComparedFiles)
    csv_tables = _path("csv")
    export_history = _path("exported.sqlite")
    delivery_log = _path("delivered.sqlite")

    def write_csv_tables(self) -> None:
        """Write every table of the run as ``csv/<stage>-<table>.csv``."""
        self.csv_tables.mkdir(exist_ok=True)
        for path in sorted(self.folder.glob("*/*.parquet")):
            name = f"{path.parent.name}-{path.stem}.csv"
            pd.read_parquet(path).to_csv(self.csv_tables / name, index=False)


def artifacts_of(folder: RunFolder) -> RunArtifacts:
    """Return the artifacts of a run."""
    return RunArtifacts(folder.root)


def model_files(folder: RunFolder) -> tuple[Path, ...]:
    """Return what a trained run needs to predict, whether or not it exists: files of a registered model."""
    run = artifacts_of(folder.model_run)
    return (
        run.train.weights,
        run.train.contract.path,
        run.localize.thresholds.path,
        run.settings,
        run.explain.prior("cam"),
    )


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a NumPy file, whole or not at all."""
    stream = io.BytesIO()
    np.save(stream, array)
    write_bytes(path, stream.getvalue())
