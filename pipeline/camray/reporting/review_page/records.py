"""Records of the review page: the run, its findings' box recipes, and its films."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from camray.domain.geometry import Box, GridTransform


@dataclass(frozen=True)
class PageRecipe:
    """Box recipe of one finding; see `camray.core.localization.box_recipes.BoxRecipe`.

    Parameters
    ----------
    reference, level, prior, dilate, region, background
        As in the recipe.
    kernel : tuple of float
        The Gaussian that smooths the map, odd and symmetric; (1.0,) for none.
    description : str
        The recipe for people, and how its threshold was chosen.
    """

    reference: str
    level: float
    prior: float
    dilate: float
    region: str
    kernel: tuple[float, ...]
    description: str
    background: float = 0.0


@dataclass(frozen=True, eq=False)
class PageRun:
    """Run and findings of all films of a page.

    Parameters
    ----------
    name, digest, method : str
        The run, a digest of its boxes and thresholds, and the explanation method shown.
    labels : tuple of str
        L of them.
    cutoffs : tuple of float or None
        Label by label: probability from which it is reported; None where no probability is stated.
    logit_cutoffs : tuple of float
        The same as raw logits.
    recipes : tuple of PageRecipe or None
        Label by label; None where a label has no threshold and hence no boxes.
    grid : mapping of str to int
        ``rows, cols, feature_rows, feature_cols``.
    exponent : int
        The stored heat is the raw heat times 2 to this power.
    min_area : float
        Smallest region, fraction of the film.
    only_best : bool
        At most one box per finding.
    prior : ndarray of shape (L, h, w), float32, or None
        Prior maps, where a recipe gives them weight.
    has_annotations : bool
        Annotations may be shown.
    no_probability : tuple of str
        Label by label: why no probability is stated; empty if one is.
    """

    name: str
    digest: str
    method: str
    labels: tuple[str, ...]
    cutoffs: tuple[float | None, ...]
    logit_cutoffs: tuple[float, ...]
    recipes: tuple[PageRecipe | None, ...]
    grid: Mapping[str, int]
    exponent: int
    min_area: float
    only_best: bool
    prior: NDArray[np.float32] | None
    has_annotations: bool
    no_probability: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class PageFilm:
    """One film.

    Parameters
    ----------
    image_id : str
        Names it; nothing that identifies the patient.
    grey : ndarray of shape (H, W), uint8
        The whole film at display resolution.
    heat : ndarray of shape (L, h, w), float16
        As stored, see `PageRun.exponent`.
    shape_native : tuple of int
        (rows, cols).
    aspect : float
        Height over width of a native pixel on the screen.
    transform : GridTransform
        Native to model grid.
    window : tuple of int
        (row0, row1, col0, col1): the model pixels that the film covers.
    probabilities : sequence of float or None
        Label by label; None where none is stated.
    logits : sequence of float
        Raw, label by label.
    reported : sequence of bool
        Likewise.
    boxes : sequence of list of Box
        The run's own boxes, label by label, best first, native px.
    annotations : sequence of (int, str, Box)
        Label number, reader and box.
    annotated : sequence of bool
        Labels that an annotation calls present.
    disagreement : sequence of float or None
        By label 0-1: how much the AI and the annotations differ; None where there is no annotation, or no judgement.
    not_judged : sequence of str
        Label by label: why it is neither reported nor denied; empty if it is judged.
    note : str
        A note on the film's picture for the reader; may be empty.
    facts : str
        Size and view.
    """

    image_id: str
    grey: NDArray[np.uint8]
    heat: NDArray[np.float16]
    shape_native: tuple[int, int]
    aspect: float
    transform: GridTransform
    window: tuple[int, int, int, int]
    probabilities: Sequence[float | None]
    logits: Sequence[float]
    reported: Sequence[bool]
    boxes: Sequence[list[Box]]
    annotations: Sequence[tuple[int, str, Box]]
    annotated: Sequence[bool]
    disagreement: Sequence[float | None]
    not_judged: Sequence[str] = ()
    note: str = ""
    facts: str = ""
