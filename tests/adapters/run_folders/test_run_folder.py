import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder, folder_digest, write_json
from camray.adapters.run_folders.tables import read_table, write_table
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


@pytest.mark.parametrize(
    "text",
    ["{}", "null", "7", '{"outputs": 5}', '{"outputs": {"weights": 5}}', '{"outputs": {}, "inputs": []}', "[" * 9999],
)
def test_junk_is_no_record(tmp_path: Path, text: str) -> None:
    folder = RunFolder(tmp_path / "r")
    (folder.stage("train") / "stage.json").write_text(text, encoding="utf-8")
    assert folder.record("train") is None
    assert not folder.is_done("train", "s", {})
    with pytest.raises(PipelineError, match="has not finished"):
        folder.output_digest("train")


def _flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("knows_sizes", [True, False])
def test_a_changed_output_is_named_with_the_command_that_mends_it(tmp_path: Path, *, knows_sizes: bool) -> None:
    folder = RunFolder(tmp_path / "r")
    finished(folder)
    write_json(folder.root / "settings.json", {})
    if not knows_sizes:  # as early versions wrote it
        record = json.loads((folder.root / "train" / "stage.json").read_text(encoding="utf-8"))
        del record["files"]
        write_json(folder.root / "train" / "stage.json", record)
    folder.check_outputs("train")
    assert folder.is_done("train", "s", {"ingest": "i"})
    _flip_a_byte(folder.root / "train" / "weights")
    for check in (lambda: folder.check_outputs("train"), lambda: folder.is_done("train", "s", {"ingest": "i"})):
        with pytest.raises(PipelineError, match=r"train.weights: changed or damaged .* run `camray train .*r --force`"):
            check()
    folder.check_outputs("train", {"another"})


def test_a_copied_run_with_other_times_is_read_and_accepted(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    finished(folder)
    shutil.copytree(folder.root, tmp_path / "copy", copy_function=shutil.copyfile)
    os.utime(tmp_path / "copy" / "train" / "weights", (1, 1))
    assert RunFolder(tmp_path / "copy").is_done("train", "s", {"ingest": "i"})


def test_a_model_is_read_whatever_its_time_says(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.begin("train", "s", {})
    weights = folder.stage("train") / "model.safetensors"
    weights.write_bytes(b"weights")
    folder.finish("train", CLAIM, StageResult(Counts(2, 2)))
    before = weights.stat()
    _flip_a_byte(weights)
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(PipelineError, match=r"model\.safetensors: changed or damaged"):
        folder.check_outputs("train")


def _repeat_until_the_disk_is_full(folder: RunFolder) -> None:
    with folder.replacing("train"):
        assert not folder.begin("train", "s", {"ingest": "i"})
        (folder.stage("train") / "part").write_bytes(b"p")
        raise OSError("disk full")


def test_a_repetition_that_fails_leaves_the_finished_outputs_and_resumes(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    finished(folder)
    with pytest.raises(OSError, match="disk"):
        _repeat_until_the_disk_is_full(folder)
    assert folder.is_done("train", "s", {"ingest": "i"})
    assert [path.name for path in (folder.root / "train").glob("[pw]*")] == ["weights"]
    assert folder.begin("train", "s", {"ingest": "i"})
    assert (folder.root / "train" / "part").is_file()
    folder.finish("train", CLAIM, StageResult(Counts(2, 2)))
    assert sorted(path.name for path in folder.root.iterdir()) == ["train"]


def test_a_repetition_that_is_killed_leaves_the_finished_outputs(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    finished(folder)
    folder.begin("train", "other", {"ingest": "i"})
    assert not folder.is_done("train", "s", {"ingest": "i"})
    with folder.locked():  # the next command
        assert folder.is_done("train", "s", {"ingest": "i"})


def test_a_result_is_current_while_what_it_was_made_from_is_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    for stage, source in (("ingest", None), ("explain", "ingest"), ("score", "explain")):
        inputs = {} if source is None else {source: folder.output_digest(source)}
        folder.begin(stage, "s", inputs)
        (folder.stage(stage) / "out").write_text(stage)
        folder.finish(stage, {"inputs": inputs}, StageResult(Counts(1, 1)))
    assert folder.is_current("score")
    folder.begin("ingest", "s", {})
    (folder.stage("ingest") / "out").write_text("other films")
    folder.finish("ingest", {"inputs": {}}, StageResult(Counts(1, 1)))
    assert not folder.is_current("score")
    assert not folder.is_current("train")


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
