"""Colour images resized to a network's input as in torchvision, with the transform of their grid."""

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
    """Resize an image to a square.

    Parameters
    ----------
    picture : ndarray of shape (H, W, 3), uint8
        RGB, native grid.
    side_px : int
        Side of the square, px.
    fit : str
        ``stretch``: the whole image, whatever its proportions (``Resize((224, 224))``). ``crop``: its middle in true
        proportions (``Resize(256)``, ``CenterCrop(224)``, likewise for other sides).

    Returns
    -------
    ndarray of shape (side, side, 3), uint8
        Bilinear with antialiasing (Pillow's filter, as used by torchvision).
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
    """Convert an image to network input.

    Parameters
    ----------
    square : ndarray of shape (H, W, 3), uint8
        RGB.

    Returns
    -------
    Tensor of shape (1, 3, H, W), float32
        RGB, 0-1.
    """
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].to(torch.float32) / 255


def on_picture(
    heat01: NDArray[np.float32], transform: GridTransform, shape_native: tuple[int, int]
) -> NDArray[np.float32]:
    """Resample a map from the input grid to the image, for display.

    Parameters
    ----------
    heat01 : ndarray of shape (side, side), float32
        Rescaled to 0-1, input grid.
    transform : GridTransform
        Native to input grid.
    shape_native : (int, int)
        Rows and columns of the image, px.

    Returns
    -------
    ndarray of shape (rows, cols), float32
        Native grid; 0 outside the part that the network was given.
    """
    seen = transform.box_to_native(Box(0.0, 0.0, float(heat01.shape[1]), float(heat01.shape[0])))
    left, top, right, bottom = (round(edge) for edge in seen.as_tuple())
    spread = Image.fromarray(heat01).resize((max(1, right - left), max(1, bottom - top)), Image.Resampling.BILINEAR)
    whole = Image.new("F", (shape_native[1], shape_native[0]))
    whole.paste(spread, (left, top))
    return np.asarray(whole, dtype=np.float32)
