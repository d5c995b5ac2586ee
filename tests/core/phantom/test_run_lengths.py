import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco

from camray.core.phantom.run_lengths import rle_from_mask

# pycocotools is behind NumPy's copy keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def decoded(text: str, rows: int, cols: int) -> np.ndarray:
    return coco.decode({"size": [rows, cols], "counts": text.encode()}).astype(bool)


def test_by_hand() -> None:
    # down the columns: absent, present x 3
    assert rle_from_mask(np.array([[False, True], [True, True]])) == "13"


@pytest.mark.parametrize("value", [False, True])
def test_an_even_mask(value: bool) -> None:
    mask = np.full((300, 200), value)
    assert (decoded(rle_from_mask(mask), 300, 200) == mask).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 1000))
def test_coco_reads_it_back(rows: int, cols: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((rows, cols)) < share
    text = rle_from_mask(mask)
    assert (decoded(text, rows, cols) == mask).all()
    assert text == coco.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()
