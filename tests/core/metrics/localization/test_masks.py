import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from camray.core.metrics.localization.masks import box_from_rle, mask_from_rle, mask_of_box
from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 300), cols=st.integers(1, 40), share=st.floats(0, 1))
def test_decodes_what_pycocotools_encodes(seed: int, rows: int, cols: int, share: float) -> None:
    mask = np.random.default_rng(seed).random((rows, cols)) < share
    mask[: rows // 2] = mask[0, 0]
    rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
    np.testing.assert_array_equal(mask_from_rle(rle, rows, cols), mask)


def test_box_around_a_mask() -> None:
    mask = np.zeros((6, 9), np.uint8, order="F")
    mask[1:3, 4:8] = 1
    rle = coco.encode(mask)["counts"].decode()
    assert box_from_rle(rle, 6, 9) == Box(4, 1, 8, 3)
    assert box_from_rle(coco.encode(np.zeros((6, 9), np.uint8, order="F"))["counts"].decode(), 6, 9) is None
    with pytest.raises(AnnotationError, match="6 x 8 px"):
        box_from_rle(rle, 6, 8)


def test_a_boxs_pixels_are_those_whose_centres_it_holds() -> None:
    mask = mask_of_box(np.array([0.5, 1.0, 2.4, 2.6]), 4, 3)
    assert np.argwhere(mask).tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]  # 0.5 is in, 2.5 is not; row 2 at 2.5 is in
    assert not mask_of_box(np.full(4, np.nan), 4, 3).any()
