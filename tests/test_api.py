"""The Python face: the boxes of the predictor's table, refusals in their places, and no slow import before its use."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import camray
from camray import api
from camray.workflows.predictor import load_predictor
from tests.film_factory import FilmRecipe
from tests.workflows.test_predictor import write_trained

PAGE = Path(__file__).resolve().parents[1] / "docs" / "how-to" / "python.md"
LEVELS = np.random.default_rng(0).integers(0, 256, (3, 100, 80), dtype=np.uint8)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "phantom"
    write_trained(root)
    return root


@pytest.fixture(scope="module")
def model(run: Path) -> camray.Model:
    return camray.load(run)


def _predicted(film: camray.PredictedFilm | camray.RefusedFilm) -> camray.PredictedFilm:
    assert isinstance(film, camray.PredictedFilm)
    return film


def test_import_is_quick_and_brings_no_pytorch() -> None:
    code = "import sys, camray; print(*{'torch', 'numpy', 'pandas', 'camray.api'} & set(sys.modules), 'end')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["end"]


def test_the_package_has_the_names_of_the_face() -> None:
    assert camray.__all__ == api.__all__ == dir(camray)
    assert all(getattr(camray, name) is getattr(api, name) for name in api.__all__)
    with pytest.raises(AttributeError, match="predicted"):
        getattr(camray, "predicted")  # noqa: B009


def test_boxes_are_those_of_the_predictors_table(run: Path, model: camray.Model) -> None:
    table = load_predictor(run)(LEVELS)
    rows = [
        (
            film.image_id,
            finding.name,
            finding.probability,
            *found.box.as_tuple(),
            found.score,
            finding.logit,
            str(finding.verdict),
        )
        for film in map(_predicted, model.predict(LEVELS))
        for finding in film.findings
        for found in finding.boxes
    ]
    assert len(rows) >= 3
    expected = table.dropna(subset=["x0"]).reset_index(drop=True)
    pd.testing.assert_frame_equal(pd.DataFrame(rows, columns=list(table.columns)), expected)


def test_verdicts_follow_the_cutoffs(model: camray.Model) -> None:
    films = [_predicted(film) for film in model.predict(LEVELS)]
    for film in films:
        mass, effusion = film.findings
        assert (mass.verdict == "reported") == (mass.logit >= 0)
        assert (effusion.verdict, effusion.not_judged) == ("not judged", "too few films")
        assert (effusion.boxes, effusion.peak_xy) == ((), None)
        assert film.finding("Mass") is mass
        assert film.reported == ((mass,) if mass.logit >= 0 else ())
        assert (film.rows, film.cols) == (100, 80)
    with pytest.raises(KeyError, match="Mass, Effusion"):
        films[0].finding("Cyst")


def test_a_film_that_is_none_is_refused_in_its_place(
    model: camray.Model, tmp_path: Path, write_film: Callable[..., Path]
) -> None:
    good = write_film(FilmRecipe())
    bad, hand = tmp_path / "bad.dcm", write_film(FilmRecipe(), "hand.dcm", BodyPartExamined="HAND")
    bad.write_bytes(b"nothing" * 100)
    given = [bad, good, b"nothing" * 100, np.full((80, 90), 2.0), np.zeros((1, 1)), hand, str(good)]
    found = model.predict(given)
    assert [film.source for film in found] == [str(bad), str(good), "2", "3", "4", str(hand), str(good)]
    reasons = [film.reason if isinstance(film, camray.RefusedFilm) else None for film in found]
    unusable = ["not_dicom", None, "not_dicom", "unreadable_pixels", "too_small", "wrong_body_part", None]
    assert reasons == unusable
    assert "canary" not in repr(found).lower()
    assert _predicted(found[1]).findings == _predicted(found[6]).findings


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_bytes_path_and_array_of_a_film_agree(
    model: camray.Model, write_film: Callable[..., Path], photometric: str
) -> None:
    recipe = FilmRecipe(rows=96, cols=128, photometric=photometric, spacing_mm=None)
    path = write_film(recipe)
    picture = camray.read_film(path)
    assert (picture.pixels.shape, picture.photometric, picture.view) == ((96, 128), photometric, "PA")
    expected = recipe.shown / recipe.shown.max() * picture.pixels.max()
    np.testing.assert_allclose(picture.pixels, expected, atol=2e-3)  # inverted once, if at all
    by_path, by_bytes, by_array = map(_predicted, model.predict([path, path.read_bytes(), picture.pixels]))
    assert by_path.findings == by_bytes.findings == by_array.findings
    assert by_path.image_id == by_bytes.image_id == "1.2.826.0.1.3680043.8.498.1"
    np.testing.assert_array_equal(camray.read_film(path.read_bytes()).pixels, picture.pixels)
    with pytest.raises(ValueError, match="read-only"):
        picture.pixels[0, 0] = 0


def test_films_of_different_sizes_in_one_list_agree_with_each_alone(model: camray.Model) -> None:
    films = [np.random.default_rng(1).random(shape, dtype=np.float32) for shape in ((100, 80), (90, 140))]
    for film, together in zip(films, map(_predicted, model.predict(iter(films))), strict=True):
        (alone,) = map(_predicted, model.predict(film))
        assert (together.rows, together.cols) == film.shape
        assert together.findings[0].logit == pytest.approx(alone.findings[0].logit, abs=1e-4)


def test_maps_cover_the_model_grid_and_the_boxes_method_gives_them_again(model: camray.Model) -> None:
    film = np.random.default_rng(2).random(
        (120, 120), dtype=np.float32
    )  # on 64 x 48: 2.5 native px, 8 rows over, twice
    maps = _predicted(model.predict(film, maps=True)[0]).maps
    assert maps is not None
    assert maps.values.shape == (2, 8, 6)
    assert maps.extent.as_tuple() == pytest.approx((0, -20, 120, 140))
    (explained,) = model.explain(film, label="Effusion")
    assert isinstance(explained, camray.ExplainedFilm)
    assert explained.maps.labels == ("Effusion",)
    np.testing.assert_allclose(explained.maps.of("Effusion"), maps.of("Effusion"), rtol=2e-3, atol=1e-5)
    with pytest.raises(KeyError, match="maps of Effusion"):
        explained.maps.of("Mass")
    assert _predicted(model.predict(film)[0]).maps is None


def test_names_that_do_not_exist_are_refused(run: Path, model: camray.Model) -> None:
    with pytest.raises(camray.SettingsError, match=r"did you mean .*phantom"):
        camray.load(run.parent / "phantm")
    with pytest.raises(camray.SettingsError, match="no MLflow store"):
        camray.load("models:/phantom@candidate")
    with pytest.raises(camray.SettingsError, match="'Mass'"):
        model.explain(LEVELS, label="Mas")
    with pytest.raises(camray.SettingsError, match="cam"):
        model.explain(LEVELS, method="camm")
    with pytest.raises(camray.ImageError, match="no such file"):
        camray.read_film("nowhere.dcm")


@pytest.mark.parametrize(
    "wrong", [7, {"a.dcm": 1}, [None], [LEVELS], np.zeros((2, 0, 4)), pd.DataFrame({"path": ["a.dcm"]}), LEVELS > 1]
)
def test_what_is_no_film_is_said_to_be_none(model: camray.Model, wrong: Any) -> None:
    with pytest.raises(camray.SettingsError, match="films: "):
        model.predict(wrong)
    with pytest.raises(camray.SettingsError, match="film: "):
        camray.read_film(wrong)


def test_the_pages_code_runs(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_film: Callable[..., Path]
) -> None:
    write_film(FilmRecipe())
    Image.fromarray(LEVELS[0]).save(tmp_path / "other.png")
    shutil.copytree(run, tmp_path / "runs" / "phantom")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, names)
    assert names["heat"].ndim == 2
    assert names["picture"].pixels.shape == (96, 80)
