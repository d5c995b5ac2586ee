"""Fusion of several readers' boxes of one film into one set of boxes.

Boxes of one film and finding are fused as in weighted boxes fusion (Solovyev, Wang and Gabruseva, Image and Vision
Computing 107, 2021), every reader with the same weight: a box joins the cluster whose fused box it overlaps most, if
the IoU exceeds `FUSION_IOU`; a cluster's fused box is the mean of its members' corners.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.domain.geometry import iou_matrix
from camray.domain.records import CORNERS

FUSION_IOU = 0.5
ReaderPolicy = Literal["union", "majority", "fusion"]


def fuse_readers(boxes: pd.DataFrame, readers: NDArray[np.int64], policy: ReaderPolicy) -> pd.DataFrame:
    """Combine the boxes of several readers.

    Parameters
    ----------
    boxes : DataFrame
        Columns ``film, label, reader, x0, y0, x1, y1, rle``; native grid, px.
    readers : ndarray of shape (films,), int64
        How many readers read each film; 0 where the tables do not say, and then the readers with a box of the finding
        are counted.
    policy : str
        ``union``: all boxes. ``fusion``: one fused box per cluster. ``majority``: the fused boxes of the clusters in
        which more than half of the film's readers have a box.

    Returns
    -------
    DataFrame
        The same columns, by film and label; ``reader`` of a fused box is the policy's name. Masks and boxes without a
        reader are kept as they are. The result does not depend on the order of the rows.
    """
    fusible = (boxes["reader"] != "") & (boxes["rle"] == "")
    if policy == "union" or not fusible.any():
        return boxes
    rows = list(_fused_rows(boxes[fusible], readers, policy))
    fused = pd.DataFrame(rows, columns=list(boxes.columns)).astype(boxes.dtypes.to_dict())
    return pd.concat([boxes[~fusible], fused], ignore_index=True)


def _fused_rows(
    boxes: pd.DataFrame, readers: NDArray[np.int64], policy: ReaderPolicy
) -> Iterator[tuple[int | float | str, ...]]:
    """Yield the rows of the fused boxes, one group of film and label after another."""
    ordered = boxes.sort_values(["film", "label", *CORNERS, "reader"], kind="stable")
    keys = ordered[["film", "label"]].to_numpy(np.int64)
    corners, names = ordered[CORNERS].to_numpy(np.float64), ordered["reader"].to_numpy(dtype=object)
    starts = np.flatnonzero(np.append(True, (keys[1:] != keys[:-1]).any(axis=1)))
    for first, last in zip(starts, np.append(starts[1:], len(keys)), strict=True):
        film, label = int(keys[first, 0]), int(keys[first, 1])
        n_readers = int(readers[film]) or len(set(names[first:last]))
        for box, members in fuse(corners[first:last]):
            n_agreeing = len({names[first + member] for member in members})
            if policy == "fusion" or 2 * n_agreeing > n_readers:
                yield (film, label, policy, *box, "")


def fuse(corners: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], list[int]]]:
    """Cluster boxes and average each cluster.

    Parameters
    ----------
    corners : ndarray of shape (N, 4), float64
        Boxes (x0, y0, x1, y1), half-open, in the order in which they join.

    Returns
    -------
    list of (ndarray of shape (4,), list of int)
        Fused box and its members' rows, clusters in order of their first member.

    Examples
    --------
    >>> [(box.tolist(), members) for box, members in fuse(np.array([[0.0, 0, 10, 10], [0, 0, 12, 10]]))]
    [([0.0, 0.0, 11.0, 10.0], [0, 1])]
    """
    fused: list[NDArray[np.float64]] = []
    members: list[list[int]] = []
    for index, box in enumerate(corners):
        overlaps = iou_matrix(box[None], np.stack(fused))[0] if fused else np.zeros(1)
        best = int(np.argmax(overlaps))
        if overlaps[best] > FUSION_IOU:
            members[best].append(index)
            fused[best] = corners[members[best]].mean(axis=0)
        else:
            fused.append(box)
            members.append([index])
    return list(zip(fused, members, strict=True))
