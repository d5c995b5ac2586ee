"""The generator trained by a command, lungs of ingested films, their zones, and SDFN through the stages."""

import errno
import json
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.pixel_store import shard_path, write_shard
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table, write_table
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.imaging.resampling import to_model_grid
from camray.core.networks.lung_unet import build_lung_unet
from camray.core.networks.sdfn import SdfnClassifier
from camray.core.phantom.film import render_film
from camray.core.training.lung_segmenter import dice, film_half, lung_samples
from camray.domain.errors import CheckpointError
from camray.domain.package_data import lung_weights
from camray.domain.records import ANNOTATION_COLUMNS, IMAGE_COLUMNS, LUNG_COLUMNS, PREDICTION_COLUMNS
from camray.domain.zones import LungSource
from camray.io.film_lungs import find_film_lungs, read_lung_network, read_lung_weights
from camray.io.ingested_films import read_ingested
from camray.io.trained_model import load_classifier
from camray.stages.explain import stage as explain
from camray.stages.localize import stage as localize
from camray.stages.train import stage as train
from camray.workflows.lung_segmenter import show_lungs, train_lungs
from tests.trained_run import ingested_run, small_settings

CPU = torch.device("cpu")
SIDE = 128


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Four ingested phantoms, and a right half whose header says so and one whose header says nothing."""
    folder = RunFolder(tmp_path_factory.mktemp("phantoms"))
    out, pixels, rows = folder.stage("ingest"), [], []
    for number in range(6):
        film = render_film(31, number, 256)
        image = film.image if number < 4 else film_half(film, "lung_right")[0]
        grey, to_model = to_model_grid(image, SIDE, SIDE, "letterbox")
        pixels.append(np.round(grey * 255).astype(np.uint8))
        rows.append(
            {
                "image_id": f"1.2.{number}",
                "rows": image.shape[0],
                "cols": image.shape[1],
                "split": "test",
                "shard": 0,
                "index": number,
                "laterality": "L" if number == 4 else "",
                "scale_x": to_model.scale_x,
                "scale_y": to_model.scale_y,
                "offset_x": to_model.offset_x,
                "offset_y": to_model.offset_y,
            }
        )
    write_shard(shard_path(out / "store", 0), iter(pixels), (SIDE, SIDE), np.uint8)
    images = pd.DataFrame(rows, columns=list(IMAGE_COLUMNS))
    for name, kind in IMAGE_COLUMNS.items():
        if images[name].isna().all():
            images[name] = "" if kind == "string" else 0
    write_table(out / "images.parquet", images, IMAGE_COLUMNS)
    return folder


def test_the_shipped_generator_is_small_and_finds_the_lungs_of_films_it_has_not_seen() -> None:
    assert lung_weights().stat().st_size <= 300_000
    network, whole, half = read_lung_network(None, CPU), [], []
    for index in range(8):
        for sample, overlaps in zip(lung_samples(4001, index), (whole, half), strict=True):
            likely = torch.sigmoid(network(torch.from_numpy(sample.grey)[None, None]))[0, 0].numpy()
            overlaps.append(dice(likely >= 0.5, sample.lung))
    assert np.mean(whole) > 0.88
    assert np.mean(half) > 0.85


def test_boxes_of_the_masks_get_their_zones(phantoms: RunFolder) -> None:
    ids = [f"1.2.{number}" for number in range(6)]
    found = find_film_lungs(read_ingested(phantoms), ids, read_lung_network(None, CPU), CPU)
    boxes, wanted = [], []
    for number in range(4):
        for side in ("right", "left"):
            mask = render_film(31, number, 256).lung_masks[f"lung_{side}"]
            rows = np.flatnonzero(mask.any(axis=1))
            for place, third in ((0.2, "upper"), (0.5, "mid"), (0.8, "lower")):
                row = int(rows[0] + place * (rows[-1] - rows[0]))
                col = float(np.flatnonzero(mask[row]).mean())
                boxes.append((f"1.2.{number}", col - 4, row - 4, col + 4, row + 4))
                wanted.append(f"{side} {third}")
    boxes.append(("1.2.0", np.nan, np.nan, np.nan, np.nan))
    zones = found.zones(pd.DataFrame(boxes, columns=["image_id", "x0", "y0", "x1", "y1"]))
    assert zones[-1] == ""
    assert np.mean([zone == each for zone, each in zip(zones, wanted, strict=False)]) > 0.85


def test_a_half_is_called_by_its_header_and_lungs_are_tabled_in_native_px(phantoms: RunFolder) -> None:
    found = find_film_lungs(read_ingested(phantoms), ["1.2.4", "1.2.5", "1.2.0"], read_lung_network(None, CPU), CPU)
    table = found.table()
    assert set(table.columns) == set(LUNG_COLUMNS)
    assert list(table.loc[table["image_id"] == "1.2.4", "side"]) == ["left"]  # the header's word, right or wrong
    assert len(table[table["image_id"] == "1.2.5"]) == 1
    truth = render_film(31, 0, 256).lung_masks
    for side in ("right", "left"):
        row = table[(table["image_id"] == "1.2.0") & (table["side"] == side)].iloc[0]
        rows, cols = np.nonzero(truth[f"lung_{side}"])
        wanted = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
        assert np.allclose((row.x0, row.y0, row.x1, row.y1), wanted, atol=24)
        assert row.film_share == pytest.approx(truth[f"lung_{side}"].mean(), abs=0.05)


def test_training_gives_the_same_bytes_and_what_is_no_generator_is_refused(tmp_path: Path) -> None:
    done = [train_lungs(tmp_path / f"{name}.safetensors", 8, 1, 3, 1) for name in ("first", "second")]
    assert file_digest(done[0].path) == file_digest(done[1].path)
    assert 0 <= done[0].dice_worst <= done[0].dice_whole <= 1
    assert sum(done[0].found_by.values()) == 2
    assert set(done[0].found_by) <= set(LungSource)
    (tmp_path / "other.safetensors").write_bytes(weights_bytes({"weight": torch.zeros(2)}))
    with pytest.raises(CheckpointError, match="camray lungs train"):
        read_lung_weights(tmp_path / "other.safetensors")


def test_one_film_is_shown(tmp_path: Path) -> None:
    image = (render_film(31, 1, 256).image * 255).round().astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "film.png")
    shown = show_lungs(tmp_path / "film.png", None, tmp_path / "lungs.png")
    assert set(shown.boxes) == {"right", "left"}
    assert shown.boxes["right"][2] <= shown.boxes["left"][2]
    with Image.open(shown.picture) as picture:
        assert picture.size == (512, 512)


def test_a_picture_that_cannot_be_finished_leaves_the_former_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(picture: Image.Image, stream: BinaryIO, **_: object) -> None:
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "no space")

    Image.fromarray((render_film(31, 1, 256).image * 255).astype(np.uint8)).save(tmp_path / "film.png")
    (tmp_path / "lungs.png").write_bytes(b"former")
    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="no space"):
        show_lungs(tmp_path / "film.png", None, tmp_path / "lungs.png")
    assert (tmp_path / "lungs.png").read_bytes() == b"former"


def _sdfn(lungs: Path | None = None) -> Settings:
    settings = small_settings()
    model = {"fusion": "sdfn", "lungs": lungs, "normalise": "film"}
    return settings.model_copy(
        update={
            "model": settings.model.model_copy(update=model),
            "explain": settings.explain.model_copy(update={"splits": ("validation",)}),
        }
    )


class _InterruptedFitError(Exception):
    """Stands for a kill."""


class _Breaking(NullTracker):
    def metrics(self, values: object, step: int = 0) -> None:
        if step == 1:
            raise _InterruptedFitError


@pytest.mark.slow
def test_sdfn_trains_resumes_explains_and_localizes(tmp_path: Path) -> None:
    weights = tmp_path / "lungs.safetensors"
    weights.write_bytes(weights_bytes(build_lung_unet(5).state_dict()))
    settings, folders = _sdfn(weights), [ingested_run(tmp_path / name) for name in ("whole", "broken")]
    train.run(settings, folders[0], NullTracker())
    with pytest.raises(_InterruptedFitError):
        train.run(settings, folders[1], _Breaking())
    train.run(settings, folders[1], NullTracker())
    first, second = (file_digest(folder.root / "train" / "model.safetensors") for folder in folders)
    assert first == second
    network, contract = load_classifier(folders[0], CPU)
    assert isinstance(network, SdfnClassifier)
    assert json.loads((folders[0].root / "train" / "contract.json").read_text())["network"]["fusion"] == "sdfn"
    given = build_lung_unet(5).state_dict()
    assert all(torch.equal(value, given[name]) for name, value in network.lungs.state_dict().items())
    explain.run(settings, folders[0], NullTracker())
    heat, logits = (np.load(folders[0].root / "explain" / name) for name in ("heat-cam-00000.npy", "logits.npy"))
    assert heat.shape == (4, 2, contract.feature_rows, contract.feature_cols)
    bias = network.classifier.bias.detach().numpy()
    assert np.allclose(heat.astype(np.float32).mean(axis=(2, 3)) + bias, logits, atol=2e-3)
    none = pd.DataFrame(columns=list(ANNOTATION_COLUMNS))
    write_table(folders[0].root / "ingest" / "annotations.parquet", none, ANNOTATION_COLUMNS)
    localize.run(settings, folders[0], NullTracker())
    predictions = read_table(folders[0].root / "localize" / "predictions.parquet", PREDICTION_COLUMNS)
    assert ((predictions["zone"] == "") == predictions["x0"].isna()).all()
    assert len(read_table(folders[0].root / "localize" / "lungs.parquet", LUNG_COLUMNS)) >= 4
