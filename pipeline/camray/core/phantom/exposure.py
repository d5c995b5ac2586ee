"""Exposure of a film: attenuation, scatter, quantum noise, logarithm, characteristic curve."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from camray.core.phantom.body import Body
from camray.core.phantom.fields import FloatImage, between, stretched

TISSUE_PER_CM, BONE_PER_CM = 0.19, 0.42  # attenuation of soft tissue, and of bone beyond that of the tissue it replaces
COARSE = 8  # px per cell of the grid on which scatter is computed
CURVE_STEP = 1 / 2048
CURVE: FloatImage = (1 / (1 + np.exp(-np.arange(-9, 9, CURVE_STEP)))).astype(np.float32)  # the characteristic curve


@dataclass(frozen=True)
class Technique:
    """Exposure and display of one film; independent of its findings.

    Parameters
    ----------
    quanta : float
        Detected in one pixel of the open beam.
    scatter : float
        Scattered over primary light, of the film's mean.
    middle : float
        Position of the curve's middle: 0 at a typical lung's, 1 at a typical mediastinum's attenuation.
    contrast : float
        Steepness over that range.
    gamma : float
        Exponent of the displayed grey.
    """

    quanta: float
    scatter: float
    middle: float
    contrast: float
    gamma: float


def draw_technique(rng: np.random.Generator) -> Technique:
    """Draw exposure and display of one film.

    Parameters
    ----------
    rng : Generator
        Random numbers.

    Returns
    -------
    Technique
        Exposure and display.
    """
    return Technique(
        quanta=float(np.exp(between(rng, np.log(2.0e4), np.log(1.5e5)))),
        scatter=between(rng, 0.05, 0.3),
        middle=between(rng, 0.0, 0.75),
        contrast=between(rng, 2.2, 4.2),
        gamma=between(rng, 0.7, 1.35),
    )


def expose(
    rng: np.random.Generator,
    technique: Technique,
    body: Body,
    tissue_cm: FloatImage,
    bone_cm: FloatImage,
) -> FloatImage:
    """Expose and develop a film.

    Parameters
    ----------
    rng : Generator
        Of the quantum noise.
    technique : Technique
        Exposure and display.
    body : Body
        Only its depth is used: the display is set for the patient's thickness.
    tissue_cm, bone_cm : ndarray of shape (H, W), float32
        Path lengths through soft tissue and bone, cm.

    Returns
    -------
    ndarray of shape (H, W), float32
        Grey, 0 black (much light) to 1 white.
    """
    light = np.exp(-TISSUE_PER_CM * tissue_cm - BONE_PER_CM * bone_cm)
    light += np.float32(technique.scatter) * _scattered(light)
    grain = rng.standard_normal(light.shape, dtype=np.float32) / np.sqrt(np.float32(technique.quanta) * light)
    attenuation = grain - np.log(light)
    lung, thick = TISSUE_PER_CM * 0.48 * body.depth, TISSUE_PER_CM * 1.0 * body.depth
    middle = lung + technique.middle * (thick - lung) - 0.25 * technique.scatter
    steep = technique.contrast / (thick - lung)
    attenuation -= np.float32(middle)
    attenuation *= np.float32(steep / CURVE_STEP)
    attenuation += np.float32(CURVE.size / 2 + 0.5)
    index = np.clip(attenuation, 0, CURVE.size - 1).astype(np.intp)
    return np.asarray(np.power(CURVE, np.float32(technique.gamma)).take(index))


def _scattered(light: FloatImage) -> FloatImage:
    rows, cols = light.shape
    coarse = light[:: min(COARSE, rows // 4), :: min(COARSE, cols // 4)]
    spread = gaussian_filter(coarse, (coarse.shape[0] / 14, coarse.shape[1] / 14), mode="nearest", truncate=2.5)
    return stretched(np.minimum(spread, 0.15).astype(np.float32), rows, cols)
