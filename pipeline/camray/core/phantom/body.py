"""One patient's build: the numbers that a chest is drawn from.

Lengths are cm. `u` points to the patient's left, `v` down; (0, 0) is on the midline at the height of the hila.
"""

from dataclasses import dataclass

import numpy as np

from camray.core.phantom.fields import between

APEX_U_CM = 5.2  # distance of each lung's top from the midline


@dataclass(frozen=True)
class Body:
    """One patient's build, breath and stance on one film.

    Parameters
    ----------
    half_width : float
        Of the rib cage inside, at its widest, cm.
    depth : float
        Front to back, chest, cm.
    apex_right, apex_left, dome_right, dome_left : float
        `v` of the lungs' tops and of the diaphragm's highest points, cm.
    mediastinum : float
        Half width of the upper mediastinum, cm.
    knob : float
        Protrusion of the aortic knob, cm.
    turn : float
        Shift of the mediastinum against the spine in a rotated patient, cm; positive to the patient's left.
    heart_ratio : float
        Heart's width over the rib cage's inner width.
    heart_tilt, heart_aspect : float
        Angle of the long axis, rad, and long over short axis.
    heart_lift : float
        Height of the heart's lower border above its usual position, cm.
    breast : float
        Breast thickness, cm; 0 for none.
    breast_u, breast_v : float
        Centre of the breast shadows, cm.
    fat : float
        Thickness of the chest wall beyond the ribs, cm.
    ribs : tuple of float
        First rib's height, distance between ribs, drop from back to front, slope, half width (cm, cm, cm, ratio, cm).
    inflation : float
        Greatest path through lung over the chest's depth.
    is_enlarged : bool
        The heart is drawn as cardiomegaly.
    """

    half_width: float
    depth: float
    apex_right: float
    apex_left: float
    dome_right: float
    dome_left: float
    mediastinum: float
    knob: float
    turn: float
    heart_ratio: float
    heart_tilt: float
    heart_aspect: float
    heart_lift: float
    breast: float
    breast_u: float
    breast_v: float
    fat: float
    ribs: tuple[float, float, float, float, float]
    inflation: float
    is_enlarged: bool


def draw_body(
    patient: np.random.Generator, film: np.random.Generator, is_female: bool, is_portable: bool, is_enlarged: bool
) -> Body:
    """Draw a patient's build from one stream and this film's breath and stance from another.

    Parameters
    ----------
    patient, film : Generator
        The patient's stream gives equal numbers for all films of a patient.
    is_female, is_portable, is_enlarged : bool
        Whether breast shadows are drawn, whether the view is AP, and whether the heart is enlarged.

    Returns
    -------
    Body
        All lengths in cm.
    """
    half_width = between(patient, 12.4, 14.4) - (0.5 if is_female else 0.0)
    depth = between(patient, 18.5, 25.0)
    apex = -between(patient, 12.3, 13.8)
    knob, mediastinum = between(patient, 0.0, 1.3), between(patient, 2.5, 3.5)
    breast = between(patient, 0.8, 3.2) if is_female else max(0.0, between(patient, -1.5, 0.9))
    breast_u, breast_v = half_width * between(patient, 0.58, 0.68), between(patient, 4.5, 9.0)
    fat = between(patient, 1.8, 4.4)
    ribs = (apex - 0.2, between(patient, 2.25, 2.5), between(patient, 7.5, 9.5), between(patient, 0.04, 0.2), 0.62)
    normal_ratio, large_ratio = between(patient, 0.39, 0.51), between(patient, 0.59, 0.72)
    breath = between(film, -3.0, 1.2) - (0.8 if is_portable else 0.0)
    raised = between(film, 1.5, 4.2) * (film.random(2) < 0.14)
    dome_right = 10.3 + breath
    turn = float(np.clip(film.normal(0, 0.5), -1.4, 1.4))
    heart_tilt, heart_aspect = between(film, 0.55, 0.85), between(film, 1.28, 1.5)
    round_tilt, round_aspect = between(film, 0.2, 0.5), between(film, 1.08, 1.2)
    lift = max(0.0, between(film, -1.5, 1.5))
    inflation = between(film, 0.58, 0.82)
    return Body(
        half_width=half_width,
        depth=depth,
        apex_right=apex + between(film, -0.4, 0.4),
        apex_left=apex + between(film, -0.4, 0.4),
        dome_right=dome_right - float(raised[0]),
        dome_left=dome_right + between(film, 0.3, 1.6) - float(raised[1]),
        mediastinum=mediastinum + (0.4 if is_portable else 0.0),
        knob=knob,
        turn=turn,
        heart_ratio=large_ratio if is_enlarged else normal_ratio,
        heart_tilt=round_tilt if is_enlarged else heart_tilt,
        heart_aspect=round_aspect if is_enlarged else heart_aspect,
        heart_lift=0.0 if is_enlarged else lift,
        breast=breast,
        breast_u=breast_u,
        breast_v=breast_v,
        fat=fat,
        ribs=ribs,
        inflation=inflation,
        is_enlarged=is_enlarged,
    )
