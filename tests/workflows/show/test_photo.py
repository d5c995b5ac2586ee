"""One ordinary picture by a published checkpoint, end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from camray.commands.app import app
from camray.core.explain.explanation import ExplanationRequest
from camray.domain.errors import SettingsError
from camray.workflows.show.photo import PhotoRequest, show_picture
from tests.core.networks.test_colour_networks import random_state, resnet18_by_hand
from tests.core.networks.test_weights_published import resnet_shapes

CLASSES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture, a checkpoint of six classes, and their names."""
    root = tmp_path_factory.mktemp("picture")
    state = random_state(resnet_shapes(18))
    state |= {"fc.weight": state["fc.weight"][:CLASSES], "fc.bias": state["fc.bias"][:CLASSES]}
    torch.save(state, root / "resnet18.pth")
    names = ", ".join(f"{number}: 'class {number}'" for number in range(CLASSES))
    (root / "names.txt").write_text(f"{{{names}}}", encoding="utf-8")
    picture = np.random.default_rng(5).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    picture[20:60, 30:70] = (250, 40, 10)
    Image.fromarray(picture).save(root / "picture.png")
    return root


def _expected(folder: Path, fit: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and maps from Pillow and the functional reference alone."""
    with Image.open(folder / "picture.png") as opened:
        picture = opened.convert("RGB")
    if fit == "stretch":
        square = picture.resize((64, 64), Image.Resampling.BILINEAR)
    else:  # 73 = round(64 * 256 / 224); 90 x 130 to 73 x 105; from round(4.5) = 4 and round(20.5) = 20
        square = picture.resize((105, 73), Image.Resampling.BILINEAR).crop((20, 4, 84, 68))
    rgb = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float() / 255
    state = torch.load(folder / "resnet18.pth", weights_only=True)
    logits, features = resnet18_by_hand(rgb, state)
    return logits[0], torch.einsum("lk,khw->lhw", state["fc.weight"], features[0])


def _wanted(folder: Path, **changes: object) -> PhotoRequest:
    chosen = {"backbone": "resnet18", "classes": folder / "names.txt", "size": 64, "top": 3, **changes}
    return PhotoRequest(folder / "resnet18.pth", **chosen)  # type: ignore[arg-type]


@pytest.mark.parametrize("fit", ["stretch", "crop"])
def test_the_most_probable_classes_have_the_reference_logits_and_softmax(
    folder: Path, tmp_path: Path, fit: str
) -> None:
    shown = show_picture(
        folder / "picture.png", _wanted(folder, fit=fit), ExplanationRequest("cam"), tmp_path / "out.png"
    )
    logits, _ = _expected(folder, fit)
    order = torch.argsort(logits, descending=True)[:3].tolist()
    assert [row["index"] for row in shown.rows] == order
    assert [row["label"] for row in shown.rows] == [f"class {number}" for number in order]
    np.testing.assert_allclose([row["logit"] for row in shown.rows], logits[order], rtol=0, atol=1e-4)
    probabilities = torch.softmax(logits, dim=0)[order]
    np.testing.assert_allclose([row["probability"] for row in shown.rows], probabilities, rtol=0, atol=1e-4)
    with Image.open(shown.picture) as drawn:  # four panels of 222 x 320 px in rows of three
        assert drawn.size == (3 * 326 + 6, 2 * (222 + 33) + 6 + 21)


def test_the_box_is_the_cam_papers_on_the_pictures_own_pixels(folder: Path, tmp_path: Path) -> None:
    """Cells of 32 px stretched by 90/64 and 130/64: 20 % of the maximum of the interpolated map, largest region."""
    row = show_picture(
        folder / "picture.png", _wanted(folder, label="2"), ExplanationRequest("cam"), tmp_path / "x.png"
    ).rows[0]
    _, maps = _expected(folder, "stretch")
    heat = torch.nn.functional.interpolate(maps[2][None, None], size=(64, 64), mode="bilinear", align_corners=False)[
        0, 0
    ]
    if float(heat.max()) <= 0:
        assert row["box"] is None
        return
    hot = heat >= 0.2 * heat.max()
    rows, cols = hot.any(dim=1).nonzero().flatten(), hot.any(dim=0).nonzero().flatten()
    edges = (cols[0] * 130 / 64, rows[0] * 90 / 64, (cols[-1] + 1) * 130 / 64, (rows[-1] + 1) * 90 / 64)
    np.testing.assert_allclose(row["box"], [float(edge) for edge in edges], rtol=0, atol=2.1)


def test_the_command_prints_json_and_takes_layers_targets_and_views(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "margin.py").write_text(
        "def margin(logits):\n    return logits[:, 0] - logits[:, 1]\n", encoding="utf-8"
    )
    base = [
        "show",
        str(folder / "picture.png"),
        "--weights",
        str(folder / "resnet18.pth"),
        "--size",
        "64",
        "--json",
        "--out",
        str(tmp_path / "out.png"),
    ]
    found = json.loads(CliRunner().invoke(app, [*base, "--top", "2"]).stdout)
    assert {key: found[key] for key in ("method", "backbone", "size", "fit")} == {
        "method": "cam",
        "backbone": "resnet18",
        "size": 64,
        "fit": "stretch",
    }
    logits, _ = _expected(folder, "stretch")
    best = int(logits.argmax())
    assert found["top"][0]["label"] == str(best)
    np.testing.assert_allclose(found["top"][0]["logit"], logits[best], rtol=0, atol=1e-4)
    target = ["--method", "gradcam", "--target", f"{tmp_path / 'margin.py'}:margin"]
    value = json.loads(CliRunner().invoke(app, [*base, *target]).stdout)["top"]
    assert len(value) == 1
    np.testing.assert_allclose(value[0]["value"], logits[0] - logits[1], rtol=0, atol=1e-4)
    layers = [
        "--method",
        "layercam",
        "--layer",
        "backbone.layer2",
        "--layer",
        "backbone.layer4",
        "--flip",
        "--scales",
        "1,2",
    ]
    assert len(json.loads(CliRunner().invoke(app, [*base, *layers]).stdout)["top"]) == 5
    occluded = [*base, "--method", "occlusion", "--label", "3"]
    maps = []
    for options in (
        [],
        ["explain.occlusion.patch_px=32"],
        ["explain.occlusion.patch_px=32", "explain.occlusion.fill=0"],
    ):
        assert CliRunner().invoke(app, [*occluded, *options]).exit_code == 0
        maps.append((tmp_path / "out.png").read_bytes())
    assert len(set(maps)) == 3
    refused = CliRunner().invoke(app, [*base, "--method", "gradcam", "explain.occlusion.patch_px=32"])
    assert "explain.occlusion.patch_px: an option of occlusion" in str(refused.exception)
    several = json.loads(CliRunner().invoke(app, [*base, "--multi-label", "--label", "3"]).stdout)["top"][0]
    np.testing.assert_allclose(several["probability"], torch.sigmoid(logits[3]), rtol=0, atol=1e-4)


def test_refuses_by_name(folder: Path, tmp_path: Path) -> None:
    path, out = folder / "picture.png", tmp_path / "out.png"
    for changes, fault in (
        ({"size": 70}, "multiples of 32 px from 64 up"),
        ({"size": 32}, "multiples of 32 px from 64 up"),
        ({"fit": "letterbox"}, "expected fit stretch or crop"),
        ({"label": "clas"}, "did you mean 'class 0'"),
        ({"classes": folder / "nowhere.txt"}, "cannot be read as class names"),
        ({"backbone": "resnet34"}, "no published backbone"),
    ):
        with pytest.raises(SettingsError, match=fault):
            show_picture(path, _wanted(folder, **changes), ExplanationRequest("cam"), out)
    with pytest.raises(SettingsError, match="no such file"):
        show_picture(folder / "nowhere.png", _wanted(folder), ExplanationRequest("cam"), out)
    assert not out.exists()
