"""Folders of predictions against the run that made them: planted drift is found and named, and others are refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.commands.app import app
from camray.core.drift import shift
from camray.core.drift.verdict import FolderDrift, Level
from camray.domain.errors import DriftError, PipelineError, SettingsError
from camray.io.artifacts import RunArtifacts, artifacts_of
from camray.io.drift_films import reference_of_run
from camray.io.model_package import PackageFiles
from camray.workflows import drift as workflow
from camray.workflows.drift import find_drift
from tests.workflows.drifting_runs import changed, finish, make_predictions, make_trained

pytestmark = pytest.mark.traced  # modules of io


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_trained(tmp_path_factory.mktemp("drift") / "run")


@pytest.fixture(scope="module")
def quiet(trained: RunFolder) -> Path:
    return make_predictions(trained.root.parent / "quiet", trained)


@pytest.fixture(autouse=True)
def _fewer_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shift, "DIVISIONS", 2000)
    monkeypatch.setattr(shift, "RESAMPLES", 50)


@pytest.fixture(autouse=True)
def _no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "drift_page", lambda *_: "page")  # see tests of the page


def _at(folder: FolderDrift, level: Level) -> set[str]:
    return {row.reference.key for row in folder.rows if row.level == level}


def _another_scanner(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(row_spacing_mm=0.2, col_spacing_mm=0.16)


def _another_maker(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(maker="cccc")


def _another_window(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(voi="none", grey_median=table["grey_median"] + 0.1, grey_mean=table["grey_mean"] + 0.1)


def test_films_like_those_of_the_run_have_no_drift(trained: RunFolder, quiet: Path) -> None:
    result = find_drift(trained.root, [quiet], None)
    folder = result.folders[0]
    assert folder.level == Level.NONE
    assert folder.patients * 2 >= folder.films > folder.patients
    keys = {row.reference.key for row in folder.rows}
    assert {"header/view", "header/maker", "header/voi", "header/row_spacing_mm", "appearance/grey_mean"} <= keys
    assert {f"output/Square/{name}" for name in ("logit", "answer", "boxes", "area")} <= keys
    files = RunArtifacts(quiet).drift
    assert result.page == files.page
    assert json.loads(files.summary.read_text(encoding="utf-8"))["level"] == "none"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"images": _another_scanner, "acquisition": _another_maker}, {"header/row_spacing_mm", "header/maker"}),
        ({"acquisition": _another_window}, {"header/voi", "appearance/grey_median", "appearance/grey_mean"}),
    ],
    ids=["scanner", "window"],
)
def test_another_scanner_or_window_is_found_and_nothing_else_accused(
    changes: dict[str, Any], found: set[str], trained: RunFolder, quiet: Path, tmp_path: Path
) -> None:
    folder = find_drift(trained.root, [changed(quiet, tmp_path / "new", **changes)], None).folders[0]
    assert folder.level == Level.ALARM
    assert _at(folder, Level.ALARM) == found
    assert _at(folder, Level.WATCH) == set()


def test_more_positives_are_found(trained: RunFolder, tmp_path: Path) -> None:
    folder = find_drift(trained.root, [make_predictions(tmp_path / "new", trained, logits=3.0)], None).folders[0]
    assert {"output/Square/logit", "output/Square/answer"} <= _at(folder, Level.ALARM)
    assert all(key.startswith("output/") for key in _at(folder, Level.ALARM))


def test_films_unlike_the_training_films_are_not_judged(trained: RunFolder, quiet: Path, tmp_path: Path) -> None:
    root = changed(quiet, tmp_path / "foreign")
    run = artifacts_of(RunFolder(root))
    films = pd.DataFrame({"image_id": run.explain.images.read()["image_id"]})
    for name, kind in run.localize.films.columns.items():
        films[name] = films.get(name, pd.Series(["another view"] * len(films) if kind == "string" else 0.0))
    run.localize.films.write(films)
    localized = RunFolder(root).record("localize") or {}
    finish(RunFolder(root), "localize", **localized["inputs"])
    row = next(
        row
        for row in find_drift(trained.root, [root], None).folders[0].rows
        if row.reference.key == "output/Square/answer"
    )
    assert row.level == Level.ALARM
    assert row.counts.tolist()[:-1] == [0] * (len(row.counts) - 1)  # none is reported, and none denied


def test_the_order_given_is_that_of_time_and_the_last_folder_decides(
    trained: RunFolder, quiet: Path, tmp_path: Path
) -> None:
    loud = changed(quiet, tmp_path / "loud", acquisition=_another_window)
    result = find_drift(trained.root, [loud, quiet], tmp_path / "out")
    assert [folder.level for folder in result.folders] == [Level.ALARM, Level.NONE]
    assert result.summary["level"] == "none"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"drift.html", "drift.json"}
    assert not (loud / "drift").exists()


def test_films_read_by_an_earlier_version_are_compared_by_what_is_known(
    trained: RunFolder, quiet: Path, tmp_path: Path
) -> None:
    root = changed(quiet, tmp_path / "old")
    RunArtifacts(root).ingest.acquisition.path.unlink()
    finish(RunFolder(root), "ingest")
    result = find_drift(trained.root, [root], None)
    assert "appearance" not in {row.reference.key.partition("/")[0] for row in result.folders[0].rows}
    assert "are not compared" in result.notes[0]


def test_manufacturers_hashed_with_another_key_are_not_compared(
    trained: RunFolder, quiet: Path, tmp_path: Path
) -> None:
    root = changed(quiet, tmp_path / "site", acquisition=lambda table: table.assign(maker="dddd", maker_key="another"))
    result = find_drift(trained.root, [root], None)
    assert result.folders[0].level == Level.NONE
    assert "header/maker" not in {row.reference.key for row in result.folders[0].rows}
    assert "another site's key" in result.notes[0]


def test_predictions_of_another_network_or_other_thresholds_are_refused(
    trained: RunFolder, quiet: Path, tmp_path: Path
) -> None:
    root = changed(quiet, tmp_path / "p")
    file = artifacts_of(RunFolder(root)).localize.thresholds
    stored = file.read()
    file.write(type(stored)(stored.boxes[1:], stored.cutoffs, stored.notes, stored.calibrations))
    finish(RunFolder(root), "localize")
    with pytest.raises(PipelineError, match="other thresholds"):
        find_drift(trained.root, [root], None)
    finish(RunFolder(root), "explain", train="another")
    with pytest.raises(PipelineError, match="not predictions of the network"):
        find_drift(trained.root, [root], None)
    with pytest.raises(SettingsError, match="not a run folder"):
        find_drift(trained.root, [tmp_path], None)


def test_a_package_says_the_same_as_its_run(trained: RunFolder, quiet: Path, tmp_path: Path) -> None:
    files = PackageFiles(tmp_path / "package")
    files.drift_reference.write(reference_of_run(trained, "judged", 1))
    stored, made = files.drift_reference.read(), reference_of_run(trained, "judged", 1)
    assert str(stored) == str(made)
    text = files.drift_reference.path.read_text(encoding="utf-8")
    assert not any(word in text for word in ("patient-key", "1.2.0", ".dcm"))


class _Recorder(NullTracker):
    def __init__(self) -> None:
        self.steps: dict[int, dict[str, float]] = {}

    def metrics(self, values: Any, step: int = 0) -> None:
        self.steps[step] = dict(values)


def test_the_figures_are_tracked_by_date(
    trained: RunFolder, quiet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = _Recorder()

    @contextmanager
    def opened(*_: object) -> Iterator[_Recorder]:
        yield recorder

    monkeypatch.setattr(workflow, "open_tracker", opened)
    result = find_drift(trained.root, [quiet], tmp_path)
    ((step, values),) = recorder.steps.items()
    assert str(step) == result.folders[0].written.replace("-", "")
    assert values["drift/level"] == 0
    assert values["drift/films"] == result.folders[0].films
    assert values["drift/appearance/grey_mean"] == next(
        row.shift.psi for row in result.folders[0].rows if row.reference.key == "appearance/grey_mean" and row.shift
    )


def _said(*words: object) -> Any:
    return CliRunner().invoke(app, ["drift", *map(str, words)])


def test_the_command(trained: RunFolder, quiet: Path, tmp_path: Path) -> None:
    answer = json.loads(_said(trained.root, quiet, "--out", tmp_path, "--json").stdout)
    assert answer["level"] == "none"
    assert answer["page"] == str(tmp_path / "drift.html")
    assert len(answer["folders"]) == 1
    said = _said(trained.root, quiet, "--out", tmp_path, "--fail-on", "watch")
    assert said.exit_code == 0
    assert "mean grey" in said.stdout


def test_the_command_fails_where_it_is_asked_to(trained: RunFolder, quiet: Path, tmp_path: Path) -> None:
    loud = changed(quiet, tmp_path / "loud", acquisition=_another_maker)
    assert _said(trained.root, loud).exit_code == 0
    for level in ("watch", "alarm"):
        failed = _said(trained.root, loud, "--fail-on", level).exception
        assert isinstance(failed, DriftError)
        assert failed.exit_code == 6


def test_few_films_are_never_an_all_clear(trained: RunFolder, quiet: Path, tmp_path: Path) -> None:
    few = changed(
        quiet,
        tmp_path / "few",
        images=lambda table: table.assign(patient_key=[f"p{number % 19}" for number in range(len(table))]),
        acquisition=_another_maker,
    )
    said = _said(trained.root, few, "--fail-on", "watch")
    assert said.exit_code == 0
    assert json.loads(RunArtifacts(few).drift.summary.read_text(encoding="utf-8"))["level"] == "too few films"
    assert "too few films for a verdict" in said.output
