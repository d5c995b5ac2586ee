"""Several seeds of one experiment: their runs, what they share, and the table over them."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.store import import_mlflow, quiet_calls, store_uri
from camray.domain.errors import PipelineError, SettingsError
from camray.workflows.multi_seed import parse_seeds, settings_of_seed, share_inputs, write_spread

HEAD = "split,method,label,metric,criterion,threshold_source,value,low,high,n\n"


@pytest.mark.parametrize("text", ["1", "1,1", "1,x", "", "1,-2", "1,,2"])
def test_what_are_no_seeds_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="different whole numbers"):
        parse_seeds(text)


def test_a_seed_has_a_run_of_its_own_in_the_same_experiment_with_the_same_split() -> None:
    settings = Settings(name="x", seed=9)
    other = settings_of_seed(settings, 2)
    assert (other.name, other.seed, other.track) == ("x-seed2", 2, settings.track)
    assert other.ingest == settings.ingest
    assert parse_seeds("3, 1,2") == [3, 1, 2]


def test_ingested_films_are_shared_and_finished_stages_left_alone(tmp_path: Path) -> None:
    first, other, third = (RunFolder(tmp_path / name) for name in ("a", "b", "c"))
    (first.stage("ingest") / "store").mkdir()
    (first.stage("ingest") / "store" / "films.npy").write_bytes(b"films")
    write_json(first.stage("ingest") / "stage.json", {"outputs": {}})
    share_inputs(first, other)
    assert other.record("ingest") == first.record("ingest")
    shared = other.root / "ingest" / "store" / "films.npy"
    assert os.path.samefile(shared, first.root / "ingest" / "store" / "films.npy")  # noqa: PTH121
    (third.stage("ingest") / "mine").write_text("begun")
    share_inputs(first, third)
    assert third.record("ingest") is None
    assert not (other.root / "train").exists()


def test_the_table_over_the_seeds(tmp_path: Path) -> None:
    settings = Settings.model_validate({"name": "x", "track": {"enabled": False}})
    for seed, value in ((1, 0.5), (2, 0.7)):
        score = tmp_path / f"x-seed{seed}" / "score"
        score.mkdir(parents=True)
        (score / "scores.csv").write_text(f"{HEAD}test,classifier,A,auroc,,,{value},,,9\n")
        if seed == 2:
            with pytest.raises(PipelineError, match="not scored"):
                write_spread(settings, tmp_path, [1, 2])
        write_json(score / "stage.json", {"outputs": {}})
    found = write_spread(settings, tmp_path, [1, 2])
    assert found["mean"].tolist() == pytest.approx([0.6])
    assert (tmp_path / "x-seeds" / "spread.csv").is_file()
    assert '"seeds": [' in (tmp_path / "x-seeds" / "spread.json").read_text()


def test_mlflow_gets_a_run_of_the_summary_in_the_seeds_experiment(tmp_path: Path, empty_store: Path) -> None:
    shutil.copy(empty_store, tmp_path)
    settings = Settings(name="x")
    for seed, value in ((1, 0.5), (2, 0.7)):
        score = tmp_path / f"x-seed{seed}" / "score"
        score.mkdir(parents=True)
        (score / "scores.csv").write_text(
            f"{HEAD}test,classifier,A,auroc,,,{value},,,9\ntest,cam,A,iou_accuracy,0.3,fixed,{value},,,9\n"
        )
        write_json(score / "stage.json", {"outputs": {}})
    write_spread(settings, tmp_path, [1, 2])
    with quiet_calls():
        client = mlflow_client(store_uri(None, tmp_path))
        (run,) = client.search_runs([client.get_experiment_by_name("folder").experiment_id])
        files = {found.path for found in client.list_artifacts(run.info.run_id)}
    assert (run.info.run_name, run.info.status) == ("x-seeds", "FINISHED")
    assert run.data.params["seeds"] == "1,2"
    assert "seed" not in run.data.params
    assert run.data.metrics["A/auroc/mean"] == pytest.approx(0.6)
    assert run.data.metrics["A/auroc/sd"] == pytest.approx(0.2 / 2**0.5)
    assert run.data.metrics["A/iou_accuracy_0.3/fixed/low"] == pytest.approx(0.5)
    assert {"spread.csv", "spread.json"} <= files


def mlflow_client(uri: str) -> Any:
    return import_mlflow().MlflowClient(uri, registry_uri=uri)
