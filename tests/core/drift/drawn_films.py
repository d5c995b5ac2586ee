"""Features of drawn films, correlated as those of real films are, and their drift against a reference."""

import numpy as np

from camray.core.drift.features import Feature
from camray.core.drift.reference import Reference, reference_of
from camray.core.drift.verdict import FolderDrift, judge_folder

NUMBERS, TEXTS = 12, 6


def drawn(rng: np.random.Generator, films: int, moved: float = 0.0) -> list[Feature]:
    """Draw features of independent films; the first number is moved by so many standard deviations."""
    values = 0.6 * rng.normal(size=(films, 1)) + 0.8 * rng.normal(size=(films, NUMBERS))
    values[:, 0] += moved
    texts = [rng.choice(["A", "B", "C"], size=films, p=[0.85, 0.1, 0.05]).astype(object) for _ in range(TEXTS)]
    return [
        *(Feature(f"appearance/{number}", f"number {number}", values[:, number]) for number in range(NUMBERS)),
        *(Feature(f"header/{number}", f"text {number}", each) for number, each in enumerate(texts)),
    ]


def references_of(features: list[Feature]) -> list[Reference]:
    """Return the references of all features."""
    return [reference_of(feature) for feature in features]


def judged(references: list[Reference], features: list[Feature], seed: int = 1) -> FolderDrift:
    """Judge one folder."""
    films = len(features[0].values)
    return judge_folder(("folder", "2026-01-31", films), references, features, films, seed)
