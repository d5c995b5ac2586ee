"""The bootstrap of the score settings, as core functions and pages take it."""

from camray.adapters.settings.scores import ScoreSettings
from camray.core.metrics.bootstrap import Bootstrap


def bootstrap_of(score: ScoreSettings) -> Bootstrap:
    """Return the bootstrap of the score settings."""
    return Bootstrap(score.bootstrap, score.confidence, score.seed, score.resample)
