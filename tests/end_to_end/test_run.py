import json
import shutil
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.records import SCORE_COLUMNS
from camray.workflows.stage_inputs import STAGE_NAMES
from tests.end_to_end.conftest import SMALL, camray, camray_here


def test_every_stage_leaves_its_record_and_conserves_its_inputs(small_run: Path) -> None:
    folder = RunFolder(small_run)
    for name in STAGE_NAMES:
        record = folder.record(name)
        assert record is not None, name
        counts = record["counts"]
        assert counts["in"] == counts["done"] + counts["refused"], name
        assert record["outputs"], name
    ingested = folder.record("ingest")
    assert ingested is not None
    assert ingested["counts"] == {"in": 40, "done": 40, "refused": 0}


def test_the_score_table_has_every_row_that_users_rely_on(small_run: Path) -> None:
    scores = pd.read_csv(small_run / "score" / "scores.csv")
    assert list(scores.columns) == list(SCORE_COLUMNS)
    assert {
        "auroc",
        "auprc",
        "hit_rate",
        "iou_accuracy",
        "iobb_accuracy",
        "max_box_acc",
        "max_box_acc_v2",
        "mean_iou",
    } <= (set(scores.metric))
    baselines = {"random", "centre", "class_mean_box", "fixed_point", "whole_image", "shuffled"}
    assert {"cam", "gradcam"} | {f"baseline:{name}" for name in baselines} <= set(scores.method)
    assert "mean" in set(scores.label)
    assert "fixed" in set(scores.threshold_source)
    assert "oracle" not in set(scores.threshold_source.dropna())
    known = scores.dropna(subset=["value", "low", "high"])
    assert (known.low <= known.value + 1e-9).all()
    assert (known.value <= known.high + 1e-9).all()


def test_a_second_run_skips_everything_and_changes_nothing(small_run: Path) -> None:
    before = {name: RunFolder(small_run).output_digest(name) for name in STAGE_NAMES}
    again = camray_here("demo", *SMALL, "--runs", small_run.parent, "--json")
    assert again.returncode == 0, again.stderr
    stages = json.loads(again.stdout)["stages"]
    assert all(stage["skipped"] for stage in stages.values())
    assert before == {name: RunFolder(small_run).output_digest(name) for name in STAGE_NAMES}


def test_the_answer_for_machines_is_json(small_run: Path) -> None:
    answer = json.loads((small_run.parent / "answer.json").read_text(encoding="utf-8"))
    assert set(answer["stages"]) == set(STAGE_NAMES)
    assert answer["scores"]


def test_tables_come_as_csv_on_request(small_run: Path) -> None:
    names = {path.name for path in (small_run / "csv").iterdir()}
    assert {"ingest-images.csv", "ingest-refusals.csv", "localize-predictions.csv"} <= names


def test_the_run_is_in_mlflow(small_run: Path) -> None:
    with sqlite3.connect(small_run.parent / "mlflow.db") as store:
        names = {row[0] for row in store.execute("select name from experiments")}
        stages = {row[0] for row in store.execute("select name from runs")}
    store.close()
    assert "phantom" in names  # the data manifest's
    assert set(STAGE_NAMES) <= stages


def test_predicting_new_films_uses_the_trained_thresholds(small_run: Path, tmp_path: Path) -> None:
    films = small_run / "generate"
    out = tmp_path / "findings"
    words = (
        "predict",
        small_run,
        films / "films",
        "--out",
        out,
        "--labels",
        films / "labels.csv",
        "--boxes",
        films / "boxes.csv",
    )
    done = camray_here(*words)
    assert done.returncode == 0, done.stderr
    predictions = pd.read_parquet(out / "localize" / "predictions.parquet")
    assert predictions.image_id.nunique() == 40
    trained = json.loads((small_run / "localize" / "thresholds.json").read_text(encoding="utf-8"))
    assert set(predictions.threshold_id.dropna()) <= {entry["id"] for entry in trained["thresholds"]}
    scores = pd.read_csv(out / "score" / "scores.csv")
    assert set(scores.split) == {"test"}
    assert not (out / "train").exists()
    # the same film gives the same answer in the run and in the prediction
    own = pd.read_parquet(small_run / "localize" / "predictions.parquet")
    keys = ["image_id", "label"]
    both = own.drop_duplicates(keys).merge(predictions.drop_duplicates(keys), on=keys)
    assert len(both) > 0
    assert (both.logit_x - both.logit_y).abs().max() < 1e-3
    assert (both.probability_x.isna() == both.probability_y.isna()).all()


def test_predicting_without_tables_needs_none(small_run: Path, tmp_path: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for film in sorted((small_run / "generate" / "films").glob("*.dcm"))[:3]:
        shutil.copy(film, films)
    (films / "broken.dcm").write_bytes(b"not a film at all" * 100)
    done = camray_here("predict", small_run, films, "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    stages = json.loads(done.stdout)["stages"]
    assert {key: stages["ingest"][key] for key in ("in", "done", "refused")} == {"in": 4, "done": 3, "refused": 1}
    refusals = pd.read_parquet(tmp_path / "out" / "ingest" / "refusals.parquet")
    assert list(refusals.reason) == ["not_dicom"]


def test_nothing_usable_is_exit_code_three(small_run: Path, tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "a.dcm").write_bytes(b"nonsense" * 50)
    assert camray_here("predict", small_run, tmp_path / "films", "--out", tmp_path / "out").returncode == 3


def test_show_draws_one_film(small_run: Path, tmp_path: Path) -> None:
    film = sorted((small_run / "generate" / "films").glob("*.dcm"))[0]
    done = camray_here("show", film, "--run", small_run, "--out", tmp_path / "shown.png", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (tmp_path / "shown.png").stat().st_size > 1000
    assert {finding["label"] for finding in answer["findings"]} >= {"Pneumothorax", "Cardiomegaly"}
    mistaken = camray_here("show", film, "--run", small_run, "--label", "Pneumothorx")
    assert mistaken.returncode == 2
    assert "Pneumothorax" in mistaken.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["run", "configs/none.yaml"], 2, "no such settings file"),
        (["run", "configs/phantom.yaml", "train.max_epoch=3"], 2, "did you mean 'train.max_epochs'"),
        (["run", "configs/phantom.yaml", "--until", "nowhere"], 2, "stages are"),
        (["predict", "runs/none", ".", "--out", "x"], 2, "not a run folder"),
        (["nonsense"], 2, "usage"),
    ],
)
def test_mistakes_say_what_to_do(words: list[str], code: int, said: str) -> None:
    done = camray_here(*words)
    assert done.returncode == code
    assert said in " ".join(done.stderr.split())


def test_the_command_has_a_process_of_its_own() -> None:
    done = camray("nonsense")
    assert done.returncode == 2
    assert "usage" in done.stderr.lower()
