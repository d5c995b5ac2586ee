from pathlib import Path

import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.core.localization.box_thresholds import ReportCutoff, Thresholds
from camray.core.probability.calibration import LabelCalibration
from camray.domain.errors import SettingsError
from camray.domain.records import Counts, StageResult
from camray.io.artifacts import RunArtifacts
from camray.workflows.predict import settings_for, with_prevalences

SETTINGS = Settings.model_validate({"name": "x", "localize": {"prevalence": {"Cyst": 0.5, "T=2": 0.25}}})


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    labels = ("Mass", "Cyst", "T=2", "Edema")
    maps = [LabelCalibration(label, "shift", prevalence=0.25) for label in labels[:3]]
    maps.append(LabelCalibration("Edema", reason="too few films"))
    cutoffs = tuple(ReportCutoff(label, 0.5, None, "", 0) for label in labels)
    RunArtifacts(tmp_path).localize.thresholds.write(Thresholds((), cutoffs, (), tuple(maps)))
    return tmp_path


def test_later_commands_find_the_films_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder(tmp_path / "run")
    run.root.mkdir()
    RunArtifacts(run.root).settings.write_text(Settings(name="x").model_dump_json(), encoding="utf-8")
    for stage in ("train", "localize"):
        run.finish(stage, {}, StageResult(Counts(1, 1)))
    (tmp_path / "films").mkdir()
    (tmp_path / "labels.csv").touch()
    monkeypatch.chdir(tmp_path)
    data = settings_for(run.root, Path("films"), Path("labels.csv"), None).data
    assert (data.root, data.labels, data.boxes) == (tmp_path / "films", tmp_path / "labels.csv", None)


def test_prevalences_are_read_and_those_of_the_run_kept(trained: Path) -> None:
    moved = with_prevalences(SETTINGS, trained, ["Mass=0.03", "T=2=0.5"])
    assert moved.localize.prevalence == {"Cyst": 0.5, "T=2": 0.5, "Mass": 0.03}


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (["Mass"], "expected FINDING=NUMBER"),
        (["=0.1"], "expected FINDING=NUMBER"),
        (["Mass=3%"], "between 0 and 1"),
        (["Mass=0"], "between 0 and 1"),
        (["Mass=1"], "between 0 and 1"),
        (["Mass=nan"], "between 0 and 1"),
        (["Mass=0.1", "Mass=0.2"], "once for each finding"),
        (["Mas=0.1"], "did you mean 'Mass'"),
        (["Edema=0.1"], "no probability of 'Edema': too few films"),
    ],
)
def test_what_is_no_prevalence_is_refused(trained: Path, given: list[str], fault: str) -> None:
    with pytest.raises(SettingsError, match=fault):
        with_prevalences(SETTINGS, trained, given)
