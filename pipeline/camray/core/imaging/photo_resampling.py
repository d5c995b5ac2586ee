"""Pictures in colour brought to a network's input exactly as torchvision brings them, with the grid that says where."""

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from camray.domain.geometry import Box, GridTransform

PictureFit = Literal["stretch", "crop"]
FITS: tuple[PictureFit, ...] = ("stretch", "crop")
_SHORT_OF_224 = 256  # torchvision's evaluation: the shorter side to 256, the middle 224 x 224 of it


def to_input_grid(picture: NDArray[np.uint8], side_px: int, fit: PictureFit) -> tuple[NDArray[np.uint8], GridTransform]:
    """Resize a picture to a square.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
    side_px : int
        Side of the square.
    fit : str
        ``stretch``: all of the picture, whatever its proportions (``Resize((224, 224))``). ``crop``: its middle in
        true proportions (``Resize(256)``, ``CenterCrop(224)``, likewise for other sides).

    Returns
    -------
    ndarray of shape (side, side, 3), uint8
        Bilinear over the area that a pixel shrinks from (Pillow's filter, as torchvision uses it).
    GridTransform
        Native to input grid.
    """
    rows, cols = picture.shape[:2]
    if fit == "stretch":
        wide, high, left, top = side_px, side_px, 0, 0
    else:
        short = round(side_px * _SHORT_OF_224 / 224)
        high, wide = (int(short * rows / cols), short) if cols <= rows else (short, int(short * cols / rows))
        left, top = round((wide - side_px) / 2), round((high - side_px) / 2)
    resized = Image.fromarray(picture).resize((wide, high), Image.Resampling.BILINEAR)
    square = np.asarray(resized.crop((left, top, left + side_px, top + side_px)), dtype=np.uint8)
    return square, GridTransform(wide / cols, high / rows, -float(left), -float(top))


def network_input(square: NDArray[np.uint8]) -> Tensor:
    """Turn a picture [H, W, 3], uint8, into network input [1, 3, H, W], RGB 0-1, float32."""
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].to(torch.float32) / 255


def on_picture(
    heat01: NDArray[np.float32], transform: GridTransform, shape_native: tuple[int, int]
) -> NDArray[np.float32]:
    """Lay a map of the input grid back onto the picture, for the eye; nothing where the network saw nothing.

    Parameters
    ----------
    heat01 : ndarray of shape (side, side), float32
    transform : GridTransform
        Native to input grid.
    shape_native : (int, int)
        Rows and columns of the picture.
    """
    seen = transform.box_to_native(Box(0.0, 0.0, float(heat01.shape[1]), float(heat01.shape[0])))
    left, top, right, bottom = (round(edge) for edge in seen.as_tuple())
    spread = Image.fromarray(heat01).resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR)
    whole = Image.new("F", (shape_native[1], shape_native[0]))
    whole.paste(spread, (left, top))
    return np.asarray(whole, dtype=np.float32)
