"""The review page's files: complete, in order, and without markup from outside in its data."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from camray.domain.errors import ExportError
from camray.domain.geometry import Box, GridTransform
from camray.reporting.page_rendering import asset
from camray.reporting.review_page.page import SCRIPTS, review_page_files
from camray.reporting.review_page.records import PageFilm, PageRecipe, PageRun
from tests.reporting.hostile_texts import TEXT, assert_escaped

HEAT = np.arange(48, dtype=np.float16).reshape(1, 6, 8)


def _run(name: str = "run", label: str = "Mass", description: str = "fraction of the maximum") -> PageRun:
    recipe = PageRecipe("max", 0.2, 0.0, 1.0, "hottest", (1.0,), description)
    grid = {"rows": 96, "cols": 128, "feature_rows": 6, "feature_cols": 8}
    return PageRun(name, "0", "cam", (label,), (0.5,), (0.0,), (recipe,), grid, 0, 0.0, True, None, True)


def _film(image_id: str = "1.2.3", reader: str = "reader", note: str = "", facts: str = "") -> PageFilm:
    return PageFilm(
        image_id=image_id,
        grey=np.zeros((48, 64), np.uint8),
        heat=HEAT,
        shape_native=(192, 256),
        aspect=1.5,
        transform=GridTransform(0.5, 0.25, 3.0, 4.0),
        window=(1, 95, 2, 126),
        probabilities=[0.25],
        logits=[-1.1],
        reported=[False],
        boxes=[[Box(1, 2, 30, 40)]],
        annotations=[(0, reader, Box(5, 6, 7, 8))],
        annotated=[True],
        disagreement=[None],
        note=note,
        facts=facts,
    )


def _content(script: bytes, begin: str) -> Any:
    text = script.decode("ascii")
    assert text.startswith(begin)
    return json.loads(text[len(begin) :].rstrip().removesuffix(";").removesuffix(")"))


def test_every_file_is_there_and_the_page_comes_last() -> None:
    names = [name for name, _ in review_page_files(_run(), ["1.2.3"], [_film()])]
    assert names[:3] == ["films/1.2.3.png", "data/1.2.3.js", "data/run.js"]
    assert names[-1] == "index.html"
    index = dict(review_page_files(_run(), ["1.2.3"], [_film()]))["index.html"].decode()
    for name in ("data/run.js", *(f"app/{script}" for script in SCRIPTS), "app/review.css"):
        assert name in names
        assert f'"{name}"' in index
    assert "://" not in index


def test_a_films_data_are_those_of_the_run_to_the_last_bit() -> None:
    files = dict(review_page_files(_run(), ["1.2.3"], [_film()], "webp"))
    data = _content(files["data/1.2.3.js"], 'CAMRAY.receive("1.2.3", ')
    assert (data["rows"], data["cols"], data["transform"], data["window"]) == (
        192,
        256,
        [0.5, 0.25, 3.0, 4.0],
        [1, 95, 2, 126],
    )
    assert data["boxes"] == [[[1, 2, 30, 40]]]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(data["heat"]), "<f2"), HEAT.ravel())
    run = _content(files["data/run.js"], "window.CAMRAY = {};\nCAMRAY.run = ")
    assert run["films"][0]["boxes"] == [[]]  # not reported
    assert run["picture_format"] == "webp"
    assert len(run["colours"]) == 256


def test_texts_from_outside_are_data_and_never_markup() -> None:
    film = _film(TEXT, TEXT, TEXT, TEXT)
    files = dict(review_page_files(_run(TEXT, TEXT, TEXT), [TEXT], [film]))
    assert_escaped(files["index.html"].decode())
    scripts = {name: content for name, content in files.items() if name.startswith("data/")}
    assert len(scripts) == 2
    for content in scripts.values():
        assert not set(b"<>&'") & set(content)
    run = _content(files["data/run.js"], "window.CAMRAY = {};\nCAMRAY.run = ")
    assert (run["name"], run["labels"], run["recipes"][0]["description"]) == (TEXT, [TEXT], TEXT)
    assert (run["films"][0]["id"], run["films"][0]["note"], run["films"][0]["facts"]) == (TEXT, TEXT, TEXT)
    assert not any("<" in name or ".." in name for name in files)


def test_a_number_that_is_no_json_and_an_unlisted_film_are_errors() -> None:
    with pytest.raises(ValueError, match="JSON"):
        dict(review_page_files(_run(), ["1.2.3"], [PageFilm(**{**vars(_film()), "aspect": float("nan")})]))
    with pytest.raises(ExportError, match="not in its list"):
        dict(review_page_files(_run(), ["1.2.4"], [_film()]))


def test_an_asset_is_put_in_as_it_is() -> None:
    assert "=>" in asset("review_page/state.js")
