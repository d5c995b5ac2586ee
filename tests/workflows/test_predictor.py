"""A trained run as a predictor agrees with the stages, film by film."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.imaging.film_range import FilmRange, appearance_of
from camray.core.imaging.film_statistics import image_statistics, quantise
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.networks.classifier import build_classifier
from camray.core.phantom.film import render_film
from camray.core.probability.calibration import LabelCalibration
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.records import Counts, StageResult, ThresholdSource
from camray.io.artifacts import model_files
from camray.io.film_lungs import read_lung_network
from camray.io.thresholds import read_thresholds, write_thresholds
from camray.workflows.predictor import COLUMNS, load_predictor
from camray.workflows.predictor_input import GreyFilm
from tests.film_factory import FilmRecipe

LABELS = ("Mass", "Effusion")


def write_trained(root: Path, **changes: object) -> None:
    """Write a network with fresh weights, its contract and thresholds; Effusion has no threshold."""
    spec = NetworkSpec(widths=(4, 6, 8, 8), stem_kernel=3, stride=8, **changes)  # type: ignore[arg-type]
    network = build_classifier(spec, len(LABELS), seed=4)
    with torch.no_grad():
        network.classifier.weight.mul_(50)
    (root / "train").mkdir(parents=True)
    save_file(network.state_dict(), root / "train" / "model.safetensors")
    contract = ModelContract(LABELS, 64, 48, "letterbox", 8, spec, 8, 6, "data", 4, "0.1.0")
    write_json(root / "train" / "contract.json", contract.as_json())
    recipe = BoxRecipe("range", 0.5)
    threshold = BoxThreshold("x", "cam", "Mass", "own", ThresholdSource.FIXED, recipe, None, "", 0)
    maps = tuple(LabelCalibration(label, "shift", shift=-1.0, prevalence=0.25) for label in LABELS)
    cutoffs = (ReportCutoff("Mass", 0.5, None, "", 0), ReportCutoff("Effusion", 0.5, None, "", 0, "too few films"))
    write_thresholds(root / "localize" / "thresholds.json", Thresholds((threshold,), cutoffs, (), maps))
    write_json(root / "settings.json", {"name": "served"})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "served"
    write_trained(root)
    return root


def test_arrays_of_either_kind_give_the_same_boxes(trained: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (3, 100, 80), dtype=np.uint8)
    predict = load_predictor(trained)
    found = predict(levels)
    assert tuple(found.columns) == COLUMNS
    assert list(found["image_id"].unique()) == ["0", "1", "2"]
    np.testing.assert_allclose(found["probability"], 1 / (1 + np.exp(1 - found["logit"])))
    boxes = found.dropna(subset=["x0"])
    assert set(boxes["label"]) == {"Mass"}
    assert (boxes["x0"] >= 0).all()
    assert (boxes["x1"] <= 80).all()
    assert (boxes["y1"] <= 100).all()
    pd.testing.assert_frame_equal(found, predict(levels / 255))
    pd.testing.assert_frame_equal(found, predict((levels / np.float32(255)).tolist()))  # as a JSON request has it


def test_a_run_that_is_not_calibrated_states_no_probability(trained: Path, tmp_path: Path) -> None:
    write_trained(tmp_path / "run")
    path = tmp_path / "run" / "localize" / "thresholds.json"
    kept = LabelCalibration(LABELS[1], "shift", prevalence=0.25).moved_to(0.5)
    write_thresholds(path, replace(read_thresholds(path), calibrations=(kept,)))
    film = np.random.default_rng(0).random((1, 100, 80), dtype=np.float32)
    found = load_predictor(tmp_path / "run")(film)
    none = found["label"] == LABELS[0]
    assert found.loc[none, "probability"].isna().all()
    np.testing.assert_allclose(found.loc[~none, "probability"], 1 / (1 + np.exp(-found.loc[~none, "logit"]) / 3))
    pd.testing.assert_frame_equal(
        found.drop(columns="probability"), load_predictor(trained)(film).drop(columns="probability")
    )


@pytest.mark.parametrize("name", ["train/model.safetensors", "train/contract.json", "localize/thresholds.json"])
def test_a_changed_file_of_a_registered_model_is_refused(tmp_path: Path, name: str) -> None:
    folder = RunFolder(tmp_path / "run")
    write_trained(folder.root)
    for stage in ("train", "localize"):
        folder.finish(stage, {}, StageResult(Counts(1, 1)))
    copy = tmp_path / "registered"
    for path in filter(Path.is_file, model_files(folder)):
        (copy / path.relative_to(folder.root)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(folder.root))
    load_predictor(copy)
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(PipelineError, match=rf"{name}: changed or damaged"):
        load_predictor(copy)


def test_a_pyramid_with_learned_sharpness_predicts(tmp_path: Path) -> None:
    root = tmp_path / "pyramid"
    write_trained(root, head="pyramid", pyramid_channels=16, pool="lse_learned")  # 48 columns: not a multiple of 32
    found = load_predictor(root)(np.random.default_rng(0).random((2, 100, 80), dtype=np.float32))
    assert found["probability"].between(0, 1).all()
    assert set(found.dropna(subset=["x0"])["label"]) == {"Mass"}


def test_a_batch_equals_one_by_one(trained: Path) -> None:
    films = np.random.default_rng(1).random((18, 64, 48), dtype=np.float32)
    predict = load_predictor(trained)
    together = predict(films)
    alone = pd.concat([predict(film).assign(image_id=str(number)) for number, film in enumerate(films)])
    pd.testing.assert_frame_equal(together, alone.reset_index(drop=True), rtol=1e-4, atol=1e-5)


def test_paths_and_arrays_of_the_same_film_agree(trained: Path, tmp_path: Path) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (90, 120), dtype=np.uint8)
    Image.fromarray(levels).save(tmp_path / "film.png")
    predict = load_predictor(trained)
    by_path = predict(pd.DataFrame({"path": [str(tmp_path / "film.png")]}))
    assert set(by_path["image_id"]) == {"film"}
    pd.testing.assert_frame_equal(by_path.drop(columns="image_id"), predict(levels).drop(columns="image_id"))
    pd.testing.assert_frame_equal(by_path, predict([tmp_path / "film.png"]))


def test_a_film_that_is_none_has_its_row_and_no_name_leaks(
    trained: Path, tmp_path: Path, write_film: Callable[..., Path]
) -> None:
    good = write_film(FilmRecipe())
    (tmp_path / "broken.dcm").write_bytes(b"nothing" * 100)
    found = load_predictor(trained)(pd.DataFrame({"path": [str(tmp_path / "broken.dcm"), str(good)]}))
    assert found["label"].iloc[0] == "refused:not_dicom"
    assert found.iloc[0][["probability", "x0", "score"]].isna().all()
    assert set(found["image_id"]) == {"broken", "1.2.826.0.1.3680043.8.498.1"}
    assert "canary" not in found.to_csv().lower()


def test_films_that_ingest_does_not_admit_are_refused(trained: Path, write_film: Callable[..., Path]) -> None:
    hand = write_film(FilmRecipe(), BodyPartExamined="HAND")
    assert list(load_predictor(trained)([hand])["label"]) == ["refused:wrong_body_part"]
    assert replace(load_predictor(trained), policy=None)([hand])["logit"].notna().all()


def test_peaks_are_on_the_native_grid(trained: Path) -> None:
    predict = load_predictor(trained)
    films = [GreyFilm("one", np.random.default_rng(3).random((160, 120), dtype=np.float32))]
    (found,) = predict.predict_images(films)
    (x, y), none = found.peaks
    assert none is None  # no threshold: no localization
    # the cell of the highest heat, 8 px on the model grid, holds the peak
    row, col = np.unravel_index(np.argmax(found.heat[0]), found.heat[0].shape)
    x_model, y_model = found.transform.xy_to_model(x, y)
    assert abs(x_model - (col + 0.5) * 8) <= 8
    assert abs(y_model - (row + 0.5) * 8) <= 8


def test_nothing_in_nothing_out(trained: Path) -> None:
    predict = load_predictor(trained)
    for nothing in (pd.DataFrame({"path": []}), [], np.zeros((0, 8, 8), np.float32)):
        assert list(predict(nothing).columns) == list(COLUMNS)
        assert predict(nothing).empty


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros(5),
        np.zeros((1, 2, 3, 4)),
        np.full((1, 8, 8), 2.0),
        np.full((1, 8, 8), np.nan),
        pd.DataFrame({"file": []}),
        7,
    ],
)
def test_what_is_no_film_is_said_to_be_none(trained: Path, wrong: object) -> None:
    with pytest.raises(SettingsError, match="films"):
        load_predictor(trained)(wrong)


def test_a_run_without_thresholds_is_not_served(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "train").symlink_to(trained / "train")
    with pytest.raises(PipelineError, match="thresholds"):
        load_predictor(tmp_path)


def test_new_films_are_prepared_as_the_training_films_were(trained: Path, tmp_path: Path) -> None:
    prepared = tmp_path / "prepared"
    write_trained(prepared)
    contract = json.loads((prepared / "train" / "contract.json").read_text())
    write_json(prepared / "train" / "contract.json", {**contract, "preparation": {"equalize": True}})
    film = np.random.default_rng(5).random((1, 64, 48), dtype=np.float32)
    plain, ours = (load_predictor(root)(film)["probability"] for root in (trained, prepared))
    darker = load_predictor(prepared)(film**2)["probability"]
    assert (plain - ours).abs().max() > 1e-4
    np.testing.assert_allclose(darker, ours, atol=1e-4)


def test_maps_held_inside_the_chest_are_lowest_elsewhere_and_probabilities_stay(trained: Path) -> None:
    film = render_film(31, 0, 128).image
    free = load_predictor(trained)
    held = replace(free, chest=read_lung_network(None, torch.device("cpu")))
    grey = GreyFilm("one", film)
    (before,), (after,) = free.predict_images([grey]), held.predict_images([grey])
    np.testing.assert_array_equal(before.probabilities, after.probabilities)
    lowered = after.heat != before.heat
    assert lowered.any()
    assert not lowered[:, 3:5, 2:6].any()  # the chest, on a film 104 px high and 128 px wide
    np.testing.assert_array_equal(after.heat[0][lowered[0]], before.heat[0].min())


def test_a_run_that_held_its_maps_inside_the_chest_predicts_so(tmp_path: Path) -> None:
    write_trained(tmp_path / "served")
    assert load_predictor(tmp_path / "served").chest is None
    write_json(tmp_path / "served" / "settings.json", {"name": "served", "explain": {"within": "chest"}})
    assert load_predictor(tmp_path / "served").chest is not None


def test_nothing_is_judged_on_a_picture_unlike_the_training_films(trained: Path) -> None:
    predict = load_predictor(trained)
    films = np.random.default_rng(0).random((3, 100, 80), dtype=np.float32)
    films[1] = 1.0
    judged = predict(films)
    noise = appearance_of(image_statistics(quantise(films[0], 8)))
    known = FilmRange(60, 30, deviations=(0.1, 1.0), centre=tuple(noise), scale=(1.0,) * 85, limit=1.0)
    checked = replace(predict, stored=replace(predict.stored, films=known))(films)
    assert set(checked.loc[checked["image_id"] == "1", "verdict"]) == {"not judged"}
    others = checked["image_id"] != "1"
    pd.testing.assert_frame_equal(checked[others], judged[others])
    assert set(judged.loc[judged["label"] == "Mass", "verdict"]) <= {"reported", "not reported"}
