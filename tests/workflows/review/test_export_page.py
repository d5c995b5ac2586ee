"""The page's folder: what lies in it, what does not, and what a second build does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import write_table
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.records import IMAGE_COLUMNS
from camray.io.film_files import read_film
from camray.workflows.review import display_images
from camray.workflows.review.export_page import build
from tests.film_factory import FilmRecipe
from tests.one_worker import map_here
from tests.workflows.review.reviewed_run import LABELS, SHIFT, UNCALIBRATED, make_reviewed_run


@pytest.fixture
def drawn_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw films in this process."""
    monkeypatch.setattr(display_images, "count_workers", lambda workers: 1)
    monkeypatch.setattr(display_images, "map_processes", map_here)


def _data(path: Path) -> Any:
    """Return what a data script holds."""
    text = path.read_text(encoding="ascii")
    return json.loads(text[text.index("{", text.index("run =") if "run =" in text else 0) : text.rindex("}") + 1])


def test_the_folder_is_whole_and_self_contained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display_images, "count_workers", lambda workers: 1)  # one process to start
    settings, folder = make_reviewed_run(tmp_path)
    built = build(settings, folder)
    review = built.index.parent
    run = _data(review / "data" / "run.js")
    assert run["labels"] == list(LABELS)
    assert len(run["films"]) == built.films == built.coarse > 5  # no source films here: the network's view, and told
    for film in run["films"]:
        assert film["note"]
        data = _data(review / "data" / f"{film['file']}.js")
        assert len(data["boxes"]) == len(LABELS)
        with Image.open(review / "films" / f"{film['file']}.png") as picture:
            assert picture.mode == "L"
            assert not picture.info
    page = (review / "index.html").read_text(encoding="utf-8")
    named = {part.split('"')[0] for part in page.split('src="')[1:] + page.split('href="')[1:]}
    assert all((review / name).is_file() for name in named if not name.startswith("data:"))
    everything = "".join(
        p.read_text(encoding="utf-8") for p in review.rglob("*") if p.suffix in {".js", ".html", ".css"}
    )
    assert "patient-key" not in everything
    assert "https://" not in everything
    assert "http://" not in everything.replace("http://www.w3.org/2000/svg", "")  # a name, not an address


def test_boxes_and_disagreement_are_the_runs(drawn_here: None, tmp_path: Path) -> None:
    settings, folder = make_reviewed_run(tmp_path)
    build(settings, folder)
    predictions = pd.read_parquet(folder.root / "localize" / "predictions.parquet").set_index(["image_id", "label"])
    values = pd.read_parquet(folder.root / "ingest" / "labels.parquet").set_index(["image_id", "label"])["value"]
    run = _data(folder.root / "review" / "data" / "run.js")
    for film in run["films"]:
        for number, label in enumerate(LABELS):
            row = predictions.loc[[(film["id"], label)]].iloc[0]
            assert film["reported"][number] == row["reported"]
            assert film["logits"][number] == pytest.approx(row["logit"], abs=1e-5)
            if label == UNCALIBRATED:
                assert film["probabilities"][number] is None
                assert np.isnan(row["probability"])
            else:
                assert film["probabilities"][number] == pytest.approx(row["probability"], abs=1e-5)
                assert row["probability"] == pytest.approx(1 / (1 + np.exp(-row["logit"] - SHIFT)), abs=1e-6)
            if row["reported"] and np.isfinite(row["x0"]):
                assert film["boxes"][number][0] == row[["x0", "y0", "x1", "y1"]].tolist()
            value = values[film["id"], label]
            if value == "uncertain":
                assert film["disagreement"][number] is None
            elif (value == "1") != row["reported"]:
                assert film["disagreement"][number] == 1
            elif value == "0":
                assert film["disagreement"][number] == 0


def test_annotations_may_stay_away(drawn_here: None, tmp_path: Path) -> None:
    settings, folder = make_reviewed_run(tmp_path)
    build(settings, folder, annotations=False)
    run = _data(folder.root / "review" / "data" / "run.js")
    assert run["has_annotations"] is False
    for film in run["films"]:
        assert set(film["disagreement"]) == {None}
        assert not any(film["annotated"])
        assert _data(folder.root / "review" / "data" / f"{film['file']}.js")["annotations"] == []


def test_a_second_build_takes_away_its_own_files_only(drawn_here: None, tmp_path: Path) -> None:
    settings, folder = make_reviewed_run(tmp_path)
    first = build(settings, folder)
    before = {path: path.read_bytes() for path in first.index.parent.rglob("*") if path.is_file()}
    mine = first.index.parent / "decisions-run-A.json"
    mine.write_text("{}", encoding="utf-8")
    build(settings, folder)
    assert {path: path.read_bytes() for path in before} == before  # the same bytes again
    fewer = build(settings, folder, splits=["test"])
    assert fewer.films < first.films
    assert mine.is_file()
    assert len(list((first.index.parent / "films").iterdir())) == fewer.films


def test_films_come_from_their_sources(drawn_here: None, tmp_path: Path, write_film: Callable[..., Path]) -> None:
    settings, folder = make_reviewed_run(tmp_path)
    path = write_film(FilmRecipe(rows=512, cols=384, photometric="MONOCHROME1"))
    film = read_film(path, None)
    images = pd.read_parquet(folder.root / "ingest" / "images.parquet")
    shown = images.index[(images["rows"] == 512) & images["split"].isin(["test", "validation"])][0]
    images.loc[shown, "source"], images.loc[shown, "pixel_sha256"] = path.name, film.pixel_sha256
    write_table(folder.root / "ingest" / "images.parquet", images, IMAGE_COLUMNS)
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"root": path.parent})})
    built = build(settings, folder, display_px=256)
    assert built.coarse == built.films - 1
    with Image.open(built.index.parent / "films" / f"{images.loc[shown, 'image_id']}.png") as opened:
        picture = np.asarray(opened, np.float64) / 255
    assert picture.shape == (256, 192)
    blocks = film.pixels.reshape(256, 2, 192, 2).mean(axis=(1, 3))
    assert np.abs(picture - blocks).max() < 1.01 / 255
    page = "".join(p.read_text(encoding="utf-8") for p in built.index.parent.rglob("*.js"))
    assert "canary" not in page.lower()


def test_what_cannot_be_built_is_said(tmp_path: Path) -> None:
    settings, folder = make_reviewed_run(tmp_path)
    with pytest.raises(SettingsError, match="there are: test, validation"):
        build(settings, folder, splits=["nowhere"])
    with pytest.raises(PipelineError, match="--trained"):
        build(settings, RunFolder(folder.root))
    with pytest.raises(PipelineError, match="localize"):
        build(settings, RunFolder(tmp_path / "empty"))
