"""Training of a network from films and image-level labels; annotations are never read.

Reads   ``ingest/images.parquet labels.parquet contract.json store/``; a teacher's run (`teacher_pairs`)
Writes  ``train/model.safetensors contract.json epochs.parquet epochs.csv``; ``weights_report.json`` if given weights
Run     ``camray train configs/phantom.yaml``
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from camray.adapters.checkpoints import read_weights, weights_bytes
from camray.adapters.distributed import training_processes
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings, TrainSettings
from camray.adapters.tracking.interface import Tracker
from camray.adapters.weight_packages import WEIGHT_PACKAGES, packaged_weights
from camray.core.cohort.group_balance import balance_weights, group_codes
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.sdfn import SdfnClassifier, both_branches, build_member, load_member_weights
from camray.core.shortcuts.probes import one_class_labels, one_class_note
from camray.core.training.device import choose_device
from camray.core.training.fit_settings import EpochReport
from camray.core.training.trainer import Processes
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import CheckpointError, InputRefusedError, SettingsError
from camray.domain.records import EPOCH_COLUMNS, Counts, Split, StageResult
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.artifacts import RunArtifacts, TrainFiles, artifacts_of
from camray.io.film_lungs import read_lung_weights
from camray.io.ingest_contract import IngestContract
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.io.labelled_films import LabelledFilms, labelled_films
from camray.io.tracked_films import track_films
from camray.stages.train.lungs_in_view import lungs_in_view
from camray.stages.train.resumable_fits import PRETEXT, Fits, Fitted
from camray.stages.train.teacher_pairs import taught_by, teacher_of, with_regions

_NETWORK_KEYS = tuple(NetworkSpec.__dataclass_fields__)


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Train on the train split, watch the validation split; see `camray.workflows.run` for the calling.

    Raises
    ------
    InputRefusedError
        If the train split holds no film with a known label.
    SettingsError
        If the settings do not fit the films.
    CheckpointError
        If starting weights cannot be read, or fit nowhere.
    PipelineError
        If training diverges.
    """
    files, ingested = artifacts_of(folder).train, read_ingested(folder)
    labels = ingested.contract.labels
    done, teacher = _finished(files), teacher_of(settings)
    films = {split: labelled_films(ingested, split, labels) for split in (Split.TRAIN, Split.VALIDATION)}
    of_pretext = labelled_films(ingested, Split.TRAIN, labels, settings.ingest.keep_unlabelled)
    counts = _counts(ingested, {**films, Split.TRAIN: of_pretext})
    if done is not None:
        return StageResult(
            counts, {**_figures(done, settings.train.choose), **_pretext_figures(done, of_pretext), **taught_by(files)}
        )
    if not len(films[Split.TRAIN]):
        raise InputRefusedError(
            "no film of the train split has a known label; a label table is a CSV with image_id and a column per "
            "finding, 0 and 1 in its cells: labels.csv in data.root, or named by data.labels. `camray data check "
            f"{ingested.contract.manifest} --root FOLDER` reports whether it is found and what is wrong with it"
        )
    films[Split.TRAIN] = _balanced(films[Split.TRAIN], ingested, settings.train)
    track_films(ingested, (Split.TRAIN, Split.VALIDATION), tracker)
    with training_processes(settings.device) as (rank, world, local_rank):
        contract = _contract(settings, ingested.contract, folder)
        device = choose_device(settings.device, local_rank)
        if teacher is not None:
            films[Split.TRAIN] = with_regions(films[Split.TRAIN], teacher, ingested, files, device, rank)
        fits = Fits(
            settings.train,
            settings.seed,
            films[Split.TRAIN],
            films[Split.VALIDATION],
            contract.labels,
            device,
            Processes(rank, world),
            files.unfinished,
            tracker,
            settings.refine,
        )
        fits.check()
        lungs_seen = lungs_in_view(ingested, films[Split.TRAIN]) if settings.train.outside_penalty else {}
        if contract.starting_weights:
            tracker.tags({"starting_weights": contract.starting_weights})
        fitted, report = _fit_all(settings, contract, fits, replace(fits, train=of_pretext))
        table = epoch_table({part: each.reports for part, each in fitted.items()}, contract.labels)
        if rank == 0:
            _write(files, _joined(fitted, contract), table, contract, report)
        one_class = one_class_note(one_class_labels(films[Split.TRAIN].targets, contract.labels))
        return StageResult(
            counts,
            {
                **_figures(table, settings.train.choose),
                **_pretext_figures(table, of_pretext),
                **lungs_seen,
                **one_class,
                **_balance_note(films[Split.TRAIN]),
                **taught_by(files),
            },
        )


def _balanced(films: LabelledFilms, ingested: IngestedFilms, settings: TrainSettings) -> LabelledFilms:
    """Weight the films so that labels do not depend on the properties that the settings name."""
    if not settings.balance:
        return films
    groups = ingested.groups.set_index("image_id").loc[list(films.image_ids)]
    codes = group_codes(groups, settings.balance)
    return replace(films, weights=balance_weights(codes, films.targets, settings.max_balance_weight))


def _balance_note(films: LabelledFilms) -> dict[str, str]:
    """Say how many targets do not count because nothing can balance them."""
    if films.weights is None:
        return {}
    known = ~np.isnan(films.targets)
    unused = int((known & (films.weights == 0)).sum())
    what = "belong to groups that only show, or never show, the label, and do not count for it (train.balance)"
    return {"note_balance": f"{unused} of {int(known.sum())} labels of training films {what}"} if unused else {}


def _fit_all(
    settings: Settings, contract: ModelContract, fits: Fits, pretext: Fits
) -> tuple[dict[str, Fitted], dict[str, Any] | None]:
    """Run the pretext task if requested, on films of its own, then fit every member from its weights."""
    fitted: dict[str, Fitted] = {}
    report: dict[str, Any] | None = None
    if settings.train.pretext.epochs:
        model, _ = _model(settings, contract, fits.seed)
        fitted[PRETEXT] = pretext.pretext(model)
    for number in range(contract.network.members):
        model, report = _model(settings, contract, fits.seed_of(number), number)
        if PRETEXT in fitted:
            model.load_state_dict(both_branches(fitted[PRETEXT].weights), strict=False)
        fitted[f"member-{number}"] = fits.member(number, model)
    return fitted, report


def _joined(fitted: dict[str, Fitted], contract: ModelContract) -> dict[str, Tensor]:
    """Name the members' weights as the network of the contract does."""
    members = [each.weights for part, each in fitted.items() if part != PRETEXT]
    if contract.network.members == 1:
        return members[0]
    return {f"members.{number}.{name}": value for number, each in enumerate(members) for name, value in each.items()}


def _counts(ingested: IngestedFilms, films: dict[Split, LabelledFilms]) -> Counts:
    n_in = int(ingested.images["split"].isin([split.value for split in films]).sum())
    n_done = sum(len(part) for part in films.values())
    return Counts(n_in, n_done, n_in - n_done)


def _contract(settings: Settings, ingested: IngestContract, folder: RunFolder) -> ModelContract:
    model_settings = settings.model.model_dump()
    try:
        network = NetworkSpec(**{key: model_settings[key] for key in _NETWORK_KEYS})
        return ModelContract(
            labels=ingested.labels,
            rows=ingested.rows,
            cols=ingested.cols,
            fit=ingested.fit,
            bits=ingested.bits,
            network=network,
            feature_rows=network.cells(ingested.rows),
            feature_cols=network.cells(ingested.cols),
            data_digest=folder.output_digest("ingest"),
            seed=settings.seed,
            code_version=code_version(),
            starting_weights=_provenance(settings),
            preparation=ingested.preparation,
        )
    except ValueError as error:
        raise SettingsError(f"model: {error}") from error


def _model(
    settings: Settings, contract: ModelContract, seed: int, number: int = 0
) -> tuple[PooledClassifier, dict[str, Any] | None]:
    try:
        model = build_member(replace(contract.network, members=1), len(contract.labels), seed)
    except ValueError as error:
        raise SettingsError(f"model: {error}") from error
    if isinstance(model, SdfnClassifier):
        model.lungs.load_state_dict(read_lung_weights(settings.model.lungs))
    path = _starting_file(settings)
    if path is None:
        return model, None
    teacher = teacher_of(settings)
    report = load_member_weights(model, read_weights(path) if teacher is None else teacher.member_weights(number))
    if fault := report.misfit(contract.network):
        raise CheckpointError(
            f"{path}: not the weights of {settings.model.backbone} as set: {fault}; choose the backbone it was made "
            f"for: `camray weights check {path.name}` names those that fit"
        )
    return model, report.as_json()


def _starting_file(settings: Settings) -> Path | None:
    if settings.refine.teacher is not None:
        return RunArtifacts(settings.refine.teacher).train.weights
    weights = settings.model.weights
    return packaged_weights(settings.model.backbone) if weights == "imagenet" else weights


def _provenance(settings: Settings) -> str:
    if settings.model.weights == "imagenet":
        return WEIGHT_PACKAGES[settings.model.backbone].provenance
    path, teacher = _starting_file(settings), settings.refine.teacher
    of = "" if teacher is None else f" of the run {teacher.name}"
    return f"{path.name}{of}, sha256 {file_digest(path)}" if path is not None and path.is_file() else ""


def _write(
    files: TrainFiles,
    weights: dict[str, Tensor],
    table: pd.DataFrame,
    contract: ModelContract,
    weights_report: dict[str, Any] | None,
) -> None:
    """Write the outputs. The state is deleted last: weights without state mean that all outputs are complete."""
    files.contract.write(contract)
    if weights_report is not None:
        write_json(files.weights_report, weights_report)
    write_bytes(files.epochs_csv, without_formulas(table).to_csv(index=False).encode())
    files.epochs.write(table)
    write_bytes(files.weights, weights_bytes(weights))
    shutil.rmtree(files.unfinished, ignore_errors=True)


def _finished(files: TrainFiles) -> pd.DataFrame | None:
    """Return the epochs of a training that ended, but whose stage was not closed; None if work is left."""
    if files.unfinished.exists() or not files.weights.is_file():
        return None
    return files.epochs.read()


def epoch_table(reports: dict[str, list[EpochReport]], labels: tuple[str, ...]) -> pd.DataFrame:
    """Make a tidy table of all fits: `EPOCH_COLUMNS`, without clock times."""
    rows: list[tuple[str, int, str, str, float]] = []
    for part, each in reports.items():
        names = ("pasted opacity",) if part == PRETEXT else labels
        for report in each:
            rows.append((part, report.epoch, "loss", "", report.loss))
            rows.append((part, report.epoch, "learning_rate", "", report.learning_rate))
            rows.append((part, report.epoch, "auroc", "mean", report.mean_auroc))
            rows.extend((part, report.epoch, "auroc", n, value) for n, value in zip(names, report.auroc, strict=True))
    return pd.DataFrame(rows, columns=list(EPOCH_COLUMNS))


def _pretext_figures(table: pd.DataFrame, films: LabelledFilms) -> dict[str, Any]:
    """Tell on how many films the pretext was trained, and how well its cells tell pasted opacities in the end."""
    rows = table[(table["part"] == PRETEXT) & (table["metric"] == "auroc") & (table["label"] == "mean")]
    if not len(rows):
        return {}
    last = float(rows.sort_values("epoch")["value"].iloc[-1])
    known = {} if math.isnan(last) else {"pretext_auroc": round(last, 4)}
    return {"pretext_films": len(films), **known}


def _figures(table: pd.DataFrame, choose: str) -> dict[str, Any]:
    """Tell how far training went and how good the weights handed on are; of several members the mean."""
    losses, scores, chosen_epochs = [], [], []
    for _, rows in table[table["part"] != PRETEXT].groupby("part", sort=False):
        mean = rows[(rows["metric"] == "auroc") & (rows["label"] == "mean")].set_index("epoch")["value"]
        epoch = int(mean.index[int(mean.argmax())]) if choose == "best" else int(rows["epoch"].max())
        chosen_epochs.append(epoch)
        losses.append(rows[(rows["metric"] == "loss") & (rows["epoch"] == epoch)]["value"].item())
        scores.append(float(mean.loc[epoch]))
    figures: dict[str, Any] = {
        "epochs": int(table[table["part"] != PRETEXT]["epoch"].max()),
        "chosen_epoch": max(chosen_epochs),
        "loss": round(float(np.mean(losses)), 4),
    }
    if len(losses) > 1:
        figures["members"] = len(losses)
    score = float(np.mean(scores))
    return figures if math.isnan(score) else {**figures, "validation_auroc": round(score, 4)}
