"""Why a stage runs or is skipped: what differs between its record and the settings, inputs and outputs of now.

Reads   ``<stage>/stage.json`` and ``begin.json`` of a run; writes nothing.
Run     ``camray run configs/phantom.yaml --dry-run``
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from camray.adapters.run_folders.digests import code_version, digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.errors import PipelineError, SettingsError
from camray.io.artifacts import artifacts_of
from camray.workflows.stage_inputs import Stage, input_digests, stage_settings, stages_for

MOST_NAMED = 4  # changed settings in one reason
_LONGEST_VALUE = 40  # characters
_BEFORE_NETWORK = ("generate", "ingest", "train")
_INPUT_NAMES = {"data": "films, tables or data manifest", "trained_localize": "thresholds of the trained run"}


@dataclass(frozen=True)
class StageReason:
    """Whether a stage would run, and why.

    Parameters
    ----------
    stage : str
        Its name.
    kind : str
        ``done``: skipped. ``refused``: an output or a record is damaged, and the run stops there. The others run:
        ``never``, ``interrupted``, ``settings``, ``input``, ``output``, ``after`` (a stage that it reads runs first),
        ``forced``.
    text : str
        The reason in words.
    """

    stage: str
    kind: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether the stage would do its work."""
        return self.kind not in {"done", "refused"}


def plan_stages(settings: Settings, folder: RunFolder, until: str, force: bool = False) -> list[StageReason]:
    """Say of every stage up to `until` whether `camray.workflows.run.run` would run it; nothing is written.

    Raises
    ------
    SettingsError
        If there is no stage `until`, or the films or tables are missing.
    """
    reasons: dict[str, StageReason] = {}
    for stage in stages_for(settings, folder, until):
        before = [name for name in stage.reads if name in reasons and reasons[name].kind != "done"]
        if force and stage.name == until:
            reasons[stage.name] = StageReason(stage.name, "forced", "--force")
        else:
            reasons[stage.name] = _after(stage, settings, folder, before) if before else _now(stage, settings, folder)
    return list(reasons.values())


def reason_to_run(stage: Stage, settings: Settings, folder: RunFolder, inputs: Mapping[str, str]) -> StageReason | None:
    """Return why a stage with these `input_digests` runs, or None if it is up to date.

    Raises
    ------
    PipelineError
        If its record, or an output of an unchanged stage, is damaged.
    """
    settings_digest = digest_of(stage_settings(stage, settings))
    if folder.is_done(stage.name, settings_digest, inputs):
        return None
    record = folder.record(stage.name)
    if folder.has_unfinished(stage.name, settings_digest, inputs):
        return StageReason(stage.name, "interrupted", "interrupted, and resumes")
    if record is None:
        return StageReason(stage.name, "never", "it has not finished before")
    if changed := changed_settings(stage, settings, record):
        return StageReason(stage.name, "settings", changed)
    known = record.get("inputs", {})
    if other := [_INPUT_NAMES.get(name, f"outputs of {name}") for name in inputs if known.get(name) != inputs[name]]:
        return StageReason(stage.name, "input", f"changed: {', '.join(other)}")
    missing = folder.missing_outputs(stage.name)
    text = f"missing: {', '.join(missing[:MOST_NAMED])}" if missing else "its record is not complete"
    return StageReason(stage.name, "output", text)


def changed_settings(stage: Stage, settings: Settings, record: Mapping[str, Any]) -> str:
    """Return in words which settings of a finished stage have changed since; empty if none has."""
    before, now = _flat(record.get("settings", {})), _flat(stage_settings(stage, settings))
    names = [name for name in dict.fromkeys([*before, *now]) if before.get(name, "") != now.get(name, "")]
    texts = [f"{name} was {_text(name, before)}, now {_text(name, now)}" for name in names[:MOST_NAMED]]
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return "; ".join(texts) + more


def check_network_kept(stages: Sequence[Stage], settings: Settings, folder: RunFolder) -> None:
    """Refuse settings of films or training that would replace a finished network, before anything is done again.

    Changed films or tables are left to `check_network_kept_by`: the films may come out the same.

    Raises
    ------
    SettingsError
        The message says how the network is kept, and how it is replaced.
    """
    if not any(stage.name == "train" for stage in stages):
        return
    for stage in stages:
        record = folder.record(stage.name) if stage.name in _BEFORE_NETWORK else None
        if record is not None and (changed := changed_settings(stage, settings, record)):
            reason = StageReason(stage.name, "settings", changed)
            if stage.name != "train" or not _is_begun(stage, settings, folder):
                check_network_kept_by(reason, folder)


def check_network_kept_by(reason: StageReason, folder: RunFolder) -> None:
    """Refuse to train again for this reason where a finished network would be replaced; see `check_network_kept`."""
    is_finished = folder.record("train") is not None and not folder.missing_outputs("train")
    if not is_finished or reason.kind == "interrupted":
        return
    raise SettingsError(
        f"{folder.root}: has a trained network, which this command would replace ({reason.stage}: {reason.text}); "
        "expected the settings and films that it was trained with, or a run of its own; give the new one a name with "
        "name=NAME (name=auto takes the next of exp, exp2, ...), CONFIG being the experiment or "
        f"{artifacts_of(folder).settings}, or replace the old network with --overwrite"
    )


def _is_begun(stage: Stage, settings: Settings, folder: RunFolder) -> bool:
    if any(folder.record(name) is None for name in stage.reads):
        return False
    digests = digest_of(stage_settings(stage, settings)), input_digests(stage, settings, folder)
    return folder.has_unfinished(stage.name, *digests)


def _now(stage: Stage, settings: Settings, folder: RunFolder) -> StageReason:
    try:
        reason = reason_to_run(stage, settings, folder, input_digests(stage, settings, folder))
    except SettingsError:
        raise
    except PipelineError as error:
        return StageReason(stage.name, "refused", str(error))
    if reason is not None:
        return reason
    version, ours = (folder.record(stage.name) or {}).get("code_version", "unknown"), code_version()
    return StageReason(stage.name, "done", "" if version == ours else f"by camray {version}; this is {ours}")


def _after(stage: Stage, settings: Settings, folder: RunFolder, before: list[str]) -> StageReason:
    record = folder.record(stage.name)
    if record is None:
        return StageReason(stage.name, "never", "it has not finished before")
    if changed := changed_settings(stage, settings, record):
        return StageReason(stage.name, "settings", changed)
    which = " and ".join(before)
    return StageReason(stage.name, "after", f"it reads {which}; skipped if these outputs come out the same")


def _flat(value: Any, key: str = "") -> dict[str, Any]:
    """Return nested settings by their dotted names."""
    if not isinstance(value, Mapping):
        return {key: value}
    flat: dict[str, Any] = {}
    for name, part in value.items():
        flat |= _flat(part, f"{key}.{name}" if key else str(name))
    return flat


def _text(name: str, settings: Mapping[str, Any]) -> str:
    if name not in settings:
        return "the default"
    text = str(settings[name])
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
