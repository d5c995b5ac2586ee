import multiprocessing
from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.run_folder import RunFolder, file_digest, folder_digest, read_table, write_json, write_table
from camray.domain.errors import PipelineError
from camray.domain.records import REFUSAL_COLUMNS, Counts, StageResult

CLAIM = {"settings_digest": "s", "inputs": {"ingest": "i"}}


def finished(folder: RunFolder) -> None:
    folder.begin("train", "s", {"ingest": "i"})
    (folder.stage("train") / "weights").write_bytes(b"w")
    folder.finish("train", CLAIM, StageResult(Counts(2, 2)))


def test_a_stage_happened_only_with_its_record(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.begin("train", "s", {"ingest": "i"})
    (folder.stage("train") / "weights").write_bytes(b"w")
    assert not folder.is_done("train", "s", {"ingest": "i"})
    finished(folder)
    assert folder.is_done("train", "s", {"ingest": "i"})
    assert not folder.is_done("train", "other", {"ingest": "i"})
    assert not folder.is_done("train", "s", {"ingest": "other"})
    (folder.stage("train") / "weights").unlink()
    assert not folder.is_done("train", "s", {"ingest": "i"})


def test_unfinished_work_is_kept_only_for_the_same_claim(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    assert not folder.begin("train", "s", {"ingest": "i"})
    part = folder.stage("train") / "part"
    part.write_bytes(b"p")
    assert folder.begin("train", "s", {"ingest": "i"})
    assert part.exists()
    assert not folder.begin("train", "s", {"ingest": "changed"})
    assert not part.exists()


def test_the_record_digests_outputs_and_leaves_its_own_files_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    finished(folder)
    record = folder.record("train")
    assert record is not None
    assert record["outputs"] == {"weights": file_digest(folder.stage("train") / "weights")}
    assert record["counts"] == {"in": 2, "done": 2, "refused": 0}
    first = folder.output_digest("train")
    (folder.stage("train") / "weights").write_bytes(b"v")
    folder.finish("train", CLAIM, StageResult(Counts(2, 2)))
    assert folder.output_digest("train") != first


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"stage": "tr'])
def test_a_half_written_record_is_no_record(tmp_path: Path, text: str) -> None:
    folder = RunFolder(tmp_path / "r")
    (folder.stage("train") / "stage.json").write_text(text, encoding="utf-8")
    assert folder.record("train") is None
    with pytest.raises(PipelineError, match="has not finished"):
        folder.output_digest("train")


def _try_to_lock(root: Path, answers: "multiprocessing.Queue[str]") -> None:
    try:
        with RunFolder(root).locked():
            answers.put("held")
    except PipelineError as error:
        answers.put(str(error))


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with RunFolder(tmp_path / "r").locked():
        other = context.Process(target=_try_to_lock, args=(tmp_path / "r", answers))
        other.start()
        said = answers.get(timeout=60)
        other.join()
    assert "another process holds the run's lock" in said


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": 2})
    assert path.read_text(encoding="utf-8").index('"a"') < path.read_text(encoding="utf-8").index('"b"')
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_tables_keep_their_columns(tmp_path: Path) -> None:
    table = pd.DataFrame({"source": ["a.dcm"], "reason": ["blank"], "message": [None]})
    write_table(tmp_path / "t.parquet", table, REFUSAL_COLUMNS)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.parquet", REFUSAL_COLUMNS), table.astype(REFUSAL_COLUMNS))
    with pytest.raises(PipelineError, match="expected"):
        write_table(tmp_path / "t.parquet", table[["source"]], REFUSAL_COLUMNS)
    with pytest.raises(PipelineError, match="no such table"):
        read_table(tmp_path / "none.parquet", REFUSAL_COLUMNS)


def test_a_folder_digest_sees_new_and_changed_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    first = folder_digest(tmp_path)
    assert folder_digest(tmp_path) == first
    (tmp_path / "b").write_bytes(b"2")
    second = folder_digest(tmp_path)
    (tmp_path / "b").write_bytes(b"22")
    assert len({first, second, folder_digest(tmp_path)}) == 3


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


def test_a_finished_stage_that_is_opened_again_starts_afresh(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.begin("train", "s", {"ingest": "i"})
    (folder.stage("train") / "weights").write_bytes(b"w")
    finished(folder)
    assert not folder.begin("train", "s", {"ingest": "i"})
    assert not (folder.stage("train") / "weights").exists()


def test_categories_hold_the_same_texts_in_alphabetical_order(tmp_path: Path) -> None:
    columns = {"image_id": "string", "label": "string", "rank": "int16"}
    table = pd.DataFrame({"image_id": ["b", "a", "b"], "label": ["x", None, "x"], "rank": [0, 1, 2]})
    write_table(tmp_path / "t.parquet", table, columns)
    read = read_table(tmp_path / "t.parquet", columns, ("image_id", "label"))
    assert read["image_id"].tolist() == ["b", "a", "b"]
    assert read["image_id"].cat.categories.tolist() == ["a", "b"]
    assert read["label"].isna().tolist() == [False, True, False]
    assert read["rank"].dtype == "int16"


def test_a_folder_digest_sees_linked_folders_and_ends(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    (tmp_path / "root" / "dead").symlink_to("nowhere")
    first = folder_digest(tmp_path / "root")
    (tmp_path / "elsewhere" / "b").write_text("x")
    assert folder_digest(tmp_path / "root") != first
