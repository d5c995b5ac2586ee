"""Settings of the boxes: thresholds, reporting, and what is promised of it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from camray.adapters.settings.section import Section


class PromiseSettings(Section):
    """What reporting promises of each finding; films on which that cannot be kept are not judged."""

    sensitivity: float | None = Field(
        0.9,
        gt=0,
        lt=1,
        description="share of the films with a finding on which it is not denied (reported, or not judged); null: no "
        "promise",
    )
    ppv: float | None = Field(
        0.5, gt=0, lt=1, description="share of the films with a reported finding that show it; null: no promise"
    )
    confidence: float = Field(
        0.9, gt=0.5, lt=1, description="confidence of each of the two, over the drawing of the validation patients"
    )


class LocalizeSettings(Section):
    """Boxes from heat maps."""

    policies: tuple[Literal["above_background", "fraction_of_max", "raw", "quantile", "otsu", "calibrated"], ...] = (
        Field(
            ("above_background", "fraction_of_max", "calibrated"),
            min_length=1,
            description="how thresholds are chosen: by the settings of these names, by Otsu's method per map, or "
            "calibrated on validation boxes; above_background uses image labels, calibrated boxes, the others neither",
        )
    )
    above_background: float = Field(
        0.5,
        gt=0,
        lt=1,
        description="policy above_background: threshold, fraction of the way from the label's background (median heat "
        "of validation films without it) to the map's maximum",
    )
    above_background_clipped: float = Field(
        0.2, gt=0, lt=1, description="the same for methods that clip their maps at zero, as Grad-CAM does"
    )
    above_background_dilate: float = Field(
        1.4, gt=0, description="policy above_background: factor on the sides of its boxes"
    )
    fraction_of_max: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="policy fraction_of_max: threshold, fraction of the map's maximum; the CAM paper's: 0.2",
    )
    raw: float = Field(0.0, description="policy raw: threshold in units of the raw map")
    quantile: float = Field(0.9, gt=0, lt=1, description="policy quantile: threshold, quantile of the map's values")
    region: Literal["hottest", "largest", "evidence"] = Field(
        "hottest",
        description="region of the first box: with the peak, of the largest area, or with the largest sum of heat "
        "above the threshold; calibrated chooses its own",
    )
    boxes: Literal["one", "many"] = Field(
        "one", description="boxes per film and label: of the first region, or of every region"
    )
    score: Literal["max", "mean"] = Field("max", description="score of a box: maximum or mean heat of its region")
    smooth: float = Field(
        0.0, ge=0, description="sigma of the Gaussian smoothing, feature cells; calibrated chooses its own"
    )
    min_area: float = Field(0.001, ge=0, le=1, description="smallest area of a region, fraction of the film")
    report: Literal["judged", "cutoff", "all"] = Field(
        "judged",
        description="judged: boxes of films whose probability reaches the cutoff, except findings that are no "
        "better than chance on the validation films, and films between the cutoffs of the promise; cutoff: of all "
        "findings at one cutoff each; all: of every film",
    )
    promise: PromiseSettings = PromiseSettings()
    foreign: float | None = Field(
        0.02,
        gt=0,
        lt=0.5,
        description="share of films like the validation films whose appearance may be called unlike the training "
        "films: no finding is judged on such films, nor on those of other views or widths; null: not looked at",
    )
    prevalence: dict[str, Annotated[float, Field(gt=0, lt=1)]] = Field(
        {},
        description="by finding: prevalence at the site; probabilities are moved to it from the validation films', "
        "and the promised PPV is kept there or withdrawn",
    )
    zones: bool = Field(True, description="segment the lungs and name the lung zone of each box")
    lungs: Path | None = Field(None, description="lung segmenter from `camray lungs train`; default: the shipped one")
    calibrate_iou: float = Field(
        0.3, gt=0, lt=1, description="IoU from which a box counts as correct in the calibration"
    )
    calibrate_levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        tuple(round(0.1 + 0.05 * step, 2) for step in range(17)),
        min_length=1,
        description="thresholds that the calibration compares: fractions of the maximum and of the range, ascending",
    )
    calibrate_raw: tuple[Annotated[float, Field(ge=0, le=1)], ...] = Field(
        (), description="also compare the raw heat at these quantiles of the validation maps"
    )
    calibrate_smooth: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.5, 1.0, 1.5),
        min_length=1,
        description="sigmas of the smoothing that the calibration compares, ascending",
    )
    calibrate_dilate: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.8, 0.9, 1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0),
        min_length=1,
        description="factors on the sides of a box that the calibration compares, ascending",
    )
    calibrate_prior: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        (0.0, 0.25, 0.5, 1.0),
        min_length=1,
        description="weights of the prior map that the calibration compares, ascending, if explain.prior is true",
    )
    calibrate_shrink: float = Field(
        4.0,
        ge=0,
        description="few films: mix a label's accuracy with that over all labels, which weighs as so many films",
    )
