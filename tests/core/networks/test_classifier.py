"""The seam between features, head and maps."""

import pytest
import torch

from camray.core.networks.classifier import build_classifier
from camray.core.networks.normalise import Normalise
from camray.domain.contract import BACKBONES, FULLY_CONNECTED, NORMALISATIONS, POOLS, TOKEN_STRIDES, NetworkSpec

POOLED = [name for name in BACKBONES if name not in {*FULLY_CONNECTED, *TOKEN_STRIDES}]


def _films(rows: int = 64, cols: int = 32, count: int = 2) -> torch.Tensor:
    return torch.rand(count, 1, rows, cols, dtype=torch.float64, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize("pool", POOLS)
def test_head_of_features_is_forward_and_batch_equals_one_by_one(pool: str) -> None:
    model = build_classifier(NetworkSpec(pool=pool), 3, seed=1).double().eval()
    films = _films()
    with torch.no_grad():
        whole = model(films)
        assert torch.equal(model.head(model.features(films)), whole)
        single = torch.cat([model(film[None]) for film in films])
    assert torch.allclose(whole, single, atol=1e-12)


@pytest.mark.parametrize("backbone", POOLED)
def test_mean_of_the_map_plus_bias_is_the_logit_of_an_average_pool(backbone: str) -> None:
    model = build_classifier(NetworkSpec(backbone=backbone, pool="gap"), 3, seed=1).double().eval()
    torch.nn.init.normal_(model.classifier.bias)
    with torch.no_grad():
        features = model.features(_films())
        expected = model.cam(features).mean(dim=(2, 3)) + model.classifier.bias
        assert torch.allclose(model.head(features), expected, atol=1e-12)


@pytest.mark.parametrize("backbone", POOLED)
def test_the_seam_holds_the_activated_map_and_nothing_changes_it_later(backbone: str) -> None:
    model = build_classifier(NetworkSpec(backbone=backbone), 3, seed=1).double().eval()
    features = model.features(_films())
    before = features.detach().clone()
    model.head(features).sum().backward()
    model.cam(features)
    assert torch.equal(features, before)
    assert features.min() >= (-0.279 if backbone == "efficientnet_b0" else 0.0)
    assert features.max() > 0


def test_maximum_of_the_map_bounds_the_map_pools() -> None:
    for pool in ("pcam", "lse_map"):
        model = build_classifier(NetworkSpec(pool=pool), 3, seed=1).double().eval()
        with torch.no_grad():
            features = model.features(_films())
            flat = (model.cam(features) + model.classifier.bias[None, :, None, None]).flatten(2)
            logits = model.head(features)
        assert (flat.mean(2) <= logits + 1e-12).all()
        assert (logits <= flat.amax(2) + 1e-12).all()


def test_noisy_or_begins_with_rare_positives_on_fresh_weights() -> None:
    model = build_classifier(NetworkSpec(pool="noisy_or", stride=8), 2, seed=1).eval()
    with torch.no_grad():
        model.classifier.weight.zero_()
        logits = model(_films(160, 160).float())  # 400 cells
    assert torch.allclose(logits, torch.zeros(2, 2), atol=1e-4)


def test_the_learned_sharpness_is_the_labels_own() -> None:
    model = build_classifier(NetworkSpec(pool="lse_learned", lse_r=1e-4), 2, seed=1).double().eval()
    assert model.sharpness is not None
    with torch.no_grad():
        model.sharpness.raw[1] = 1e5
        features = model.features(_films())
        maps, logits = model.cam(features), model.head(features)
    assert torch.allclose(logits[:, 0], maps[:, 0].mean(dim=(1, 2)), atol=1e-5)
    assert torch.allclose(logits[:, 1], maps[:, 1].amax(dim=(1, 2)), atol=1e-4)


def test_same_seed_same_weights_and_the_global_generator_stays() -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    first, second, other = (build_classifier(NetworkSpec(), 2, seed=s).state_dict() for s in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize("shape", [(1, 1, 40, 32), (1, 1, 32, 24), (1, 3, 32, 32), (1, 32, 32)])
def test_input_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    model = build_classifier(NetworkSpec(), 2, seed=1)
    with pytest.raises(ValueError, match="multiples of 16"):
        model.features(torch.zeros(shape))


def test_dropped_channels_are_dropped_whole_and_only_in_training() -> None:
    model = build_classifier(NetworkSpec(dropout=0.5, normalise="film"), 2, seed=1)
    torch.manual_seed(0)
    empty = (model.train().features(_films().float()) == 0).all(dim=(2, 3)).float().mean()
    kept = (model.eval().features(_films().float()) == 0).all(dim=(2, 3)).float().mean()
    assert empty > kept + 0.2


@pytest.mark.parametrize("kind", ["film", "local", "film_local"])
def test_normalisation_forgets_brightness_and_nearly_forgets_contrast(kind: str) -> None:
    films = _films(32, 48)
    normalise = Normalise(kind)
    assert torch.allclose(normalise(films), normalise(films + 0.3), atol=1e-9)
    assert normalise(films).shape[1] == normalise.channels


def test_normalisation_by_hand() -> None:
    films = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(4, 1)[None, None].double()
    assert Normalise("fixed")(films)[0, 0, 0].tolist() == [-2.0, 2.0, 2.0, -2.0]
    expected = 0.5 / 0.55  # mean 1/2, standard deviation 1/2
    assert Normalise("film")(films)[0, 0, 0].tolist() == pytest.approx([-expected, expected, expected, -expected])


@pytest.mark.parametrize("kind", NORMALISATIONS)
def test_a_blank_film_stays_finite_and_so_does_its_gradient(kind: str) -> None:
    films = torch.full((1, 1, 32, 48), 0.5, requires_grad=True)
    found = Normalise(kind)(films)
    found.sum().backward()
    assert films.grad is not None
    assert torch.isfinite(found).all()
    assert torch.isfinite(films.grad).all()
