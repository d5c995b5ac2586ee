"""Settings of the scores."""

from typing import Annotated, Literal

from pydantic import Field

from camray.adapters.settings.section import Section


class ScoreSettings(Section):
    """Scores, with intervals and baselines."""

    splits: tuple[str, ...] = Field(("test",), description="splits to score")
    bootstrap: int = Field(
        1000, ge=0, description="bootstrap resamples of patients, or of films (resample); 0 omits the intervals"
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="confidence level of the intervals")
    oracle: bool = Field(False, description="also report scores at thresholds chosen on the scored films themselves")
    pictures: bool = Field(True, description="draw charts and films for the report")
    few_shot: bool = Field(True, description="also score a small head trained on the boxes of the validation films")
    seed: int = Field(1, description="random seed of the bootstrap and of the baselines")
    protocols: tuple[
        Literal[
            "wsol",
            "chestxray14",
            "chexlocalize",
            "detection",
            "rodeo",
            "ilsvrc",
            "classification",
            "containment",
            "ceiling",
        ],
        ...,
    ] = Field((), description="published protocols to add to the score table, see docs/scores.md")
    resample: Literal["patient", "film"] = Field(
        "patient",
        description="unit of the bootstrap; film: as CheXlocalize, too narrow where patients have several films",
    )
    groups: tuple[Literal["sex", "age", "view", "maker", "site"], ...] = Field(
        ("sex", "age", "view", "maker", "site"),
        description="columns whose groups of films are scored and compared, where they are known; [] for none",
    )
    group_patients: int = Field(
        10,
        ge=2,
        description="fewest patients of a group that are scored; of an AUROC, with the finding and without",
    )
    wsol_thresholds: int = Field(1000, ge=10, le=1000, description="number of thresholds of the protocol wsol")
    wsol_interpolation: Literal["bilinear", "bicubic"] = Field(
        "bilinear", description="interpolation of maps in the protocol wsol; bicubic: as wsolevaluation"
    )
    coco_ious: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (), description="IoU of further rows detection/coco_ap, for instance below 0.5"
    )
    human: dict[
        str,
        dict[Literal["miou_true_positive", "miou_annotated", "miou_all", "hit_rate"], Annotated[float, Field(gt=0)]],
    ] = Field({}, description="by label: human benchmark of these metrics, for the protocol chexlocalize")
