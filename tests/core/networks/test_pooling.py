"""Pools, worked by hand."""

import math

import pytest
import torch

from camray.core.networks.pooling import film_logits, gap, gmp, label_maps, lse, pcam

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
    ],
)
def test_film_logits_by_hand(pool: str, expected: float) -> None:
    assert film_logits(FEATURES, WEIGHT, BIAS, pool, math.log(2)).item() == pytest.approx(expected, abs=1e-12)


def test_label_maps_weigh_the_channels_without_bias() -> None:
    assert label_maps(FEATURES, WEIGHT).tolist() == [[[[-3.0, -1.0], [1.0, 7.0]]]]


def test_an_unknown_pool_is_refused_with_the_legal_names() -> None:
    with pytest.raises(ValueError, match="expected gap, gmp, lse, pcam or lse_map"):
        film_logits(FEATURES, WEIGHT, BIAS, "mean", 1.0)


def test_one_position_makes_all_pools_equal() -> None:
    point = FEATURES[:, :, 1:, 1:]
    found = [film_logits(point, WEIGHT, BIAS, pool, 3.0).item() for pool in ("gap", "gmp", "lse", "pcam", "lse_map")]
    assert found == pytest.approx([7.5] * 5, abs=1e-12)
