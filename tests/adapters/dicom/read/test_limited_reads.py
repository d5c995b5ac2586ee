"""Small files with headers of very many items: refused by name, before they fill memory and time."""

from pathlib import Path

import pytest

from camray.adapters.dicom.read import limited_reads
from camray.adapters.dicom.read.image import read_dicom, read_dicom_header
from camray.adapters.dicom.read.limited_reads import MAX_READS, MAX_VALUE_BYTES
from camray.adapters.dicom.read.sr import read_reports
from camray.domain.errors import AnnotationError, ImageError
from camray.domain.records import RefusalReason as Reason
from tests.adapters.dicom.read.test_inflated_file import deflated, parts_of_deflated_film

ITEM, END = b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
FEW_READS = 2**13


def _sequence(tag: bytes, items: int, is_closed: bool) -> bytes:
    length = 2**32 - 1 if is_closed else items * len(ITEM)
    return tag + b"SQ\0\0" + length.to_bytes(4, "little") + ITEM * items + (END if is_closed else b"")


def _private_elements(count: int) -> bytes:
    return b"".join(
        (0x3001 + 2 * (number >> 16)).to_bytes(2, "little") + (number & 0xFFFF).to_bytes(2, "little") + b"LO\0\0"
        for number in range(count)
    )


def _written(path: Path, *more: bytes) -> Path:
    meta, header, pixels = parts_of_deflated_film(path)
    path.write_bytes(meta + deflated(header, *more, pixels))
    return path


@pytest.mark.parametrize("place", ["an icon of many items", "an unused sequence", "many elements", "a long icon"])
def test_a_header_of_very_many_items_is_refused(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_reads, "MAX_READS", FEW_READS)
    more = {
        "an icon of many items": _sequence(b"\x88\0\0\2", FEW_READS, True),
        "an unused sequence": _sequence(b"\x40\0\x68\xa1", FEW_READS, True),
        "many elements": _private_elements(FEW_READS),
        "a long icon": _sequence(b"\x88\0\0\2", MAX_VALUE_BYTES // len(ITEM) + 1, False),
    }[place]
    path = _written(tmp_path / "film.dcm", more)
    for read in (read_dicom, read_dicom_header):
        with pytest.raises(ImageError) as refused:
            read(path, None)
        assert refused.value.reason == Reason.UNREADABLE_HEADER


def test_headers_of_many_elements_below_the_limit_are_read(tmp_path: Path) -> None:
    items = _sequence(b"\x88\0\0\2", MAX_VALUE_BYTES // len(ITEM) // 100, False)
    path = _written(tmp_path / "film.dcm", _private_elements(MAX_READS // 4), items)
    assert read_dicom_header(path, None).rows == 96


def test_a_report_of_very_many_items_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited_reads, "MAX_READS", FEW_READS)
    _written(tmp_path / "report.dcm", _sequence(b"\x40\0\x30\xa7", FEW_READS, True))
    with pytest.raises(AnnotationError, match="1 x cannot be read"):
        read_reports(tmp_path)


def test_a_report_nested_without_end_is_refused(tmp_path: Path) -> None:
    nested = b"\x40\0\x30\xa7SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    _written(tmp_path / "report.dcm", nested * 5000)
    with pytest.raises(AnnotationError, match="1 x cannot be read"):
        read_reports(tmp_path)


@pytest.mark.parametrize("frames", [3, 1])
def test_very_many_frames_are_named_where_the_header_says_so(
    frames: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each frame of an enhanced object has a group of elements, behind those that say how many frames there are."""
    monkeypatch.setattr(limited_reads, "MAX_READS", FEW_READS)
    groups = _sequence(b"\x00\x52\x30\x92", FEW_READS, True)
    meta, header, pixels = parts_of_deflated_film(tmp_path / "film.dcm", NumberOfFrames=frames)
    (tmp_path / "film.dcm").write_bytes(meta + deflated(header, groups, pixels))
    for read in (read_dicom, read_dicom_header):
        with pytest.raises(ImageError) as refused:
            read(tmp_path / "film.dcm", None)
        assert refused.value.reason == (Reason.MULTI_FRAME if frames > 1 else Reason.UNREADABLE_HEADER)
