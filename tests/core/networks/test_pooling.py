"""Pools, worked by hand."""

import math

import pytest
import torch

from camray.core.networks.pooling import LabelSharpness, film_logits, gap, gmp, label_maps, lse, noisy_or, pcam
from camray.domain.contract import POOLS

FEATURES = torch.tensor([[[[0.0, 1.0], [2.0, 5.0]], [[3.0, 3.0], [3.0, 3.0]]]], dtype=torch.float64)  # [1, 2, 2, 2]
WEIGHT = torch.tensor([[2.0, -1.0]], dtype=torch.float64)
BIAS = torch.tensor([0.5], dtype=torch.float64)


def test_gap_is_the_mean_and_gmp_the_maximum_of_each_channel() -> None:
    assert gap(FEATURES).tolist() == [[2.0, 3.0]]
    assert gmp(FEATURES).tolist() == [[5.0, 3.0]]


def test_lse_by_hand() -> None:
    # r = ln 2: 2**v = 1, 2, 4, 32; mean 39/4; log2(39/4)
    found = lse(FEATURES[:, :1], math.log(2))
    assert found.item() == pytest.approx(math.log2(39 / 4), abs=1e-12)
    assert lse(FEATURES[:, 1:], 7.0).item() == pytest.approx(3.0, abs=1e-12)  # constant: its value, whatever r


def test_lse_lies_between_average_and_maximum_and_reaches_both() -> None:
    values = torch.randn(3, 4, 5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for sharpness in (0.1, 1.0, 10.0):
        found = lse(values, sharpness)
        assert (gap(values) <= found).all()
        assert (found <= gmp(values)).all()
    assert torch.allclose(lse(values, 1e-6), gap(values), atol=1e-5)
    assert torch.allclose(lse(values, 1e6), gmp(values), atol=1e-4)


def test_lse_does_not_overflow() -> None:
    assert lse(torch.full((1, 1, 2, 2), 1e4), 50.0).item() == pytest.approx(1e4)
    assert lse(torch.full((1, 1, 2, 2), -1e4), 50.0).item() == pytest.approx(-1e4)


def test_each_channel_has_its_own_sharpness() -> None:
    # r = ln 2 and ln 3 for 0 and 2: log2((1 + 4) / 2), log3((1 + 9) / 2)
    values = torch.tensor([0.0, 2.0], dtype=torch.float64).expand(3, 2, 1, 2)
    found = lse(values, torch.tensor([math.log(2), math.log(3)], dtype=torch.float64))
    assert found.shape == (3, 2)
    assert found[1].tolist() == pytest.approx([math.log2(2.5), math.log(5, 3)], abs=1e-12)


@pytest.mark.parametrize("initial", [0.01, 3.0, 50.0])
def test_learned_sharpness_starts_at_the_setting_and_stays_positive(initial: float) -> None:
    sharpness = LabelSharpness(2, initial)
    assert sharpness().tolist() == pytest.approx([initial] * 2, rel=1e-5)
    with torch.no_grad():
        sharpness.raw.copy_(torch.tensor([-20.0, 1.0]))
    assert sharpness().tolist() == pytest.approx([math.log1p(math.exp(-20)), math.log1p(math.e)], rel=1e-5)


def test_learned_sharpness_rises_where_the_film_logit_is_too_low() -> None:
    sharpness = LabelSharpness(2, 3.0)
    values = torch.tensor([0.0, 2.0]).expand(1, 2, 1, 2)
    (-lse(values, sharpness())[0, 0]).backward()  # a step down this slope raises the first label's logit
    assert sharpness.raw.grad is not None
    assert sharpness.raw.grad[0] < 0 == sharpness.raw.grad[1]
    assert not sharpness.eval()().requires_grad


def test_noisy_or_by_hand() -> None:
    # p = 1/2 and 3/4: 1 - 1/2 * 1/4 = 7/8, whose logit is ln 7
    logits = torch.tensor([[[[0.0, math.log(3)]]]], dtype=torch.float64)
    assert noisy_or(logits).item() == pytest.approx(math.log(7), abs=1e-12)


@pytest.mark.parametrize("level", [-1000.0, -50.0, -41.0, -39.0, -20.0, -7.0, -6.0, 0.0, 7.0, 50.0, 1000.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_noisy_or_of_equal_cells_equals_the_exact_value(level: float, dtype: torch.dtype) -> None:
    # six cells: S = 6 softplus(z); below -30 the logit is z + ln 6, above 30 it is 6 z
    tolerance = 1e-5 if dtype == torch.float32 else 1e-11
    logits = torch.full((1, 1, 2, 3), level, dtype=dtype, requires_grad=True)
    found = noisy_or(logits)
    found.sum().backward()
    if level < -30:
        expected, slope = level + math.log(6), 1 / 6
    elif level > 30:
        expected, slope = 6 * level, 1.0
    else:
        total = 6 * math.log1p(math.exp(level))
        expected, slope = math.log(math.expm1(total)), 1 / (1 + math.exp(-level)) / -math.expm1(-total)
    assert found.item() == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert logits.grad is not None
    assert logits.grad.flatten().tolist() == pytest.approx([slope] * 6, rel=10 * tolerance)


def test_one_certain_cell_makes_a_film_positive_whatever_the_others_say() -> None:
    logits = torch.full((1, 1, 4, 5), -50.0)
    logits[..., 3, 1] = 50.0
    assert noisy_or(logits).item() == pytest.approx(50.0)
    logits[..., 3, 1] = -3.0
    assert noisy_or(logits).item() == pytest.approx(-3.0, abs=1e-6)


def test_pcam_by_hand() -> None:
    # p = 1/2 and 3/4 for logits 0 and ln 3: weights 2/5 and 3/5
    logits = torch.tensor([[[[0.0, math.log(3)]]]], dtype=torch.float64)
    assert pcam(logits).item() == pytest.approx(0.6 * math.log(3), abs=1e-12)


def test_pcam_equals_the_papers_weighted_mean_of_features() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=generator)
    weight = torch.randn(2, 3, dtype=torch.float64, generator=generator)
    bias = torch.randn(2, dtype=torch.float64, generator=generator)
    probability = torch.sigmoid(torch.einsum("lk,bkhw->blhw", weight, features) + bias[None, :, None, None])
    attention = probability / probability.sum(dim=(2, 3), keepdim=True)
    pooled = torch.einsum("blhw,bkhw->blk", attention, features)  # a feature vector of its own for each label
    expected = torch.einsum("blk,lk->bl", pooled, weight) + bias
    assert torch.allclose(film_logits(features, weight, bias, "pcam", 1.0), expected, atol=1e-12)


def test_pcam_stays_finite_where_all_probabilities_vanish() -> None:
    logits = torch.full((1, 1, 2, 2), -500.0).requires_grad_()
    found = pcam(logits)
    found.sum().backward()
    assert found.item() == pytest.approx(-500.0)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("pool", "expected"),
    [
        ("gap", 2 * 2 - 3 + 0.5),
        ("gmp", 2 * 5 - 3 + 0.5),
        ("lse", 2 * math.log2(39 / 4) - 3 + 0.5),
        # the label's map is 2 f0 - f1 = -3, -1, 1, 7; 2**v = 1/8, 1/2, 2, 128
        ("lse_map", math.log2((1 / 8 + 1 / 2 + 2 + 128) / 4) + 0.5),
        ("lse_learned", math.log2((1 / 8 + 1 / 2 + 2 + 128) / 4) + 0.5),
        # expm1 of the sum of softplus is the product of 1 + exp(z), minus one
        ("noisy_or", math.log(math.prod(1 + math.exp(z + 0.5) for z in (-3, -1, 1, 7)) - 1)),
    ],
)
def test_film_logits_by_hand(pool: str, expected: float) -> None:
    assert film_logits(FEATURES, WEIGHT, BIAS, pool, math.log(2)).item() == pytest.approx(expected, abs=1e-12)


def test_label_maps_weigh_the_channels_without_bias() -> None:
    assert label_maps(FEATURES, WEIGHT).tolist() == [[[[-3.0, -1.0], [1.0, 7.0]]]]


def test_an_unknown_pool_is_refused_with_the_legal_names() -> None:
    with pytest.raises(ValueError, match="pcam, lse_map, lse_learned or noisy_or"):
        film_logits(FEATURES, WEIGHT, BIAS, "mean", 1.0)


def test_one_position_makes_all_pools_equal() -> None:
    point = FEATURES[:, :, 1:, 1:]
    found = [film_logits(point, WEIGHT, BIAS, pool, 3.0).item() for pool in POOLS]
    assert found == pytest.approx([7.5] * 7, abs=1e-11)
