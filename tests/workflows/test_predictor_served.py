"""A registered model behind `mlflow models serve`: films as nested lists in, JSON out, no file elsewhere read."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camray.adapters.tracking.mlflow import MlflowTracker
from camray.adapters.tracking.model import FOLDER_VARIABLE, without_missing_numbers
from camray.adapters.tracking.store import store_uri
from camray.adapters.tracking.ui import ui_environment
from camray.workflows.predictor import load_predictor
from tests.film_factory import FilmRecipe, film_dataset
from tests.workflows.test_predictor import write_trained

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]
PATIENCE_S = 180.0
FILES = ("train/model.safetensors", "train/contract.json", "localize/thresholds.json", "settings.json")


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the server's owner opens, with a film and a file that is none."""
    folder = tmp_path_factory.mktemp("films")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (100, 80), dtype=np.uint8)).save(folder / "a.png")
    (folder / "broken.dcm").write_bytes(b"nothing" * 100)
    return folder


@pytest.fixture(scope="module")
def address(films: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    runs = tmp_path_factory.mktemp("served") / "runs"
    loader = "camray.workflows.predictor:load_predictor"
    with MlflowTracker(runs / "demo", runs, None, "demo", loader) as tracker, tracker.stage("export"):
        write_trained(runs / "demo")
        tracker.model([runs / "demo" / name for name in FILES], "demo")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", "models:/demo@candidate"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # mlflow starts uvicorn by name
    environment = {"MLFLOW_TRACKING_URI": store_uri(None, runs), FOLDER_VARIABLE: str(films), "PATH": path}
    server = subprocess.Popen(
        command,
        env=ui_environment({**os.environ, **environment}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=runs,
        start_new_session=True,
    )
    try:
        _wait(server, f"http://127.0.0.1:{port}/ping")
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
        server.wait(60)


def _wait(server: "subprocess.Popen[bytes]", url: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail("the server did not answer")


def _post(address: str, body: object, content_type: str = "application/json") -> tuple[int, Any]:
    """Return the status and the answer, read by the rules of JSON: no NaN, no Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read(), parse_constant=refuse)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read(), parse_constant=refuse)


def test_films_as_lists_have_boxes_and_null_where_there_is_none(address: str) -> None:
    films = [np.random.default_rng(0).random((100, 80)).round(3).tolist(), np.zeros((100, 80)).tolist()]
    status, answer = _post(address, {"inputs": films})
    assert status == 200, answer
    rows = answer["predictions"]
    assert [(row["image_id"], row["label"]) for row in rows[:2]] == [("0", "Mass"), ("0", "Effusion")]
    assert {row["image_id"] for row in rows} == {"0", "1"}
    assert all(0 < row["probability"] < 1 for row in rows)
    assert rows[0]["x1"] <= 80
    assert rows[0]["y1"] <= 100
    assert [rows[1][name] for name in ("x0", "y0", "x1", "y1", "score")] == [None] * 5


def test_bytes_of_files_give_the_predictors_table_to_the_last_digit(address: str, tmp_path: Path, films: Path) -> None:
    dicom = tmp_path / "film.dcm"
    film_dataset(FilmRecipe()).save_as(dicom, enforce_file_format=True)
    paths = [dicom, films / "broken.dcm", films / "a.png"]
    texts = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    status, answer = _post(address, {"inputs": {"content": texts}})
    assert status == 200, answer
    write_trained(tmp_path / "demo")  # the network that is served
    expected = without_missing_numbers(load_predictor(tmp_path / "demo")([path.read_bytes() for path in paths]))
    assert answer["predictions"] == expected.to_dict("records")
    assert [row["label"] for row in answer["predictions"] if row["image_id"] == "1"] == ["refused:not_dicom"]
    assert any(row["x0"] is not None for row in answer["predictions"])


def test_files_of_the_opened_folder_are_read_and_a_refused_one_is_valid_json(address: str, films: Path) -> None:
    status, answer = _post(address, {"inputs": [str(films / name) for name in ("broken.dcm", "a.png")]})
    assert status == 200, answer
    refused, *rows = answer["predictions"]
    assert refused == {
        **dict.fromkeys(("probability", "x0", "y0", "x1", "y1", "score", "logit", "verdict")),
        "image_id": "broken",
        "label": "refused:not_dicom",
    }
    assert {(row["image_id"], row["label"]) for row in rows} == {("a", "Mass"), ("a", "Effusion")}


def test_a_path_elsewhere_is_refused_alike_whether_or_not_it_exists(address: str, films: Path, tmp_path: Path) -> None:
    secret, missing = tmp_path / "secret.dcm", tmp_path / "missing.dcm"
    secret.write_text("Canary", encoding="utf-8")
    link = films / "link.dcm"
    link.symlink_to(secret)
    answers = []
    for path in (secret, missing, link, films / ".." / secret.name, f"file://{secret}", "/etc/passwd"):
        answers.append(_post(address, {"inputs": [str(path)]}))
        answers.append(_post(address, f"path\n{path}\n", "text/csv"))
    link.unlink()
    assert {status for status, _ in answers} == {400}
    last = {answer["stack_trace"].strip().splitlines()[-1] for _, answer in answers}
    assert len(last) == 1
    assert FOLDER_VARIABLE in last.pop()
    assert "Canary" not in str(answers)


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": [["/etc/passwd"]]},
        {"inputs": {"path": ["/etc/passwd"]}},
        {"inputs": [[[0.0, 1.0]], "/etc/passwd"]},
        {"dataframe_split": {"columns": ["path"], "data": [["/etc/passwd"]]}},
        {"instances": ["/etc/passwd"]},
        {"input": "/etc/passwd"},
        {"messages": [{"role": "user", "content": "/etc/passwd"}]},
        '{"inputs": [[NaN, 1]]}',
    ],
    ids=str,
)
def test_every_other_form_of_a_request_is_refused_and_reads_nothing(address: str, body: object) -> None:
    status, answer = _post(address, body)
    assert status == 400
    assert "root:" not in str(answer)
