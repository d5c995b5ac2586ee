"""Settings of ``camray compare``, and what a comparison changes in the settings of an experiment."""

from typing import Any

from pydantic import Field

from camray.adapters.settings.section import Section

COMPARE_CHANGES: dict[str, Any] = {  # small enough to train a dozen networks on two cores
    "ingest.rows": 96,
    "ingest.cols": 96,
    "ingest.audit": False,
    "data.generate.films": 560,  # both only where films are drawn
    "data.generate.rows": 320,
    "model.stride": 16,
    "model.dilated": False,
    "model.normalise": "film_local",
    "model.lse_r": 5.0,
    "train.max_epochs": 10,
    "train.batch_size": 16,
    "train.learning_rate": 5e-4,
    "train.pretext.epochs": 4,
    "train.pretext.learning_rate": 1e-3,
}
COMPARE_NETWORK_CHANGES: dict[str, dict[str, Any]] = {
    "resnet_light": {"model.stride": 8, "train.learning_rate": 2e-3, "train.pretext.learning_rate": 3e-3},
    "nin": {  # twelve convolutions without batch normalisation: slower, and longer
        "train.learning_rate": 3e-4,
        "train.max_epochs": 16,
        "train.pretext.epochs": 8,
        "train.pretext.learning_rate": 5e-4,
    },
}


class CompareSettings(Section):
    """Which networks, pools and methods ``camray compare`` puts side by side, and how much it spends on each."""

    networks: tuple[str, ...] = Field(
        ("resnet_light", "alexnet_gap", "nin", "googlenet_gap"), min_length=1, description="backbones"
    )
    pools: tuple[str, ...] = Field(
        ("gap", "gmp", "lse"), min_length=1, description="a fully connected network has none and is trained once"
    )
    methods: tuple[str, ...] = Field(("all",), min_length=1, description="names, or 'all'")
    changes: dict[str, Any] = Field(
        {},
        description="settings that differ from the experiment's for all networks; over camray's own for a comparison",
    )
    network_changes: dict[str, dict[str, Any]] = Field({}, description="likewise for one network; laid over `changes`")
    test_films: int = Field(48, ge=1, description="annotated films that maps are scored on")
    validation_films: int = Field(32, ge=1, description="annotated films that thresholds are chosen on")
    most_passes: int = Field(
        1_000,
        ge=1,
        description="films through the network that a method may cost; a dearer one is scored on dear_test_films, with "
        "thresholds of dear_validation_films",
    )
    dear_test_films: int = Field(12, ge=1, description="see most_passes")
    dear_validation_films: int = Field(8, ge=1, description="see most_passes")
    sanity_films: int = Field(6, ge=0, description="films of the sanity checks; 0 leaves them out")
    sanity_passes: int = Field(
        500, ge=1, description="what a method's sanity checks may cost; one that needs ten times that is left out"
    )
    batch_size: int = Field(16, ge=1, description="films explained at a time")

    def changes_for(self, network: str) -> dict[str, Any]:
        """Return all settings of one network that differ from the experiment's, dotted."""
        own = COMPARE_CHANGES | COMPARE_NETWORK_CHANGES.get(network, {})
        return own | _dotted(self.changes) | _dotted(self.network_changes.get(network, {}))


def _dotted(nested: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Flatten ``{"train": {"max_epochs": 3}}`` to ``{"train.max_epochs": 3}``; what is dotted already stays so."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _dotted(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return flat
