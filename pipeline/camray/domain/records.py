"""Records and vocabularies that stages share, and the columns of the tables between stages."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class RefusalReason(StrEnum):
    """Why one input file was not used. The list is closed."""

    NOT_DICOM = "not_dicom"  # neither DICOM nor a readable image
    UNREADABLE_HEADER = "unreadable_header"
    NO_PIXELS = "no_pixels"
    UNREADABLE_PIXELS = "unreadable_pixels"  # no codec decodes them, or the codec failed or crashed
    TRUNCATED = "truncated"
    UNSUPPORTED_BITS = "unsupported_bits"  # bit layout that no decoder supports
    WRONG_MODALITY = "wrong_modality"
    WRONG_BODY_PART = "wrong_body_part"
    WRONG_VIEW = "wrong_view"
    MULTI_FRAME = "multi_frame"
    COLOUR = "colour"
    BLANK = "blank"
    TOO_SMALL = "too_small"
    NOT_ORIGINAL = "not_original"  # localizers, secondary captures, presentation objects without film pixels
    DUPLICATE_PIXELS = "duplicate_pixels"
    DUPLICATE_ID = "duplicate_id"
    CONFLICTING_PATIENT = "conflicting_patient"
    MISSING_FILE = "missing_file"  # named in a table, not on disk
    NOT_A_FILE = "not_a_file"  # a link to nothing or into /proc, a pipe, a socket or a device
    UNREADABLE_FOLDER = "unreadable_folder"  # no permission, or a link to a folder above the root or of the system
    NOT_IN_TABLE = "not_in_table"  # on disk, not in the label table, and the settings require labels


class ThresholdSource(StrEnum):
    """On which data a heat threshold was chosen."""

    FIXED = "fixed"  # no boxes used: image labels of validation films, or nothing
    VALIDATION = "validation"  # calibrated on validation boxes
    ORACLE = "oracle"  # chosen on the scored films themselves


class Split(StrEnum):
    """The three parts of a data set. No patient is in two of them."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


IMAGE_COLUMNS: dict[str, str] = {
    "image_id": "string",  # SOPInstanceUID, or the path stem
    "patient_key": "string",  # keyed hash of PatientID
    "study_key": "string",
    "source": "string",  # relative to the data root
    "pixel_sha256": "string",
    "rows": "int32",
    "cols": "int32",
    "row_spacing_mm": "float64",
    "col_spacing_mm": "float64",
    "spacing_source": "string",
    "photometric": "string",
    "bits_stored": "int16",
    "transfer_syntax": "string",
    "modality": "string",
    "view": "string",
    "laterality": "string",
    "split": "string",
    "shard": "int32",
    "index": "int32",
    # x_model = x_native * scale_x + offset_x, and likewise for y (camray.domain.geometry.GridTransform)
    "scale_x": "float64",
    "scale_y": "float64",
    "offset_x": "float64",
    "offset_y": "float64",
}
GROUP_COLUMNS: dict[str, str] = {  # of films that train; the view is in the images table
    "image_id": "string",
    "sex": "string",
    "site": "string",  # keyed hash
    "maker": "string",  # keyed hash
    "age_years": "float64",  # whole years, 90 for all above
}
ACQUISITION_COLUMNS: dict[str, str] = {  # how a film was made and looks, for `camray drift`
    "image_id": "string",
    "maker": "string",  # keyed hash
    "maker_key": "string",  # fingerprint of the key: hashes by other keys cannot be compared
    "voi": "string",  # VOI transform of the header: table, window or none
    "is_doubtful": "bool",  # does not look like a chest film, or is not displayed as its header says
    "grey_mean": "float64",  # of the film on the model grid, 0-1, as are the others
    "grey_deviation": "float64",
    "grey_low": "float64",  # 1st percentile
    "grey_median": "float64",
    "grey_high": "float64",  # 99th percentile
    "border_mean": "float64",  # of the outermost tiles
    "local_contrast": "float64",  # mean standard deviation within tiles
}
LABEL_COLUMNS: dict[str, str] = {"image_id": "string", "label": "string", "value": "string"}
LABEL_VALUES = ("1", "0", "uncertain")  # a missing row is no information
CORNERS = ["x0", "y0", "x1", "y1"]  # columns of a box's corners, half-open, px
ANNOTATION_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "label": "string",
    "reader": "string",
    "kind": "string",  # box or mask; in the table of regions whose pixels do not count: ignore
    "x0": "float64",
    "y0": "float64",
    "x1": "float64",
    "y1": "float64",
    "rle": "string",  # COCO compressed run lengths of a mask on the native grid; empty for a box
}
REFUSAL_COLUMNS: dict[str, str] = {"source": "string", "reason": "string", "message": "string"}
EXPLAINED_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "split": "string",
    "shard": "int32",  # of the heat maps, not of the films
    "index": "int32",
}
PREDICTION_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "label": "string",
    "logit": "float32",
    "probability": "float32",
    "x0": "float64",  # missing where the map holds no localization
    "y0": "float64",
    "x1": "float64",
    "y1": "float64",
    "score": "float32",
    "method": "string",
    "threshold_id": "string",
    "peak_x": "float64",  # the map's peak, native px; missing where the map holds no localization
    "peak_y": "float64",
    "rank": "int16",  # 0 is the best box of this film, label, method and threshold
    "reported": "bool",  # probability reaches the label's cutoff
    "zone": "string",  # camray.domain.zones: right upper ... left lower, outside, unknown; empty without a box
}
FILM_CHECK_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "foreign": "string",  # why the film is unlike those of training; empty if it is like them
}
LUNG_COLUMNS: dict[str, str] = {
    "image_id": "string",
    "side": "string",  # the patient's: right or left; empty where no lungs were found
    "source": "string",  # network, classical or none
    "x0": "float64",  # box about the lung, native px
    "y0": "float64",
    "x1": "float64",
    "y1": "float64",
    "film_share": "float64",  # the lung's area, fraction of the film's
}
EPOCH_COLUMNS: dict[str, str] = {
    "part": "string",  # pretext, or member-0, member-1, ...
    "epoch": "int32",  # from 1
    "metric": "string",  # loss, learning_rate or auroc (validation)
    "label": "string",  # empty where the metric has none; "mean" over the labels
    "value": "float64",
}
PAIR_COLUMNS: dict[str, str] = {  # of training films and labels that they show, in self-training
    "image_id": "string",
    "label": "string",
    "confidence": "float64",  # output of the teacher, film and mirror image; not calibrated
    "agreement": "float64",  # IoU of the boxes of film and mirror image; missing without one
    "area": "float64",  # of the box, fraction of the film
    "x0": "float64",  # box of both views' mean map, native px
    "y0": "float64",
    "x1": "float64",
    "y1": "float64",
    "outcome": "string",  # used, or why not
}
REFINED_COLUMNS: dict[str, str] = {  # of findings: a run before self-training, and after it
    "label": "string",
    "boxes_used": "int64",  # of training films
    "boxes_refused": "int64",
    "films": "int64",  # of the validation split that show the label
    "agreement_before": "float64",
    "agreement_after": "float64",
    "removal_before": "float64",
    "removal_after": "float64",
    "consistency_before": "float64",  # mean of both
    "consistency_after": "float64",
    "difference": "float64",
    "standard_error": "float64",
    "kept": "bool",
    "reason": "string",
    "use": "string",  # name of the run whose boxes to use
    "annotated": "int64",  # films of the test split; for information, as is what follows
    "hit_rate_before": "float64",
    "hit_rate_after": "float64",
    "iou_accuracy_before": "float64",
    "iou_accuracy_after": "float64",
    "auroc_before": "float64",
    "auroc_after": "float64",
}
SCORE_COLUMNS: dict[str, str] = {
    "split": "string",
    "method": "string",
    "label": "string",
    "metric": "string",
    "criterion": "float64",
    "threshold_source": "string",
    "value": "float64",
    "low": "float64",
    "high": "float64",
    "n": "int64",
}


@dataclass(frozen=True)
class Counts:
    """Counts of inputs, which must add up: no input is dropped silently.

    Raises
    ------
    ValueError
        If ``n_in != n_done + n_refused`` or any count is negative.
    """

    n_in: int
    n_done: int
    n_refused: int = 0

    def __post_init__(self) -> None:
        if min(self.n_in, self.n_done, self.n_refused) < 0 or self.n_in != self.n_done + self.n_refused:
            raise ValueError(
                f"{self.n_in} inputs, {self.n_done} done and {self.n_refused} refused: lost or counted twice"
            )

    def as_json(self) -> dict[str, int]:
        """Return the counts with the keys of ``stage.json``."""
        return {"in": self.n_in, "done": self.n_done, "refused": self.n_refused}


@dataclass(frozen=True)
class StageResult:
    """Result of a stage: counts, and figures for the log.

    ``figures`` is a flat mapping of name to number or short text, printed and tracked.
    """

    counts: Counts
    figures: dict[str, Any] = field(default_factory=dict)
