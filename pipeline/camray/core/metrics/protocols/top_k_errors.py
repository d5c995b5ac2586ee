"""Top-k classification and localization error, as defined by ILSVRC and the CAM paper, for films of several labels.

ILSVRC scores a picture with one true label C and boxes B (Russakovsky et al., IJCV 2015, section 4; Zhou et
al., CVPR 2016, section 3.2): among the k labels a method names, in order and each with one box, classification is right
if C is one of them, localization if C is one of them and its box overlaps one of B with IoU >= 0.5. The error is the
share of pictures that are wrong.

A film may show several labels, or none. Here

- films without a true label are left out: there is nothing to name or localize;
- *classification* is right if any of the k labels with the highest logits is present on the film;
- *localization* is right if any of them is present, and the box that the method draws for that very label overlaps one
  of that label's annotated boxes with IoU >= 0.5 (a missing box overlaps nothing);
- logits are compared across labels as they are; equals keep the order of the labels.

On films with exactly one true label both are ILSVRC's; a film with more is easier, since any of them will do.
Localization is never right where classification is wrong. With k equal to the number of labels (five, in the generated
films) classification is right by construction, and localization is right if *any* present finding was localized.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.core.metrics.localization.annotated_films import FloatArray

LOCALIZATION_IOU = 0.5
TOP_KS = (1, 5)


@dataclass(frozen=True)
class TopErrors:
    """Errors 0-1 over `films` films; NaN where there are none."""

    k: int
    classification: float
    localization: float
    films: int


def top_errors(logits: FloatArray, present: NDArray[np.bool_], right: FloatArray, k: int) -> TopErrors:
    """Count wrong films.

    Parameters
    ----------
    logits : ndarray of shape (N, L), float64
        Finite.
    present : ndarray of shape (N, L), bool
        The film's true labels; rows without one are left out.
    right : ndarray of shape (N, L), float64
        1 where the label's box has IoU >= `LOCALIZATION_IOU` with one of its annotated boxes, else 0. Between them: the
        share of random draws that are right, where the method draws at random; draws of different labels count as
        independent.
    k : int
        Labels that a method may name; at most L.

    Returns
    -------
    TopErrors

    Raises
    ------
    ValueError
        If the shapes differ, `k` is out of range, or a box is right for a label that is not present.
    """
    if not (logits.shape == present.shape == right.shape and logits.ndim == 2):
        raise ValueError(f"shapes {logits.shape}, {present.shape}, {right.shape}; expected three times [N, L]")
    if not 1 <= k <= logits.shape[1]:
        raise ValueError(f"top {k} of {logits.shape[1]} labels")
    if (right[~present] > 0).any():
        raise ValueError("a box counts as right for a label that its film does not show; expected 0 there")
    is_labelled = present.any(axis=1)
    if not is_labelled.any():
        return TopErrors(k, float("nan"), float("nan"), 0)
    named = np.argsort(-logits[is_labelled], axis=1, kind="stable")[:, :k]
    is_present = np.take_along_axis(present[is_labelled], named, axis=1)
    is_right = np.take_along_axis(right[is_labelled], named, axis=1)
    missed = np.prod(1.0 - is_right, axis=1)
    return TopErrors(k, float((~is_present.any(axis=1)).mean()), float(missed.mean()), int(is_labelled.sum()))
