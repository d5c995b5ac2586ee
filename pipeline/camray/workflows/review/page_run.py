"""Run of a review page: grid, labels, and box recipes as text."""

import numpy as np
from scipy.ndimage import gaussian_filter1d

from camray.adapters.settings.schema import Settings
from camray.core.localization.box_thresholds import BoxThreshold
from camray.domain.errors import PipelineError
from camray.domain.records import ThresholdSource
from camray.io.explained_run import ExplainedRun
from camray.reporting.review_page.records import PageRecipe, PageRun

LARGE_LOGIT = 1e3  # stands for infinity, which JSON has not
_REFERENCES = {
    "max": "fraction of the map's maximum",
    "range": "fraction of the map's range",
    "raw": "the heat itself",
    "quantile": "fraction of the film that is cooler",
    "otsu": "factor on Otsu's threshold",
    "background": "fraction of the way from the background to the map's maximum",
}


def page_run_of(run: ExplainedRun, settings: Settings, digest: str, *, has_annotations: bool) -> PageRun:
    """Return what all films share.

    Raises
    ------
    PipelineError
        If boxes use prior maps and there are none.
    """
    method, thresholds, grid = run.default_method, run.default_thresholds, run.grid
    prior = run.prior(method)
    if prior is None and any(threshold.recipe.prior for threshold in thresholds.values()):
        raise PipelineError(
            f"{run.folder.root}: its boxes use prior maps, which are with the trained run; name that run with --trained"
        )
    report = settings.localize.report
    cutoffs = [run.thresholds.probability_cutoff(label, report) for label in run.labels]
    logit_cutoffs = [run.thresholds.logit_cutoff(label, report) for label in run.labels]
    return PageRun(
        name=run.folder.root.resolve().name,
        digest=digest,
        method=method,
        labels=run.labels,
        cutoffs=tuple(None if np.isnan(cutoff) else cutoff for cutoff in cutoffs),
        logit_cutoffs=tuple(float(np.clip(cutoff, -LARGE_LOGIT, LARGE_LOGIT)) for cutoff in logit_cutoffs),
        no_probability=tuple(run.thresholds.calibration_of(label).reason for label in run.labels),
        recipes=tuple(_page_recipe(thresholds[label]) if label in thresholds else None for label in run.labels),
        grid={
            "rows": grid.rows,
            "cols": grid.cols,
            "feature_rows": grid.feature_rows,
            "feature_cols": grid.feature_cols,
        },
        exponent=grid.heat_exponents[method],
        min_area=settings.localize.min_area,
        only_best=settings.localize.boxes == "one",
        prior=prior,
        has_annotations=has_annotations,
    )


def _page_recipe(threshold: BoxThreshold) -> PageRecipe:
    recipe = threshold.recipe
    parts = [_REFERENCES[recipe.reference]]
    parts += [f"smoothed by {recipe.smooth:g} cells"] if recipe.smooth else []
    parts += [f"prior map × {recipe.prior:g}"] if recipe.prior else []
    parts += [f"sides × {recipe.dilate:g}"] if recipe.dilate != 1 else []
    is_calibrated = threshold.source is ThresholdSource.VALIDATION
    origin = f"chosen on {threshold.n} validation films" if is_calibrated else "no boxes used"
    return PageRecipe(
        reference=recipe.reference,
        level=1.0 if recipe.reference == "otsu" else recipe.level,
        prior=recipe.prior,
        dilate=recipe.dilate,
        region=recipe.region,
        background=recipe.background if recipe.reference == "background" else 0.0,
        kernel=_kernel(recipe.smooth),
        description=f"{', '.join(parts)}; {origin}",
    )


def _kernel(sigma: float) -> tuple[float, ...]:
    """Return the weights of the Gaussian that `camray.core.localization.heat_maps.upsampled` applies to an impulse."""
    if sigma <= 0:
        return (1.0,)
    reach = int(4.0 * sigma + 0.5)  # scipy's truncation
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1.0
    return tuple(float(weight) for weight in gaussian_filter1d(impulse, sigma, mode="constant"))
