"""The explain stage on a run folder with a small network."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.pixel_store import PixelStore, shard_path, write_shard
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table, write_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.imaging.resampling import to_model_grid
from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.phantom.film import render_film
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import CheckpointError, InputRefusedError, SettingsError
from camray.domain.records import EXPLAINED_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS
from camray.io import artifacts, heat_shards, trained_model
from camray.io.explanation_grid import read_grid
from camray.stages.explain import stage as explain

LABELS, ROWS, COLS = ("mass", "effusion"), 32, 48
SPEC = NetworkSpec(pool="gap", stride=8, widths=(4, 4, 6, 8), stem_kernel=3)
FILMS = 23


def _settings(**changes: object) -> Settings:
    return parse_settings(
        {"name": "t", "device": "cpu", "ingest": {"shard_films": 7}, "explain": {"batch_size": 4} | changes}, "test"
    )


def _network() -> PooledClassifier:
    network = build_classifier(SPEC, len(LABELS), seed=3)
    with torch.no_grad():
        network.classifier.weight.mul_(30)
        network.classifier.bias.copy_(torch.tensor([0.5, -1.0]))
    return network.eval()


def _write_images(run: RunFolder, splits: list[str]) -> None:
    table = pd.DataFrame({name: [0] * FILMS for name in IMAGE_COLUMNS})
    for name, kind in IMAGE_COLUMNS.items():
        if kind == "string":
            table[name] = ""
    table["image_id"] = [f"film{number:02d}" for number in range(FILMS)]
    table["split"], table["shard"], table["index"] = splits, np.arange(FILMS) // 10, np.arange(FILMS) % 10
    write_table(run.stage("ingest") / "images.parquet", table.iloc[::-1], IMAGE_COLUMNS)
    labels = pd.DataFrame(
        [(f"film{number:02d}", "mass", "1" if number % 3 == 0 else "0") for number in range(FILMS)],
        columns=list(LABEL_COLUMNS),
    )
    write_table(run.stage("ingest") / "labels.parquet", labels, LABEL_COLUMNS)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    _write_images(run, ["train"] * 5 + ["validation"] * 8 + ["test"] * 10)
    rng = np.random.default_rng(0)
    for shard, count in enumerate((10, 10, 3)):
        films = rng.integers(0, 256, (count, ROWS, COLS), dtype=np.uint8)
        write_shard(shard_path(run.stage("ingest") / "store", shard), iter(films), (ROWS, COLS), np.uint8)
    contract = ModelContract(LABELS, ROWS, COLS, "letterbox", 8, SPEC, ROWS // 8, COLS // 8, "d", 1, "v")
    write_json(run.stage("train") / "contract.json", contract.as_json())
    write_bytes(run.stage("train") / "model.safetensors", weights_bytes(_network().state_dict()))
    return run


def _outputs(folder: RunFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder.root / "explain").iterdir())}


def _pixels(folder: RunFolder, numbers: list[int]) -> torch.Tensor:
    store = PixelStore(folder.root / "ingest" / "store")
    rows = store.rows([number // 10 for number in numbers], [number % 10 for number in numbers])
    return torch.from_numpy(rows.astype(np.float32) / 255)[:, None]


def test_maps_and_logits_of_the_wanted_films_in_the_stores_order(folder: RunFolder) -> None:
    result = explain.run(_settings(), folder, NullTracker())
    assert (result.counts.n_in, result.counts.n_done) == (18, 18)
    target = folder.root / "explain"
    table = read_table(target / "images.parquet", EXPLAINED_COLUMNS)
    assert table["image_id"].tolist() == [f"film{number:02d}" for number in range(5, 23)]
    assert table["split"].tolist() == ["validation"] * 8 + ["test"] * 10
    assert table["shard"].tolist() == [0] * 7 + [1] * 7 + [2] * 4
    logits, stores = (
        np.load(target / "logits.npy"),
        {name: PixelStore(target, f"heat-{name}") for name in ("cam", "gradcam")},
    )
    with torch.no_grad():
        network = _network()
        features = network.features(_pixels(folder, list(range(5, 23))))
        cam = network.cam(features).numpy()
        np.testing.assert_allclose(logits, network.head(features), atol=1e-5)
    heat = {name: store.rows(table["shard"].tolist(), table["index"].tolist()) for name, store in stores.items()}
    assert heat["cam"].dtype == np.float16
    assert heat["cam"].shape == (18, 2, 4, 6)
    np.testing.assert_allclose(heat["cam"], cam, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(heat["gradcam"], np.maximum(cam, 0) / 24, rtol=2e-3, atol=1e-5)
    np.testing.assert_allclose(cam.mean(axis=(2, 3)) + np.array([0.5, -1.0]), logits, atol=1e-5)
    grid = json.loads((target / "grid.json").read_text(encoding="utf-8"))
    assert (grid["labels"], grid["methods"]) == (list(LABELS), ["cam", "gradcam"])
    assert (grid["rows"], grid["cols"], grid["feature_rows"], grid["feature_cols"]) == (32, 48, 4, 6)
    assert grid["heat_exponents"] == {"cam": 0, "gradcam": 0}
    assert sorted(_outputs(folder)) == [
        "grid.json",
        "heat-cam-00000.npy",
        "heat-cam-00001.npy",
        "heat-cam-00002.npy",
        "heat-gradcam-00000.npy",
        "heat-gradcam-00001.npy",
        "heat-gradcam-00002.npy",
        "images.parquet",
        "logits.npy",
    ]


@pytest.mark.parametrize("writes", [1, 3, 7, 9])
def test_interrupted_after_any_write_it_resumes_to_the_same_bytes(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    settings = _settings(flip=True)
    explain.run(settings, folder, NullTracker())
    expected = _outputs(folder)
    for path in (folder.root / "explain").iterdir():
        path.unlink()
    real_shard, real_bytes, left = heat_shards.write_shard, artifacts.write_bytes, [writes]

    def counted(real):
        def write(*arguments: object) -> object:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*arguments)

        return write

    monkeypatch.setattr(heat_shards, "write_shard", counted(real_shard))
    monkeypatch.setattr(artifacts, "write_bytes", counted(real_bytes))
    with pytest.raises(KeyboardInterrupt):
        explain.run(settings, folder, NullTracker())
    monkeypatch.setattr(heat_shards, "write_shard", real_shard)
    monkeypatch.setattr(artifacts, "write_bytes", real_bytes)
    explain.run(settings, folder, NullTracker())
    assert _outputs(folder) == expected


def test_a_finished_shard_is_not_computed_again(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    explain.run(_settings(), folder, NullTracker())
    (folder.root / "explain" / "images.parquet").unlink()
    seen: list[int] = []
    real = trained_model.explain

    def counting(network: object, films: torch.Tensor, *rest: object, **more: object) -> object:
        seen.append(len(films))
        return real(network, films, *rest, **more)

    monkeypatch.setattr(trained_model, "explain", counting)
    explain.run(_settings(), folder, NullTracker())
    assert sum(seen) == 18  # the scaffolding was taken down with the first run: all anew, batches within shards
    assert seen == [4, 3, 4, 3, 4]


def test_new_films_are_all_explained_with_the_trained_network(folder: RunFolder, tmp_path: Path) -> None:
    new = RunFolder(tmp_path / "new", trained=folder.root)
    _write_images(new, [""] * FILMS)
    for shard in range(3):
        source = shard_path(folder.root / "ingest" / "store", shard)
        write_bytes(shard_path(new.stage("ingest") / "store", shard), source.read_bytes())
    result = explain.run(_settings(prior=True), new, NullTracker())
    assert result.counts.n_done == FILMS
    assert not list((new.root / "explain").glob("prior-*"))


def test_the_prior_is_the_mean_map_of_training_films_that_show_the_label(folder: RunFolder) -> None:
    explain.run(_settings(prior=True), folder, NullTracker())
    prior = np.load(folder.root / "explain" / "prior-cam.npy")
    with torch.no_grad():
        network = _network()
        cam = network.cam(network.features(_pixels(folder, [0, 3]))).numpy()
    np.testing.assert_allclose(prior[0], cam[:, 0].mean(axis=0), atol=1e-5)
    assert (prior[1] == 0).all()


def test_wrong_settings_and_inputs_are_told(folder: RunFolder) -> None:
    with pytest.raises(SettingsError, match="heat_exponents"):
        explain.run(_settings(heat_exponents={"lime": 3}), folder, NullTracker())
    with pytest.raises(SettingsError, match=r"explain\.methods"):
        explain.run(_settings(methods=["lime"]), folder, NullTracker())
    with pytest.raises(InputRefusedError, match="nosuch"):
        explain.run(_settings(splits=["nosuch"]), folder, NullTracker())
    path = shard_path(folder.root / "ingest" / "store", 0)
    write_shard(path, iter(np.zeros((10, 8, 8), np.uint8)), (8, 8), np.uint8)
    with pytest.raises(CheckpointError, match="32 x 48"):
        explain.run(_settings(), folder, NullTracker())


def test_a_gpu_that_is_not_there_is_a_settings_error(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = _settings().model_copy(update={"device": "cuda"})
    with pytest.raises(SettingsError, match="set device=auto or device=cpu"):
        explain.run(settings, folder, NullTracker())


def _show_chests(run: RunFolder) -> None:
    """Replace the films by generated ones, stretched."""
    grey = [to_model_grid(render_film(31, number, 96).image, ROWS, COLS, "stretch")[0] for number in range(FILMS)]
    films = [np.round(film * 255).astype(np.uint8) for film in grey]
    images = read_table(run.stage("ingest") / "images.parquet", IMAGE_COLUMNS)
    images["rows"], images["cols"], images["scale_x"], images["scale_y"] = 2 * ROWS, 2 * COLS, 0.5, 0.5
    write_table(run.stage("ingest") / "images.parquet", images, IMAGE_COLUMNS)
    for shard in range(3):
        part = films[10 * shard : 10 * shard + 10]
        write_shard(shard_path(run.stage("ingest") / "store", shard), iter(part), (ROWS, COLS), np.uint8)


def test_maps_are_held_inside_the_chest_and_logits_stay(folder: RunFolder) -> None:
    _show_chests(folder)
    explain.run(_settings(), folder, NullTracker())
    free, logits = PixelStore(folder.root / "explain", "heat-cam").shard(2).copy(), _outputs(folder)["logits.npy"]
    explain.run(_settings(within="chest"), folder, NullTracker())
    held = PixelStore(folder.root / "explain", "heat-cam").shard(2)
    assert _outputs(folder)["logits.npy"] == logits
    lowered = held != free
    assert lowered.any()
    assert (held == free).any(axis=(2, 3)).all()
    lowest = np.broadcast_to(free.min(axis=(2, 3), keepdims=True), free.shape)
    np.testing.assert_array_equal(held[lowered], lowest[lowered])
    grid = read_grid(folder.root / "explain" / "grid.json")
    assert grid.within == "chest"
