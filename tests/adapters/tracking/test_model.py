"""Registered models carry their own code: those made when the package was called `pipeline` load beside `camray`."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.model import (
    FOLDER_VARIABLE,
    film_model,
    films_of_request,
    signature,
    without_missing_numbers,
)
from camray.adapters.tracking.store import store_uri
from camray.domain.errors import SettingsError

SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"
ROOT = Path(__file__).resolve().parents[3]
LOADER = "tests.adapters.tracking.fake_loader:load_fake"
OLD_MODEL = """
import pandas as pd
from mlflow.pyfunc.model import PythonModel


class Model(PythonModel):
    def predict(self, context, model_input: pd.DataFrame, params=None):
        return pd.DataFrame({"image_id": model_input["path"], "label": "Mass"})


def film_model():
    return Model()
"""
SAVE = """
import sys, warnings
warnings.simplefilter("ignore")
import mlflow
mlflow.pyfunc.save_model(sys.argv[1], python_model=sys.argv[2], code_paths=[sys.argv[3]], pip_requirements=[])
"""
LOAD_OLD = """
import sys, warnings
warnings.simplefilter("ignore")
import camray.adapters.tracking.sender
import mlflow, pandas as pd
model = mlflow.pyfunc.load_model(sys.argv[1])
print(model.predict(pd.DataFrame({"path": ["a.dcm"]})).to_dict("list"))
import pipeline
print(pipeline.__file__)
"""
LOAD_NEW = """
import sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
sys.path[:] = [entry for entry in sys.path if not (Path(entry) / "camray" / "__init__.py").is_file()]
import mlflow, pandas as pd
mlflow.set_tracking_uri(sys.argv[1])
mlflow.set_registry_uri(sys.argv[1])
model = mlflow.pyfunc.load_model("models:/demo@candidate")
print(len(model.predict(pd.DataFrame({"path": ["a.dcm", "b.dcm"]}))))
files = [str(module.__file__) for name, module in sys.modules.items() if name.partition(".")[0] == "camray"]
print(len(files) > 0, all("/artifacts/code/camray/" in file for file in files if file != "None"))
"""


def _python(code: str, *arguments: object, cwd: Path, path: str) -> list[str]:
    environment = {**os.environ, "PYTHONPATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_model_with_a_package_called_pipeline_loads_in_the_checkout(tmp_path: Path) -> None:
    """The checkout has a folder of that name too, without an ``__init__.py``, and `camray` is imported already."""
    package = tmp_path / "pipeline"
    package.mkdir()
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "film_model.py").write_text(OLD_MODEL, encoding="utf-8")
    entry = tmp_path / "film_entry.py"
    entry.write_text(
        "from mlflow.models import set_model\nfrom pipeline.film_model import film_model\nset_model(film_model())\n",
        encoding="utf-8",
    )
    _python(SAVE, tmp_path / "model", entry, package, cwd=tmp_path, path=str(tmp_path))
    assert (ROOT / "pipeline").is_dir()
    rows, origin = _python(LOAD_OLD, tmp_path / "model", cwd=ROOT, path=str(ROOT / "pipeline"))
    assert rows == "{'image_id': ['a.dcm'], 'label': ['Mass']}"
    assert Path(origin) == tmp_path / "model" / "code" / "pipeline" / "__init__.py"


def test_a_registered_model_ships_the_code_that_loads_it(tmp_path: Path, empty_store: Path) -> None:
    run_root = tmp_path / "runs" / "demo"
    (run_root / "train").mkdir(parents=True)
    shutil.copy(empty_store, run_root.parent)
    (run_root / "train" / "contract.json").write_text('{"labels": ["Mass"]}', encoding="utf-8")
    with MlflowTracker(run_root, run_root.parent, None, "demo", LOADER) as tracker, tracker.stage("export"):
        tracker.model([run_root / "train" / "contract.json"], "demo")
    printed = _python(LOAD_NEW, store_uri(None, run_root.parent), cwd=tmp_path, path=str(ROOT))
    assert printed == ["2", "True True"]


QUIET = pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")  # MLflow of its own classes


@QUIET
def test_answers_of_a_server_are_valid_json() -> None:
    from mlflow.pyfunc.scoring_server import predictions_to_json

    boxes = pd.DataFrame(
        {"image_id": ["a", "b"], "probability": [0.5, np.nan], "x0": [np.nan, 1.0], "y0": [np.nan] * 2}
    )
    text = io.StringIO()
    predictions_to_json(without_missing_numbers(boxes), text)

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    rows = json.loads(text.getvalue(), parse_constant=refuse)["predictions"]
    assert rows[0] == {"image_id": "a", "probability": 0.5, "x0": None, "y0": None}
    assert rows[1] == {"image_id": "b", "probability": None, "x0": 1.0, "y0": None}


@pytest.mark.parametrize(
    "request_of",
    [
        lambda texts: {"inputs": {"content": texts}},
        lambda texts: {"dataframe_split": {"columns": ["content"], "data": [[text] for text in texts]}},
        lambda texts: {"dataframe_records": [{"content": text} for text in texts]},
    ],
)
@QUIET
def test_the_scoring_server_hands_over_the_bytes_of_files(request_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.pyfunc.scoring_server import _parse_json_data

    monkeypatch.setenv(SERVING, "true")
    contents = [bytes(range(256)), b"\x89PNG", b"DICM"]
    model, received = film_model(), []

    def keep(films: Any) -> pd.DataFrame:
        received.extend(films)
        return pd.DataFrame({"image_id": ["0"]})

    model._predictor = keep
    texts = [base64.b64encode(contents[0]).decode(), base64.encodebytes(contents[1]).decode(), "RElDTQ=="]
    parsed = _parse_json_data(json.dumps(request_of(texts)), None, signature().inputs)
    model.predict(None, parsed.data)
    assert received == contents


@pytest.mark.parametrize(
    ("films", "message"),
    [
        ({"content": ["RElDTQ==", "/etc/passwd.dcm"]}, "film 1 is no base64"),
        ({"content": ["RElDTQ"]}, "film 0 is no base64"),
        ({"content": [None]}, "film 0 is no base64"),
        ({"content": [[1, 2]]}, "film 0 is no base64"),
        (pd.DataFrame({"content": ["RElDTQ=="], "path": ["a.dcm"]}), "columns path beside 'content'"),
    ],
    ids=str,
)
def test_what_is_no_base64_is_refused(films: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        films_of_request(films)


def test_other_input_stays_as_it_is() -> None:
    table, array = pd.DataFrame({"path": ["a.dcm"]}), np.zeros((4, 4))
    assert films_of_request(table) is table
    assert films_of_request(array) is array
    assert films_of_request(None) is None
    assert films_of_request({"content": []}) == []
    assert films_of_request(pd.DataFrame({"content": [b"DICM"]})) == [b"DICM"]


@QUIET
def test_a_server_reads_films_of_one_folder_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, outside = tmp_path / "films", tmp_path / "films-of-others"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.dcm").write_bytes(b"film")
    (inside / "link.dcm").symlink_to(outside / "a.dcm")
    model = film_model()
    model._predictor = lambda films: pd.DataFrame({"image_id": ["a"]})
    refused = [
        outside / "a.dcm",
        outside / "missing.dcm",
        inside / ".." / "films-of-others" / "a.dcm",
        inside / "link.dcm",
        inside / "a\0b",
        inside / "\ud800",
    ]
    monkeypatch.setenv(SERVING, "true")
    messages = set()
    for folder in (None, str(inside)):
        if folder is not None:
            monkeypatch.setenv(FOLDER_VARIABLE, folder)
        for path in refused:
            for films in (
                pd.DataFrame({"path": [str(path)]}, dtype=object),
                [str(path)],
                np.array([str(path)], object),
            ):
                with pytest.raises(SettingsError) as error:
                    model.predict(None, films)
                messages.add(str(error.value))
    assert len(messages) == 1
    assert len(model.predict(None, pd.DataFrame({"path": [str(inside / "a.dcm")]}))) == 1
    assert len(model.predict(None, np.zeros((1, 4, 4)))) == 1
    assert len(model.predict(None, None)) == 1  # left to the predictor, which refuses it
    monkeypatch.delenv(SERVING)
    assert len(model.predict(None, [str(outside / "a.dcm")])) == 1
