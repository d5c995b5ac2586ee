"""Parts of a stage: several processes do a share of its shards each, and the ordinary command merges them.

Reads   what the stage reads.
Writes  ``runs/<name>/parts/<stage>-<key>/I-of-N/``; the merge moves what is whole to the stage's folder.
Run     ``camray explain configs/phantom.yaml --part 2/5``
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from camray.adapters.progress import progress_line
from camray.adapters.pseudonyms import key_fingerprint, load_key
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.digests import claim_of, digest_of
from camray.adapters.run_folders.part_folders import PARTS_FOLDER, PartFolder, StageParts, key_of, parts_of_run
from camray.adapters.run_folders.part_merge import take_units
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.run_lock import held_alone
from camray.adapters.run_folders.stage_replacement import delete
from camray.adapters.settings.schema import Settings
from camray.adapters.settings.stored_digest import with_digest
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.parts import Part
from camray.io.artifacts import artifacts_of
from camray.workflows.shared_films import listed_films
from camray.workflows.stage_inputs import (
    STAGES,
    Stage,
    check_device,
    data_digest,
    input_digests,
    inputs_without_films,
    stage_settings,
    stages_for,
)
from camray.workflows.stage_reasons import changed_settings

LISTING_WAIT_S = 6 * 3600.0  # for another part that lists the films


@dataclass(frozen=True)
class PartReport:
    """What one part did.

    Parameters
    ----------
    stage : str
        Of which stage.
    part : Part
        Which share.
    units, before : int
        Shards that are its share, and those of them that were there before.
    seconds : float
        Of the work.
    is_stage_finished : bool
        The stage was finished before, with these settings and inputs, so that there was nothing to do.
    """

    stage: str
    part: Part
    units: int
    before: int
    seconds: float
    is_stage_finished: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "stage": self.stage,
            "part": str(self.part),
            "shards": self.units,
            "there_before": self.before,
            "seconds": round(self.seconds, 3),
            "stage_finished": self.is_stage_finished,
        }


def shared_stage(settings: Settings, folder: RunFolder, until: str) -> str:
    """Return `until` if several processes can share it, else the first such stage before it that is not up to date.

    Films are not compared. Where all are up to date it is the last of them.
    """
    stages = [stage for stage in stages_for(settings, folder, until) if stage.shared is not None]
    if not stages or stages[-1].name == until:
        return until
    for stage in stages:
        record = folder.record(stage.name)
        if record is None or not folder.is_current(stage.name) or changed_settings(stage, settings, record):
            return stage.name
    return stages[-1].name


def run_part(settings: Settings, folder: RunFolder, until: str, part: Part) -> PartReport:
    """Do one part of a stage; the stages before it must have finished.

    Parameters
    ----------
    settings : Settings
        The experiment, as for the ordinary command.
    folder : RunFolder
        Of the run; several parts may work in it at once.
    until : str
        Stage.
    part : Part
        Which share.

    Raises
    ------
    SettingsError
        If other parts of this stage have other settings or inputs, or the stage cannot be shared.
    PipelineError
        If an earlier stage has not finished with these settings, or parts disagree on the version or the key.
    IncompleteError
        If another process does the same part, or works on the run alone.
    """
    check_device(settings, folder, until)
    stage = stages_for(settings, folder, until)[-1]
    if stage.shared is None:
        known = ", ".join(each.name for each in STAGES if each.shared)
        raise SettingsError(f"--part: stage '{stage.name}' is done by one process; expected one of {known}")
    with folder.shared():
        _check_earlier_stages(stage, settings, folder)
        parts = _parts(stage, settings, folder)
        _check_settings(stage, settings, parts)
        claim = _claim(stage, settings, _inputs(stage, settings, folder, parts))
        if folder.is_done(stage.name, claim["settings_digest"], claim["inputs"]):
            if not parts.parts():
                delete(parts.folder)  # the list of films
            return PartReport(stage.name, part, 0, 0, 0.0, is_stage_finished=True)
        for name in stage.reads:
            (folder.model_run if name == "train" else folder).check_outputs(name)
        parts.check_agreement(claim)
        own = parts.part(part, claim)
        with own.locked():
            before, started = set(own.units()), time.monotonic()
            stage.shared.work(settings, folder, own)
            units = set(own.units())
            return PartReport(stage.name, part, len(units), len(units & before), time.monotonic() - started)


def merge_parts(stage: Stage, settings: Settings, folder: RunFolder, claim: Mapping[str, Any]) -> None:
    """Move the finished shards of a stage's parts to where the stage, which has begun, resumes from them.

    Parameters
    ----------
    stage : Stage
        Whose.
    settings : Settings
        Of the run, which is locked.
    folder : RunFolder
        Of the run.
    claim : mapping
        Settings digest and inputs of the stage.

    Raises
    ------
    PipelineError
        If a part was made by another version of camray, or with another key for pseudonyms.
    """
    if stage.shared is None:
        return
    parts = _parts(stage, settings, folder)
    for other in parts_of_run(folder.root, stage.name):
        if other.key != parts.key:
            progress_line(stage.name, f"parts in {other.folder} are not used: {_difference(stage, settings, other)}")
    if not parts.parts():
        return
    merged = take_units(parts, _claim(stage, settings, claim["inputs"]), stage.shared.folder(folder))
    for sentence in merged.sentences():
        progress_line(stage.name, sentence)


def forget_parts(stage: Stage, settings: Settings, folder: RunFolder) -> None:
    """Delete the parts of a stage that has finished; those of other settings stay."""
    if (folder.root / PARTS_FOLDER).is_dir() and stage.shared is not None:
        parts = _parts(stage, settings, folder)
        delete(parts.folder)
        if not parts_of_run(folder.root):
            delete(parts.folder.parent)


def _parts(stage: Stage, settings: Settings, folder: RunFolder) -> StageParts:
    inputs = inputs_without_films(stage, settings, folder)
    return StageParts(folder.root, stage.name, key_of(stage.name, digest_of(stage_settings(stage, settings)), inputs))


def _inputs(stage: Stage, settings: Settings, folder: RunFolder, parts: StageParts) -> dict[str, str]:
    """Return the digests of what the stage reads; those of films are read from the list of the first part."""
    if stage.name != "ingest":
        return input_digests(stage, settings, folder)
    is_generated = settings.data.generate is not None and folder.trained is None

    def digest() -> str:
        return folder.output_digest("generate") if is_generated else data_digest(settings)

    with held_alone(parts.folder.parent, "the lock of the list of films", LISTING_WAIT_S):
        _write_settings(settings, folder)
        listed = listed_films(settings, folder, parts.folder, digest)
    return {"generate" if is_generated else "data": listed.data}


def _claim(stage: Stage, settings: Settings, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what units are made of, see `PartFolder`."""
    key = {"key_fingerprint": key_fingerprint(load_key())} if stage.name == "ingest" else {}
    return {"stage": stage.name, **claim_of(stage_settings(stage, settings), inputs), **key}


def _write_settings(settings: Settings, folder: RunFolder) -> None:
    """Make the folder a run, if no command has."""
    path = artifacts_of(folder).settings
    if not path.is_file():
        write_json(path, with_digest(settings.model_dump(mode="json")))


def _check_earlier_stages(stage: Stage, settings: Settings, folder: RunFolder) -> None:
    """Refuse settings with which the ordinary command would do an earlier stage again, and the part for nothing."""
    for earlier in stages_for(settings, folder, stage.name)[:-1]:
        record = folder.record(earlier.name)
        changed = changed_settings(earlier, settings, record) if record is not None else "it has not finished"
        if changed:
            raise PipelineError(
                f"{folder.root}: stage '{earlier.name}' is not up to date ({changed}), expected it finished with these "
                f"settings before a part of '{stage.name}'; run the ordinary command of '{earlier.name}' first, or "
                "give the settings that it was run with"
            )


def _check_settings(stage: Stage, settings: Settings, parts: StageParts) -> None:
    for other in parts_of_run(parts.root, stage.name):
        if other.key != parts.key:
            raise SettingsError(
                f"{other.folder}: has parts of '{stage.name}' that differ from this one: "
                f"{_difference(stage, settings, other)}; expected the same for all parts; repeat with theirs, or "
                f"delete {other.folder} to begin again"
            )


def _difference(stage: Stage, settings: Settings, other: StageParts) -> str:
    """Say how other parts differ from these settings."""
    claims = [claim for part in other.parts() if (claim := PartFolder(part.folder, part.part).stored_claim())]
    if not claims:
        return "they do not say what they are made of"
    return changed_settings(stage, settings, claims[0]) or "they were made from other inputs (films, network or maps)"
