"""Parts of the stages: in any number and order, killed, damaged or of other settings, they end in the same bytes."""

import json
import shutil
from pathlib import Path

import pytest

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.run_folders import part_folders
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import IncompleteError, PipelineError, SettingsError
from camray.domain.parts import Part, parse_part
from camray.domain.records import Counts, StageResult
from camray.workflows import parts as parts_workflow
from camray.workflows.parts import run_part
from camray.workflows.run import run_these
from camray.workflows.stage_inputs import STAGES, stage_settings
from tests.trained_run import COLS, LABELS, ROWS, STRIDE, ingested_run

SPEC = NetworkSpec(pool="gap", stride=STRIDE, widths=(4, 4, 6, 8), stem_kernel=3)
SHARDS = 6  # of two films each


def _settings(**explain: object) -> Settings:
    chosen = {"splits": ["train", "validation"], "methods": ["cam", "gradcam"], "batch_size": 4, **explain}
    data = {"root": "films"}
    return parse_settings(
        {"name": "p", "device": "cpu", "data": data, "ingest": {"shard_films": 2}, "explain": chosen}, "test"
    )


def _finish(folder: RunFolder, stage: str) -> None:
    selected = stage_settings(next(each for each in STAGES if each.name == stage), _settings())
    folder.finish(stage, {"settings": selected, "settings_digest": digest_of(selected)}, StageResult(Counts(1, 1)))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a network, ready for its maps."""
    folder = ingested_run(tmp_path_factory.mktemp("trained") / "run")
    contract = ModelContract(LABELS, ROWS, COLS, "letterbox", 8, SPEC, ROWS // 8, COLS // 8, "d", 1, "v")
    write_json(folder.stage("train") / "contract.json", contract.as_json())
    weights = build_classifier(SPEC, len(LABELS), seed=3).state_dict()
    write_bytes(folder.stage("train") / "model.safetensors", weights_bytes(weights))
    for stage in ("ingest", "train"):
        _finish(folder, stage)
    return folder.root


@pytest.fixture(scope="module")
def undisturbed(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of all outputs of `explain` by one process."""
    folder = _copy(trained, tmp_path_factory.mktemp("one"))
    return _whole(folder)


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> RunFolder:
    return _copy(trained, tmp_path)


def _copy(trained: Path, where: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(trained, where / "run")))


def _whole(folder: RunFolder, settings: Settings | None = None) -> dict[str, str]:
    """Run the ordinary command, and return the digests of what it wrote."""
    (report,) = run_these({"explain"}, settings or _settings(), folder, NullTracker())
    outputs: dict[str, str] = report.record["outputs"]
    return outputs


def _part(folder: RunFolder, text: str, **explain: object) -> parts_workflow.PartReport:
    return run_part(_settings(**explain), folder, "explain", parse_part(text))


def _part_folder(folder: RunFolder, name: str) -> Path:
    (found,) = (folder.root / "parts").glob(f"explain-*/{name}")
    return found


@pytest.mark.parametrize("order", [["2/2", "1/2"], ["4/5", "1/5", "5/5", "3/5", "2/5"], ["1/1"]])
def test_parts_in_any_number_and_order_end_in_the_bytes_of_one_process(
    folder: RunFolder, undisturbed: dict[str, str], order: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    reports = [_part(folder, part) for part in order]
    assert sum(report.units for report in reports) == SHARDS
    assert not (folder.root / "explain").exists()  # a part writes into its own folder
    assert _whole(folder) == undisturbed
    told = capsys.readouterr().err
    assert f"6 of 6 shards taken from parts {', '.join(sorted(order))}" in told
    assert "missing" not in told
    assert not (folder.root / "parts").exists()
    late = _part(folder, order[0])
    assert (late.is_stage_finished, late.units) == (True, 0)
    assert not (folder.root / "parts").exists()


def test_a_part_that_was_interrupted_goes_on_after_its_last_shard(
    folder: RunFolder, undisturbed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = part_folders.PartFolder.finish, [2]

    def finish(*arguments: object) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(part_folders.PartFolder, "finish", finish)
    with pytest.raises(KeyboardInterrupt):
        _part(folder, "1/2")
    monkeypatch.undo()
    first = _part(folder, "1/2")
    assert (first.units, first.before) == (3, 2)
    _part(folder, "2/2")
    assert _whole(folder) == undisturbed


def test_shards_that_no_part_did_are_named_and_done_by_the_ordinary_command(
    folder: RunFolder, undisturbed: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _part(folder, "1/2")  # 0, 2, 4
    _part(folder, "2/3")  # 1, 4
    assert _whole(folder) == undisturbed
    told = capsys.readouterr().err
    assert "4 of 6 shards taken from parts 1/2, 2/3" in told
    assert "2 of 6 shards are missing and are done now, here: 3, 5" in told


@pytest.mark.parametrize("name", ["heat-cam-00002.npy", "logits-00002.npy.tmp", "unit-00002.json", "part.json"])
@pytest.mark.parametrize("is_truncated", [True, False])
def test_what_is_damaged_is_named_and_done_again(
    folder: RunFolder,
    undisturbed: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    name: str,
    is_truncated: bool,
) -> None:
    for part in ("1/2", "2/2"):
        _part(folder, part)
    path = _part_folder(folder, "1-of-2") / name
    content = path.read_bytes()
    changed = bytes([content[-9] ^ 1])
    path.write_bytes(content[:-2] if is_truncated else content[:-9] + changed + content[-8:])
    assert _whole(folder) == undisturbed
    told = capsys.readouterr().err
    fault = {"part.json": "part 1/2 (it does not", "unit-00002.json": "shard 2 of part 1/2 (its record is"}
    assert f"damaged, not taken: {fault.get(name, f'shard 2 of part 1/2 ({name})')}" in told


def test_a_damaged_shard_is_done_again_by_its_part(folder: RunFolder, undisturbed: dict[str, str]) -> None:
    _part(folder, "1/1")
    path = _part_folder(folder, "1-of-1") / "heat-gradcam-00003.npy"
    path.write_bytes(path.read_bytes()[:-2])
    (path.parent / "heat-cam-00001.npy").unlink()
    seen = _part(folder, "1/1")
    assert seen.units == SHARDS
    assert _whole(folder) == undisturbed


def test_a_merge_that_was_interrupted_finds_what_it_moved(
    folder: RunFolder, undisturbed: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _part(folder, "1/1")
    real, left = Path.replace, [7]  # in the third shard

    def replace(path: Path, target: Path) -> Path:
        if "1-of-1" in path.parts and not left[0]:
            raise KeyboardInterrupt
        left[0] -= "1-of-1" in path.parts
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        _whole(folder)
    monkeypatch.undo()
    assert _whole(folder) == undisturbed
    assert "6 of 6 shards taken from parts 1/1" in capsys.readouterr().err


def test_a_part_of_other_settings_is_refused_and_the_ordinary_command_leaves_it(
    folder: RunFolder, undisturbed: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _part(folder, "1/2", flip=True)
    kept = _part_folder(folder, "1-of-2")
    with pytest.raises(SettingsError, match=r"explain\.flip was True, now False; expected the same for all parts"):
        _part(folder, "2/2")
    assert _whole(folder) == undisturbed
    assert "are not used: explain.flip was True, now False" in capsys.readouterr().err
    assert len(list(kept.glob("unit-*.json"))) == 3


def test_a_part_of_another_version_is_refused_by_name(folder: RunFolder) -> None:
    _part(folder, "1/2")
    path = _part_folder(folder, "1-of-2") / "part.json"
    record = {**json.loads(path.read_text(encoding="utf-8")), "code_version": "0.0.1+abc"}
    write_json(path, part_folders.with_own_digest({k: v for k, v in record.items() if k != "record_sha256"}))
    for act in (lambda: _part(folder, "2/2"), lambda: _whole(folder)):
        with pytest.raises(PipelineError, match=r"part 1/2 of 'explain' was made by another version .*0\.0\.1\+abc"):
            act()


def test_a_part_needs_the_earlier_stages_with_its_settings(folder: RunFolder) -> None:
    coarser = _settings().model_copy(update={"ingest": _settings().ingest.model_copy(update={"rows": 64})})
    with pytest.raises(PipelineError, match=r"'ingest' is not up to date \(ingest\.rows was \d+, now 64\)"):
        run_part(coarser, folder, "explain", Part(2, 1))
    (folder.root / "train" / "stage.json").unlink()
    with pytest.raises(PipelineError, match=r"'train' is not up to date \(it has not finished\)"):
        _part(folder, "1/2")


def test_stages_of_one_process_have_no_parts(folder: RunFolder) -> None:
    with pytest.raises(SettingsError, match="'score' is done by one process"):
        run_part(_settings(), folder, "score", Part(2, 1))


def test_parts_and_whoever_works_alone_exclude_each_other(folder: RunFolder) -> None:
    with folder.locked(), pytest.raises(IncompleteError, match="another process holds the run's lock"):
        _part(folder, "1/2")
    _part(folder, "1/2")
    own = part_folders.PartFolder(_part_folder(folder, "1-of-2"), Part(2, 1))
    with folder.shared(), own.locked():
        _part(folder, "2/2")  # another part may
        with pytest.raises(IncompleteError, match=r"parts are at work \(explain-[0-9a-f]{16} 1/2\)"):
            _whole(folder)
    assert part_folders.working_parts(folder.root) == []
