"""Masks as COCO's compressed run lengths: text that fits into a table."""

from camray.core.phantom.fields import BoolImage
from camray.domain.run_lengths import coco_text, counts_of_mask


def rle_from_mask(mask: BoolImage) -> str:
    """Encode a mask [H, W] on the native grid; see `camray.domain.run_lengths`."""
    return coco_text(counts_of_mask(mask))
