"""CSV as people write it: no column shifts, lines as an editor counts them, delimiters and encodings recognised."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import pytest

from camray.adapters.datasets import csv_text
from camray.adapters.datasets.csv_text import TableText, read_csv_text
from camray.domain.errors import ManifestError


def _read(tmp_path: Path, content: str | bytes, *known: str) -> TableText:
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_csv_text(path, known)


def _rows(text: TableText) -> list[list[str]]:
    return text.cells.fillna("").to_numpy().tolist()


def test_csv_trailing_comma(tmp_path: Path) -> None:
    text = _read(tmp_path, "id,A,B\n0,0,0,\n1,1,,\n")
    assert list(text.cells.columns) == ["id", "A", "B"]
    assert _rows(text) == [["0", "0", "0"], ["1", "1", ""]]
    assert not text.faults


def test_rows_wider_than_the_header_stop_and_narrower_ones_are_reported(tmp_path: Path) -> None:
    wide, narrow = _read(tmp_path, "id,A,B\n0,0,0\n1,1,0,1\n2,1\n").faults
    assert wide.stops
    assert wide.lines == (3,)
    assert wide.what == "rows with more cells than the header (line 3: 4 cells, the header has 3)"
    assert not narrow.stops
    assert narrow.lines == (4,)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_line_numbers(tmp_path: Path, end: str) -> None:
    lines = ["id,A,note", "f0,0,", "", "", 'f1,1,"two', 'lines"', ",,", "f2,0,", "f4,maybe,"]
    text = _read(tmp_path, end.join(lines))
    assert text.lines.tolist() == [2, 5, 8, 9]
    assert text.cells["id"].tolist() == ["f0", "f1", "f2", "f4"]


@pytest.mark.parametrize(
    "content",
    [
        "id;A\nf0;1\n",
        "sep=;\nid;A\nf0;1\n",
        "id\tA\nf0\t1\n",
        "\ufeffid;A\r\nf0;1\r\n",
        "id,A\nf0,1\n".encode("utf-16"),
        "id\tA\nf0\t1\n".encode("utf-16"),
        "id|A\nf0|1\n",
        'id, "A"\n"f0", "1"\n',
    ],
)
def test_delimiters_and_encodings(tmp_path: Path, content: str | bytes) -> None:
    text = _read(tmp_path, content, "id")
    assert list(text.cells.columns) == ["id", "A"]
    assert _rows(text) == [["f0", "1"]]
    assert text.lines.tolist() == [3 if "sep=" in str(content) else 2]


def test_a_comma_in_a_quoted_name_is_no_delimiter(tmp_path: Path) -> None:
    text = _read(tmp_path, 'filename;"Nodule, mass";x\nf0;1;0\n', "filename")
    assert list(text.cells.columns) == ["filename", "Nodule, mass", "x"]
    assert list(_read(tmp_path, '"a|b",filename\n1,f0\n', "filename").cells.columns) == ["a|b", "filename"]


def test_label_with_line_break(tmp_path: Path) -> None:
    text = _read(tmp_path, 'id,"Mass\n(left)","Opacity: right","#1 nodule"\nf0,0,0,1\n')
    assert list(text.cells.columns) == ["id", "Mass (left)", "Opacity: right", "#1 nodule"]
    assert text.lines.tolist() == [3]
    assert [fault.what for fault in text.faults] == [
        "names of columns with line breaks or control characters, read as 'Mass (left)'"
    ]


def test_nameless_and_repeated_columns(tmp_path: Path) -> None:
    text = _read(tmp_path, ",id,A,\n0,f0,1,\n1,f1,0,\n")
    assert list(text.cells.columns) == ["id", "A"]
    assert [(fault.what, fault.stops) for fault in text.faults] == [("columns without a name, not used", False)]
    (repeated,) = _read(tmp_path, "id,A,A\nf0,1,0\n").faults
    assert repeated.stops
    assert "several columns have one name: 'A'" in repeated.what


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,결핵\nf0,1\n".encode("cp949"), "line 1 is not UTF-8"),
        (b"id,A\nf0,\xff\n", "line 2 is not UTF-8"),
        (b"PK\x03\x04xxxx", "is an Excel workbook"),
        (b"i\x00d\x00,\x00A\x00", "it is not text"),
        ("id,A\nf0,1\n".encode("utf-32"), "it is not text"),
        (b"", "it is empty"),
        (b'id,A\nf0,1\nf1,"0\nf2,1\n', "begins in line 3 is not valid CSV"),
    ],
)
def test_what_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        _read(tmp_path, content)


def test_compressed_tables(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wt") as stream:
        stream.write("id,A\nf0,1\n")
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", "id,A\nf0,1\n")
    for name in ("t.csv.gz", "t.zip"):
        assert _rows(read_csv_text(tmp_path / name)) == [["f0", "1"]]
    (tmp_path / "cut.csv.gz").write_bytes((tmp_path / "t.csv.gz").read_bytes()[:-12])
    with pytest.raises(ManifestError, match="cannot be read as a table"):
        read_csv_text(tmp_path / "cut.csv.gz")


@pytest.mark.parametrize("suffix", [".csv", ".gz", ".bz2", ".xz", ".zip"])
def test_a_table_is_read_no_further_than_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    text = b"id,A\n1," + b"0" * 2**21 + b"\n"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("t.csv", text)
    else:
        pack = {".csv": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[suffix]
        path.write_bytes(pack(text))
    assert len(read_csv_text(path).cells["A"][0]) == 2**21
    monkeypatch.setattr(csv_text, "MAX_TABLE_BYTES", 2**20)
    with pytest.raises(ManifestError, match="more than 1 MiB of text"):
        read_csv_text(path)


def test_too_many_columns_are_refused_and_many_are_read(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(10_000)]
    assert len(_read(tmp_path, ",".join(names[:500]) + "\n").cells.columns) == 500
    with pytest.raises(ManifestError, match="10001 cells"):
        _read(tmp_path, ",".join([*names, "more"]) + "\n")
