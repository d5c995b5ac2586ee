"""A model package: what is in it and what is not, the boxes it gives without its run, and the faults it reports."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.onnx_model import OnnxNetwork
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.run_removal import is_run
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.stored_digest import with_digest
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import CheckpointError, PipelineError, SettingsError
from camray.domain.records import ANNOTATION_COLUMNS
from camray.io.model_package import PackageFiles, check_package, digests_of
from camray.stages.explain import stage as explain
from camray.stages.localize import stage as localize
from camray.stages.train import stage as train
from camray.workflows.model_package.verify import compare, verify_package
from camray.workflows.model_package.write import write_package
from camray.workflows.predictor import load_predictor
from camray.workflows.predictor_input import film_from_file
from camray.workflows.stored_settings import settings_of
from tests.end_to_end.conftest import camray, camray_here
from tests.trained_run import LABELS, finish_ingest, ingested_run, small_settings

WORD = "Canary"
DAMAGED = (
    "package.json",
    "settings.json",
    "train/model.safetensors",
    "explain/prior-cam.npy",
    "checks/expected.parquet",
)


def _planted(root: Path) -> RunFolder:
    """A trained and localized run of films, readers and paths that have the word in their names."""
    folder = ingested_run(root / WORD)
    path = folder.root / "ingest" / "images.parquet"
    images = pd.read_parquet(path)
    images[["patient_key", "study_key", "source"]] = WORD
    images.to_parquet(path, index=False)
    marks = [("1.2.3", LABELS[0], f"Dr {WORD}", "box", 1.0, 2.0, 30.0, 40.0, "")]
    table = pd.DataFrame(marks, columns=list(ANNOTATION_COLUMNS)).astype(ANNOTATION_COLUMNS)
    table.to_parquet(folder.root / "ingest" / "annotations.parquet", index=False)
    finish_ingest(folder)
    plain = small_settings(max_epochs=1).model_dump(mode="json")
    home = str(root / WORD)
    plain["data"] |= {"root": home, "labels": f"{home}/labels.csv", "boxes": f"{home}/boxes.csv"}
    plain["export"] |= {"history": f"{home}/history.sqlite"}
    plain["track"] |= {"uri": f"sqlite:///{home}/mlflow.db", "experiment": WORD, "enabled": False}
    plain["explain"] |= {"methods": ["cam"], "prior": True}
    plain["localize"] |= {"zones": False, "report": "all"}
    settings = parse_settings(plain, "test")
    write_json(folder.root / "settings.json", with_digest(plain))
    for name, stage in (("train", train), ("explain", explain), ("localize", localize)):
        folder.begin(name, "", {})
        folder.finish(name, {"code_version": "0.2.0+test"}, stage.run(settings, folder, NullTracker()))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _planted(tmp_path_factory.mktemp("runs")).root


@pytest.fixture(scope="module")
def written(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("packages") / "model"
    write_package(run, out)
    return out


@pytest.fixture
def package(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "model")
    return tmp_path / "model"


def test_every_file_is_in_the_manifest_and_none_names_patient_reader_or_path(run: Path, written: Path) -> None:
    manifest = check_package(written)
    assert set(manifest.files) == {
        *("LICENSE", "NOTICE", "card.md", "card.html", "drift.json", "settings.json", "ingest/contract.json"),
        *("ingest/stage.json", "train/model.safetensors", "train/contract.json", "train/stage.json"),
        *(
            "explain/prior-cam.npy",
            "explain/stage.json",
            "localize/thresholds.json",
            "localize/stage.json",
            "checks/expected.parquet",
        ),
        *(f"checks/films/film-0000{number}.dcm" for number in (1, 2, 3)),
    }
    assert WORD in (run / "settings.json").read_text(encoding="utf-8")  # it was there to be found
    for path in filter(Path.is_file, written.rglob("*")):
        content = path.read_bytes().lower()
        assert WORD.lower().encode() not in content, path
        assert str(run.parent).lower().encode() not in content, path
    expected = PackageFiles(written).checks.expected.read()
    assert expected["image_id"].nunique() == 3
    assert WORD.lower() not in expected.to_csv().lower()
    assert sorted(path.name for path in written.parent.iterdir()) == ["model"]


def test_the_same_run_gives_the_same_package(run: Path, written: Path, tmp_path: Path) -> None:
    write_package(run, tmp_path / "again")
    assert digests_of(tmp_path / "again") == digests_of(written)


@pytest.mark.slow
def test_a_package_gives_the_boxes_of_its_run_without_the_run(run: Path, package: Path, tmp_path: Path) -> None:
    films, moved = package / "checks" / "films", run.with_name("moved")
    of_run = camray_here("predict", run, films, "--out", tmp_path / "a", "--formats", "csv")
    assert of_run.returncode == 0, of_run.stderr
    run.rename(moved)
    try:
        of_package = camray("predict", package, films, "--out", tmp_path / "b", "--formats", "csv")
    finally:
        moved.rename(run)
    assert of_package.returncode == 0, of_package.stderr
    for name in ("localize/predictions.parquet", "export/boxes.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    boxes = pd.read_parquet(tmp_path / "b" / "localize" / "predictions.parquet")
    assert boxes["x0"].notna().any()
    check_package(package)  # nothing was written into it
    found = [load_predictor(root)(sorted(films.glob("*.dcm"))) for root in (run, package)]
    pd.testing.assert_frame_equal(*found, check_exact=True)


def test_its_own_answers_are_exact_here(package: Path) -> None:
    result = verify_package(package)
    assert result.is_exact
    assert result.is_passed
    assert [film.output for film in result.films] == [0.0] * 3
    shown = camray_here("verify", package, "--json")
    assert shown.returncode == 0
    assert json.loads(shown.stdout)["films"] == 3


def test_other_answers_are_found_even_with_right_digests(package: Path) -> None:
    files = PackageFiles(package)
    expected = files.checks.expected.read()
    expected.loc[0, "logit"] += 0.01
    files.checks.expected.write(expected)
    before = files.manifest.read()
    files.manifest.write(type(before)(**{**vars(before), "files": digests_of(package)}))
    shown = camray_here("verify", package)
    assert shown.returncode == CheckpointError.exit_code
    assert "other answers than expected on 1 of 3 films" in " ".join(shown.stderr.split())


@pytest.mark.parametrize(
    ("column", "by", "is_same"),
    [
        ("logit", 0.0, True),
        ("logit", 5e-4, True),
        ("probability", 2e-3, False),
        ("x1", 7.0, True),
        ("peak_y", 9.0, False),
        ("x0", float("nan"), False),
        ("rank", 1, False),
    ],
)
def test_another_build_has_a_tolerance(written: Path, column: str, by: float, is_same: bool) -> None:
    expected = PackageFiles(written).checks.expected.read()
    row = expected.index[expected["x0"].notna()][0]
    expected[["logit", "probability"]] = 0.5
    found = expected.copy()
    found.loc[row, column] += by
    film = expected.loc[row, "image_id"]
    verdicts = {each.image_id: each.is_same for each in compare(expected, found, is_exact=False)}
    assert verdicts.pop(film) is is_same
    assert all(verdicts.values())
    exact = {each.image_id: each.is_same for each in compare(expected, found, is_exact=True)}
    assert exact[film] is (by == 0)


def test_onnx_is_in_the_package_on_request_and_gives_its_maps(run: Path, written: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    manifest = write_package(run, tmp_path / "model", onnx=True)
    assert set(manifest.files) - set(check_package(written).files) == {"model.onnx"}
    result = verify_package(tmp_path / "model")
    assert result.onnx is not None
    assert 0 <= result.onnx <= 1e-5
    assert verify_package(written).onnx is None
    graph = OnnxNetwork((tmp_path / "model" / "model.onnx").read_bytes())
    assert json.loads(graph.description["labels"]) == list(LABELS)
    assert (graph.description["rows"], graph.description["cols"]) == ("96", "64")
    for path in sorted((tmp_path / "model" / "checks" / "films").iterdir()):
        predictor = load_predictor(tmp_path / "model")
        (predicted,) = predictor.predict_images([film_from_file(path)])
        found = graph(predicted.grey[None, None])
        np.testing.assert_allclose(found["logits"][0], predicted.logits, atol=1e-4)
        np.testing.assert_allclose(found["maps"][0], predicted.heat, atol=2e-3)  # predictions keep maps as float16
    assert WORD.lower().encode() not in (tmp_path / "model" / "model.onnx").read_bytes().lower()


@pytest.mark.slow
def test_onnx_of_another_network_is_found(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the package onnxruntime is not installed")
    import onnx

    write_package(run, tmp_path / "model", onnx=True)
    files = PackageFiles(tmp_path / "model")
    graph = onnx.load(files.onnx)
    bias = next(each for each in graph.graph.initializer if each.name.endswith("classifier.bias"))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    files.onnx.write_bytes(graph.SerializeToString())
    before = files.manifest.read()
    files.manifest.write(type(before)(**{**vars(before), "files": digests_of(files.folder)}))
    shown = camray_here("verify", files.folder)
    assert shown.returncode == CheckpointError.exit_code
    assert "its ONNX differs from its network by 0.01 with" in " ".join(shown.stderr.split())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _edit(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-3] + bytes([content[-3] ^ 1]) + content[-2:])


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


@pytest.mark.parametrize("harm", [_cut, _edit, Path.unlink, _link])
@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_by_name(package: Path, name: str, harm: Callable[[Path], None]) -> None:
    harm(package / name)
    for opened in (verify_package, load_predictor, lambda root: settings_of(root, or_package=True)):
        with pytest.raises(CheckpointError, match=name):
            opened(package)


def test_a_file_that_is_not_of_the_package_is_refused(package: Path) -> None:
    shutil.copy(package / "explain" / "prior-cam.npy", package / "explain" / "prior-gradcam.npy")
    with pytest.raises(CheckpointError, match=r"prior-gradcam\.npy: not a file of the package"):
        load_predictor(package)


def test_a_package_of_a_later_format_is_refused(package: Path) -> None:
    files = PackageFiles(package)
    before = files.manifest.read()
    files.manifest.write(type(before)(**{**vars(before), "format": 2}))
    with pytest.raises(CheckpointError, match="format 2 of packages, expected 1"):
        check_package(package)


def test_only_an_earlier_package_is_replaced_and_on_request_only(run: Path, package: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--overwrite"):
        write_package(run, package)
    (package / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"notes\.txt"):
        write_package(run, package, overwrite=True)
    (package / "notes.txt").unlink()
    _edit(package / "train" / "model.safetensors")
    write_package(run, package, overwrite=True)
    check_package(package)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine", encoding="utf-8")
    for where in (tmp_path / "other", run, run.parent, tmp_path / "other" / "thesis.txt"):
        with pytest.raises(SettingsError):
            write_package(run, where, overwrite=True)
    assert (tmp_path / "other" / "thesis.txt").read_text(encoding="utf-8") == "mine"


def test_a_package_that_cannot_be_finished_leaves_nothing(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camray.workflows.model_package.write.answers", _interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_package(run, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def _interrupted(_: Path) -> None:
    raise KeyboardInterrupt


def test_a_run_that_changed_or_is_not_trained_is_not_packaged(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    _edit(tmp_path / "run" / "localize" / "thresholds.json")
    with pytest.raises(PipelineError, match=r"thresholds\.json: changed or damaged"):
        write_package(tmp_path / "run", tmp_path / "model")
    shutil.rmtree(tmp_path / "run" / "localize")
    with pytest.raises(PipelineError, match="stage 'localize' has not finished"):
        write_package(tmp_path / "run", tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_changes_a_run_refuses_a_package(package: Path, tmp_path: Path) -> None:
    assert not is_run(package)
    for words in (("run", package), ("train", package), ("card", package), ("package", package, tmp_path / "x")):
        refused = camray_here(*words)
        assert refused.returncode == SettingsError.exit_code, words
        assert "a model package" in " ".join(refused.stderr.split())
    removed = camray_here("runs", "rm", package, "--yes")
    assert removed.returncode == SettingsError.exit_code
    check_package(package)
    out = camray_here("predict", package, package / "checks" / "films", "--out", package)
    assert out.returncode == SettingsError.exit_code
