"""What MLflow is told of a run's settings: params of its network, which stay true, and tags of all later stages.

A run whose network changes becomes a new MLflow run. A param is never changed in MLflow; settings of later stages may
change, so they are tags, and only where they are not the default.
"""

from collections.abc import Mapping
from typing import Any

from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.workflows.stage_inputs import NEUTRAL, STAGES, stage_settings

_OF_NETWORK = {"generate", "ingest", "train"}
_PARAMS = ("name", "seed", "data", "ingest", "model", "train", "refine")
_LATER = ("explain", "localize", "score", "export")


def track_settings(settings: Settings, folder: RunFolder, tracker: Tracker) -> None:
    """Tell the tracker the settings of a run; where those of its network have changed, a new tracked run begins."""
    digests = [stage_settings(stage, settings) for stage in STAGES if stage.name in _OF_NETWORK]
    tracker.identify({"network_settings": digest_of(digests)})
    tracker.params(network_params(settings))
    tracker.tags(later_tags(settings))


def network_params(settings: Settings) -> dict[str, Any]:
    """Return the settings that the films, the splits and the network follow from.

    Returns
    -------
    dict
        Sections as in the settings, without what only changes the speed; ``refine`` only where a run is taught by it.
    """
    plain = settings.model_dump(mode="json", include=set(_PARAMS))
    for section, key in NEUTRAL:
        plain[section].pop(key, None)
    if settings.refine.teacher is None:
        del plain["refine"]
    return plain


def later_tags(settings: Settings) -> dict[str, str | None]:
    """Return the settings of the stages after training: the value where it is not the default, else None.

    Returns
    -------
    dict
        By dotted name, for instance ``localize.policies``.
    """
    given = _dotted({name: getattr(settings, name).model_dump(mode="json") for name in _LATER})
    defaults = _dotted(
        {name: type(getattr(settings, name)).model_validate({}).model_dump(mode="json") for name in _LATER}
    )
    return {key: None if value == defaults.get(key) else str(value) for key, value in given.items()}


def _dotted(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in plain.items():
        is_section = isinstance(value, Mapping) and value
        found.update(_dotted(value, f"{prefix}{key}.") if is_section else {f"{prefix}{key}": value})
    return found
