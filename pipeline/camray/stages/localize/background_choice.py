"""Thresholds of the policy `above_background`: image labels alone, see `camray.core.localization.background`."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.settings.boxes import LocalizeSettings
from camray.core.localization.background import Background, BackgroundRules, background_of, recipe_above
from camray.core.localization.box_thresholds import BoxThreshold
from camray.domain.records import Split, ThresholdSource
from camray.io.explained_run import ExplainedRun

POLICY = "above_background"


def background_thresholds(
    run: ExplainedRun, heat: Mapping[str, NDArray[np.float32]], settings: LocalizeSettings
) -> list[BoxThreshold]:
    """Measure the background of each method and label, on films of the run; no annotation is read.

    Parameters
    ----------
    run : ExplainedRun
        The run.
    heat : mapping of str to ndarray of shape (N, L, h, w)
        All raw maps by method.
    settings : LocalizeSettings
        Constants of the policy.
    """
    rules = BackgroundRules(
        level=settings.above_background,
        clipped_level=settings.above_background_clipped,
        dilate=settings.above_background_dilate,
        smooth=settings.smooth,
        region=settings.region,
    )
    films = [_films_without(run, label) for label in run.labels]
    is_bounded = run.grid.within == "chest"
    where = "the chest on " if is_bounded else ""
    return [
        _threshold(
            method, label, background_of(heat[method][is_taken, number], is_bounded=is_bounded), rules, where + origin
        )
        for method in run.methods
        for number, (label, (is_taken, origin)) in enumerate(zip(run.labels, films, strict=True))
    ]


def _threshold(method: str, label: str, background: Background, rules: BackgroundRules, origin: str) -> BoxThreshold:
    return BoxThreshold(
        id=f"{POLICY}/{method}/{label}",
        method=method,
        label=label,
        policy=POLICY,
        source=ThresholdSource.FIXED,
        recipe=recipe_above(background, rules),
        split=None,
        criterion=f"background: median heat of {origin}; no boxes used",
        n=background.n,
    )


def _films_without(run: ExplainedRun, label: str) -> tuple[NDArray[np.bool_], str]:
    """Return which explained films measure a label's background, and what they are.

    Validation films without the label; where there are none, all validation films (most of a map is background even
    where the label is present); where none is explained, all films.
    """
    is_validation = (run.explained["split"] == Split.VALIDATION).to_numpy(dtype=bool)
    is_absent = is_validation & _is_absent(run.films.labels, label, run.image_ids)
    if is_absent.any():
        return is_absent, "validation films without the label"
    if is_validation.any():
        return is_validation, "validation films, as none is known to be without the label"
    return np.ones(len(run.explained), np.bool_), "all films, as no validation film was explained"


def _is_absent(labels: pd.DataFrame, label: str, image_ids: Sequence[str]) -> NDArray[np.bool_]:
    rows = labels[(labels["label"] == label) & (labels["value"] == "0")]
    absent = set(rows["image_id"])
    return np.array([image_id in absent for image_id in image_ids], np.bool_)
