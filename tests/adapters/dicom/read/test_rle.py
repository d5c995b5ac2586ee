"""RLE segments of the wrong number or length are refused; right ones give the cells."""

import struct

import numpy as np
import pytest

from camray.adapters.dicom.read import rle
from camray.adapters.dicom.read.rle import decode_rle
from camray.domain.errors import PixelError
from camray.domain.records import RefusalReason as Reason

HIGH, LOW = bytes([253, 1]) + bytes([253, 2]), bytes([7]) + bytes(range(8))  # 4 x 1, 4 x 2; 0 to 7


def frame_of(*segments: bytes) -> bytes:
    starts = np.cumsum([64, *(len(segment) for segment in segments)])[:-1]
    return struct.pack("<16L", len(segments), *starts, *[0] * (15 - len(segments))) + b"".join(segments)


def refusal(frame: bytes, shape: tuple[int, int] = (2, 4), n_bytes: int = 2) -> Reason:
    with pytest.raises(PixelError) as refused:
        decode_rle(frame, shape, n_bytes)
    return refused.value.reason


def test_most_significant_segment_comes_first() -> None:
    cells = decode_rle(frame_of(HIGH, LOW + b"\0"), (2, 4), 2)  # with the padding of an odd length
    assert cells.dtype == np.uint16
    assert cells.tolist() == [[[256, 257, 258, 259], [516, 517, 518, 519]]]


def test_samples_come_one_after_the_other() -> None:
    cells = decode_rle(frame_of(LOW, HIGH, LOW), (2, 4), 1, 3)
    assert cells[1].tolist() == [[1] * 4, [2] * 4]
    assert cells[0].tolist() == cells[2].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


@pytest.mark.parametrize("shape", [(1, 4), (2, 3), (3, 2), (3, 4), (2, 5)])
def test_segments_longer_or_shorter_than_the_film_are_refused(shape: tuple[int, int]) -> None:
    assert refusal(frame_of(HIGH, LOW), shape) == Reason.UNREADABLE_PIXELS


def test_wrong_number_of_segments_and_damaged_offsets_are_refused() -> None:
    assert refusal(frame_of(HIGH)) == Reason.UNREADABLE_PIXELS
    assert refusal(frame_of(HIGH, LOW, LOW)) == Reason.UNREADABLE_PIXELS
    exchanged = bytearray(frame_of(HIGH, LOW))
    exchanged[4:8], exchanged[8:12] = exchanged[8:12], exchanged[4:8]
    assert refusal(bytes(exchanged)) == Reason.UNREADABLE_PIXELS


def test_cut_segments_are_truncated() -> None:
    assert refusal(frame_of(HIGH, LOW)[:-3]) == Reason.TRUNCATED
    assert refusal(frame_of(HIGH, LOW)[:40]) == Reason.TRUNCATED


def test_a_segment_that_would_fill_the_memory_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoder aborts where it gets no memory, and the process with it."""
    decoded = []
    monkeypatch.setattr(rle, "decode_segment", decoded.append)
    assert refusal(frame_of(bytes([129, 5]) * (2**22 + 1), LOW), n_bytes=2) == Reason.UNREADABLE_PIXELS
    assert decoded == []


def test_measured_segments_are_read_as_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rle, "_SAFE_BYTES", 0)
    cells = decode_rle(frame_of(bytes([128]) + HIGH, LOW + b"\0"), (2, 4), 2)  # 128 does nothing
    assert cells.tolist() == [[[256, 257, 258, 259], [516, 517, 518, 519]]]
    assert refusal(frame_of(LOW, bytes([240, 0])), (2, 4)) == Reason.UNREADABLE_PIXELS  # 17 bytes, twice 8 and one
