"""Several readers' boxes of one film to one set: all of them, those most readers agree on, or fused ones.

Boxes of one film and finding are fused as in weighted boxes fusion (Solovyev, Wang and Gabruseva, Image and Vision
Computing 107, 2021), every reader with the same weight: a box joins the cluster whose fused box it overlaps most, if
the IoU exceeds `FUSION_IOU`; a cluster's fused box is the mean of its members' corners.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FUSION_IOU = 0.5
CORNERS = ["x0", "y0", "x1", "y1"]


def combined(
    boxes: pd.DataFrame, readers: NDArray[np.int64], policy: Literal["union", "majority", "fusion"]
) -> pd.DataFrame:
    """Combine the boxes of several readers.

    Parameters
    ----------
    boxes : DataFrame
        Columns ``film, label, reader, x0, y0, x1, y1, rle``; native px.
    readers : ndarray of shape (films,), int64
        How many readers each film had; 0 where the tables do not say, and then those that drew count.
    policy : str
        ``union``: every box stands. ``fusion``: one fused box a cluster. ``majority``: fused boxes of the clusters that
        more than half of the film's readers had a box in.

    Returns
    -------
    DataFrame
        The same columns, by film and label; ``reader`` of a fused box is the policy's name. Masks stay as they are, and
        so do boxes without a reader. The order of the rows does not matter.
    """
    fusible = (boxes["reader"] != "") & (boxes["rle"] == "")
    if policy == "union" or not fusible.any():
        return boxes
    drawn = boxes[fusible].sort_values(["film", "label", *CORNERS, "reader"], kind="stable")
    keys = drawn[["film", "label"]].to_numpy(np.int64)
    corners, names = drawn[CORNERS].to_numpy(np.float64), drawn["reader"].to_numpy(dtype=object)
    starts = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]).any(axis=1)))
    rows = []
    for first, last in zip(starts, np.append(starts[1:], len(keys)), strict=True):
        film, label = int(keys[first, 0]), int(keys[first, 1])
        asked = int(readers[film]) or len(set(names[first:last]))
        for fused, members in fuse(corners[first:last]):
            if policy == "fusion" or 2 * len({names[first + place] for place in members}) > asked:
                rows.append((film, label, policy, *fused, ""))
    found = pd.DataFrame(rows, columns=list(boxes.columns)).astype(boxes.dtypes.to_dict())
    return pd.concat([boxes[~fusible], found], ignore_index=True)


def fuse(corners: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], list[int]]]:
    """Cluster boxes and average each cluster.

    Parameters
    ----------
    corners : ndarray of shape (N, 4), float64
        Boxes (x0, y0, x1, y1), in the order in which they join.

    Returns
    -------
    list of (ndarray of shape (4,), list of int)
        Fused box and its members, clusters in order of their first member.

    Examples
    --------
    >>> [(box.tolist(), members) for box, members in fuse(np.array([[0.0, 0, 10, 10], [0, 0, 12, 10]]))]
    [([0.0, 0.0, 11.0, 10.0], [0, 1])]
    """
    fused: list[tuple[float, ...]] = []
    members: list[list[int]] = []
    for place, box in enumerate(corners.tolist()):
        overlap = [_iou(box, other) for other in fused]
        best = int(np.argmax(overlap)) if overlap else -1
        if best >= 0 and overlap[best] > FUSION_IOU:
            members[best].append(place)
            fused[best] = tuple(corners[members[best]].mean(axis=0).tolist())
        else:
            fused.append(tuple(box))
            members.append([place])
    return [(np.array(box), joined) for box, joined in zip(fused, members, strict=True)]


def _iou(first: Sequence[float], second: Sequence[float]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    both = max(width, 0.0) * max(height, 0.0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return both / (areas[0] + areas[1] - both)
