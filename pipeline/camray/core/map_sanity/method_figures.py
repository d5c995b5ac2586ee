"""Figures of one explanation method: what the map sanity checks measured."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from camray.core.map_sanity.columns import COUNTS, SUMMARY
from camray.core.map_sanity.deletion_insertion import Curves, area_under
from camray.core.map_sanity.similarity import FloatArray


@dataclass(frozen=True)
class Cascade:
    """Agreement of maps with the original as blocks are randomised; arrays [blocks, n], NaN where undefined."""

    blocks: tuple[str, ...]
    signed: FloatArray  # Spearman's rank correlation of the maps as they are
    absolute: FloatArray  # the same of their absolute values
    ssim: FloatArray


@dataclass(frozen=True)
class MethodFigures:
    """One method on N pairs of film and label, the first ones given; the first n <= N of them for noise and cascade.

    Parameters
    ----------
    method : str
        Name.
    reason : str
        Why there are no figures; empty where there are.
    constant : ndarray of shape (N,), bool
        Maps that order nothing: constant, or not finite. Their figures are NaN.
    curves : Curves or None
        Deletion and insertion.
    whole, drop, increase : ndarray of shape (N,), float64
        Probability of the film; see `deletion_insertion.Confidence`.
    noise : ndarray of shape (draws, n), float64
        Relative change of the map, draw by draw.
    cascade : Cascade or None
        Over n pairs.
    passes : float
        Films through the network for one map, a backward pass counted as two.
    """

    method: str
    reason: str = ""
    constant: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    curves: Curves | None = None
    whole: FloatArray = field(default_factory=lambda: np.zeros(0))
    drop: FloatArray = field(default_factory=lambda: np.zeros(0))
    increase: FloatArray = field(default_factory=lambda: np.zeros(0))
    noise: FloatArray = field(default_factory=lambda: np.zeros((1, 0)))
    cascade: Cascade | None = None
    passes: float = float("nan")

    def summary(self) -> dict[str, float]:
        """Return the method's figures in the order of `SUMMARY`, each the mean over the pairs where it is defined."""
        curves, cascade = self.curves, self.cascade
        figures = {name: 0.0 if name in COUNTS else float("nan") for name in SUMMARY}
        figures |= {"films": float(len(self.constant)), "constant": float(self.constant.sum()), "passes": self.passes}
        figures |= {"probability": _mean(self.whole), "average_drop": _mean(self.drop)}
        figures |= {"average_increase": _mean(self.increase)}
        if curves is not None:
            figures["deletion_auc"] = _mean(area_under(curves.fractions, curves.deletion))
            figures["insertion_auc"] = _mean(area_under(curves.fractions, curves.insertion))
        if cascade is not None:
            figures["checked_films"] = float(cascade.signed.shape[1])
            figures |= {"rank_head": _mean(cascade.signed[0]), "rank_all": _mean(cascade.signed[-1])}
            figures |= {"rank_head_abs": _mean(cascade.absolute[0]), "rank_all_abs": _mean(cascade.absolute[-1])}
            figures["ssim_all"] = _mean(cascade.ssim[-1])
            figures |= {"noise_max": _mean(self.noise.max(axis=0)), "noise_mean": _mean(self.noise.mean(axis=0))}
        return figures


def _mean(values: FloatArray) -> float:
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if defined.size else float("nan")
