"""A local weights file is compared with the backbones as training would load it."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from camray.adapters.checkpoints import weights_bytes
from camray.adapters.weight_packages import WEIGHT_PACKAGES
from camray.commands.app import app
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import BACKBONES, NetworkSpec
from camray.domain.errors import CheckpointError, SettingsError
from camray.domain.published_weights import PUBLISHED_WEIGHTS, published_for
from camray.workflows.weights_check import check_weights

RESNET_LIGHT_TENSORS = 74  # 72 of the backbone, weight and bias of the head


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "model.safetensors"
    path.write_bytes(weights_bytes(build_classifier(NetworkSpec(), 3, seed=1).state_dict()))
    return path


def test_the_backbone_of_a_file_is_found_among_all(own_file: Path) -> None:
    shown = CliRunner().invoke(app, ["weights", "check", str(own_file), "--json"])
    assert shown.exit_code == 0
    found = json.loads(shown.stdout)
    assert found["sha256"] == hashlib.sha256(own_file.read_bytes()).hexdigest()
    assert (found["tensors"], found["first_layer"]) == (RESNET_LIGHT_TENSORS, [16, 1, 7, 7])
    assert found["fits"] == [
        {
            "backbone": "resnet_light",
            "misfit": "",
            "matched": RESNET_LIGHT_TENSORS - 2,
            "missing": 0,
            "wrong_shape": 2,  # the head has three labels
            "left_over": 0,
            "settings": f"model.backbone=resnet_light model.weights={own_file}",
        }
    ]


def test_a_file_that_fits_nothing_is_refused_with_the_closest_backbone(own_file: Path, tmp_path: Path) -> None:
    torch.save({"encoder.w": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(CheckpointError, match=r"does not fit resnet_light: none of its 1 tensors fits; .*encoder.w"):
        check_weights(tmp_path / "w.pth", "resnet_light")
    with pytest.raises(CheckpointError, match=r"does not fit resnet18: .* missing .*backbone.layer1.1.bn1.bias"):
        check_weights(own_file, "resnet18")
    with pytest.raises(SettingsError, match="no backbone 'resnet81'; did you mean 'resnet18'"):
        check_weights(own_file, "resnet81")


def test_the_published_weights_cover_every_backbone_and_name_what_is_shipped() -> None:
    assert [name for name in BACKBONES if not published_for(name)] == ["resnet_light"]
    assert {name for each in PUBLISHED_WEIGHTS for name in each.backbones} <= set(BACKBONES)
    shipped = {name for each in PUBLISHED_WEIGHTS if each.is_shipped for name in each.backbones}
    assert shipped == set(WEIGHT_PACKAGES)
    assert all(each.source.endswith(WEIGHT_PACKAGES[each.backbones[0]].name) for each in PUBLISHED_WEIGHTS[:3])


def test_the_list_shows_every_backbone_and_its_terms() -> None:
    shown = CliRunner().invoke(app, ["weights", "list"], env={"COLUMNS": "250"})
    assert shown.exit_code == 0
    assert all(f" {name} " in shown.stdout for name in BACKBONES)
    assert "check at the source" in shown.stdout


def test_the_list_is_complete_however_narrow_the_terminal_is() -> None:
    for width in (20, 80):
        shown = CliRunner().invoke(app, ["weights", "list"], env={"COLUMNS": str(width)})
        assert shown.exit_code == 0
        for each in PUBLISHED_WEIGHTS:
            for text in (each.name, each.source, each.licence, each.names, each.input_scale):
                assert text in shown.stdout
        assert all(any(line.startswith(name) for line in shown.stdout.splitlines()) for name in BACKBONES)
