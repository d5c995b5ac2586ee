"""Masks of generated films as COCO's compressed run lengths."""

from camray.core.phantom.fields import BoolImage
from camray.domain.run_lengths import coco_text, counts_of_mask


def rle_from_mask(mask: BoolImage) -> str:
    """Encode a mask; see `camray.domain.run_lengths`.

    Parameters
    ----------
    mask : ndarray of shape (H, W), bool
        Native grid.

    Returns
    -------
    str
        COCO's compressed counts, column by column.
    """
    return coco_text(counts_of_mask(mask))
