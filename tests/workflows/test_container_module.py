"""A model as a container's module: the folders and files of mercure and of a MONAI Application Package."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pydicom
import pytest

from camray.adapters.container_contract import NOTIFICATION, folder_for, task_options, write_result
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.errors import SettingsError
from camray.domain.labels import Finding
from camray.domain.records import Counts, StageResult
from camray.io.ingest_contract import IngestContract, write_ingest_contract
from camray.workflows.container_module import run_module
from tests.film_factory import FilmRecipe, film_dataset
from tests.workflows.test_predictor import LABELS, write_trained

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "docker" / "module"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "artifacts" / "run"
    write_trained(root)
    (tmp_path / "MLmodel").touch()  # a network that came without the films of its run
    contract = IngestContract(tuple(map(Finding, LABELS)), 64, 48, "letterbox", 8, "folder", "digest")
    write_ingest_contract(root / "ingest" / "contract.json", contract)
    (root / "settings.json").write_text(json.dumps({"name": "served", "localize": {"report": "all"}}))
    for stage in ("train", "localize"):
        RunFolder(root).finish(stage, {}, StageResult(Counts(1, 1)))
    return root


def _task(folder: Path, settings: Any) -> None:
    (folder / "task.json").write_text(json.dumps({"id": "1", "process": [{"settings": settings}]}), encoding="utf-8")


def test_a_job_of_mercure_leaves_objects_and_result_flat_in_the_output_folder(model: Path, tmp_path: Path) -> None:
    films, out = tmp_path / "in", tmp_path / "out"
    films.mkdir()
    ds = film_dataset(FilmRecipe(), StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.3.4", SeriesNumber=1)
    ds.save_as(films / f"{ds.SeriesInstanceUID}#{ds.SOPInstanceUID}.dcm", enforce_file_format=True)
    (films / "broken.dcm").write_bytes(b"nothing" * 100)
    _task(films, {"formats": ["sr"]})
    before = {path.name: path.read_bytes() for path in films.iterdir()}
    run_module(model, films, out)
    assert {path.name: path.read_bytes() for path in films.iterdir()} == before
    assert all(path.is_file() for path in out.iterdir())
    (report,) = (pydicom.dcmread(path) for path in out.glob("*.dcm"))
    assert report.Modality == "SR"
    assert report.StudyInstanceUID == ds.StudyInstanceUID
    result = json.loads((out / "result.json").read_text(encoding="utf-8"))
    (film,) = result["films"]
    assert (film["image_id"], film["reported"]) == (ds.SOPInstanceUID, ["Mass"])
    assert [(row["source"], row["reason"]) for row in result["refused"]] == [("broken.dcm", "not_dicom")]
    assert result[NOTIFICATION] == {"text": "camray: Mass reported on 1 of 1 films"}
    assert (out / "boxes.csv").read_text(encoding="utf-8").count("\n") > 1
    for path in (out / "boxes.csv", out / "result.json"):
        assert "canary" not in path.read_text(encoding="utf-8").lower()  # the patient's name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"process": {"settings": {"formtas": "sr"}}}', "did you mean 'formats'"),
        ("not json", "not a job of mercure"),
        ("[]", "not a job of mercure"),
        ('{"process": []}', None),
        ('{"process": {"settings": null}}', None),
        ("{}", None),
    ],
)
def test_settings_of_a_job(tmp_path: Path, content: str, message: str | None) -> None:
    assert task_options(tmp_path) == {}
    (tmp_path / "task.json").write_text(content, encoding="utf-8")
    if message is None:
        assert task_options(tmp_path) == {}
        return
    with pytest.raises(SettingsError, match=message):
        task_options(tmp_path)


def test_settings_are_read_from_the_first_of_several_modules(tmp_path: Path) -> None:
    _task(tmp_path, {"formats": "sr,sc", "prevalence": {"Mass": 0.1}})
    assert task_options(tmp_path) == {"formats": "sr,sc", "prevalence": {"Mass": 0.1}}


def test_a_result_without_a_finding_notifies_nobody(tmp_path: Path) -> None:
    write_result(tmp_path, {"films": []}, "")
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == {"films": []}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_folders_are_those_given_or_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("MERCURE_IN_DIR", "HOLOSCAN_INPUT_PATH")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="MERCURE_IN_DIR or HOLOSCAN_INPUT_PATH"):
        folder_for(None, names, "IN")
    monkeypatch.setenv("HOLOSCAN_INPUT_PATH", "/var/holoscan/input")
    assert folder_for(None, names, "IN") == Path("/var/holoscan/input")
    monkeypatch.setenv("MERCURE_IN_DIR", "/tmp/data")
    assert folder_for(None, names, "IN") == Path("/tmp/data")
    assert folder_for(tmp_path, names, "IN") == tmp_path


def test_the_results_are_not_written_among_the_films(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="the folder of the films"):
        run_module(model, tmp_path, tmp_path)


def test_the_manifests_have_what_a_monai_application_package_needs() -> None:
    app, package = (json.loads((MODULE / name).read_text(encoding="utf-8")) for name in ("app.json", "pkg.json"))
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert app["type"] == "application"
    assert app["command"] == "camray module"
    assert (app["version"], app["sdkVersion"], package["version"]) == (version,) * 3
    assert app["input"]["formats"] == ["file"]
    assert app["output"]["format"] == "file"
    image = (MODULE / "Dockerfile").read_text(encoding="utf-8")
    for name, value in app["environment"].items():
        assert f"{name}={value}" in image
    assert app["environment"]["CAMRAY_MODEL"] == package["modelRoot"] + package["models"][0]["path"]
    assert "COPY app.json pkg.json /etc/holoscan/" in image
