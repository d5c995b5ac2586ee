"""The stages in order, and what each depends on: earlier stages, sections of the settings, films and tables."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.datasets.manifest_files import manifest_path
from camray.adapters.run_folders.digests import digest_of, folder_digest
from camray.adapters.run_folders.part_folders import PartFolder
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.training.device import choose_device
from camray.domain.errors import SettingsError
from camray.domain.records import StageResult
from camray.domain.suggestions import did_you_mean
from camray.io.artifacts import artifacts_of
from camray.stages.explain import stage as explain
from camray.stages.export import stage as export
from camray.stages.generate import stage as generate
from camray.stages.ingest import stage as ingest
from camray.stages.ingest.store_source import store_digest, store_folder
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from camray.stages.train import stage as train
from camray.workflows.shared_films import ingest_part


@dataclass(frozen=True)
class SharedWork:
    """How several processes share a stage's work, each a part of its shards.

    Parameters
    ----------
    work : callable
        ``run_part`` of its module.
    folder : callable
        Run to the folder of the stage's unfinished shards.
    """

    work: Callable[[Settings, RunFolder, PartFolder], None]
    folder: Callable[[RunFolder], Path]


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline.

    Parameters
    ----------
    name : str
        Also its sub-folder.
    work : callable
        ``run`` of its module.
    reads : tuple of str
        Earlier stages whose outputs it depends on.
    sections : tuple of str
        Settings, dotted, that its outputs depend on.
    shared : SharedWork or None
        None for a stage that one process does.
    """

    name: str
    work: Callable[[Settings, RunFolder, Tracker], StageResult]
    reads: tuple[str, ...]
    sections: tuple[str, ...]
    shared: SharedWork | None = None


_INGEST_PARTS = SharedWork(ingest_part, ingest.unfinished_chunks)
_EXPLAIN_PARTS = SharedWork(explain.run_part, lambda folder: artifacts_of(folder).explain.folder)
_LOCALIZE_PARTS = SharedWork(localize.run_part, lambda folder: artifacts_of(folder).localize.unfinished)
STAGES: tuple[Stage, ...] = (
    Stage("generate", generate.run, (), ("data.generate",)),
    Stage("ingest", ingest.run, ("generate",), ("data", "ingest"), _INGEST_PARTS),
    Stage("train", train.run, ("ingest",), ("seed", "model", "train", "refine", "ingest.keep_unlabelled")),
    Stage("explain", explain.run, ("ingest", "train"), ("explain",), _EXPLAIN_PARTS),
    Stage("localize", localize.run, ("ingest", "explain"), ("localize",), _LOCALIZE_PARTS),
    Stage("score", score.run, ("ingest", "explain", "localize"), ("score",)),
    Stage("export", export.run, ("ingest", "explain", "localize", "score"), ("export", "localize.report")),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
_ON_DEVICE = {"train", "explain", "localize"}
# what changes how fast a result comes, and not the result
NEUTRAL = {("ingest", "workers"), ("train", "compile")}
# added since 0.2.0: left out of a stage's record while they have their default, so that older runs stay up to date
_ADDED = (
    ("explain", "integrated_gradients"),
    ("explain", "occlusion"),
    ("explain", "within"),
    ("score", "resample"),
    ("score", "wsol_interpolation"),
    ("score", "coco_ious"),
    ("score", "few_shot"),
    ("score", "groups"),
    ("score", "group_patients"),
    ("model", "norm_momentum"),
    ("model", "head"),
    ("model", "pyramid_strides"),
    ("model", "pyramid_channels"),
    ("train", "min_steps"),
    ("train", "epoch_films"),
    ("data", "leave_out"),
    ("train", "head_rate"),
    ("ingest", "prepare"),
    ("ingest", "keep_unlabelled"),
    ("train", "balance"),
    ("train", "max_balance_weight"),
    ("train", "outside_penalty"),
    ("localize", "prevalence"),
)


def stages_for(settings: Settings, folder: RunFolder, until: str) -> list[Stage]:
    """List the stages that these settings need, up to `until`.

    Raises
    ------
    SettingsError
        If there is no stage `until`.
    """
    if until not in STAGE_NAMES:
        raise SettingsError(f"no stage '{until}'; {did_you_mean(until, STAGE_NAMES, 'the stages are')}")
    up_to_last = STAGES[: STAGE_NAMES.index(until) + 1]
    left_out = {"generate"} if settings.data.generate is None else set()
    if folder.trained is not None:
        left_out |= {"generate", "train"}
    return [stage for stage in up_to_last if stage.name not in left_out]


def check_device(settings: Settings, folder: RunFolder, until: str) -> None:
    """Check that the machine has the device that the stages up to `until` compute on, before hours are spent on films.

    Films can be prepared for a GPU on a machine that has none.

    Raises
    ------
    SettingsError
        If it has not.
    """
    if any(stage.name in _ON_DEVICE for stage in stages_for(settings, folder, until)):
        choose_device(settings.device)


def stage_settings(stage: Stage, settings: Settings) -> dict[str, Any]:
    """Return the settings that a stage's outputs depend on, by the dotted name of their section."""
    plain = settings.model_dump(mode="json")
    if settings.refine.teacher is None:  # added since 0.2.0
        del plain["refine"]
    for section, key in NEUTRAL:
        plain[section].pop(key, None)
    for section, key in _ADDED:
        part = getattr(settings, section)
        if getattr(part, key) == type(part).model_fields[key].default:
            plain[section].pop(key, None)
    selected: dict[str, Any] = {}
    for dotted in stage.sections:
        value: Any = plain
        parent, _, key = dotted.rpartition(".")
        for part in parent.split(".") if parent else ():
            value = value[part]
        if key in value:  # an added setting is left out at its default
            selected[dotted] = value[key]
    return selected


def input_digests(stage: Stage, settings: Settings, folder: RunFolder) -> dict[str, str]:
    """Return digests of what a stage reads: the outputs of earlier stages, or the films and tables.

    Raises
    ------
    PipelineError
        If an earlier stage has not finished.
    SettingsError
        If the films or tables are missing.
    """
    digests = {}
    for name in stage.reads:
        if name == "generate" and (settings.data.generate is None or folder.trained is not None):
            digests["data"] = data_digest(settings)
        elif name == "train":
            digests[name] = folder.model_run.output_digest(name)
        else:
            digests[name] = folder.output_digest(name)
    if stage.name == "train" and settings.refine.teacher is not None:
        teacher = RunFolder(settings.refine.teacher)
        digests.update({f"teacher_{name}": teacher.output_digest(name) for name in ("ingest", "train", "localize")})
    if stage.name in {"localize", "score"} and folder.trained is not None:
        digests["trained_localize"] = folder.model_run.output_digest("localize")
    return digests


def data_digest(settings: Settings) -> str:
    """Digest the films and tables of an experiment by names, sizes and times.

    Raises
    ------
    SettingsError
        If there are none.
    """
    root = settings.data.root
    if root is None:
        raise SettingsError("data.root is missing: name the folder that holds the films, or set data.generate")
    store = store_folder(root)
    if store is None and not root.exists():
        raise SettingsError(f"data.root: {root} does not exist; correct it or override it with data.root=FOLDER")
    tables = [path for path in (settings.data.labels, settings.data.boxes) if path is not None]
    for path in tables:
        if not path.exists():
            raise SettingsError(f"{path}: no such table")
    manifest = manifest_path(settings.data.manifest)
    films = folder_digest(root) if store is None else digest_of(store_digest(store))
    return digest_of([films, *[folder_digest(path) for path in [*tables, manifest]]])


def inputs_without_films(stage: Stage, settings: Settings, folder: RunFolder) -> dict[str, str]:
    """Return `input_digests`, or for films that are not generated a digest of their tables: no film is looked at."""
    if stage.name != "ingest" or (settings.data.generate is not None and folder.trained is None):
        return input_digests(stage, settings, folder)
    tables = [path for path in (settings.data.labels, settings.data.boxes) if path is not None and path.exists()]
    return {"tables": digest_of([folder_digest(path) for path in [*tables, manifest_path(settings.data.manifest)]])}
