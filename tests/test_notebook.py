"""The notebook of the Python face: its cells run, and its stored outputs name no folder of a machine."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

import camray
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.geometry import Box
from camray.domain.labels import Finding
from camray.domain.records import Counts, StageResult
from camray.io.ingest_contract import IngestContract, write_ingest_contract
from tests.film_factory import FilmRecipe, film_dataset
from tests.workflows.test_predictor import LABELS, write_trained

DOCS = Path(__file__).resolve().parents[1] / "docs"
FILMS = 8


def _runner() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_notebook", DOCS / "make_notebook.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _box(number: int) -> Box:
    return Box(10 + 3 * number, 30, 34 + 3 * number, 62)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, and films with tables: Mass on every second one, of which the last has no box."""
    root = tmp_path_factory.mktemp("notebook")
    run, new = root / "runs" / "phantom", root / "runs" / "new" / "generate"
    write_trained(run)
    contract = IngestContract(tuple(map(Finding, LABELS)), 64, 48, "letterbox", 8, "folder", "digest")
    write_ingest_contract(run / "ingest" / "contract.json", contract)
    (run / "settings.json").write_text(json.dumps({"name": "served", "score": {"bootstrap": 20, "few_shot": False}}))
    (root / "MLmodel").touch()  # a network that came without the films of its run, as from MLflow
    for stage in ("train", "localize"):
        RunFolder(run).finish(stage, {}, StageResult(Counts(1, 1)))
    images = pd.DataFrame({"image_id": [f"1.2.{number}" for number in range(FILMS)]})
    images[["rows", "cols"]] = (96, 80)
    (new / "films").mkdir(parents=True)
    for number, uid in enumerate(images["image_id"]):
        recipe = FilmRecipe(box=_box(number))
        ds = film_dataset(recipe, SOPInstanceUID=uid, PatientID=f"p{number}", StudyInstanceUID=f"1.3.{number}")
        ds.save_as(new / "films" / f"film-{number}.dcm", enforce_file_format=True)
    labels = pd.DataFrame({"image_id": images["image_id"], "Mass": [0, 1] * 4, "Effusion": [0, 0, 1, 1] * 2})
    labels.to_csv(new / "labels.csv", index=False)
    boxes = [(f"1.2.{number}", "Mass", *_box(number).as_tuple()) for number in (1, 3, 5)]
    pd.DataFrame(boxes, columns=["image_id", "label", "x0", "y0", "x1", "y1"]).to_csv(new / "boxes.csv", index=False)
    return root


def test_the_cells_run_and_their_scores_are_right(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    runner = _runner()
    notebook = json.loads(runner.NOTEBOOK.read_text(encoding="utf-8"))
    before = [cell["source"] for cell in notebook["cells"]]
    names: dict[str, Any] = runner.run_cells(notebook)
    assert [cell["source"] for cell in notebook["cells"]] == before
    scores = names["scores"]
    assert isinstance(scores, camray.Scores)
    assert (scores.films, scores.refused) == (FILMS, ())
    films = sorted((folder / "runs" / "new" / "generate" / "films").iterdir())
    logits = np.array([film.finding("Mass").logit for film in names["model"].predict(films)])
    negative, positive = logits[::2], logits[1::2]
    pairs = positive[:, None] - negative[None]
    (auroc,) = scores.of("Mass", "auroc", "classifier")
    assert auroc.value == pytest.approx(float(np.mean((pairs > 0) + 0.5 * (pairs == 0))))
    assert auroc.n == FILMS
    assert auroc.threshold == ""
    assert auroc.low is not None
    assert {row.n for row in scores.of("Mass", "hit_rate", "cam")} == {3}
    assert scores.of("Mass", "no such metric") == ()


def test_tables_that_do_not_exist_are_named(folder: Path) -> None:
    with pytest.raises(camray.SettingsError, match=r"none\.csv"):
        camray.score(folder / "runs" / "phantom", folder / "runs" / "new" / "generate" / "films", labels="none.csv")


def test_stored_outputs_are_of_every_cell_and_name_no_folder_of_a_machine() -> None:
    text = (DOCS / "how-to" / "python.ipynb").read_text(encoding="utf-8")
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert all(cell["outputs"] for cell in cells)
    assert re.findall(r"/(?:home|root|tmp|work|Users)/", text) == []
