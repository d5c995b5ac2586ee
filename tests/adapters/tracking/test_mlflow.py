"""The journal before the store: nothing lost, nothing doubled, nothing said that a header held."""

import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.tracking import sender as sender_module
from camray.adapters.tracking.interface import NullTracker, Tracker
from camray.adapters.tracking.journal import Journal
from camray.adapters.tracking.keys import tracking_key
from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.store import (
    REGISTRY_VARIABLE,
    TRACKING_VARIABLE,
    import_mlflow,
    make_store,
    pointed_at,
    quiet_calls,
    store_uri,
)
from camray.adapters.tracking.sync import sync
from camray.domain.errors import IncompleteError, PipelineError, SettingsError

LOADER = "tests.adapters.tracking.fake_loader:load_fake"


@pytest.fixture
def run_root(tmp_path: Path, empty_store: Path) -> Path:
    root = tmp_path / "runs" / "demo"
    (root / "export" / "overlays").mkdir(parents=True)
    (root.parent / "mlflow.db").write_bytes(empty_store.read_bytes())
    for number in range(2):
        _picture(root / "export" / "overlays" / f"{number}.png", number)
    return root


def _picture(path: Path, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def _tracker(root: Path, uri: str | None = None) -> MlflowTracker:
    return MlflowTracker(root, root.parent, uri, "an experiment", LOADER, retry_seconds=0.0)


def _unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _client(root: Path) -> Any:
    import mlflow

    uri = store_uri(None, root.parent)
    return mlflow.MlflowClient(uri, registry_uri=uri)


def _runs(root: Path) -> dict[str, Any]:
    """Runs of the store by name; fails where a name stands twice."""
    with quiet_calls():
        client = _client(root)
        experiment = client.get_experiment_by_name("an experiment")
        found = client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found)
    return {run.info.run_name: run for run in found}


def _tell_everything(tracker: Tracker, root: Path) -> None:
    tracker.params({"train": {"max_epochs": 2}, "long": "x" * 900})
    tracker.tags({"seed": "1"})
    with tracker.stage("train"):
        for epoch in range(3):
            tracker.metrics({"loss": 1.0 / (epoch + 1), "AUROC Mass (left)": 0.5, "unknown": float("nan")}, epoch)
        tracker.dataset(
            pd.DataFrame({"image_id": ["1.2"], "split": ["train"]}), "films", "phantom", "ab" * 32, "training"
        )
    with tracker.stage("export"):
        for step in range(2):
            tracker.picture(root / "export" / "overlays" / f"{step}.png", "overlay", step)
        tracker.artifact(root / "export" / "overlays", "overlays")
        rows = {"image_id": ["1.2", "1.3"], "iou": [0.5, None]}
        pictures = [str(root / "export" / "overlays" / f"{step}.png") for step in range(2)]
        tracker.table(pd.DataFrame({**rows, "overlay": pictures}), "findings", "overlay")


def _check_everything(root: Path) -> None:
    runs, client = _runs(root), _client(root)
    assert set(runs) == {"demo", "train", "export"}
    parent = runs["demo"]
    assert parent.data.params == {"train.max_epochs": "2", "long": "x" * 500}
    assert (parent.data.tags["seed"], parent.data.tags["data_digest"]) == ("1", "ab" * 32)
    assert [found.dataset.name for found in parent.inputs.dataset_inputs] == ["films"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}
    for stage in ("train", "export"):
        assert runs[stage].data.tags["mlflow.parentRunId"] == parent.info.run_id
    train = runs["train"].info.run_id
    assert [(m.step, m.value) for m in client.get_metric_history(train, "loss")] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    assert set(runs["train"].data.metrics) == {"loss", tracking_key("AUROC Mass (left)")}
    (dataset,) = runs["train"].inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("films", "ab" * 18)
    assert json.loads(dataset.dataset.profile)["num_rows"] == 1
    export = runs["export"].info.run_id
    cards = [found.path for found in client.list_artifacts(export, "images")]
    assert sorted(Path(card).name.split("+timestamp+")[0] for card in cards) == [
        "overlay+step+0",
        "overlay+step+0",
        "overlay+step+1",
        "overlay+step+1",
    ]
    assert runs["export"].data.tags["mlflow.loggedImages"] == "True"
    assert {found.path for found in client.list_artifacts(export, "overlays")} == {"overlays/0.png", "overlays/1.png"}
    with quiet_calls():
        table = json.loads(Path(client.download_artifacts(export, "findings.json")).read_text(encoding="utf-8"))
    assert table["columns"] == ["image_id", "iou", "overlay"]
    assert [row[:2] for row in table["data"]] == [["1.2", 0.5], ["1.3", None]]
    assert [row[2]["type"] for row in table["data"]] == ["image", "image"]
    assert "findings.json" in runs["export"].data.tags["mlflow.loggedArtifacts"]


def test_a_run_tells_everything_and_nothing_twice(run_root: Path) -> None:
    with _tracker(run_root) as tracker:
        _tell_everything(tracker, run_root)
    _check_everything(run_root)
    assert sync(run_root) == {"sent": 0, "rejected": 0, "pending": 0}
    _check_everything(run_root)


def test_telling_nothing_new_sends_nothing(run_root: Path) -> None:
    with _tracker(run_root) as tracker:
        tracker.params({"a": 1})
    length = len(Journal(run_root).entries)
    with _tracker(run_root) as tracker:
        tracker.params({"a": 1})
        tracker.tags({})
    assert len(Journal(run_root).entries) == length


def test_a_vanished_server_costs_nothing_but_a_warning(
    run_root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = f"http://127.0.0.1:{_unused_port()}"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with _tracker(run_root, nowhere) as tracker:
        _tell_everything(tracker, run_root)
    said = [record.getMessage() for record in caplog.records]
    assert sum("cannot be reached" in line for line in said) == 1
    assert any("camray track sync" in line for line in said)
    with pytest.raises(IncompleteError, match="cannot be reached"):
        sync(run_root)
    # the same journal, now with a store that answers
    journal = Journal(run_root)
    journal.remember(uri=None)
    waiting = len(journal.pending)
    assert waiting == len(journal.entries)
    assert sync(run_root) == {"sent": waiting, "rejected": 0, "pending": 0}
    _check_everything(run_root)


@pytest.mark.parametrize("lost_at", [0, 3, 5, 7, 9, 12, 15, 17])
def test_an_answer_lost_on_the_way_doubles_nothing(
    run_root: Path, monkeypatch: pytest.MonkeyPatch, lost_at: int
) -> None:
    """The store did as asked, but the process ended before it knew: what was sent is sent again."""
    real = sender_module.Sender.send

    def send(self: sender_module.Sender, entry: dict[str, Any], in_doubt: bool) -> None:
        if entry["n"] > lost_at:
            raise ConnectionError("gone")
        real(self, entry, in_doubt)
        if entry["n"] == lost_at:
            raise ConnectionError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(sender_module.Sender, "send", send)
        with _tracker(run_root) as tracker:
            _tell_everything(tracker, run_root)
    assert Journal(run_root).sent == lost_at
    sync(run_root)
    _check_everything(run_root)


def test_a_killed_run_goes_on_as_the_same_run(run_root: Path) -> None:
    tracker = _tracker(run_root)
    tracker.__enter__()
    tracker.params({"a": 1, "b": 1})
    stage = tracker.stage("train")
    stage.__enter__()
    tracker.metrics({"loss": 1.0}, 0)
    journal = run_root / "mlflow" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"call": "metr')  # torn by the kill
    tracker._lock.release()  # type: ignore[union-attr]  # what the kernel does for a dead process
    del stage
    with _tracker(run_root) as again:
        again.params({"a": 1, "b": 2, "c": 3})
        with again.stage("train"):
            again.metrics({"loss": 0.5}, 1)
    with quiet_calls():
        client = _client(run_root)
        found = client.search_runs([client.get_experiment_by_name("an experiment").experiment_id])
    by_name = {name: [run for run in found if run.info.run_name == name] for name in ("demo", "train")}
    (parent,) = by_name["demo"]
    assert parent.data.params == {"a": "1", "b": "1", "c": "3"}
    assert parent.data.tags["changed.b"] == "2"
    assert sorted(run.info.status for run in by_name["train"]) == ["FINISHED", "KILLED"]


@pytest.mark.parametrize(
    ("error", "status"), [(RuntimeError, "FAILED"), (KeyboardInterrupt, "KILLED"), (PipelineError, "FAILED")]
)
def test_an_error_passes_and_is_noted(run_root: Path, error: type[BaseException], status: str) -> None:
    with pytest.raises(error), _tracker(run_root) as tracker, tracker.stage("ingest"):
        raise error
    runs = _runs(run_root)
    assert {run.info.status for run in runs.values()} == {status}


def test_what_changed_since_is_not_sent_as_if_it_were_the_same(
    run_root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = run_root / "export" / "overlays" / "0.png"

    def away(self: sender_module.Sender, entry: dict[str, Any], in_doubt: bool) -> None:
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(sender_module.Sender, "send", away)
        with _tracker(run_root) as tracker:
            tracker.picture(picture, "overlay")
            tracker.picture(run_root / "export" / "overlays" / "1.png", "overlay", 1)
    _picture(picture, 99)
    counts = sync(run_root)
    assert counts["rejected"] == 1
    assert counts["pending"] == 0
    assert any("written again" in record.getMessage() for record in caplog.records)
    cards = _client(run_root).list_artifacts(_runs(run_root)["demo"].info.run_id, "images")
    assert len(cards) == 2


def test_what_the_store_refuses_does_not_block_the_rest(run_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with _tracker(run_root) as tracker:
        tracker.params({"a": 1})
        tracker._known.clear()
        tracker.params({"a": 2})
        tracker.metrics({"after": 1.0})
    assert any("refused 'params'" in record.getMessage() for record in caplog.records)
    assert _runs(run_root)["demo"].data.metrics == {"after": 1.0}


def test_another_store_gets_the_whole_story(run_root: Path, tmp_path: Path, empty_store: Path) -> None:
    with _tracker(run_root) as tracker:
        tracker.metrics({"loss": 1.0})
    other = tmp_path / "other.db"
    other.write_bytes(empty_store.read_bytes())
    with _tracker(run_root, f"sqlite:///{other}") as tracker:
        tracker.metrics({"loss": 0.5}, 1)
    with quiet_calls():
        import mlflow

        client = mlflow.MlflowClient(f"sqlite:///{other}")
        (run,) = client.search_runs([client.get_experiment_by_name("an experiment").experiment_id])
        assert [m.value for m in client.get_metric_history(run.info.run_id, "loss")] == [1.0, 0.5]
    assert run.info.artifact_uri.startswith(tmp_path.as_uri())


def test_a_second_process_on_the_run_only_watches(run_root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with _tracker(run_root) as first:
        first.metrics({"loss": 1.0})
        with _tracker(run_root) as second, second.stage("train"):
            second.metrics({"loss": 2.0})
        with pytest.raises(IncompleteError, match="in progress"):
            sync(run_root)
    assert _runs(run_root)["demo"].data.metrics == {"loss": 1.0}


def test_sync_needs_a_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no tracking journal"):
        sync(tmp_path)


def test_a_file_from_elsewhere_is_kept_with_the_run(run_root: Path, tmp_path: Path) -> None:
    _picture(tmp_path / "elsewhere.png", 5)
    with _tracker(run_root) as tracker:
        tracker.artifact(tmp_path / "elsewhere.png")
    run_id = _runs(run_root)["demo"].info.run_id
    assert [found.path for found in _client(run_root).list_artifacts(run_id)] == ["elsewhere.png"]


def test_the_model_is_registered_and_finds_boxes(run_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TRACKING_VARIABLE, raising=False)
    monkeypatch.delenv(REGISTRY_VARIABLE, raising=False)
    (run_root / "train").mkdir()
    (run_root / "train" / "contract.json").write_text('{"labels": ["Mass"]}', encoding="utf-8")
    (run_root / "train" / "state").mkdir()
    (run_root / "train" / "state" / "optimizer.bin").write_bytes(b"not part of the model")
    with _tracker(run_root) as tracker, tracker.stage("export"):
        card = "# Card\n\n" + "- a line\n" * 600  # longer than the store's column
        tracker.model([run_root / "train" / "contract.json", run_root / "settings.json"], "demo", card)
    assert not {TRACKING_VARIABLE, REGISTRY_VARIABLE} & set(os.environ)  # a child's runs stay with the child
    stored = [path.name for path in (run_root.parent / "mlflow-artifacts").rglob("*")]  # loading compiles some of it
    import mlflow

    with quiet_calls(), pointed_at(mlflow, store_uri(None, run_root.parent)):
        version = _client(run_root).get_model_version_by_alias("demo", "candidate")
        described = _client(run_root).get_registered_model("demo").description
        model = mlflow.pyfunc.load_model("models:/demo@candidate")
        boxes = model.predict(pd.DataFrame({"path": ["a.dcm", "b.dcm"]}))
        arrays = model.predict(np.zeros((3, 4, 5), np.uint8))
    assert version.version in (1, "1")
    assert version.description == described
    assert 4900 < len(described) <= 5000
    assert described.startswith("# Card\n\n- a line\n")
    assert described.endswith("- a line\n\n(cut here; the run's artifact has the whole text)")
    assert list(boxes["image_id"]) == ["a.dcm", "b.dcm"]
    assert set(boxes["label"]) == {"Mass"}
    assert len(arrays) == 3
    schema = model.metadata.signature
    assert schema.inputs.input_names() == ["content", "path"]
    assert schema.outputs.input_names()[:3] == ["image_id", "label", "probability"]
    assert _runs(run_root)["export"].info.status == "FINISHED"
    assert "optimizer.bin" not in stored
    assert [name for name in stored if name.endswith((".pkl", ".pyc"))] == []


def _make(folder: str) -> int:
    uri = store_uri(None, Path(folder))
    make_store(uri)
    from mlflow import MlflowClient

    with quiet_calls():
        return len(MlflowClient(uri).search_experiments())


@pytest.mark.slow
def test_four_processes_make_one_store(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(_make, [str(tmp_path)] * 4)) == [1] * 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mlflow.db", "mlflow.db.lock"]


@pytest.mark.slow
def test_tracking_prints_nothing(run_root: Path) -> None:
    code = (
        "from pathlib import Path\n"
        "from camray.adapters.tracking.mlflow import MlflowTracker\n"
        f"root = Path({str(run_root)!r})\n"
        f"with MlflowTracker(root, root.parent, None, 'an experiment', {LOADER!r}) as tracker:\n"
        "    with tracker.stage('export'):\n"
        "        tracker.metrics({'loss': 1.0})\n"
        "        tracker.model([root / 'settings.json'], 'demo')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert _runs(run_root)["export"].info.status == "FINISHED"


def test_telemetry_is_off_unless_the_user_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    monkeypatch.setenv("DO_NOT_TRACK", "")  # so that the end of the test restores it
    monkeypatch.delenv("DO_NOT_TRACK")
    import_mlflow()
    assert (os.environ["MLFLOW_DISABLE_TELEMETRY"], os.environ["DO_NOT_TRACK"]) == ("false", "true")


def test_calls_leave_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", raising=False)
    with quiet_calls():
        assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"
        assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "1"
    assert "MLFLOW_HTTP_REQUEST_MAX_RETRIES" not in os.environ


def test_the_null_tracker_has_the_same_methods(run_root: Path) -> None:
    _tell_everything(NullTracker(), run_root)
    assert not (run_root / "mlflow").exists()


@pytest.fixture(autouse=True)
def _no_open_databases() -> Iterator[None]:
    yield
    import gc

    gc.collect()


def test_a_store_is_whole_or_not_there(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db.fresh.tmp").write_bytes(b"left by a killed process")
    make_store(store_uri(None, tmp_path))
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        tables = {name for (name,) in store.execute("select name from sqlite_master where type = 'table'")}
    store.close()
    assert {"experiments", "runs", "metrics", "logged_models"} <= tables


def _loss_history(root: Path) -> list[float]:
    runs, client = _runs(root), _client(root)
    return [metric.value for metric in client.get_metric_history(runs["train"].info.run_id, "loss")]


def _track_a_loss(root: Path) -> None:
    with _tracker(root) as tracker:
        tracker.params({"a": 1})
        with tracker.stage("train"):
            tracker.metrics({"loss": 1.0}, 0)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Another process, since MLflow keeps a store open in a process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


@pytest.mark.parametrize("how", ["vanished", "replaced", "replaced before sync", "run deleted"])
def test_a_store_that_lost_the_runs_receives_the_whole_journal(
    run_root: Path, empty_store: Path, elsewhere: ProcessPoolExecutor, how: str
) -> None:
    elsewhere.submit(_track_a_loss, run_root).result()
    store = run_root.parent / "mlflow.db"
    if how == "run deleted":
        _client(run_root).delete_run(_runs(run_root)["demo"].info.run_id)
    else:
        store.unlink()
    if how.startswith("replaced"):
        store.write_bytes(empty_store.read_bytes())
    if how == "replaced before sync":
        assert sync(run_root)["sent"] == len(Journal(run_root).entries)
    with _tracker(run_root) as tracker:
        tracker.tags({"later": "1"})
    assert Journal(run_root).rejected == 0
    assert _loss_history(run_root) == [1.0]
    demo = _runs(run_root)["demo"].data
    assert (demo.params["a"], demo.tags["later"]) == ("1", "1")


@pytest.mark.parametrize("line", [0, 2, 3])
@pytest.mark.parametrize("byte", [b"\xff", b"\n"])
def test_a_damaged_byte_in_the_journal_costs_its_entry_alone(
    run_root: Path, monkeypatch: pytest.MonkeyPatch, line: int, byte: bytes
) -> None:
    def away(self: sender_module.Sender, entry: dict[str, Any], in_doubt: bool) -> None:
        raise TimeoutError

    with monkeypatch.context() as patched:
        patched.setattr(sender_module.Sender, "send", away)
        with _tracker(run_root) as tracker:
            tracker.params({"a": 1})
            with tracker.stage("train"):  # lines: start, params, start of train, two metrics, two ends
                tracker.metrics({"loss": 1.0}, 0)
                tracker.metrics({"loss": 0.5}, 1)
    path = run_root / "mlflow" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line][:9] + byte + lines[line][10:]
    path.write_bytes(b"".join(lines))
    assert len(Journal(run_root).entries) == len(lines)
    assert sync(run_root) == {"sent": len(lines) - 1, "rejected": 1, "pending": 0}
    assert _loss_history(run_root) == ([0.5] if line == 3 else [1.0, 0.5])
    assert _runs(run_root)["train"].data.tags["mlflow.parentRunId"] == _runs(run_root)["demo"].info.run_id


@pytest.mark.parametrize("name", ["sent", "state.json"])
def test_a_damaged_state_doubles_nothing(run_root: Path, name: str) -> None:
    with _tracker(run_root) as tracker:
        _tell_everything(tracker, run_root)
    (run_root / "mlflow" / name).write_bytes(b"\xff\x00[")
    sync(run_root)
    _check_everything(run_root)


def test_a_tag_names_a_changed_setting_as_long_as_it_differs(run_root: Path) -> None:
    seen = []
    for epochs in (2, 3, 2, 3):
        with _tracker(run_root) as tracker:
            tracker.params({"train": {"epochs": epochs}})
        data = _runs(run_root)["demo"].data
        seen.append((data.params["train.epochs"], data.tags.get("changed.train.epochs")))
    assert seen == [("2", None), ("2", "3"), ("2", None), ("2", "3")]


@pytest.mark.parametrize("folder", ["what?", "a%20b", "a%3Fb#c"])
def test_the_store_is_in_the_folder_of_the_runs_whatever_its_name(
    tmp_path: Path, empty_store: Path, folder: str
) -> None:
    root = tmp_path / folder / "demo"
    root.mkdir(parents=True)
    (root.parent / "mlflow.db").write_bytes(empty_store.read_bytes())
    (root / "note.txt").write_text("x", encoding="utf-8")
    with _tracker(root) as tracker:
        tracker.artifact(root / "note.txt")
    assert set(_runs(root)) == {"demo"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder]
    assert len(list((tmp_path / folder / "mlflow-artifacts").rglob("note.txt"))) == 1


def test_another_store_receives_the_model_although_the_settings_were_written_again(
    run_root: Path, tmp_path: Path, empty_store: Path
) -> None:
    contract, settings = run_root / "train" / "contract.json", run_root / "settings.json"
    contract.parent.mkdir()
    contract.write_text('{"labels": ["Mass"]}', encoding="utf-8")
    settings.write_text('{"track": {"uri": null}}', encoding="utf-8")
    with _tracker(run_root) as tracker:
        tracker.model([contract, settings], "demo")
    other = tmp_path / "other.db"
    other.write_bytes(empty_store.read_bytes())
    settings.write_text('{"track": {"uri": "another"}}', encoding="utf-8")
    with _tracker(run_root, f"sqlite:///{other}") as tracker:
        tracker.tags({"later": "1"})
    assert Journal(run_root).rejected == 0
    import mlflow

    with quiet_calls():
        uri = f"sqlite:///{other}"
        version = mlflow.MlflowClient(uri, registry_uri=uri).get_model_version_by_alias("demo", "candidate")
    assert int(version.version) == 1
    (copy,) = (tmp_path / "mlflow-artifacts").rglob("settings.json")
    assert copy.parent.name == "run"
    assert json.loads(copy.read_text(encoding="utf-8")) == {"track": {"uri": None}}


def test_a_password_of_the_store_is_written_and_printed_nowhere(
    run_root: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"http://me:open-sesame@127.0.0.1:{_unused_port()}"
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv(TRACKING_VARIABLE, raising=False)
    with _tracker(run_root, uri) as tracker:
        tracker.params({"a": 1})
    with pytest.raises(SettingsError, match=TRACKING_VARIABLE):
        sync(run_root)
    monkeypatch.setenv(TRACKING_VARIABLE, uri)
    with pytest.raises(IncompleteError, match="cannot be reached") as failed:
        sync(run_root)
    texts = [str(failed.value), caplog.text, *(path.read_text() for path in run_root.glob("mlflow/*.*"))]
    assert len(texts) > 3
    assert not any("sesame" in text for text in texts)
    with _tracker(run_root, uri) as tracker:  # the same store: nothing is sent again
        assert tracker._journal is not None
        assert tracker._journal._doubtful == 0
