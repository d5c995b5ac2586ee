"""Deflated films are inflated no further than their header says."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import uid
from pydicom.filereader import read_dataset

from camray.adapters.dicom.read.image import read_dicom, read_dicom_header
from camray.adapters.dicom.read.inflated_file import MAX_HEADER_BYTES, InflatedFile, inflated
from camray.domain.errors import ImageError
from camray.domain.records import RefusalReason as Reason
from tests.film_factory import FilmRecipe, film_dataset

BOMB = 2**28


def parts_of_deflated_film(path: Path, **elements: Any) -> tuple[bytes, bytes, bytes]:
    """Return the file meta information, the data set before Pixel Data, and Pixel Data."""
    ds = film_dataset(FilmRecipe(), **elements)
    ds.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    ds.save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    stream = io.BytesIO(whole)
    stream.seek(132)
    read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    data = zlib.decompress(whole[stream.tell() :], -zlib.MAX_WBITS)
    at = data.index(b"\xe0\x7f\x10\x00OW")
    return whole[: stream.tell()], data[:at], data[at:]


def deflated(*pieces: bytes | int) -> bytes:
    """Deflate bytes, and as many zeros as a number says."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    out = []
    for piece in pieces:
        blocks = [piece] if isinstance(piece, bytes) else [bytes(2**20)] * (piece >> 20)
        out += [deflate.compress(block) for block in blocks]
    return b"".join([*out, deflate.flush()])


def element(tag: bytes, length: int) -> bytes:
    return tag + b"OB\0\0" + length.to_bytes(4, "little")


@pytest.mark.parametrize("place", ["pixels", "header", "after"])
def test_bombs_are_refused_or_not_inflated(tmp_path: Path, place: str) -> None:
    meta, header, pixels = parts_of_deflated_film(tmp_path / "film.dcm")
    stream: dict[str, tuple[bytes | int, ...]] = {
        "pixels": (header, b"\xe0\x7f\x10\x00OW\0\0" + BOMB.to_bytes(4, "little"), BOMB),
        "header": (header, element(b"\x29\x00\x10\x10", BOMB), BOMB, pixels),
        "after": (header, pixels, element(b"\xfc\xff\xfc\xff", BOMB), BOMB),
    }
    path = tmp_path / "film.dcm"
    path.write_bytes(meta + deflated(*stream[place]))
    assert path.stat().st_size < 2**19
    if place == "after":
        np.testing.assert_array_equal(read_dicom(path, None).values, FilmRecipe().stored)
        return
    with pytest.raises(ImageError) as refused:
        read_dicom(path, None)
    assert refused.value.reason == Reason.UNREADABLE_PIXELS


def test_header_alone_inflates_no_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meta, header, pixels = parts_of_deflated_film(tmp_path / "film.dcm")
    path = tmp_path / "film.dcm"
    path.write_bytes(meta + deflated(header, pixels))
    assert read_dicom_header(path, None).transfer_syntax == uid.DeflatedExplicitVRLittleEndian
    ends: list[int] = []
    inflate = InflatedFile._inflate

    def watched(file: InflatedFile, end: int) -> None:
        ends.append(end)
        inflate(file, end)

    monkeypatch.setattr(InflatedFile, "_inflate", watched)
    read_dicom_header(path, None)
    assert max(ends) < len(meta) + len(header) + 100


def test_inflated_file_reads_as_the_plain_one(tmp_path: Path) -> None:
    meta, header, pixels = parts_of_deflated_film(tmp_path / "film.dcm")
    (tmp_path / "film.dcm").write_bytes(meta + deflated(header, pixels))
    with (tmp_path / "film.dcm").open("rb") as source:
        stream = inflated(source)
        plain = (
            meta.replace(uid.DeflatedExplicitVRLittleEndian.encode(), b"1.2.840.10008.1.2.1\0\0\0") + header + pixels
        )
        assert isinstance(stream, InflatedFile)
        assert stream.read() == plain
        stream.seek(200)
        stream.seek(-50, io.SEEK_CUR)
        assert stream.read(100) == plain[150:250]
        assert stream.tell() == 250


def test_other_files_stay_as_they_are(tmp_path: Path) -> None:
    for content in (b"", b"x" * 300, bytes(128) + b"DICM" + uid.DeflatedExplicitVRLittleEndian.encode() * 9):
        (tmp_path / "file").write_bytes(content)
        with (tmp_path / "file").open("rb") as source:
            assert inflated(source) is source
            assert source.tell() == 0
    assert MAX_HEADER_BYTES < BOMB
