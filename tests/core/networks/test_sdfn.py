"""SDFN at the seam: the crop's map lies on the film, and what holds for a pooled head holds here."""

import numpy as np
import pytest
import torch

from camray.core.explain.cam import gradient_weighted, summed_gradients
from camray.core.explain.methods import methods_named
from camray.core.explain.seam import forward
from camray.core.explain.test_time_averaging import explain
from camray.core.imaging.resampling import to_model_grid
from camray.core.lungs.crop import cells_to_film
from camray.core.lungs.detection import DetectedLungs
from camray.core.networks import sdfn
from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.ensemble import EnsembleClassifier, build_network
from camray.core.networks.lung_unet import SIDE_PX
from camray.core.networks.sdfn import SdfnClassifier, build_member, lit_box, load_member_weights
from camray.core.phantom.film import render_film
from camray.domain.contract import POOLS, ModelContract, NetworkSpec
from camray.domain.geometry import Box, CropWindow


def _network(**changes: object) -> SdfnClassifier:
    spec = NetworkSpec(fusion="sdfn", stride=8, widths=(4, 4, 6, 6), stem_kernel=3, **changes)  # type: ignore[arg-type]
    network = build_member(spec, labels=3, seed=1).double().eval()
    assert isinstance(network, SdfnClassifier)
    torch.nn.init.normal_(network.classifier.weight, generator=torch.Generator().manual_seed(3))
    torch.nn.init.normal_(network.classifier.bias, generator=torch.Generator().manual_seed(4))
    return network


@pytest.fixture(scope="module")
def films() -> torch.Tensor:
    """Three phantoms of 64 x 96 px; an untrained generator leaves their lungs to the classical way."""
    grey = [to_model_grid(render_film(1, number, 96).image, 64, 96, "letterbox")[0] for number in range(3)]
    return torch.stack([torch.from_numpy(each) for each in grey])[:, None].double()


def _boxes(network: SdfnClassifier, monkeypatch: pytest.MonkeyPatch) -> torch.Tensor:
    boxes = torch.tensor([[10, 5, 71, 60], [0, 0, 96, 64], [31, 20, 60, 47]], dtype=torch.float64)
    monkeypatch.setattr(network, "crop_boxes", lambda x: boxes[: len(x)])
    return boxes


@pytest.mark.parametrize("shrink", [1, 2])
def test_with_gap_the_logit_is_the_papers_and_the_mean_of_the_map_plus_bias(
    films: torch.Tensor, monkeypatch: pytest.MonkeyPatch, shrink: int
) -> None:
    network = _network(shrink=shrink)
    boxes = _boxes(network, monkeypatch)
    with torch.no_grad():
        film, crop = network.branches(films, boxes)
        joined = torch.cat([film.mean(dim=(2, 3)), crop.mean(dim=(2, 3))], dim=1)
        paper = torch.nn.functional.linear(joined, network.classifier.weight, network.classifier.bias)
        features = network.features(films)
        assert features.shape == (3, 12, 8, 12)
        torch.testing.assert_close(network(films), paper, rtol=1e-10, atol=1e-10)
        found = network.cam(features).mean(dim=(2, 3)) + network.classifier.bias
        torch.testing.assert_close(found, paper, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("pool", POOLS)
def test_grad_cam_equals_its_gradient(films: torch.Tensor, monkeypatch: pytest.MonkeyPatch, pool: str) -> None:
    network = _network(pool=pool)
    _boxes(network, monkeypatch)
    passed = forward(network, films)
    expected = torch.einsum("blk,bkhw->blhw", summed_gradients(network, passed.features), passed.features)
    torch.testing.assert_close(gradient_weighted(network, passed), expected)


def test_a_crop_of_the_whole_film_lies_where_it_does(films: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    network = _network()
    whole = torch.tensor([[0.0, 0.0, 96.0, 64.0]], dtype=torch.float64).expand(3, 4)
    monkeypatch.setattr(network, "crop_boxes", lambda x: whole)
    network.crop_backbone.load_state_dict(network.backbone.state_dict())
    with torch.no_grad():
        film, crop = torch.split(network.features(films), 6, dim=1)
    torch.testing.assert_close(film, crop, rtol=1e-9, atol=1e-9)


def test_the_crops_evidence_comes_back_to_where_it_was_seen() -> None:
    # one hot crop cell: the upper left of a crop of the film's lower right quarter
    cells = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    cells[0, 0, 0, 0] = 1.0
    box = torch.tensor([[16.0, 16.0, 32.0, 32.0]], dtype=torch.float64)
    mean = cells_to_film(cells, box, 32, 32, (4, 4), "mean")
    assert torch.equal(mean.nonzero(), torch.tensor([[0, 0, 2, 2]]))
    assert float(mean.sum()) == 1.0  # both grids have 16 cells: equal sums are equal means
    value = cells_to_film(cells, box, 32, 32, (4, 4), "value")
    assert float(value[0, 0, 2, 2]) == 0.25  # covers a quarter of that film cell


def test_batch_equals_one_by_one_and_the_generator_is_not_trained(films: torch.Tensor) -> None:
    network = _network()
    with torch.no_grad():
        together, alone = network(films), torch.cat([network(film[None]) for film in films])
    torch.testing.assert_close(together, alone)
    network.train()
    network(films).sum().backward()
    assert all(parameter.grad is None for parameter in network.lungs.parameters())
    for part in (network.backbone, network.crop_backbone):
        assert all(parameter.grad is not None for parameter in part.parameters())


def test_methods_of_every_kind_explain_it(films: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    network, names = _network(), ("cam", "gradcam", "layercam", "eigencam", "saliency", "guided_backprop", "occlusion")
    boxes = torch.tensor([[10.0, 5.0, 71.0, 60.0]], dtype=torch.float64)
    monkeypatch.setattr(network, "crop_boxes", lambda x: boxes.expand(len(x), 4))  # finding lungs takes its time
    found = explain(network, films[:1], methods_named(names), (8, 12))
    assert all(torch.isfinite(heat).all() and heat.shape == (1, 3, 8, 12) for heat in found.heat.values())
    cam = found.heat["cam"]
    torch.testing.assert_close(found.heat["gradcam"], cam.clamp_min(0) / 96)


def test_starting_weights_reach_both_branches_and_the_files_generator() -> None:
    donor, network = build_member(NetworkSpec(stride=8, widths=(4, 4, 6, 6), stem_kernel=3), 3, seed=9), _network()
    report = load_member_weights(network.float(), donor.state_dict())
    for part in (network.backbone, network.crop_backbone):
        torch.testing.assert_close(part.conv1.weight, donor.backbone.conv1.weight)
    assert report.missing == ()
    assert report.wrong_shape == ("classifier.weight",)
    other = _network().float()
    load_member_weights(other, network.state_dict() | {"lungs.body.x": torch.zeros(1)})
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


def test_members_are_fused_networks_too_and_a_plain_spec_stays_plain() -> None:
    pair = build_network(NetworkSpec(fusion="sdfn", members=2, widths=(4, 4, 6, 6)), 2, seed=1)
    assert isinstance(pair, EnsembleClassifier)
    assert all(isinstance(member, SdfnClassifier) for member in pair.members)
    plain = build_network(NetworkSpec(), 2, seed=1)
    assert isinstance(plain, PooledClassifier)
    assert not isinstance(plain, SdfnClassifier)


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match="use its GAP form"):
        NetworkSpec(backbone="vgg16", fusion="sdfn")
    with pytest.raises(ValueError, match="without a fusion"):
        NetworkSpec(shrink=2)
    with pytest.raises(ValueError, match="expected one of none, sdfn"):
        NetworkSpec(fusion="late")
    with pytest.raises(ValueError, match="choose multiples of 32"):
        ModelContract(("a",), 48, 48, "letterbox", 8, NetworkSpec(fusion="sdfn", shrink=2), 3, 3, "", 1, "0")
    with pytest.raises(ValueError, match="multiples of 16"):
        _network(shrink=2)(torch.zeros(1, 1, 40, 32, dtype=torch.float64))


def test_a_letterboxs_margin_is_no_film(monkeypatch: pytest.MonkeyPatch) -> None:
    grey = torch.zeros(6, 10)
    assert lit_box(grey) == Box(0.0, 0.0, 10.0, 6.0)
    grey[1:5, 3:8] = 0.5
    grey[2, 4] = 0.0  # black within the film is film
    assert lit_box(grey) == Box(3.0, 1.0, 8.0, 5.0)
    seen = []
    find = sdfn.find_lungs

    def watched(grey: np.ndarray, probability: np.ndarray, window: CropWindow) -> DetectedLungs:
        seen.append(window)
        return find(grey, probability, window)

    monkeypatch.setattr(sdfn, "find_lungs", watched)
    film = torch.zeros(1, 1, 64, 96, dtype=torch.float64)
    film[..., 24:72] = 0.5  # of 96 px the generator makes SIDE_PX
    _network().crop_boxes(film)
    part = SIDE_PX / 96
    assert seen == [CropWindow(round(16 * part), round(80 * part), round(24 * part), round(72 * part))]
