"""Thresholds of a run: fixed ones, and those chosen on the validation films; see `camray.stages.localize.stage`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.settings.boxes import LocalizeSettings, PromiseSettings
from camray.core.localization.box_recipes import BoxRecipe, fixed_recipe
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.localization.recipe_grid import ValidationMaps
from camray.core.localization.reporting_cutoff import choose_cutoff
from camray.core.metrics.chance import Evidence, Verdict, evidence_of
from camray.core.metrics.localization.annotated_films import number_patients
from camray.core.probability.calibration import LabelCalibration
from camray.core.probability.fit import KnownFilms, fit_calibration
from camray.core.probability.logistic import probabilities_of
from camray.core.probability.promise import Promise, PromiseTerms
from camray.core.probability.promise_fit import fit_promise
from camray.domain.geometry import Box
from camray.domain.records import CORNERS, Split, ThresholdSource
from camray.io.calibrated_thresholds import CALIBRATED, calibrated_thresholds, threshold_id
from camray.io.explained_run import ExplainedRun
from camray.io.film_facts import film_range_of
from camray.stages.localize.background_choice import POLICY as ABOVE_BACKGROUND
from camray.stages.localize.background_choice import background_thresholds

_FIXED_CRITERION = "fixed beforehand, no boxes used"
_CONFIDENCE = 0.95  # of the interval that must be above chance before a finding is judged


def choose_thresholds(
    run: ExplainedRun, heat: Mapping[str, NDArray[np.float32]], settings: LocalizeSettings
) -> Thresholds:
    """Choose box thresholds, report cutoffs and calibrations; only labels and boxes of validation films are used.

    Parameters
    ----------
    run : ExplainedRun
        The run.
    heat : mapping of str to ndarray of shape (N, L, h, w)
        All raw maps by method.
    settings : LocalizeSettings
        Policies, and what calibration compares.
    """
    notes: list[str] = []
    boxes: list[BoxThreshold] = []
    for policy in settings.policies:
        if policy == ABOVE_BACKGROUND:
            boxes += background_thresholds(run, heat, settings)
        elif policy != CALIBRATED:
            boxes += [
                _fixed_threshold(method, label, policy, settings) for method in run.methods for label in run.labels
            ]
    if CALIBRATED in settings.policies:
        is_validation = (run.explained["split"] == Split.VALIDATION).to_numpy(dtype=bool)
        annotations = run.films.annotations
        annotations = annotations[annotations["image_id"].isin(set(run.explained["image_id"][is_validation]))]
        annotations = annotations.dropna(subset=CORNERS)
        for method in run.methods:
            maps = _maps_of_labels(run, heat[method], method, annotations, _starts(boxes, method))
            boxes += _calibrated_thresholds(run, method, maps, settings, notes)
    known = _known_films(run)
    cutoffs, calibrations = _cutoffs(known, notes), _calibrations(known, notes)
    promises = _promises(known, cutoffs, settings.promise)
    films = None if settings.foreign is None else film_range_of(run.films, settings.foreign)
    return Thresholds(tuple(boxes), tuple(cutoffs), tuple(notes), tuple(calibrations), promises, films)


def _fixed_threshold(method: str, label: str, policy: str, settings: LocalizeSettings) -> BoxThreshold:
    return BoxThreshold(
        id=threshold_id(policy, method, label),
        method=method,
        label=label,
        policy=policy,
        source=ThresholdSource.FIXED,
        recipe=_fixed_recipe(policy, settings),
        split=None,
        criterion=_FIXED_CRITERION,
        n=0,
    )


def _fixed_recipe(policy: str, settings: LocalizeSettings) -> BoxRecipe:
    level = {
        "fraction_of_max": settings.fraction_of_max,
        "raw": settings.raw,
        "quantile": settings.quantile,
        "otsu": 0.0,
    }
    return fixed_recipe(policy, level[policy], settings.smooth, settings.region)


def _starts(boxes: Sequence[BoxThreshold], method: str) -> dict[str, BoxRecipe]:
    """Return each label's recipe from image labels alone, where that policy was asked for."""
    return {each.label: each.recipe for each in boxes if (each.policy, each.method) == (ABOVE_BACKGROUND, method)}


def _maps_of_labels(
    run: ExplainedRun,
    heat: NDArray[np.float32],
    method: str,
    annotations: pd.DataFrame,
    starts: Mapping[str, BoxRecipe],
) -> dict[str, ValidationMaps]:
    priors = run.prior(method)
    no_prior = np.zeros(heat.shape[2:], np.float32)
    return {
        label: replace(
            _validation_maps(
                run,
                heat[:, number],
                no_prior if priors is None else priors[number],
                annotations[annotations["label"] == label],
            ),
            start=starts.get(label),
        )
        for number, label in enumerate(run.labels)
    }


def _calibrated_thresholds(
    run: ExplainedRun, method: str, maps: Mapping[str, ValidationMaps], settings: LocalizeSettings, notes: list[str]
) -> list[BoxThreshold]:
    has_prior = run.prior(method) is not None
    thresholds = calibrated_thresholds(method, maps, run.grid.shape_model, settings, has_prior=has_prior)
    chosen = {threshold.label for threshold in thresholds}
    notes += [f"calibrated, {method}: no validation boxes of '{label}' (n=0)" for label in maps if label not in chosen]
    return thresholds


def _validation_maps(
    run: ExplainedRun, heat: NDArray[np.float32], prior: NDArray[np.float32], annotations: pd.DataFrame
) -> ValidationMaps:
    """Collect the annotated films of one label; `annotations` holds validation films of that label alone."""
    boxes_of: dict[str, list[tuple[float, ...]]] = {}
    for image_id, *corners in annotations[["image_id", *CORNERS]].itertuples(index=False):
        on_model_grid = run.placements[image_id].transform.box_to_model(Box(*corners))
        boxes_of.setdefault(image_id, []).append(on_model_grid.as_tuple())
    annotated = [(number, image_id) for number, image_id in enumerate(run.image_ids) if image_id in boxes_of]
    return ValidationMaps(
        heat[[number for number, _ in annotated]],
        [run.placements[image_id].window for _, image_id in annotated],
        [np.array(boxes_of[image_id]) for _, image_id in annotated],
        prior,
    )


def _known_films(run: ExplainedRun) -> dict[str, KnownFilms]:
    """Return the validation films on which each label is known to be present or absent."""
    is_validation = (run.explained["split"] == Split.VALIDATION).to_numpy(dtype=bool)
    image_ids, logits = run.explained["image_id"][is_validation], run.logits[is_validation].astype(np.float64)
    number_of = number_patients(run.films.images)
    patients = np.array([number_of[image_id] for image_id in image_ids], np.int64)
    labels = run.films.labels
    labels = labels[labels["image_id"].isin(set(image_ids))]
    films = {}
    for number, label in enumerate(run.labels):
        rows = labels[labels["label"] == label]
        value = image_ids.map(dict(zip(rows["image_id"], rows["value"], strict=True)))
        is_known = value.isin(["0", "1"]).to_numpy(dtype=bool)
        present = (value[is_known] == "1").to_numpy(dtype=bool)
        films[label] = KnownFilms(logits[is_known, number], present, patients[is_known])
    return films


def _cutoffs(known: Mapping[str, KnownFilms], notes: list[str]) -> list[ReportCutoff]:
    """Choose the report cutoff of each label on the validation films."""
    cutoffs = []
    for label, films in known.items():
        outputs = probabilities_of(films.logits)
        youden = choose_cutoff(outputs, films.present)
        criterion = "highest Youden J (sensitivity + specificity - 1)"
        if not youden.n:
            notes.append(f"cutoff of '{label}': validation films show not both classes; 0.5 taken")
            criterion = "0.5 for want of both classes among the validation films"
        split = Split.VALIDATION.value if youden.n else None
        evidence = evidence_of(outputs, films.present, films.patients, _CONFIDENCE)
        notes += _notes_on(label, evidence)
        not_judged = f"{evidence.words}: no better than chance" if evidence.verdict is Verdict.CHANCE else ""
        cutoffs.append(ReportCutoff(label, youden.probability, split, criterion, youden.n, not_judged))
    return cutoffs


def _calibrations(known: Mapping[str, KnownFilms], notes: list[str]) -> list[LabelCalibration]:
    """Fit the probabilities of each label on the validation films."""
    calibrations = [fit_calibration(label, films, Split.VALIDATION.value) for label, films in known.items()]
    notes += [f"'{each.label}' has no probability: {each.reason}" for each in calibrations if each.reason]
    return calibrations


def _promises(
    known: Mapping[str, KnownFilms], cutoffs: Sequence[ReportCutoff], settings: PromiseSettings
) -> tuple[Promise, ...]:
    """Choose the two cutoffs of each label on the validation films."""
    terms = PromiseTerms(settings.sensitivity, settings.ppv, settings.confidence)
    split = Split.VALIDATION.value
    return tuple(fit_promise(each.label, known[each.label], split, terms, each.output) for each in cutoffs)


def _notes_on(label: str, evidence: Evidence) -> list[str]:
    """Say what is not told from chance, or may not be."""
    if evidence.verdict is Verdict.CHANCE:
        return [
            f"'{label}' is not judged, as it is no better than chance: {evidence.words}; "
            "localize.report=cutoff reports it all the same"
        ]
    if evidence.verdict is Verdict.UNCLEAR:
        return [f"'{label}' is reported, but may be no better than chance: {evidence.words}"]
    return []
