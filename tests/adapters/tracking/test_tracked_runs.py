"""A run folder whose network changes: a second MLflow run, and the first one as it was."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from camray.adapters.tracking.journal import Journal
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.store import import_mlflow, quiet_calls, store_uri
from camray.adapters.tracking.sync import sync
from camray.adapters.tracking.tracked_runs import next_root, present_root
from camray.adapters.tracking.ui import page_of_runs


@pytest.fixture
def run_root(tmp_path: Path, empty_store: Path) -> Path:
    root = tmp_path / "runs" / "demo"
    root.mkdir(parents=True)
    (root.parent / "mlflow.db").write_bytes(empty_store.read_bytes())
    return root


def _tracker(root: Path, experiment: str = "films") -> MlflowTracker:
    return MlflowTracker(root, root.parent, None, experiment, "none:none", retry_seconds=0.0)


def _runs(root: Path) -> list[Any]:
    """All runs of the store, the oldest first."""
    uri = store_uri(None, root.parent)
    with quiet_calls():
        client = import_mlflow().MlflowClient(uri, registry_uri=uri)
        ids = [found.experiment_id for found in client.search_experiments()]
        return sorted(client.search_runs(ids), key=lambda run: run.data.tags["camray.journal"])


def _execute(root: Path, network: str, rate: float, policy: str | None = None, experiment: str = "films") -> None:
    with _tracker(root, experiment) as tracker:
        tracker.identify({"network_settings": network})
        tracker.params({"train": {"learning_rate": rate}})
        tracker.tags({"localize.policy": policy})
        with tracker.stage("train"):
            tracker.run_metrics({"train/loss": rate}, step=1)


def test_another_network_is_another_run_and_the_first_is_kept(run_root: Path) -> None:
    _execute(run_root, "a", 0.1)
    _execute(run_root, "a", 0.1)
    before = {run.info.run_id: run for run in _runs(run_root)}
    _execute(run_root, "b", 0.2, experiment="another")
    whole = [run for run in _runs(run_root) if "mlflow.parentRunId" not in run.data.tags]
    assert [run.data.params for run in whole] == [{"train.learning_rate": "0.1"}, {"train.learning_rate": "0.2"}]
    assert [run.data.metrics for run in whole] == [{"train/loss": 0.1}, {"train/loss": 0.2}]
    assert not any(key.startswith("changed.") for run in whole for key in run.data.tags)
    assert {run.info.status for run in whole} == {"FINISHED"}
    kept = before[whole[0].info.run_id]
    assert (kept.info.end_time, kept.data.tags) == (whole[0].info.end_time, whole[0].data.tags)
    nested = [run for run in _runs(run_root) if run.data.tags.get("mlflow.parentRunId") == whole[1].info.run_id]
    assert [run.info.run_name for run in nested] == ["train"]
    assert nested[0].info.experiment_id == whole[1].info.experiment_id != whole[0].info.experiment_id


def test_a_run_stays_in_its_experiment(run_root: Path) -> None:
    _execute(run_root, "a", 0.1)
    _execute(run_root, "a", 0.1, experiment="another")
    assert len({run.info.experiment_id for run in _runs(run_root)}) == 1


def test_other_films_found_on_the_way_take_params_and_tags_along(run_root: Path) -> None:
    for films in ("x", "y"):
        with _tracker(run_root) as tracker:
            tracker.identify({"network_settings": "a"})
            tracker.params({"seed": 1})
            tracker.tags({"device": "cpu"})
            tracker.identify({"training_films": films})
    runs = _runs(run_root)
    assert len(runs) == 2
    assert [run.data.params for run in runs] == [{"seed": "1"}] * 2
    assert [run.data.tags["device"] for run in runs] == ["cpu"] * 2
    assert [run.data.tags["camray.training_films"] for run in runs] == ["x", "y"]
    assert [run.data.tags["camray.network_settings"] for run in runs] == ["a", "a"]


def test_a_tag_of_a_later_setting_follows_it(run_root: Path) -> None:
    seen = []
    for policy in (None, "otsu", "fixed", None):
        _execute(run_root, "a", 0.1, policy)
        (run,) = [run for run in _runs(run_root) if "mlflow.parentRunId" not in run.data.tags]
        seen.append(run.data.tags.get("localize.policy"))
    assert seen == [None, "otsu", "fixed", None]


def test_what_a_killed_process_left_open_ends_as_killed(run_root: Path) -> None:
    tracker = _tracker(run_root)
    tracker.__enter__()
    tracker.identify({"network_settings": "a"})
    stage = tracker.stage("train")
    stage.__enter__()
    tracker._lock.release()  # type: ignore[union-attr]  # what the kernel does for a dead process
    _execute(run_root, "b", 0.2)
    status = {run.data.tags["camray.journal"].rpartition("/")[2]: run.info.status for run in _runs(run_root)}
    assert status == {"run": "KILLED", "train#1": "KILLED", "run@2": "FINISHED", "train#2": "FINISHED"}


def test_a_lost_store_receives_both_runs_again(run_root: Path, empty_store: Path) -> None:
    _execute(run_root, "a", 0.1)
    _execute(run_root, "b", 0.2)
    (run_root.parent / "mlflow.db").write_bytes(empty_store.read_bytes())
    assert sync(run_root)["rejected"] == 0
    params = [run.data.params for run in _runs(run_root) if "mlflow.parentRunId" not in run.data.tags]
    assert params == [{"train.learning_rate": "0.1"}, {"train.learning_rate": "0.2"}]


def test_notes_users_and_films_are_in_mlflows_own_places(run_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "reader")
    table = pd.DataFrame({"image_id": ["1.2"]})
    with _tracker(run_root) as tracker, tracker.stage("train"):
        tracker.note("# Card")
        tracker.dataset(table, "films-train", "data manifest films", "ab" * 32, "training")
        tracker.dataset(table, "films-test", "data manifest films", "ab" * 32, "test")
    for run in _runs(run_root):
        found = {given.dataset.name: given.tags[0].value for given in run.inputs.dataset_inputs}
        assert found == {"films-train": "training", "films-test": "test"}
        assert run.data.tags["mlflow.user"] == "reader"
        assert run.data.tags.get("mlflow.note.content") == (None if "mlflow.parentRunId" in run.data.tags else "# Card")


def test_the_page_of_the_ui_is_that_of_the_newest_run(run_root: Path) -> None:
    uri = store_uri(None, run_root.parent)
    assert page_of_runs(uri) == ""
    _execute(run_root, "a", 0.1, experiment="old")
    _execute(run_root, "b", 0.1, experiment="new")
    experiment = _runs(run_root)[-1].info.experiment_id
    assert page_of_runs(uri) == f"/#/experiments/{experiment}/runs"


def test_whole_runs_are_numbered(run_root: Path) -> None:
    _execute(run_root, "a", 0.1)
    assert present_root(Journal(run_root).entries) == "run"
    _execute(run_root, "b", 0.1)
    assert present_root(Journal(run_root).entries) == next_root("run") == "run@2"
