"""The view of an explained run: exponents once, places and aspects, findings whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold
from camray.domain.errors import PipelineError
from camray.domain.geometry import Box
from camray.domain.labels import Finding
from camray.domain.records import ThresholdSource
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import open_explained_run
from tests.scored_run import make_run

LABELS = ("Mass", "Effusion")
THRESHOLD = BoxThreshold(
    "t/cam/Mass", "cam", "Mass", "t", ThresholdSource.FIXED, BoxRecipe("max", 0.2, smooth=0.5), None, "", 0
)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run", LABELS, films=10)


def test_stored_exponents_are_undone_once_in_single_maps_and_in_stacks(folder: RunFolder) -> None:
    plain = open_explained_run(folder)
    image_id = plain.image_ids[1]
    raw = plain.heat("cam", "Effusion", image_id)
    file = artifacts_of(folder).explain.grid
    file.write(replace(file.read(), heat_exponents={"cam": 3, "gradcam": 0}))  # what is stored is 8 times the heat
    scaled = open_explained_run(folder)
    assert np.array_equal(scaled.heat("cam", "Effusion", image_id), raw / 8)
    assert np.array_equal(scaled.heat_maps("cam")[1, 1], raw / 8)
    assert np.array_equal(scaled.stored_heat("cam", image_id)[1], raw)
    assert np.array_equal(scaled.heat_maps("gradcam"), plain.heat_maps("gradcam"))


def test_a_view_is_the_window_of_the_film_and_places_boxes_in_it(folder: RunFolder) -> None:
    run = open_explained_run(folder)
    for image_id in run.image_ids[:4]:
        film, view = run.films.film(image_id), run.view(image_id, THRESHOLD)
        window = run.placements[image_id].window
        assert view.grey.shape == view.heat.shape == (window.row1 - window.row0, window.col1 - window.col0)
        (whole,) = view.boxes([Box(0.0, 0.0, film.cols, film.rows)])
        assert np.allclose(whole.as_tuple(), (0, 0, view.grey.shape[1], view.grey.shape[0]), atol=1)
        in_mm = film.rows / film.cols * film.native_aspect
        assert view.aspect == pytest.approx(in_mm, rel=0.03)  # letterboxed: a model pixel is square in the patient


def test_findings_come_with_all_that_the_contract_says(folder: RunFolder) -> None:
    file = artifacts_of(folder).ingest.contract
    whole = Finding("Effusion", None, ("Mass",), localizable=False, aliases=("Pleural effusion",))
    file.write(replace(file.read(), findings=(whole, Finding("Mass"))))
    assert open_explained_run(folder).findings == (Finding("Mass"), whole)  # in the order of the maps
    file.write(replace(file.read(), findings=(whole,)))
    with pytest.raises(PipelineError, match="does not name the explained labels Mass"):
        _ = open_explained_run(folder).findings


def test_explained_films_that_were_never_ingested_are_an_error(folder: RunFolder) -> None:
    file = artifacts_of(folder).ingest.images
    images = file.read()
    file.write(images[images["image_id"] != open_explained_run(folder).image_ids[0]])
    with pytest.raises(PipelineError, match="does not belong"):
        open_explained_run(folder)
