"""Tables of a run: columns, types, and messages about old and damaged ones."""

from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.tables import read_table, write_table
from camray.domain.errors import PipelineError
from camray.domain.records import REFUSAL_COLUMNS


def test_tables_keep_their_columns(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["a.dcm"], "reason": ["blank"], "message": [None]})
    write_table(tmp_path / "t.parquet", table, REFUSAL_COLUMNS)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet", REFUSAL_COLUMNS), table.astype(REFUSAL_COLUMNS))
    with pytest.raises(PipelineError, match="expected"):
        write_table(tmp_path / "t.parquet", table[["source"]], REFUSAL_COLUMNS)
    with pytest.raises(PipelineError, match="no such table"):
        read_table(tmp_path / "none.parquet", REFUSAL_COLUMNS)


def test_a_table_of_an_earlier_camray_names_the_command_that_mends_it(tmp_path: Path) -> None:
    columns = {"image_id": "string", "zone": "string"}
    run = tmp_path / "old"
    path = run / "localize" / "predictions.parquet"
    write_table(path, pd.DataFrame({"image_id": ["a"]}), {"image_id": "string"})
    with pytest.raises(
        PipelineError, match=r"an earlier version of camray \(lacks zone\); run the stage that writes it"
    ):
        read_table(path, columns)
    write_json(run / "settings.json", {})
    with pytest.raises(PipelineError, match=r"delete .*localize and run the `camray predict` that made .*old again"):
        read_table(path, columns)
    (run / "train").mkdir()
    with pytest.raises(PipelineError, match=r"run `camray localize .*old --force` again"):
        read_table(path, columns)
    with pytest.raises(PipelineError, match=r"written by a later version of camray \(also has image_id\)"):
        read_table(path, {})
    with pytest.raises(PipelineError, match=r"no such table; run `camray explain .*old`"):
        read_table(run / "explain" / "images.parquet", columns)


def test_categories_hold_the_same_texts_in_alphabetical_order(tmp_path: Path) -> None:
    columns = {"image_id": "string", "label": "string", "rank": "int16"}
    table = pd.DataFrame({"image_id": ["b", "a", "b"], "label": ["x", None, "x"], "rank": [0, 1, 2]})
    write_table(tmp_path / "t.parquet", table, columns)
    read = read_table(tmp_path / "t.parquet", columns, ("image_id", "label"))
    assert read["image_id"].tolist() == ["b", "a", "b"]
    assert read["image_id"].cat.categories.tolist() == ["a", "b"]
    assert read["label"].isna().tolist() == [False, True, False]
    assert read["rank"].dtype == "int16"


@pytest.mark.parametrize("part", ["middle", "tail", "everything"])
def test_a_damaged_table_names_the_command_that_mends_it(tmp_path: Path, part: str) -> None:
    run = tmp_path / "r"
    path = run / "ingest" / "refusals.parquet"
    table = pd.DataFrame({"source": ["a.dcm"] * 50, "reason": ["blank"] * 50, "message": ["x"] * 50})
    write_table(path, table, REFUSAL_COLUMNS)
    write_json(run / "settings.json", {})
    (run / "train").mkdir()
    content = path.read_bytes()
    damaged = {
        "middle": content[:60] + bytes(40) + content[100:],
        "tail": content[:-20],
        "everything": b"",
    }
    path.write_bytes(damaged[part])
    with pytest.raises(PipelineError, match=r"refusals\.parquet: .*run `camray ingest .*r --force` again"):
        read_table(path, REFUSAL_COLUMNS)
