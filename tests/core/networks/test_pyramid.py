"""Feature pyramids: sums worked by hand, and the seam of whole networks."""

import pytest
import torch
from torch import Tensor, nn

from camray.core.explain.cam import gradient_weighted, summed_gradients
from camray.core.explain.methods import METHODS
from camray.core.explain.seam import forward
from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.networks.pyramid import Pyramid
from camray.core.networks.sdfn import build_member
from camray.core.networks.weights import load_starting_weights
from camray.domain.contract import PACKAGED, PYRAMIDS, NetworkSpec
from tests.core.networks.test_backbones import weigh_evenly

OFF_PX = {"resnet": {8: 0.5, 16: -3.5, 32: 4.5}, "efficientnet": {8: -0.5, 16: 3.5, 32: -4.5}}


def _classifier(backbone: str = "resnet_light", pool: str = "gap", **options: object) -> PooledClassifier:
    normalise = "photo" if backbone in PACKAGED else "fixed"
    strides = options.get("pyramid_strides", (8, 16, 32))
    spec = NetworkSpec(backbone, pool, stride=strides[0], normalise=normalise, head="pyramid", **options)  # type: ignore[arg-type, index]
    model = build_classifier(spec, 3, seed=4).double().eval()
    generator = torch.Generator().manual_seed(3)
    for value in model.classifier.parameters():
        nn.init.normal_(value, generator=generator)
    return model


def _films(rows: int, cols: int) -> Tensor:
    return torch.rand(2, 1, rows, cols, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def _pyramid(*weights: float) -> Pyramid:
    """Strides 8, 16, ...; one channel with these weights and the bias 0.5 each."""
    pyramid = Pyramid({8 << level: 1 for level in range(len(weights))}, 1).double()
    for conv, weight in zip(pyramid.convs.values(), weights, strict=True):
        nn.init.constant_(conv.weight, weight)
        nn.init.constant_(conv.bias, 0.5)
    return pyramid


def test_a_sum_by_hand() -> None:
    # coarse cells -4 and 8 of 16 px, corner origin: -4, -1, 5, 8 on cells of 8 px
    fine = torch.tensor([[[[1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]]]], dtype=torch.float64)
    coarse = torch.tensor([[[[-4.0, 8.0]]]], dtype=torch.float64)
    found = _pyramid(10.0, 2.0)(torch.zeros(1, 1, 16, 32), lambda _: iter((fine, coarse)))
    # 10 fine + 1/2, and 2 coarse + 1/2; negative sums are cut off
    assert found.tolist() == [[[[3.0, 19.0, 41.0, 57.0], [0.0, 0.0, 11.0, 17.0]]]]


def test_only_the_last_map_of_a_stride_is_read() -> None:
    maps = [torch.full((1, 1, 4, 4), 9.0), *(torch.full((1, 1, 2, 2), v) for v in (7.0, 3.0)), torch.ones(1, 1, 1, 1)]
    found = _pyramid(1.0, 1.0)(torch.zeros(1, 1, 16, 16).double(), lambda _: iter(m.double() for m in maps))
    assert torch.equal(found, torch.full((1, 1, 2, 2), 5.0, dtype=torch.float64))


def test_a_side_that_is_no_multiple_is_continued_and_cells_stay_where_they_were() -> None:
    # 24 x 40 px with strides 8 to 32: the backbone sees 32 x 64 px whose last row and column are repeated
    seen: list[Tensor] = []

    def stages(x: Tensor) -> list[Tensor]:  # means of cells, as an ideal backbone would have them
        seen.append(x)
        return [nn.functional.avg_pool2d(x, stride) for stride in (8, 16, 32)]

    film = torch.rand(1, 1, 24, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = _pyramid(0.0, 0.0, 1.0)(film, stages)  # type: ignore[arg-type]
    assert seen[0].shape == (1, 1, 32, 64)
    assert torch.equal(seen[0][..., :24, :40], film)
    assert torch.equal(seen[0][..., 31, :40], film[..., 23, :])
    assert torch.equal(seen[0][..., :24, 63], film[..., 39])
    left, right = (seen[0][..., :32].mean().item(), seen[0][..., 32:].mean().item())
    # centres of the coarse cells are at 16 and 48 px, of the fine ones at 4, 12, ..., 36 px
    expected = [left + max(0, x - 16) / 32 * (right - left) + 1.5 for x in (4, 12, 20, 28, 36)]
    assert found.shape == (1, 1, 3, 5)
    for row in found[0, 0]:
        assert row.tolist() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("backbone", PYRAMIDS)
@pytest.mark.parametrize(("rows", "cols"), [(64, 96), (40, 72)])
def test_mean_of_the_map_plus_bias_is_the_logit(backbone: str, rows: int, cols: int) -> None:
    model = _classifier(backbone).float()
    films = _films(rows, cols).float()
    with torch.no_grad():
        features = model.features(films)
        maps = model.cam(features)
        assert features.shape == (2, 96, rows // 8, cols // 8)
        assert maps.shape == (2, 3, rows // 8, cols // 8)
        expected = maps.mean(dim=(2, 3)) + model.classifier.bias
        torch.testing.assert_close(model(films), expected, rtol=1e-6, atol=1e-5)
        assert features.min() == 0.0 < features.max()
        assert not torch.allclose(model(films)[0], model(films)[1], atol=1e-3)


@pytest.mark.parametrize("strides", [(8, 16), (16, 32), (8, 32)])
@pytest.mark.parametrize("backbone", ["resnet_light", "efficientnet_lite0"])
@pytest.mark.parametrize("dilated", [True, False])
def test_other_strides_have_the_finest_grid(backbone: str, strides: tuple[int, ...], dilated: bool) -> None:
    model = _classifier(backbone, pyramid_strides=strides, dilated=dilated, pyramid_channels=7)
    pyramid = model.backbone.pyramid
    assert isinstance(pyramid, Pyramid)
    assert list(pyramid.convs) == [str(stride) for stride in strides]
    rows, cols = (side // strides[0] * strides[0] for side in (40, 72))
    features = model.features(_films(rows, cols))
    assert features.shape == (2, 7, rows // strides[0], cols // strides[0])


@pytest.mark.parametrize("pool", ["gap", "lse_learned", "noisy_or"])
def test_grad_cam_equals_its_gradient(pool: str) -> None:
    model = _classifier(pool=pool)
    passed = forward(model, _films(40, 72))
    expected = torch.einsum("blk,bkhw->blhw", summed_gradients(model, passed.features), passed.features)
    torch.testing.assert_close(gradient_weighted(model, passed), expected)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"scorecam", "smoothgrad", "integrated_gradients"}))
def test_every_method_explains_a_pyramid(method: str) -> None:
    model = _classifier(widths=(4, 4, 6, 8), pyramid_channels=5).requires_grad_(False)
    passed = forward(model, _films(32, 48))
    heat = METHODS[method].signed(model, passed)
    assert heat.shape == (2, 3, 4, 6)
    assert torch.isfinite(heat).all()
    assert heat.abs().sum() > 0


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_receptive_fields_are_centred_to_half_of_a_finest_cell(backbone: str, stride: int) -> None:
    model = _classifier(backbone, dilated=False)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            weigh_evenly(part)
        if isinstance(part, nn.MaxPool2d):  # the maximum of equal values is its first; an average shows the window
            part.forward = nn.AvgPool2d(part.kernel_size, part.stride, part.padding).forward  # type: ignore[method-assign]
        if hasattr(part, "has_shortcut"):
            part.has_shortcut = False
    for number, conv in model.backbone.pyramid.convs.items():  # type: ignore[union-attr, operator]
        conv.weight.data.mul_(1.0 if number == str(stride) else 0.0)
    films = torch.full((1, 1, 256, 256), 0.9, dtype=torch.float64, requires_grad=True)
    step = stride // 8
    first = 128 // 8
    model.features(films)[0, 0, first : first + step, first : first + step].sum().backward()  # one coarse cell, evenly
    assert films.grad is not None
    reach = films.grad[0, 0].abs()
    for axis in (0, 1):
        centre = (reach.sum(axis) * (torch.arange(256) + 0.5)).sum() / reach.sum()
        expected = OFF_PX[backbone.rstrip("0123456789").split("_")[0]][stride]
        assert centre.item() - (128 + stride / 2) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("backbone", ["resnet18", "efficientnet_lite0"])
def test_weights_without_a_pyramid_fill_the_backbone_and_own_ones_everything(backbone: str) -> None:
    model, own = _classifier(backbone), _classifier(backbone)
    plain = build_classifier(NetworkSpec(backbone, stride=32, normalise=model.spec.normalise), 3, seed=9)
    report = load_starting_weights(model, plain.state_dict())
    fresh = {name for name in model.state_dict() if name.startswith("backbone.pyramid.")}
    assert set(report.missing) == fresh
    assert len(fresh) == 6
    assert report.unused == ()
    assert report.wrong_shape == ("classifier.weight",)  # of other channels
    own_report = load_starting_weights(own, model.state_dict())
    assert own_report.missing == own_report.unused == own_report.wrong_shape == ()


def test_a_fresh_pyramid_leaves_the_running_statistics_alone() -> None:
    norms = [part for part in _classifier().modules() if isinstance(part, nn.BatchNorm2d)]
    assert all(int(norm.num_batches_tracked) == 0 for norm in norms)
    assert all(norm.running_mean is not None and not norm.running_mean.any() for norm in norms)


def test_a_stride_beyond_the_backbones_own_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has stride 16; the requested stride is 32; leave it out of model.pyramid"):
        _classifier(stem_pool=False)


def test_both_branches_of_a_fused_network_have_a_pyramid() -> None:
    spec = NetworkSpec(stride=8, head="pyramid", pyramid_channels=4, widths=(2, 2, 2, 2), fusion="sdfn")
    model = build_member(spec, 2, seed=1).eval()
    with torch.no_grad():
        features = model.features(_films(40, 64).float())
        expected = model.cam(features).mean(dim=(2, 3)) + model.classifier.bias
        torch.testing.assert_close(model.head(features), expected, rtol=0, atol=1e-5)
    assert features.shape == (2, 8, 5, 8)
