"""Plan of a comparison: networks, pools, methods and settings, validated before anything is computed.

Reads   the settings' ``compare`` section
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.core.explain.methods import METHODS, methods_named
from camray.domain.contract import BACKBONES, FULLY_CONNECTED, PACKAGED, POOLS, NetworkSpec
from camray.domain.errors import SettingsError
from camray.domain.suggestions import did_you_mean

ALL = "all"
NO_POOL = "none"
_NETWORK_KEYS = tuple(NetworkSpec.__dataclass_fields__)


@dataclass(frozen=True)
class Combination:
    """One network to train.

    Parameters
    ----------
    network, pool : str
        Pool is `NO_POOL` for a fully connected network.
    settings : Settings
        Of its run; named after both.
    """

    network: str
    pool: str
    settings: Settings

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.network if self.pool == NO_POOL else f"{self.network}-{self.pool}"


@dataclass(frozen=True)
class ComparePlan:
    """Plan of a comparison; `inputs` are the settings of the ingested films that all combinations share."""

    inputs: Settings
    combinations: tuple[Combination, ...]
    methods: tuple[str, ...]


def plan_of(settings: Settings) -> ComparePlan:
    """Plan networks, pools, methods and the settings of every run.

    Raises
    ------
    SettingsError
        If a network, pool or method is unknown or repeated, or settings contradict one another.
    """
    options = settings.compare
    for what, names, legal in (("networks", options.networks, BACKBONES), ("pools", options.pools, POOLS)):
        unknown = [name for name in names if name not in legal]
        if unknown or len(set(names)) != len(names):
            raise SettingsError(
                f"compare.{what}: {list(names)}; {did_you_mean(unknown, legal, 'expected different names out of')}"
            )
    names = tuple(METHODS) if options.methods == (ALL,) else options.methods
    methods = tuple(method.name for method in methods_named(names))
    combinations = tuple(
        _combination(settings, network, pool)
        for network in options.networks
        for pool in ((NO_POOL,) if network in FULLY_CONNECTED else options.pools)
    )
    first = combinations[0].settings
    for other in combinations:
        for section in ("ingest", "data", "score"):
            if getattr(other.settings, section) != getattr(first, section):
                raise SettingsError(f"compare.network_changes.{other.network}: all networks must share '{section}'")
    return ComparePlan(_changed(first, {"name": "inputs"}), combinations, methods)


def _combination(settings: Settings, network: str, pool: str) -> Combination:
    changes = {key: value for key, value in settings.compare.changes_for(network).items()}
    if settings.data.generate is None:
        changes = {key: value for key, value in changes.items() if not key.startswith("data.generate.")}
    if settings.model.weights == "imagenet" and network not in PACKAGED:
        changes.setdefault("model.weights", None)
    changes |= {
        "name": network if pool == NO_POOL else f"{network}-{pool}",
        "model.backbone": network,
        "model.pool": "gap" if pool == NO_POOL else pool,
        "explain.methods": ["gradcam"],  # what is explained is chosen once the network is trained
        "explain.heat_exponents": {},
        "explain.prior": False,
        "score.pictures": False,
        "score.oracle": False,
        "score.few_shot": False,  # a head for every network would be no common baseline
        "localize.policies": ["fraction_of_max", "calibrated"],
        "localize.boxes": "one",
        "localize.zones": False,
        "track.enabled": False,  # the comparison is tracked as one run
    }
    changed = _changed(settings, changes)
    spec = changed.model.model_dump()
    try:
        network_spec = NetworkSpec(**{key: spec[key] for key in _NETWORK_KEYS})
    except ValueError as error:
        raise SettingsError(f"compare, {network} with pool {pool}: {error}") from error
    if changed.ingest.rows % network_spec.stride or changed.ingest.cols % network_spec.stride:
        raise SettingsError(
            f"compare, {network}: films of {changed.ingest.rows} x {changed.ingest.cols} px are not a multiple of its "
            f"stride of {network_spec.stride} px; change compare.changes.ingest.rows and cols"
        )
    return Combination(network, pool, changed)


def _changed(settings: Settings, changes: Mapping[str, Any]) -> Settings:
    """Return the settings with dotted changes, validated again."""
    plain = settings.model_dump(mode="json")
    for dotted, value in changes.items():
        *sections, key = dotted.split(".")
        node = plain
        for section in sections:
            node = node.setdefault(section, {})
            if not isinstance(node, dict):
                raise SettingsError(f"compare: there is no setting '{dotted}'")
        node[key] = value
    return parse_settings(plain, "compare")
