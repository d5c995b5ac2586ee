"""One film by a trained run: the run's own boxes where it has them, and any other method, layer, target or view."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from camray.adapters.run_folders.atomic_files import write_json
from camray.commands.app import app
from camray.core.explain.activation_maximization import AscentSettings
from camray.core.explain.methods import METHODS
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.localization.box_thresholds import BoxThreshold, ReportCutoff, Thresholds
from camray.core.networks.classifier import build_classifier
from camray.core.probability.calibration import LabelCalibration
from camray.domain.contract import ModelContract, NetworkSpec
from camray.domain.errors import CheckpointError, ImageError, SettingsError
from camray.domain.records import ThresholdSource
from camray.io.artifacts import RunArtifacts
from camray.io.thresholds import write_thresholds
from camray.reporting import fonts
from camray.workflows.predictor import load_predictor
from camray.workflows.show.activation_maximization import draw_labels, pictures_of_labels
from camray.workflows.show.film import FilmRequest, show_film

LABELS = ("Mass", "Pleural Effusion")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with fresh weights; thresholds for CAM alone."""
    root = tmp_path_factory.mktemp("runs") / "shown"
    spec = NetworkSpec(widths=(4, 6, 8, 8), stem_kernel=3, stride=8)
    network = build_classifier(spec, len(LABELS), seed=4)
    with torch.no_grad():
        network.classifier.weight.mul_(50)
        for number, part in enumerate(network.modules()):
            if isinstance(part, torch.nn.BatchNorm2d):  # so that mid-grey is no dead end
                part.bias.copy_(torch.randn(len(part.bias), generator=torch.Generator().manual_seed(number)) / 4)
    (root / "train").mkdir(parents=True)
    save_file(network.state_dict(), root / "train" / "model.safetensors")
    contract = ModelContract(LABELS, 64, 48, "letterbox", 8, spec, 8, 6, "data", 4, "0.1.0")
    write_json(root / "train" / "contract.json", contract.as_json())
    recipe = BoxRecipe("range", 0.5)
    thresholds = [
        BoxThreshold("x", "cam", label, "own", ThresholdSource.FIXED, recipe, None, "", 0) for label in LABELS
    ]
    maps = tuple(LabelCalibration(label, "shift", shift=-1.0, prevalence=0.25) for label in LABELS)
    cutoffs = tuple(ReportCutoff(label, 0.5, None, "", 0) for label in LABELS)
    write_thresholds(root / "localize" / "thresholds.json", Thresholds(tuple(thresholds), cutoffs, (), maps))
    write_json(root / "settings.json", {"name": "shown"})
    return root


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.png"
    grey = np.random.default_rng(1).integers(40, 90, (128, 96), dtype=np.uint8)
    grey[30:60, 50:80] = 230
    Image.fromarray(grey).save(path)
    return path


def test_the_runs_own_method_gives_its_own_boxes(trained: Path, film: Path, tmp_path: Path) -> None:
    predicted = load_predictor(trained)([film])
    for method in (None, "cam"):
        shown = show_film(film, trained, FilmRequest(method=method), tmp_path / "out.png")
        assert (shown.method, shown.boxes_by) == ("cam", "the run's thresholds")
        for finding in shown.findings:
            rows = predicted[predicted["label"] == finding["label"]]
            np.testing.assert_allclose(finding["probability"], rows["probability"].iloc[0])
            expected = rows[["x0", "y0", "x1", "y1"]].dropna().to_numpy().tolist()
            assert finding["boxes"] == expected
    assert shown.label == max(shown.findings, key=lambda finding: finding["probability"])["label"]


@pytest.mark.parametrize("method", [name for name in METHODS if name != "cam"])
def test_every_other_method_is_shown_with_a_fixed_threshold(
    method: str, trained: Path, film: Path, tmp_path: Path
) -> None:
    out = tmp_path / "sub" / "out.png"
    shown = show_film(film, trained, FilmRequest(method=method, label="Mass"), out)
    assert (shown.label, shown.boxes_by) == ("Mass", "20 % of the maximum")
    assert [finding["label"] for finding in shown.findings] == list(LABELS)
    for x0, y0, x1, y1 in (box for finding in shown.findings for box in finding["boxes"]):
        assert 0 <= x0 < x1 <= 96
        assert 0 <= y0 < y1 <= 128
    with Image.open(out) as drawn:
        assert drawn.width > 300


def test_views_layers_and_targets_are_reached(trained: Path, film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    plain = show_film(film, trained, FilmRequest(), out).findings
    both = show_film(film, trained, FilmRequest(flip=True, scales=(1.0, 1.5)), out)
    assert both.boxes_by == "20 % of the maximum"
    assert both.findings[0]["probability"] != plain[0]["probability"]
    layers = ("backbone.layer1", "backbone.layer4")
    first = out.read_bytes()
    fused = show_film(film, trained, FilmRequest(method="layercam", layers=layers), out)
    assert fused.findings[0]["probability"] == pytest.approx(plain[0]["probability"], abs=1e-6)
    assert out.read_bytes() != first
    shown = show_film(film, trained, FilmRequest(method="gradcam", targets=lambda z: z[:, 0] - z[:, 1]), out)
    assert shown.label == "target 1"
    assert [finding["probability"] for finding in shown.findings] == [None]


def test_an_interrupt_leaves_no_half_picture(
    trained: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "o.png"
    out.write_bytes(b"before")

    def half(_picture: Image.Image, target: Any, *_rest: Any, **_more: Any) -> None:
        if not hasattr(target, "write"):
            Path(target).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(KeyboardInterrupt):
        show_film(film, trained, FilmRequest(label="Mass"), out)
    with pytest.raises(KeyboardInterrupt):
        draw_labels(trained, ("Mass",), AscentSettings(steps=1), tmp_path / "labels.png")
    monkeypatch.undo()
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        show_film(film, trained, FilmRequest(label="Mass"), out)
    assert out.read_bytes() == b"before"
    assert not (tmp_path / "labels.png").exists()


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_csv_copies_appear_when_they_are_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "score").mkdir()
    pd.DataFrame({"a": [1, 2]}).to_parquet(tmp_path / "score" / "x.parquet")
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunArtifacts(tmp_path).write_csv_tables()
    assert not list((tmp_path / "csv").glob("*.csv"))
    monkeypatch.undo()
    RunArtifacts(tmp_path).write_csv_tables()
    assert (tmp_path / "csv" / "score-x.csv").read_text() == "a\n1\n2\n"


def test_a_name_without_a_font_is_noted_and_drawn_as_its_code(
    trained: Path, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, words = tmp_path / "o.png", ["show", str(film), "--run", str(trained), "--label", "Mass"]
    assert show_film(film, trained, FilmRequest(label="Mass"), out).note == ""
    plain = out.read_bytes()
    monkeypatch.setattr(fonts, "letter_fonts", lambda text: None if "Mass" in text else {})
    shown = show_film(film, trained, FilmRequest(label="Mass"), out)
    assert "no installed font has the letters of 'Mass'" in shown.note
    assert shown.note.endswith("then run the same command again")
    assert out.read_bytes() != plain
    assert show_film(film, trained, FilmRequest(label="Pleural Effusion"), out).note == ""
    assert json.loads(CliRunner().invoke(app, [*words, "--json", "--out", str(out)]).stdout)["note_fonts"] == shown.note
    capsys.readouterr()
    app([*words, "--out", str(out)], standalone_mode=False)
    assert "note no installed font has the letters of 'Mass'" in capsys.readouterr().err


def test_options_of_the_method_change_its_map(trained: Path, film: Path, tmp_path: Path) -> None:
    def shown(root: Path, *options: str) -> bytes:
        request = FilmRequest(method="occlusion", label="Mass", options=options)
        assert show_film(film, root, request, tmp_path / "out.png").boxes_by == "20 % of the maximum"
        return (tmp_path / "out.png").read_bytes()

    plain, coarse = shown(trained), shown(trained, "explain.occlusion.patch_px=32", "explain.occlusion.fill=0")
    assert coarse != plain
    own = tmp_path / "own"
    shutil.copytree(trained, own)
    write_json(own / "settings.json", {"name": "own", "explain": {"occlusion": {"patch_px": 32, "fill": 0}}})
    assert shown(own) == coarse  # without options the run's own
    assert shown(own, "explain.occlusion.patch_px=null", "explain.occlusion.fill=null") == plain
    words = ["show", str(film), "--run", str(trained), "--method", "occlusion", "explain.occlusion.patch_px=32"]
    done = CliRunner().invoke(
        app, [*words, "explain.occlusion.fill=0", "--label", "Mass", "--out", str(tmp_path / "o.png")]
    )
    assert done.exit_code == 0
    assert (tmp_path / "o.png").read_bytes() == coarse


def test_a_faulty_question_is_refused(trained: Path, film: Path, tmp_path: Path) -> None:
    for wanted, error, fault in (
        (FilmRequest(method="gradcamm"), SettingsError, "out of: cam"),
        (FilmRequest(label="mas"), SettingsError, "did you mean 'Mass'\\? the run knows Mass"),
        (FilmRequest(method="cam", layers=("backbone.layer1",)), SettingsError, "does not support layers"),
        (FilmRequest(method="layercam", layers=("backbone.layer8",)), CheckpointError, "for instance"),
        (FilmRequest(targets=lambda z: z[:, 0]), SettingsError, "CAM explains the labels"),
        (
            FilmRequest(options=("explain.occlusion.fill=0",)),
            SettingsError,
            "an option of occlusion or .*; cam: no options",
        ),
    ):
        with pytest.raises(error, match=fault):
            show_film(film, trained, wanted, tmp_path / "out.png")
    with pytest.raises(SettingsError, match="no such file"):
        show_film(tmp_path / "nowhere.png", trained, FilmRequest(), None)


def test_a_picture_per_label_raises_its_own_logit(trained: Path, tmp_path: Path) -> None:
    ascent = AscentSettings(steps=20, rate=0.01)
    drawn = draw_labels(trained, (), ascent, tmp_path / "labels.png")
    assert [row["label"] for row in drawn.labels] == list(LABELS)
    assert all(row["after"] > row["before"] for row in drawn.labels), drawn.labels
    alone = pictures_of_labels(trained, LABELS[1:], ascent)
    together = pictures_of_labels(trained, (), ascent)
    np.testing.assert_allclose(alone.grey[0], together.grey[1], rtol=0, atol=1e-4)
    assert alone.grey.shape == (1, 64, 48)
    with pytest.raises(SettingsError, match="the run knows Mass"):
        draw_labels(trained, ("Cyst",), ascent, tmp_path / "labels.png")


def test_a_file_that_is_no_film_is_named(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no film")
    spoken = CliRunner().invoke(app, ["show", str(tmp_path / "notes.txt"), "--run", str(trained)])
    assert isinstance(spoken.exception, ImageError)
    assert str(spoken.exception).endswith("notes.txt: neither a DICOM file nor a PNG or JPEG picture")
