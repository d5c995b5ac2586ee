"""Deletion and insertion curves, average drop and average increase of a label's probability.

The units are the map's cells; cell (r, c) of h x w is the pixels (i, j) with ``floor(i h / H) = r``, ``floor(j w / W) =
c``. Deleted cells are replaced by a *baseline film*: by default deletion uses the film's own mean grey, insertion
starts from the film blurred by a Gaussian (both as Petsiuk et al. do). Other tools delete to black by default.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from camray.core.explain.activation_maximization import blurred
from camray.core.explain.resampling import resampled
from camray.core.map_sanity.similarity import is_constant
from camray.core.map_sanity.single_label import OneLabel, label_probabilities

FloatArray = NDArray[np.float64]
Baseline = Literal["mean", "black", "blurred"]


@dataclass(frozen=True)
class Curves:
    """A label's probability on N films as their cells go and come.

    Parameters
    ----------
    fractions : ndarray of shape (S + 1,), float64
        Part of the cells that are altered, 0 to 1.
    deletion : ndarray of shape (N, S + 1), float64
        With that part of the film replaced by its baseline, hottest cells first. NaN for a map without an order.
    insertion : ndarray of shape (N, S + 1), float64
        With that part of the baseline replaced by the film itself, hottest cells first. NaN likewise.
    """

    fractions: FloatArray
    deletion: FloatArray
    insertion: FloatArray


def cell_order(heat: FloatArray, seed: int) -> NDArray[np.int64]:
    """Order cells by heat, hottest first.

    Parameters
    ----------
    heat : ndarray of shape (N, h, w), float64
        Raw, signed.
    seed : int
        Of the order among equals: a random one, the same for every map, so that no corner of the film is favoured.

    Returns
    -------
    ndarray of shape (N, h w), int64
        Row-major numbers of cells.
    """
    flat = heat.reshape(len(heat), -1)
    shuffled = np.random.default_rng(seed).permutation(flat.shape[1])
    return np.asarray(shuffled[np.argsort(-flat[:, shuffled], axis=1, kind="stable")])


@dataclass(frozen=True)
class CurveSettings:
    """Settings of deletion and insertion.

    Parameters
    ----------
    steps : int
        S. After step s the first ``round(s h w / S)`` cells are altered; where the grid has fewer cells, all are steps.
    blur_px : float
        Standard deviation of the Gaussian, px.
    seed : int
        See `cell_order`.
    batch_size : int
        Films per pass.
    deletion_baseline, insertion_baseline : str
        What deletion puts in place of cells, and what insertion starts from: the film's mean grey, black (0), or the
        film blurred by `blur_px`.
    """

    steps: int
    blur_px: float
    seed: int
    batch_size: int
    deletion_baseline: Baseline = "mean"
    insertion_baseline: Baseline = "blurred"


def removal_curves(view: OneLabel, films: Tensor, heat: FloatArray, settings: CurveSettings) -> Curves:
    """Measure deletion and insertion (Petsiuk et al., BMVC 2018, section 3.2, algorithm 1).

    Parameters
    ----------
    view : OneLabel
        In evaluation mode.
    films : Tensor of shape (N, 1, H, W)
        Grey 0-1.
    heat : ndarray of shape (N, h, w), float64
        Raw, signed; a map that is constant or not finite has no order, and NaN curves.
    settings : CurveSettings
        Steps, blur, seed and batch size.

    Returns
    -------
    Curves
        On the probability, not on the logit.
    """
    cells = heat.shape[1] * heat.shape[2]
    counts = np.unique(np.rint(np.linspace(0, cells, min(settings.steps, cells) + 1)).astype(np.int64))
    order = cell_order(np.nan_to_num(heat), settings.seed)
    turn_of_cell = np.empty_like(order)
    np.put_along_axis(turn_of_cell, order, np.arange(cells)[None], axis=1)  # when a cell's turn comes
    turns = torch.from_numpy(turn_of_cell.reshape(heat.shape))[:, None]
    emptied, start = (
        _baseline(kind, films, settings.blur_px) for kind in (settings.deletion_baseline, settings.insertion_baseline)
    )
    deletion, insertion = [], []
    for count in counts.tolist():
        is_altered = _on_pixels((turns < count).to(films), films)
        deletion.append(label_probabilities(view, torch.where(is_altered, emptied, films), settings.batch_size))
        insertion.append(label_probabilities(view, torch.where(is_altered, films, start), settings.batch_size))
    curves = [torch.stack(each, dim=1).cpu().numpy() for each in (deletion, insertion)]
    lost = is_constant(heat)
    for curve in curves:
        curve[lost] = np.nan
    return Curves(counts / cells, curves[0], curves[1])


def _baseline(kind: Baseline, films: Tensor, blur_px: float) -> Tensor:
    """Return the baseline of each film, of the films' shape."""
    if kind == "black":
        return torch.zeros_like(films)
    if kind == "blurred":
        return blurred(films, blur_px)
    return films.mean(dim=(1, 2, 3), keepdim=True).expand_as(films)


def area_under(fractions: FloatArray, curves: FloatArray) -> FloatArray:
    """Integrate curves by the trapezoid rule.

    Parameters
    ----------
    fractions : ndarray of shape (S + 1,), float64
        Fraction of the film at each step, rising.
    curves : ndarray of shape (N, S + 1), float64
        Value at each step.

    Returns
    -------
    ndarray of shape (N,), float64
        NaN for a curve with NaN.
    """
    return np.asarray(np.trapezoid(curves, fractions, axis=1))


@dataclass(frozen=True)
class Confidence:
    """Probabilities of a label on N films, float64: of the film, and of what its map shows of it (NaN: nothing)."""

    whole: FloatArray
    through_map: FloatArray

    @property
    def drop(self) -> FloatArray:
        """``max(0, Y - O) / Y`` film by film; its mean is the average drop."""
        return np.asarray(np.maximum(0.0, self.whole - self.through_map) / self.whole)

    @property
    def increase(self) -> FloatArray:
        """1 where ``Y < O``, else 0, NaN where the map shows nothing; its mean is the average increase."""
        return np.where(np.isfinite(self.through_map), (self.whole < self.through_map).astype(np.float64), np.nan)


def confidence_through(view: OneLabel, films: Tensor, heat: FloatArray, *, batch_size: int) -> Confidence:
    """Compare the probability of a film with that of the film seen through its map (Chattopadhay et al., WACV 2018).

    ``O = p(x * M)`` with M the map's positive part by its own maximum (section 4.1: "the explanation map E = L * I"),
    interpolated bilinearly to the film; what the map does not show becomes black. Average drop is the mean of ``max(0,
    Y - O) / Y``, average increase the share of films with ``Y < O`` (the paper gives both in percent).

    Parameters
    ----------
    view : OneLabel
        In evaluation mode.
    films : Tensor of shape (N, 1, H, W)
        Grey 0-1.
    heat : ndarray of shape (N, h, w), float64
        Raw, signed. A map without a positive value shows nothing: NaN.
    batch_size : int
        Films per pass.

    Returns
    -------
    Confidence
        Probabilities of the N films, whole and masked.
    """
    finite = np.where(np.isfinite(heat), heat, 0.0)
    peak = finite.max(axis=(1, 2))
    has_evidence = (peak > 0) & np.isfinite(heat).all(axis=(1, 2))
    heat01 = np.clip(finite, 0.0, None) / np.where(peak > 0, peak, 1.0)[:, None, None]
    mask = resampled(torch.from_numpy(heat01)[:, None].to(films), (films.shape[-2], films.shape[-1]))
    whole = label_probabilities(view, films, batch_size).cpu().numpy()
    seen_through_map = label_probabilities(view, films * mask, batch_size).cpu().numpy()
    return Confidence(whole, np.where(has_evidence, seen_through_map, np.nan))


def _on_pixels(cells: Tensor, films: Tensor) -> Tensor:
    return F.interpolate(cells, size=films.shape[-2:], mode="nearest") > 0
