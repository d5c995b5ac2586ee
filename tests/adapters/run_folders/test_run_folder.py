import json
import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.errors import PipelineError
from camray.domain.records import Counts, StageResult

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


def _check_that_a_damaged_record_is_refused(folder: RunFolder) -> None:
    assert folder.record("train") is None
    for check in (folder.output_digest, folder.check_outputs, lambda name: folder.is_done(name, "s", {"ingest": "i"})):
        with pytest.raises(PipelineError, match=r"train.stage\.json: damaged"):
            check("train")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '{"stage": "tr',
        "{}",
        "null",
        "7",
        '{"outputs": 5}',
        '{"outputs": {"weights": 5}}',
        '{"outputs": {}, "inputs": []}',
        "[" * 9999,
    ],
)
def test_a_cut_record_and_junk_are_refused(tmp_path: Path, text: str) -> None:
    folder = RunFolder(tmp_path / "r")
    (folder.stage("train") / "stage.json").write_text(text, encoding="utf-8")
    _check_that_a_damaged_record_is_refused(folder)


def test_a_record_with_another_digest_of_an_output_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.begin("train", "s", {"ingest": "i"})
    result = StageResult(
        Counts(2, 2), {"mean": 0.1, "none": float("nan"), "pair": (1, 2), "path": Path("x"), "by": {2: 1}}
    )
    (folder.stage("train") / "weights").write_bytes(b"w")
    folder.finish("train", CLAIM, result)
    assert folder.is_done("train", "s", {"ingest": "i"})
    path = folder.root / "train" / "stage.json"
    digest = file_digest(folder.root / "train" / "weights")
    path.write_text(path.read_text(encoding="utf-8").replace(digest, "0" + digest[1:]), encoding="utf-8")
    _check_that_a_damaged_record_is_refused(folder)


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
        del record["files"], record["record_sha256"]
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


def test_a_finished_stage_that_is_opened_again_starts_afresh(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.begin("train", "s", {"ingest": "i"})
    (folder.stage("train") / "weights").write_bytes(b"w")
    finished(folder)
    assert not folder.begin("train", "s", {"ingest": "i"})
    assert not (folder.stage("train") / "weights").exists()
