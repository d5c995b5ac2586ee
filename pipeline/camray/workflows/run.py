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
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.progress import progress_line
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.digests import code_version, digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.settings.stored_digest import with_digest
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.adapters.weight_packages import packaged_weights
from camray.domain.errors import IncompleteError, SettingsError
from camray.io.artifacts import artifacts_of
from camray.stages.ingest.store_source import forget_stores
from camray.workflows.parts import forget_parts, merge_parts
from camray.workflows.setting_names import check_names
from camray.workflows.stage_inputs import (
    STAGE_NAMES,
    STAGES,
    Stage,
    check_device,
    input_digests,
    stage_settings,
    stages_for,
)
from camray.workflows.stage_reasons import StageReason, check_network_kept, check_network_kept_by, reason_to_run
from camray.workflows.tracked_settings import track_settings

POLL_SECONDS = 0.5


@dataclass(frozen=True)
class StageReport:
    """What happened to one stage: its record, whether it was skipped or resumed, and why a finished one ran again."""

    record: dict[str, Any]
    skipped: bool
    resumed: bool
    again: str = ""


@dataclass(frozen=True)
class Consent:
    """What a run may do again: all of the last stage (`force`), and a network that is finished (`overwrite`)."""

    force: bool = False
    overwrite: bool = False

    def is_given_for_network(self, until: str) -> bool:
        """Return whether a trained network may be replaced: on request, or where `train` itself is repeated."""
        return self.overwrite or (self.force and until == "train")


def run(
    settings: Settings,
    folder: RunFolder,
    tracker: Tracker,
    until: str = STAGE_NAMES[-1],
    consent: Consent = Consent(),
) -> Iterator[StageReport]:
    """Bring every stage up to `until` to the state that the settings describe.

    Parameters
    ----------
    settings : Settings
        The experiment.
    folder : RunFolder
        Folder of the run. With `folder.trained` set, ``train`` is left out, and that run's network and thresholds are
        used.
    tracker : Tracker
        The tracking store, or its null twin.
    until : str
        Last stage to run.
    consent : Consent
        Whether `until` runs again even where nothing changed, and whether a finished network may be replaced.

    Yields
    ------
    StageReport
        One for each stage, as it ends.

    Raises
    ------
    SettingsError
        If `settings.device` is not on this machine, a method does not exist, a stage refuses a setting, or a finished
        network would be replaced without consent.
    PipelineError
        If another process holds the run, or a stage fails.
    """
    forget_stores()
    stages = stages_for(settings, folder, until)
    check_device(settings, folder, until)
    check_names(settings, folder, until)
    if int(os.environ.get("RANK", "0")) > 0:
        _help_train(stages, settings, folder)
        return
    with folder.locked():
        _check_trained(folder)
        may_replace = consent.is_given_for_network(until)
        if not may_replace:
            check_network_kept(stages, settings, folder)
        if settings.model.weights == "imagenet" and any(stage.name == "train" for stage in stages):
            packaged_weights(settings.model.backbone)  # before hours are spent on the films
        with settings_written(settings, folder):
            track_settings(settings, folder, tracker)
            tracker.tags({"code_version": code_version(), "device": settings.device})
            for stage in stages:
                forced = consent.force and stage.name == until
                if not may_replace and stage.name == "train":
                    inputs = input_digests(stage, settings, folder)
                    if reason := reason_to_run(stage, settings, folder, inputs):
                        check_network_kept_by(reason, folder)
                yield _run_stage(stage, settings, folder, tracker, forced)


def run_these(names: Collection[str], settings: Settings, folder: RunFolder, tracker: Tracker) -> Iterator[StageReport]:
    """Bring these stages, and no others, to the state that the settings describe; what they read must have been done.

    For runs that share earlier stages with another one. Raises and yields as `run` does.
    """
    with folder.locked(), settings_written(settings, folder):
        for stage in STAGES:
            if stage.name in names:
                yield _run_stage(stage, settings, folder, tracker, force=False)


@contextmanager
def settings_written(settings: Settings, folder: RunFolder) -> Iterator[None]:
    """Write the settings of a run; where the block refuses them, bring its former settings back.

    An interrupted run keeps the new ones: the same command, or one without overrides, resumes it. A refused first run
    has no former settings: without a trained network, or if a setting was at fault, it is left without any.
    """
    path = artifacts_of(folder).settings
    with _os_errors_reported("the run", folder):
        before = path.read_bytes() if path.is_file() else None
        write_json(path, with_digest(settings.model_dump(mode="json")))
    try:
        yield
    except IncompleteError:
        raise
    except Exception as error:
        is_fault_of_settings = getattr(error, "exit_code", None) == SettingsError.exit_code
        if before is not None:
            write_bytes(path, before)
        elif is_fault_of_settings or folder.record("train") is None:
            path.unlink(missing_ok=True)
        raise


def _check_trained(folder: RunFolder) -> None:
    """Check what new films take from the run that owns the network, before hours are spent on them."""
    if folder.trained is not None:
        folder.model_run.check_outputs("train")
        folder.model_run.check_outputs("localize")
        folder.model_run.check_outputs("ingest", {artifacts_of(folder.model_run).ingest.contract.path.name})


def _run_stage(stage: Stage, settings: Settings, folder: RunFolder, tracker: Tracker, force: bool) -> StageReport:
    selected = stage_settings(stage, settings)
    settings_digest, inputs = digest_of(selected), input_digests(stage, settings, folder)
    reason = StageReason(stage.name, "forced", "--force") if force else reason_to_run(stage, settings, folder, inputs)
    claim = {"settings": selected, "settings_digest": settings_digest, "inputs": inputs}
    if reason is None:
        forget_parts(stage, settings, folder)
        return StageReport(folder.record(stage.name) or {}, skipped=True, resumed=False)
    again = reason.text if folder.record(stage.name) is not None else ""
    if again:
        progress_line(stage.name, f"again: {again}")
    for name in stage.reads:
        (folder.model_run if name == "train" else folder).check_outputs(name)
    if stage.name == "train" and "ingest" in inputs:  # other films than those of the tracked run: a new one
        tracker.identify({"training_films": inputs["ingest"]})
    with _os_errors_reported(f"stage '{stage.name}'", folder), folder.replacing(stage.name):
        resumed = folder.begin(stage.name, settings_digest, inputs)
        merge_parts(stage, settings, folder, claim)
        record = _work(stage, settings, folder, tracker, claim)
        forget_parts(stage, settings, folder)
    numbers = _numbers(record["figures"])
    tracker.metrics({f"{stage.name}/{key}": value for key, value in numbers.items()})  # the whole run's figures
    return StageReport(record, skipped=False, resumed=resumed, again=again)


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
        settings_digest = digest_of(stage_settings(stage, settings))
        if stage.name == "train":
            if not folder.is_done(stage.name, settings_digest, input_digests(stage, settings, folder)):
                stage.work(settings, folder, NullTracker())
            return
        while not _is_done_now(stage, settings_digest, settings, folder):
            time.sleep(POLL_SECONDS)


def _is_done_now(stage: Stage, settings_digest: str, settings: Settings, folder: RunFolder) -> bool:
    if any(name != "generate" and folder.record(name) is None for name in stage.reads):
        return False
    return folder.is_done(stage.name, settings_digest, input_digests(stage, settings, folder))


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
