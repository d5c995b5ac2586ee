"""Settings of ``camray compare``, and what a comparison changes in the settings of an experiment."""

from typing import Any

from pydantic import AliasChoices, Field

from camray.adapters.settings.section import Section
from camray.domain.contract import PACKAGED

COMPARE_CHANGES: dict[str, Any] = {  # small enough to train a dozen networks on two cores in about an hour
    "ingest.rows": 96,
    "ingest.cols": 96,
    "ingest.audit": False,
    "data.generate.films": 560,  # these two only for drawn films
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
    **{name: {"model.weights": "imagenet", "model.normalise": "photo", "train.head_rate": 10.0} for name in PACKAGED},
    "resnet_light": {"model.stride": 8, "train.learning_rate": 2e-3, "train.pretext.learning_rate": 3e-3},
    "nin": {  # twelve convolutions without batch normalization need a smaller rate and more epochs
        "train.learning_rate": 3e-4,
        "train.max_epochs": 16,
        "train.pretext.epochs": 8,
        "train.pretext.learning_rate": 5e-4,
    },
}


class CompareSettings(Section):
    """Networks, pools and explanation methods for `camray compare`, and limits of their cost."""

    networks: tuple[str, ...] = Field(
        ("resnet_light", "alexnet_gap", "nin", "googlenet_gap"), min_length=1, description="backbones"
    )
    pools: tuple[str, ...] = Field(
        ("gap", "gmp", "lse"), min_length=1, description="pools; a fully connected network has none and is trained once"
    )
    methods: tuple[str, ...] = Field(("all",), min_length=1, description="explanation methods, or 'all'")
    changes: dict[str, Any] = Field(
        {},
        description="changes of the experiment's settings for all networks; they override the built-in ones",
    )
    network_changes: dict[str, dict[str, Any]] = Field(
        {}, description="by network: further changes; they override `changes`"
    )
    test_films: int = Field(48, ge=1, description="annotated films for the scores")
    validation_films: int = Field(32, ge=1, description="annotated films for the thresholds")
    most_passes: int = Field(
        1_000,
        ge=1,
        description="maximum forward passes per method; more expensive methods use expensive_test_films and "
        "expensive_validation_films",
    )
    expensive_test_films: int = Field(
        12,
        ge=1,
        description="test films of methods above most_passes",
        validation_alias=AliasChoices("expensive_test_films", "dear_test_films"),  # the name before version 0.2
    )
    expensive_validation_films: int = Field(
        8,
        ge=1,
        description="validation films of methods above most_passes",
        validation_alias=AliasChoices("expensive_validation_films", "dear_validation_films"),
    )
    sanity_films: int = Field(6, ge=0, description="films for the sanity checks; 0 omits them")
    sanity_passes: int = Field(
        500,
        ge=1,
        description="maximum forward passes of a method's sanity checks: a method that needs more is checked on fewer "
        "films, or not at all if it needs more than ten times as many",
    )
    batch_size: int = Field(16, ge=1, description="films per batch")

    def changes_for(self, network: str) -> dict[str, Any]:
        """Return the changed settings of one network, with dotted names."""
        own = COMPARE_CHANGES | COMPARE_NETWORK_CHANGES.get(network, {})
        return own | _dotted(self.changes) | _dotted(self.network_changes.get(network, {}))


def _dotted(nested: dict[str, Any], before: str = "") -> dict[str, Any]:
    """Flatten ``{"train": {"max_epochs": 3}}`` to ``{"train.max_epochs": 3}``; dotted keys stay as they are."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _dotted(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return flat
