"""Features of films that drift is looked for in: header, appearance, and what the network says of each finding."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.domain.predicted_films import Verdict
from camray.domain.records import CORNERS

HEADER, APPEARANCE, OUTPUT = "header", "appearance", "output"
MOST_BOXES = 3
# column of the images or the acquisition table, and its name in words
_TAGS = {
    "modality": "modality",
    "view": "view",
    "photometric": "photometric interpretation",
    "bits_stored": "bits stored",
    "transfer_syntax": "transfer syntax",
    "spacing_source": "kind of pixel spacing",
    "maker": "manufacturer (hashed)",
    "voi": "window in the header",
}
_SIZES = {"row_spacing_mm": "pixel spacing (mm)", "rows": "rows (px)", "cols": "columns (px)"}
_LOOKS = {
    "grey_mean": "mean grey",
    "grey_deviation": "spread of grey",
    "grey_low": "dark end of grey (1 %)",
    "grey_median": "median grey",
    "grey_high": "bright end of grey (99 %)",
    "border_mean": "grey at the border",
    "local_contrast": "local contrast",
}
_DOUBTS = np.array(["as expected", "unlike a chest film, or window not usable"], dtype=object)


@dataclass(frozen=True, eq=False)
class Feature:
    """One feature of N films.

    Parameters
    ----------
    key : str
        ``<group>/<name>``: header, appearance or output, and for outputs the finding.
    title : str
        In words.
    values : ndarray of shape (N,), float64 or object
        Numbers, NaN where unknown; or texts.
    """

    key: str
    title: str
    values: NDArray[Any]

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.values.dtype.kind == "f"

    @property
    def group(self) -> str:
        """``header``, ``appearance`` or ``output``."""
        return self.key.partition("/")[0]


def one_film_per_patient(films: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Choose one film of each patient at random.

    Films of one patient are alike. Only films that are independent of one another can be compared by tests that take
    them to be so.

    Parameters
    ----------
    films : DataFrame
        Columns ``image_id`` and ``patient_key``.
    seed : int
        Of the choice.

    Returns
    -------
    DataFrame
        Rows of `films`, in their order.
    """
    ordered = films.sort_values("image_id", kind="stable")
    shuffled = ordered.iloc[np.random.default_rng(seed).permutation(len(ordered))]
    chosen = shuffled.index[~shuffled["patient_key"].duplicated().to_numpy(dtype=bool)]
    return films.loc[films.index.isin(chosen)]


def film_features(films: pd.DataFrame) -> list[Feature]:
    """Return the features of header and appearance.

    Parameters
    ----------
    films : DataFrame
        Columns of the images table, and of the acquisition table where it is known.
    """
    tags = [Feature(f"{HEADER}/{name}", title, _texts(films[name])) for name, title in _TAGS.items() if name in films]
    numbers = [
        Feature(f"{group}/{name}", title, films[name].to_numpy(np.float64, na_value=np.nan))
        for group, names in ((HEADER, _SIZES), (APPEARANCE, _LOOKS))
        for name, title in names.items()
        if name in films
    ]
    doubts = []
    if "is_doubtful" in films:
        values = _DOUBTS[films["is_doubtful"].to_numpy(dtype=np.int64)]
        doubts = [Feature(f"{APPEARANCE}/is_doubtful", "looks like a chest film", values)]
    return [*tags, *numbers, *doubts]


def output_features(
    image_ids: Sequence[str], logits: pd.DataFrame, answers: pd.DataFrame, boxes: pd.DataFrame
) -> list[Feature]:
    """Return the features of what the network says of each finding.

    Parameters
    ----------
    image_ids : sequence of str
        N films.
    logits, answers : DataFrame
        By ``image_id`` and label; an answer is a `Verdict` as text.
    boxes : DataFrame
        Columns ``image_id, label``, the box's corners (native px, missing without a box) and ``film_px``, the area of
        the film in px.

    Returns
    -------
    list of Feature
        Of each label: logit, answer, number of reported boxes, mean area of these as a share of the film.
    """
    x0, y0, x1, y1 = (boxes[corner] for corner in CORNERS)
    table = boxes.assign(share=(x1 - x0) * (y1 - y0) / boxes["film_px"])
    features = []
    for label in logits.columns:
        of_film = table[table["label"] == label].groupby("image_id", observed=True)["share"]
        seen = of_film.agg(["count", "mean"]).reindex(list(image_ids))
        answer = answers[label].loc[list(image_ids)].to_numpy(dtype=object)
        count, mean = (
            np.where(answer == str(Verdict.REPORTED), seen[name].to_numpy(float), np.nan) for name in ("count", "mean")
        )
        features += [
            Feature(f"{OUTPUT}/{label}/logit", f"{label}: logit", logits[label].loc[list(image_ids)].to_numpy(float)),
            Feature(f"{OUTPUT}/{label}/answer", f"{label}: answer", answer),
            Feature(f"{OUTPUT}/{label}/boxes", f"{label}: boxes on a film", _counts(count)),
            Feature(f"{OUTPUT}/{label}/area", f"{label}: area of a box", mean),
        ]
    return features


def medians(features: Sequence[Feature]) -> Mapping[str, float]:
    """Return the median of each feature of numbers, by key; of known values."""
    known = {each.key: each.values[np.isfinite(each.values)] for each in features if each.is_number}
    return {key: float(np.median(values)) for key, values in known.items() if values.size}


def _texts(column: "pd.Series[Any]") -> NDArray[np.object_]:
    texts = column.astype("string").fillna("").replace("", "(none)")
    return texts.to_numpy(dtype=object)


def _counts(boxes: NDArray[np.float64]) -> NDArray[np.object_]:
    counts = np.minimum(np.nan_to_num(boxes), MOST_BOXES).astype(np.int64)
    names = np.array([*map(str, range(MOST_BOXES)), f"{MOST_BOXES} or more"], dtype=object)
    return np.asarray(names[counts], dtype=object)
