"""Tables as people write them: each kind is read as meant, or refused with the reason."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from camray.adapters.datasets.csv_text import MAX_COLUMNS, MAX_TABLE_BYTES
from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.reading import Dataset, read_tables
from camray.adapters.datasets.table_paths import TablePaths, table_paths
from camray.adapters.datasets.tables import MAX_CELLS, read_cells
from camray.domain.errors import AnnotationError, ManifestError

VALUES = [1, 0, 0, 1]
HEADER = "filename,tuberculosis\n"
ROWS = "".join(f"half_{number}.dcm,{value}\n" for number, value in enumerate(VALUES))
BOX_ROWS = "half_0.dcm,tuberculosis,8.5,2,30.25,40\nhalf_3.dcm,tuberculosis,1,3,20,50\n"
CORNERS = [[0, 8.5, 2, 30.25, 40], [3, 1, 3, 20, 50]]


def _read(tmp_path: Path, labels: str | bytes, boxes: str | None = None) -> Dataset:
    (tmp_path / "labels.csv").write_bytes(labels.encode() if isinstance(labels, str) else labels)
    paths = TablePaths(tmp_path / "labels.csv", None if boxes is None else tmp_path / "boxes.csv")
    if boxes is not None:
        (tmp_path / "boxes.csv").write_text(boxes, encoding="utf-8")
    films = pd.Series([f"half_{number}.dcm" for number in range(4)])
    index = FilmIndex(films.str.removesuffix(".dcm"), films, np.ones(4, bool))
    return read_tables(load_manifest("folder"), paths, index, np.array([[96, 80]] * 4))


def _names(data: Dataset) -> list[str]:
    return [finding.name for finding in data.findings]


def _values(data: Dataset, name: str = "tuberculosis") -> list[int]:
    return data.labels.values[:, _names(data).index(name)].tolist()


def _corners(data: Dataset) -> list[list[float]]:
    return data.boxes[["film", "x0", "y0", "x1", "y1"]].to_numpy().tolist()


def _told(data: Dataset) -> str:
    return "\n".join(map(str, data.report.faults))


def test_tables_c_names(tmp_path: Path) -> None:
    labels = 'filename,"Nodule, mass",폐렴,Pleural effusion / other (left)\nhalf_0.dcm,1,0,1\nhalf_1.dcm,0,1,0\n'
    data = _read(tmp_path, labels, 'filename,label,x0,y0,x1,y1\nhalf_0.dcm,"Nodule, mass",8.5,2,30.25,40\n')
    assert _names(data) == ["Nodule, mass", "폐렴", "Pleural effusion / other (left)"]
    assert data.labels.values[:2].tolist() == [[1, 0, 1], [0, 1, 0]]
    assert (data.boxes["label"].tolist(), _corners(data)) == ([0], CORNERS[:1])


def test_tables_e_twoboxes(tmp_path: Path) -> None:
    data = _read(
        tmp_path, HEADER + ROWS.replace("half_1.dcm,0", "half_1.dcm,1"), "filename,label,x0,y0,x1,y1\n" + BOX_ROWS
    )
    assert _values(data) == [1, 1, 0, 1]  # a film without a box stays present
    assert _corners(data) == CORNERS


def test_tables_f_mismatch(tmp_path: Path) -> None:
    with pytest.raises(
        ManifestError, match=r"labels\.csv: no row names a film: .*'xxxxxx/xxxxx_9\.png'; files .*'xxxx_9\.dcm'"
    ):
        _read(tmp_path, HEADER + ROWS.replace("half", "images/xhalf").replace(".dcm", ".png"))


def test_tables_g_xywh(tmp_path: Path) -> None:
    rows = "half_0.dcm,tuberculosis,8.5,2,21.75,38\n"
    with pytest.raises(AnnotationError, match=r"no column 'x0'.*'x', 'y', 'w', 'h'"):
        _read(tmp_path, HEADER + ROWS, "filename,label,x,y,w,h\n" + rows)


@pytest.mark.parametrize("words", [("Yes", "No"), ("yes", "no"), ("YES", "no ")])
def test_tables_h_yesno(tmp_path: Path, words: tuple[str, str]) -> None:
    assert (
        _values(_read(tmp_path, HEADER + ROWS.replace(",1\n", f",{words[0]}\n").replace(",0\n", f",{words[1]}\n")))
        == VALUES
    )


@pytest.mark.parametrize("words", [("TRUE", "FALSE"), ("true", "False")])
def test_tables_h2_true(tmp_path: Path, words: tuple[str, str]) -> None:
    assert (
        _values(_read(tmp_path, HEADER + ROWS.replace(",1\n", f",{words[0]}\n").replace(",0\n", f",{words[1]}\n")))
        == VALUES
    )


def test_tables_i_semicolon(tmp_path: Path) -> None:
    assert _values(_read(tmp_path, (HEADER + ROWS).replace(",", ";"))) == VALUES


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_i2_bom(tmp_path: Path, encoding: str) -> None:
    data = _read(tmp_path, (HEADER.replace("tuberculosis", "결핵") + ROWS).encode(encoding))
    assert (_names(data), _values(data, "결핵")) == (["결핵"], VALUES)


def test_tables_i3_cp949(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="line 1 is not UTF-8; save it as"):
        _read(tmp_path, (HEADER.replace("tuberculosis", "결핵") + ROWS).encode("cp949"))


def test_tables_k_extra(tmp_path: Path) -> None:
    rows = "".join(f'half_{number}.dcm,55,{value},0.7,"seen by Dr. X"\n' for number, value in enumerate(VALUES))
    data = _read(tmp_path, "filename,age,tuberculosis,score,comment\n" + rows)
    assert (_names(data), _values(data)) == (["tuberculosis"], VALUES)
    assert _told(data) == "  labels.csv: unknown columns, not used: 'score', 'comment'"


def test_tables_l_labelname(tmp_path: Path) -> None:
    labels, boxes = "Filename,Tuberculosis\n" + ROWS, "Filename,Label,X0,Y0,X1,Y1\n" + BOX_ROWS
    data = _read(tmp_path, labels, boxes)
    assert (_values(data, "Tuberculosis"), _corners(data)) == (VALUES, CORNERS)
    assert "'Filename' as 'filename'" in _told(data)


def test_tables_m_boxlabelcase(tmp_path: Path) -> None:
    data = _read(tmp_path, "filename,Tuberculosis\n" + ROWS, "filename,label,x0,y0,x1,y1\n" + BOX_ROWS)
    assert _names(data) == ["Tuberculosis"]  # the boxes' spelling is no second finding
    assert _corners(data) == CORNERS


def test_tables_n_rowid(tmp_path: Path) -> None:
    rows = "".join(f"{number},{row}\n" for number, row in enumerate(ROWS.splitlines()))
    data = _read(tmp_path, "," + HEADER + rows)
    assert (_names(data), _values(data)) == (["tuberculosis"], VALUES)


def test_tables_o_onecol(tmp_path: Path) -> None:
    rows = "".join(f"half_{number}.dcm,{'tb' if value else 'normal'}\n" for number, value in enumerate(VALUES))
    with pytest.raises(ManifestError, match=r"labels\.csv: no label column: .*'finding' has a text"):
        _read(tmp_path, "filename,finding\n" + rows)


def test_a_small_parquet_file_of_very_many_cells_is_refused(tmp_path: Path) -> None:
    rows = MAX_CELLS // 4
    same = pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, np.int8)), pa.array(["f1"]))
    pq.write_table(pa.table({name: same for name in ("film", "a", "b", "c", "d")}), tmp_path / "labels.parquet")
    assert (tmp_path / "labels.parquet").stat().st_size < 2**20
    with pytest.raises(ManifestError, match=f"it has {rows} rows, 5 columns"):
        read_cells(tmp_path / "labels.parquet")


def test_a_parquet_file_of_too_many_columns_is_refused(tmp_path: Path) -> None:
    columns = {f"c{number}": ["1"] for number in range(MAX_COLUMNS + 1)}
    pd.DataFrame(columns).to_parquet(tmp_path / "labels.parquet")
    with pytest.raises(ManifestError, match=f"{MAX_COLUMNS + 1} columns"):
        read_cells(tmp_path / "labels.parquet")


@pytest.mark.parametrize("side", ["1" + "0" * 400, "null", '"x"', "[]"])
def test_a_coco_box_with_a_side_that_is_no_number_is_refused(side: str, tmp_path: Path) -> None:
    content = (
        '{"images": [{"id": 1, "file_name": "a"}], "categories": [{"id": 1, "name": "x"}], "annotations": '
        '[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, SIDE]}]}'
    )
    (tmp_path / "boxes.json").write_text(content.replace("SIDE", side))
    with pytest.raises(ManifestError, match="cannot be read as COCO"):
        read_cells(tmp_path / "boxes.json")


def test_a_json_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "boxes.json").open("wb") as file:
        file.truncate(MAX_TABLE_BYTES + 1)  # zeros that take no disk
    with pytest.raises(ManifestError, match="has more than 512 MiB"):
        read_cells(tmp_path / "boxes.json")


@pytest.mark.parametrize("name", ["labels", "boxes"])
def test_a_workbook_in_place_of_a_table_is_refused(tmp_path: Path, name: str) -> None:
    manifest = load_manifest("folder")
    (tmp_path / f"{name}.xlsx").write_bytes(b"PK\3\4")
    with pytest.raises(ManifestError, match=rf"{name}\.xlsx: is a workbook.*'CSV UTF-8' under {name}\.csv"):
        table_paths(manifest, tmp_path, None, None, own=True)
    assert table_paths(manifest, tmp_path, None, None, own=False) == TablePaths(None, None)
    (tmp_path / f"{name}.csv").touch()
    assert tmp_path / f"{name}.csv" in {*vars(table_paths(manifest, tmp_path, None, None, own=True)).values()}
