"""Artifacts of a run: every file name of a stage and its type; those of workflows are in `workflow_artifacts`.

``RunArtifacts(root).ingest.images.read()`` reads a table, ``RunArtifacts(root).score.report_page`` is a path.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import OPEN_SHARDS, PixelStore, shard_path
from camray.adapters.run_folders.atomic_files import write_bytes
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.stage_replacement import STAGE_FILE
from camray.core.localization.box_thresholds import Thresholds
from camray.domain.contract import ModelContract
from camray.domain.records import (
    ACQUISITION_COLUMNS,
    ANNOTATION_COLUMNS,
    EPOCH_COLUMNS,
    EXPLAINED_COLUMNS,
    FILM_CHECK_COLUMNS,
    GROUP_COLUMNS,
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    LUNG_COLUMNS,
    PAIR_COLUMNS,
    PREDICTION_COLUMNS,
    REFUSAL_COLUMNS,
)
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.artifact_types import ArtifactFolder, Named, RecordFile, TableFile, path_of, record_of, table_of
from camray.io.explanation_grid import ExplanationGrid, read_grid, write_grid
from camray.io.ingest_contract import IngestContract, read_ingest_contract, write_ingest_contract
from camray.io.model_contract import read_contract, write_contract
from camray.io.plan import PlannedFrom, read_plan, write_plan
from camray.io.thresholds import read_thresholds, write_thresholds
from camray.io.workflow_artifacts import (
    CardFiles,
    ComparedFiles,
    DriftFiles,
    RefinedFiles,
    ReviewedFiles,
    ReviewFiles,
    SanityFiles,
)


class GeneratedFiles(ArtifactFolder):
    """``generate/``: phantom films and their tables."""

    labels = path_of("labels.csv")
    boxes = path_of("boxes.csv")
    lesion_masks = path_of("masks.parquet")
    lung_masks = path_of("lung_masks.parquet")
    unfinished = path_of("parts")

    def film(self, name: str) -> Path:
        """Return one film."""
        return self.folder / "films" / f"{name}.dcm"

    def unfinished_film(self, name: str) -> Path:
        """Return the file of one film's table rows, while the stage runs."""
        return self.unfinished / f"{name}.json"


class IngestFiles(ArtifactFolder):
    """``ingest/``: films on the model grid, labels and annotations."""

    images = table_of("images.parquet", IMAGE_COLUMNS)
    groups = table_of("groups.parquet", GROUP_COLUMNS)
    acquisition = table_of("acquisition.parquet", ACQUISITION_COLUMNS)
    labels = table_of("labels.parquet", LABEL_COLUMNS)
    annotations = table_of("annotations.parquet", ANNOTATION_COLUMNS)
    ignored = table_of("ignored.parquet", ANNOTATION_COLUMNS)
    refusals = table_of("refusals.parquet", REFUSAL_COLUMNS)
    contract: Named[RecordFile[IngestContract]] = record_of(
        "contract.json", read_ingest_contract, write_ingest_contract
    )
    store_folder = path_of("store")
    audit = path_of("audit.json")
    audit_page = path_of("audit.html")
    probe_logits = path_of("probes.npy")
    unfinished = path_of("parts")

    @property
    def store(self) -> PixelStore:
        """Pixels on the model grid."""
        return PixelStore(self.store_folder)


class UnfinishedIngestFiles(ArtifactFolder):
    """``ingest/parts/``: chunks of an ingest that has not ended."""

    key_fingerprint = path_of("key.txt")

    def rows(self, chunk: int) -> Path:
        """Return the table of a chunk's files."""
        return self.folder / f"facts-{chunk:05d}.parquet"

    def statistics(self, chunk: int) -> Path:
        """Return the image statistics of a chunk."""
        return shard_path(self.folder, chunk, "glance")

    def pixels(self, chunk: int) -> Path:
        """Return the pixels of a chunk."""
        return shard_path(self.folder, chunk)


class TrainFiles(ArtifactFolder):
    """``train/``: a trained network."""

    weights = path_of("model.safetensors")
    contract: Named[RecordFile[ModelContract]] = record_of("contract.json", read_contract, write_contract)
    epochs = table_of("epochs.parquet", EPOCH_COLUMNS)
    epochs_csv = path_of("epochs.csv")
    weights_report = path_of("weights_report.json")
    teacher_pairs = table_of("teacher_pairs.parquet", PAIR_COLUMNS)
    unfinished = path_of("state")


class ExplainFiles(ArtifactFolder):
    """``explain/``: logits and heat maps."""

    images = table_of("images.parquet", EXPLAINED_COLUMNS)
    logits = path_of("logits.npy")
    grid: Named[RecordFile[ExplanationGrid]] = record_of("grid.json", read_grid, write_grid)
    costs = path_of("costs.json")

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
        """Return the file of one method's cost, while a comparison explains."""
        return self.folder / f"cost-{method}.tmp"


class LocalizeFiles(ArtifactFolder):
    """``localize/``: thresholds, boxes, foreign films and lungs."""

    thresholds: Named[RecordFile[Thresholds]] = record_of("thresholds.json", read_thresholds, write_thresholds)
    predictions = table_of("predictions.parquet", PREDICTION_COLUMNS)
    films = table_of("films.parquet", FILM_CHECK_COLUMNS)
    lungs = table_of("lungs.parquet", LUNG_COLUMNS)
    unfinished = path_of("parts")


class UnfinishedLocalizeFiles(ArtifactFolder):
    """``localize/parts/``: boxes and lungs of blocks of films, where parts drew them."""

    def boxes(self, block: int) -> TableFile:
        """Return the boxes of a block."""
        return TableFile(self.folder / f"boxes-{block:05d}.parquet", PREDICTION_COLUMNS)

    def lungs(self, block: int) -> TableFile:
        """Return the lungs of a block."""
        return TableFile(self.folder / f"lungs-{block:05d}.parquet", LUNG_COLUMNS)


class ScoreFiles(ArtifactFolder):
    """``score/``: scores and the report."""

    scores = path_of("scores.csv")
    report_page = path_of("report.html")
    pictures = path_of("pictures")

    def segmentations(self, split: str) -> Path:
        """Return the predicted masks of a split."""
        return self.folder / f"segmentations-{split}.json"


class ExportFiles(ArtifactFolder):
    """``export/``: boxes for other tools, overlays and DICOM objects."""

    overlays = path_of("overlays")
    boxes = path_of("boxes.csv")
    coco = path_of("coco.json")
    label_studio = path_of("labelstudio.json")
    voc = path_of("voc")
    dicom = path_of("dicom")
    card = path_of("card.md")
    card_page = path_of("card.html")

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


class RunArtifacts(ArtifactFolder):
    """Artifacts of one run by stage; `folder` is the run's root."""

    settings = path_of("settings.json")
    plan: Named[RecordFile[PlannedFrom]] = record_of("plan.json", read_plan, write_plan)
    planned_settings = path_of("plan.yaml")
    log = path_of("run.log")
    generate = Named("generate", GeneratedFiles)
    ingest = Named("ingest", IngestFiles)
    train = Named("train", TrainFiles)
    explain = Named("explain", ExplainFiles)
    localize = Named("localize", LocalizeFiles)
    score = Named("score", ScoreFiles)
    export = Named("export", ExportFiles)
    sanity = Named("sanity", SanityFiles)
    card = Named("card", CardFiles)
    drift = Named("drift", DriftFiles)
    refined = Named("refined", RefinedFiles)
    review = Named("review", ReviewFiles)
    reviewed = Named("reviewed", ReviewedFiles)
    compared = Named("compared", ComparedFiles)
    csv_tables = path_of("csv")
    export_history = path_of("exported.sqlite")
    delivery_log = path_of("delivered.sqlite")

    def write_csv_tables(self) -> None:
        """Write every table of the run as ``csv/<stage>-<table>.csv``."""
        for path in sorted(self.folder.glob("*/*.parquet")):
            name = f"{path.parent.name}-{path.stem}.csv"
            text = without_formulas(pd.read_parquet(path)).to_csv(index=False, lineterminator="\n")
            write_bytes(self.csv_tables / name, text.encode())


def artifacts_of(folder: RunFolder) -> RunArtifacts:
    """Return the artifacts of a run."""
    return RunArtifacts(folder.root)


def model_files(folder: RunFolder) -> tuple[Path, ...]:
    """Return the files that a trained run needs to predict, and the records with their digests; they need not exist."""
    run = artifacts_of(folder.model_run)
    return (
        *(run.folder / stage / STAGE_FILE for stage in ("train", "explain", "localize")),
        run.train.weights,
        run.train.contract.path,
        run.ingest.contract.path,
        run.localize.thresholds.path,
        run.settings,
        run.explain.prior("cam"),
    )


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a NumPy file, whole or not at all."""
    stream = io.BytesIO()
    np.save(stream, array)
    write_bytes(path, stream.getvalue())
