"""Several readers' boxes of one film to one set: all of them, those most readers agree on, or fused ones.

Boxes of one film and finding are fused as in weighted boxes fusion (Solovyev, Wang and Gabruseva, Image and Vision
Computing 107, 2021), every reader with the same weight: a box joins the cluster whose fused box it overlaps most, if
the IoU exceeds `FUSION_IOU`; a cluster's fused box is the mean of its members' corners.
"""

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
    rows = []
    for _, group in boxes[fusible].groupby(["film", "label"], sort=True):
        film, label = int(group["film"].iloc[0]), int(group["label"].iloc[0])
        asked = int(readers[film]) or int(group["reader"].nunique())
        group = group.sort_values([*CORNERS, "reader"], kind="stable")
        corners, names = group[CORNERS].to_numpy(np.float64), group["reader"].to_numpy(dtype=object)
        for fused, members in fuse(corners):
            if policy == "fusion" or 2 * len(set(names[members])) > asked:
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
    fused: list[NDArray[np.float64]] = []
    members: list[list[int]] = []
    for place, box in enumerate(corners):
        overlap = [_iou(box, other) for other in fused]
        best = int(np.argmax(overlap)) if overlap else -1
        if best >= 0 and overlap[best] > FUSION_IOU:
            members[best].append(place)
            fused[best] = corners[members[best]].mean(axis=0)
        else:
            fused.append(box.copy())
            members.append([place])
    return list(zip(fused, members, strict=True))


def _iou(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    sides = np.minimum(first[2:], second[2:]) - np.maximum(first[:2], second[:2])
    both = float(np.prod(np.clip(sides, 0.0, None)))
    return both / float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2]) - both)
