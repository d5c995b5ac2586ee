"""The model card of a run, from its files."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import NullTracker
from camray.commands.app import app
from camray.domain.errors import PipelineError
from camray.domain.records import ANNOTATION_COLUMNS, SCORE_COLUMNS, Counts, StageResult
from camray.stages.train import stage as train
from camray.workflows.model_card import write_card
from tests.trained_run import LABELS, finish_ingest, ingested_run, small_settings


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = ingested_run(tmp_path_factory.mktemp("run"))
    marks = [("1.2.3", LABELS[0], "Dr Canary", "box", 1.0, 2.0, 30.0, 40.0, "")]
    table = pd.DataFrame(marks, columns=list(ANNOTATION_COLUMNS)).astype(ANNOTATION_COLUMNS)
    table.to_parquet(folder.root / "ingest" / "annotations.parquet", index=False)
    finish_ingest(folder)
    settings = small_settings(max_epochs=1, pretext={"epochs": 1})
    write_json(folder.root / "settings.json", settings.model_dump(mode="json"))
    folder.finish("train", {"code_version": "0.2.0+test"}, train.run(settings, folder, NullTracker()))
    return folder.root


def test_counts_network_and_versions_come_from_the_run(run: Path) -> None:
    shown = CliRunner().invoke(app, ["card", str(run), "--json"])
    assert shown.exit_code == 0
    written = json.loads(shown.stdout)
    card = Path(written["markdown"]).read_text(encoding="utf-8")
    assert "| train | 8 | 1 | 1 |" in card  # all films of the drawn run have one patient
    assert f"| {LABELS[0]} | 4 of 8 | 2 of 4 | 0 of 0 |" in card
    assert f"| {LABELS[1]} | 3 of 6 | 2 of 4 | 0 of 0 |" in card  # one is not known, one uncertain
    assert "1 entries are uncertain" in card
    assert "12 x 8 feature cells" in card
    assert "of the pretext on 7 films" not in card  # films without a label are none here
    assert "1 epoch(s) of the pretext on 8 films" in card
    assert "train 0.2.0+test" in card
    record = json.loads((run / "train" / "stage.json").read_text())
    assert record["outputs"]["model.safetensors"] in card
    assert all(hidden not in card for hidden in ("Canary", "1.2.3", str(run)))
    page = Path(written["page"]).read_text(encoding="utf-8")
    assert "<h2>Limits</h2>" in page
    assert "Canary" not in page


def test_the_card_is_the_same_each_time_and_goes_where_it_is_wanted(run: Path, tmp_path: Path) -> None:
    first, second = write_card(run, tmp_path / "a"), write_card(run, tmp_path / "b")
    assert first.markdown.read_bytes() == second.markdown.read_bytes()
    assert first.page.read_bytes() == second.page.read_bytes()


def test_a_run_without_a_network_has_none(tmp_path: Path) -> None:
    folder = ingested_run(tmp_path)
    write_json(folder.root / "settings.json", small_settings().model_dump(mode="json"))
    with pytest.raises(PipelineError, match="no trained network; run `camray train` first"):
        write_card(tmp_path)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("train/contract.json", "changed or damaged"),
        ("score/scores.csv", "changed or damaged"),
        ("score/stage.json", "damaged"),
        ("explain/stage.json", "damaged"),
    ],
)
def test_a_card_is_not_made_from_damaged_scores_or_records(name: str, how: str, run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    table = pd.DataFrame(columns=list(SCORE_COLUMNS)).astype(SCORE_COLUMNS)
    table.to_csv(folder.stage("score") / "scores.csv", index=False)
    folder.stage("explain")
    for stage in ("explain", "score"):
        folder.finish(stage, {"code_version": "0.2.0+test"}, StageResult(Counts(0, 0)))
    before = write_card(folder.root).markdown.read_bytes()
    path = folder.root / name
    content = path.read_bytes()
    path.write_bytes(content[:2] + bytes([content[2] ^ 1]) + content[3:])
    with pytest.raises(PipelineError, match=f"{name}: {how}"):
        write_card(folder.root)
    path.write_bytes(content)
    assert write_card(folder.root).markdown.read_bytes() == before
