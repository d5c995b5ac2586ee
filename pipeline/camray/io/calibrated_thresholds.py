"""Thresholds chosen on the boxes of validation films, with the settings of a run."""

from collections.abc import Mapping

from camray.adapters.settings.boxes import LocalizeSettings
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.localization.calibration import MARGIN, CalibratedRecipe, calibrate
from camray.core.localization.recipe_grid import RecipeGrid, ValidationMaps
from camray.domain.records import Split, ThresholdSource

CALIBRATED = "calibrated"


def threshold_id(policy: str, method: str, label: str) -> str:
    """Return the name of a threshold, unique within a run."""
    return f"{policy}/{method}/{label}"


def calibrated_thresholds(
    method: str,
    maps: Mapping[str, ValidationMaps],
    shape_model: tuple[int, int],
    settings: LocalizeSettings,
    *,
    has_prior: bool = False,
) -> list[BoxThreshold]:
    """Choose the threshold of each label that has validation boxes.

    Parameters
    ----------
    method : str
        Whose maps they are.
    maps : mapping of str to ValidationMaps
        By label; those without a film are left out of the result.
    shape_model : tuple of int
        (rows, cols) of the model grid.
    settings : LocalizeSettings
        What is compared.
    has_prior : bool
        Whether weights of the prior map are compared too.
    """
    recipes = calibrate(
        maps,
        shape_model,
        _recipe_grid(settings, has_prior=has_prior),
        iou_threshold=settings.calibrate_iou,
        min_area=settings.min_area,
        shrink_films=settings.calibrate_shrink,
    )
    return [
        BoxThreshold(
            id=threshold_id(CALIBRATED, method, label),
            method=method,
            label=label,
            policy=CALIBRATED,
            source=ThresholdSource.VALIDATION,
            recipe=calibrated.recipe,
            split=Split.VALIDATION.value,
            criterion=_criterion(calibrated, settings),
            n=calibrated.n,
            reached={"iou_accuracy": round(calibrated.accuracy, 6), "hit_rate": round(calibrated.hit_rate, 6)},
        )
        for label, calibrated in recipes.items()
    ]


def _recipe_grid(settings: LocalizeSettings, *, has_prior: bool) -> RecipeGrid:
    return RecipeGrid(
        levels=settings.calibrate_levels,
        raw_quantiles=settings.calibrate_raw,
        smooth=settings.calibrate_smooth,
        dilate=settings.calibrate_dilate,
        prior=settings.calibrate_prior if has_prior else (0.0,),
    )


def _criterion(calibrated: CalibratedRecipe, settings: LocalizeSettings) -> str:
    if calibrated.is_start:
        return (
            f"that of above_background: no recipe is better on these films by more than {MARGIN:g} standard error; "
            "hit point apart"
        )
    return (
        f"share of annotated films whose first box has IoU >= {settings.calibrate_iou:g}, averaged over neighbouring "
        f"recipes and blended with all labels' as {settings.calibrate_shrink:g} films; ties by mean IoU; "
        "hit point apart"
    )
