"""All stages in order; a stage is skipped if nothing changed, and resumed if it was interrupted.

Reads   an experiment's settings, and whatever its stages read.
Writes  ``runs/<name>/<stage>/`` for each stage; ``stage.json`` last.
Run     ``camray run configs/phantom.yaml``
"""

import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from camray.adapters.datasets.manifest import manifest_path
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.digests import code_version, digest_of, folder_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.domain.errors import IncompleteError, SettingsError
from camray.domain.records import StageResult
from camray.io.artifacts import RunArtifacts, artifacts_of
from camray.io.json_files import read_json
from camray.io.run_lookup import check_is_run
from camray.stages.explain import stage as explain
from camray.stages.export import stage as export
from camray.stages.generate import stage as generate
from camray.stages.ingest import stage as ingest
from camray.stages.localize import stage as localize
from camray.stages.score import stage as score
from camray.stages.train import stage as train

POLL_SECONDS = 0.5


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
    """

    name: str
    work: Callable[[Settings, RunFolder, Tracker], StageResult]
    reads: tuple[str, ...]
    sections: tuple[str, ...]


@dataclass(frozen=True)
class StageReport:
    """What happened to one stage: its record, and whether it was skipped or resumed."""

    record: dict[str, Any]
    skipped: bool
    resumed: bool


STAGES: tuple[Stage, ...] = (
    Stage("generate", generate.run, (), ("data.generate",)),
    Stage("ingest", ingest.run, ("generate",), ("data", "ingest")),
    Stage("train", train.run, ("ingest",), ("seed", "model", "train")),
    Stage("explain", explain.run, ("ingest", "train"), ("explain",)),
    Stage("localize", localize.run, ("ingest", "explain"), ("localize",)),
    Stage("score", score.run, ("ingest", "explain", "localize"), ("score",)),
    Stage("export", export.run, ("ingest", "explain", "localize", "score"), ("export", "localize.report")),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
# what changes how fast a result comes, and not the result
_NEUTRAL = {("ingest", "workers"), ("train", "compile")}
# added since 0.2.0: left out of a stage's record while they have their default, so that older runs stay up to date
_ADDED = (
    ("explain", "integrated_gradients"),
    ("explain", "occlusion"),
    ("score", "resample"),
    ("score", "wsol_interpolation"),
    ("score", "coco_ious"),
)


def run(
    settings: Settings, folder: RunFolder, tracker: Tracker, until: str = STAGE_NAMES[-1], force: bool = False
) -> Iterator[StageReport]:
    """Bring every stage up to `until` to the state the settings ask for.

    Parameters
    ----------
    settings : Settings
        The experiment.
    folder : RunFolder
        Where it lives. With `folder.trained` set, ``train`` is left out and that run's network and thresholds serve.
    tracker : Tracker
        The tracking store, or its null twin.
    until : str
        Last stage wanted.
    force : bool
        Run `until` again even where nothing changed.

    Yields
    ------
    StageReport
        One for each stage, as it ends.

    Raises
    ------
    PipelineError
        If another process holds the run, or a stage fails.
    """
    stages = stages_for(settings, folder, until)
    if int(os.environ.get("RANK", "0")) > 0:
        _help_train(stages, settings, folder)
        return
    with folder.locked():
        _check_trained(folder)
        _write_settings(settings, folder)
        tracker.params(settings.model_dump(mode="json"))
        tracker.tags({"code_version": code_version(), "seed": str(settings.seed), "device": settings.device})
        for stage in stages:
            yield _run_stage(stage, settings, folder, tracker, force and stage.name == until)


def run_these(names: Collection[str], settings: Settings, folder: RunFolder, tracker: Tracker) -> Iterator[StageReport]:
    """Bring these stages, and no others, to the state the settings ask for; what they read must have been done.

    For runs that share earlier stages with another one. Raises and yields as `run` does.
    """
    with folder.locked():
        _write_settings(settings, folder)
        for stage in STAGES:
            if stage.name in names:
                yield _run_stage(stage, settings, folder, tracker, force=False)


def stages_for(settings: Settings, folder: RunFolder, until: str) -> list[Stage]:
    """List the stages that these settings need, up to `until`.

    Raises
    ------
    SettingsError
        If there is no stage `until`.
    """
    if until not in STAGE_NAMES:
        raise SettingsError(f"no stage '{until}'; the stages are {', '.join(STAGE_NAMES)}")
    wanted = STAGES[: STAGE_NAMES.index(until) + 1]
    left_out = {"generate"} if settings.data.generate is None else set()
    if folder.trained is not None:
        left_out |= {"generate", "train"}
    return [stage for stage in wanted if stage.name not in left_out]


def settings_of(run_root: Path) -> Settings:
    """Read the settings a run was made with.

    Raises
    ------
    SettingsError
        If the folder holds no run.
    """
    check_is_run(run_root)
    path = RunArtifacts(run_root).settings
    return on_this_machine(parse_settings(read_json(path), str(path)))


def on_this_machine(stored: Settings) -> Settings:
    """Return a run's stored settings with ``device`` auto where they name a GPU and this machine has none.

    A run that was trained on a GPU is thereby applied on a CPU; ``device=cuda`` given anew is still refused there.
    """
    if stored.device == "cuda" and not torch.cuda.is_available():
        return stored.model_copy(update={"device": "auto"})
    return stored


def _write_settings(settings: Settings, folder: RunFolder) -> None:
    with _os_errors_reported("the run", folder):
        write_json(artifacts_of(folder).settings, settings.model_dump(mode="json"))


def _check_trained(folder: RunFolder) -> None:
    """Check what new films take from the run that owns the network, before hours are spent on them."""
    if folder.trained is not None:
        folder.model_run.check_outputs("train")
        folder.model_run.check_outputs("localize")
        folder.model_run.check_outputs("ingest", {artifacts_of(folder.model_run).ingest.contract.path.name})


def _run_stage(stage: Stage, settings: Settings, folder: RunFolder, tracker: Tracker, force: bool) -> StageReport:
    selected = _sections(stage, settings)
    settings_digest, inputs = digest_of(selected), _input_digests(stage, settings, folder)
    if not force and folder.is_done(stage.name, settings_digest, inputs):
        return StageReport(folder.record(stage.name) or {}, skipped=True, resumed=False)
    for name in stage.reads:
        (folder.model_run if name == "train" else folder).check_outputs(name)
    with _os_errors_reported(f"stage '{stage.name}'", folder), folder.replacing(stage.name):
        resumed = folder.begin(stage.name, settings_digest, inputs)
        claim = {"settings": selected, "settings_digest": settings_digest, "inputs": inputs}
        record = _work(stage, settings, folder, tracker, claim)
    numbers = _numbers(record["figures"])
    tracker.metrics({f"{stage.name}/{key}": value for key, value in numbers.items()})  # the whole run's figures
    return StageReport(record, skipped=False, resumed=resumed)


def _work(
    stage: Stage, settings: Settings, folder: RunFolder, tracker: Tracker, claim: dict[str, Any]
) -> dict[str, Any]:
    """Run a stage that has begun, and return its record."""
    started = time.monotonic()
    with tracker.stage(stage.name):
        tracker.params(claim["settings"])  # each execution has its own: MLflow never changes those of the whole run
        result = stage.work(settings, folder, tracker)
        cost = {"seconds": round(time.monotonic() - started, 3), "peak_memory_mib": _peak_memory_mib()}
        record = folder.finish(stage.name, {**claim, "code_version": code_version(), **cost}, result)
        counts = {f"counts.{key}": float(value) for key, value in record["counts"].items()}
        tracker.metrics({**counts, **_numbers(result.figures), **cost})
    return record


def _numbers(figures: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in figures.items() if isinstance(value, int | float)}


def _help_train(stages: list[Stage], settings: Settings, folder: RunFolder) -> None:
    """Be one of torchrun's further processes: wait for the first one's earlier stages, join its training, and end."""
    for stage in stages:
        settings_digest = digest_of(_sections(stage, settings))
        if stage.name == "train":
            if not folder.is_done(stage.name, settings_digest, _input_digests(stage, settings, folder)):
                stage.work(settings, folder, NullTracker())
            return
        while not _is_done_now(stage, settings_digest, settings, folder):
            time.sleep(POLL_SECONDS)


def _is_done_now(stage: Stage, settings_digest: str, settings: Settings, folder: RunFolder) -> bool:
    if any(name != "generate" and folder.record(name) is None for name in stage.reads):
        return False
    return folder.is_done(stage.name, settings_digest, _input_digests(stage, settings, folder))


def _sections(stage: Stage, settings: Settings) -> dict[str, Any]:
    plain = settings.model_dump(mode="json")
    for section, key in _NEUTRAL:
        plain[section].pop(key, None)
    for section, key in _ADDED:
        part = getattr(settings, section)
        if getattr(part, key) == type(part).model_fields[key].default:
            plain[section].pop(key, None)
    chosen: dict[str, Any] = {}
    for dotted in stage.sections:
        value: Any = plain
        for part in dotted.split("."):
            value = value[part]
        chosen[dotted] = value
    return chosen


def _input_digests(stage: Stage, settings: Settings, folder: RunFolder) -> dict[str, str]:
    digests = {}
    for name in stage.reads:
        if name == "generate" and (settings.data.generate is None or folder.trained is not None):
            digests["data"] = _data_digest(settings)
        elif name == "train":
            digests[name] = folder.model_run.output_digest(name)
        else:
            digests[name] = folder.output_digest(name)
    if stage.name in {"localize", "score"} and folder.trained is not None:
        digests["trained_localize"] = folder.model_run.output_digest("localize")
    return digests


def _data_digest(settings: Settings) -> str:
    root = settings.data.root
    if root is None:
        raise SettingsError("data.root is missing: name the folder that holds the films, or set data.generate")
    if not root.exists():
        raise SettingsError(f"data.root: {root} does not exist; correct it or override it with data.root=FOLDER")
    tables = [path for path in (settings.data.labels, settings.data.boxes) if path is not None]
    for path in tables:
        if not path.exists():
            raise SettingsError(f"{path}: no such table")
    manifest = manifest_path(settings.data.manifest)
    return digest_of([folder_digest(root), *[folder_digest(path) for path in [*tables, manifest]]])


@contextmanager
def _os_errors_reported(what: str, folder: RunFolder) -> Iterator[None]:
    """Turn a full disk, missing permissions and their like into a message."""
    try:
        yield
    except OSError as error:
        cause = error.strerror or type(error).__name__
        raise IncompleteError(
            f"{what} stopped: {cause}{_free_space(folder.root)}; "
            "correct the cause and run the same command again to resume"
        ) from error


def _free_space(folder: Path) -> str:
    with suppress(OSError):
        return f" ({shutil.disk_usage(folder).free >> 20} MiB free at {folder})"
    return ""


def _peak_memory_mib() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    usage = [resource.getrusage(who).ru_maxrss * unit for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(max(usage) / 2**20, 1)
