"""Settings of the self-training."""

from pathlib import Path

from pydantic import Field

from camray.adapters.settings.section import Section
from camray.domain.contract import FULLY_CONNECTED


class RefineSettings(Section):
    """Self-training: confident boxes of a finished run train a second network; set by `camray refine`."""

    teacher: Path | None = Field(
        None,
        description="folder of the finished run whose weights the training starts from, and whose confident boxes on "
        "training films it uses; null: none",
    )
    weight: float = Field(0.5, gt=0, description="weight in the loss of the term on the maps inside and outside boxes")
    confidence: float = Field(
        0.7, ge=0, le=1, description="smallest output of the teacher, not calibrated, for a label whose box is used"
    )
    agreement: float = Field(
        0.5, ge=0, le=1, description="smallest IoU of the boxes that the teacher draws on the film and its mirror image"
    )
    most_area: float = Field(0.1, gt=0, le=1, description="largest area of a box that is used, fraction of the film")
    ring: float = Field(
        1.5, ge=1, description="factor on the sides of a box; cells between it and the box are ignored by the loss"
    )

    def check_fits(self, backbone: str, weights: object, outside_penalty: float) -> None:
        """Check that a teacher fits the rest of the settings.

        Raises
        ------
        ValueError
            If it does not.
        """
        if self.teacher is None:
            return
        if weights is not None:
            raise ValueError(
                f"refine.teacher starts the training from the teacher's weights, and model.weights={weights} names "
                "others; set model.weights=null, or refine.teacher=null"
            )
        if backbone in FULLY_CONNECTED or outside_penalty:
            cause = f"train.outside_penalty={outside_penalty:g}" if outside_penalty else f"model.backbone={backbone}"
            raise ValueError(
                f"refine.teacher adds a term on CAM to the loss, which does not go with {cause}; expected a backbone "
                "with a pool, and no other term on the maps; change it, or set refine.teacher=null"
            )
