"""The masked loss, worked by hand."""

import math

import numpy as np
import pytest
import torch

from camray.core.training.losses import masked_bce_sums, positive_weights

NAN = float("nan")
ONES = torch.ones(2)


def _loss(logits: list[list[float]], targets: list[list[float]], smoothing: float = 0.0, **weights: torch.Tensor):
    arguments = {"positive_weight": ONES, "label_weight": ONES} | weights
    return masked_bce_sums(torch.tensor(logits), torch.tensor(targets), smoothing=smoothing, **arguments)


def test_unknown_entries_count_neither_above_nor_below() -> None:
    entropy, known = _loss([[0.0, 9.0], [0.0, math.log(3)]], [[1.0, NAN], [NAN, 0.0]])
    # -log 1/2 and -log(1 - 3/4)
    assert entropy.item() == pytest.approx(math.log(2) + math.log(4))
    assert known.item() == 2


def test_unknown_entries_get_no_gradient() -> None:
    logits = torch.tensor([[0.3, -2.0]], requires_grad=True)
    entropy, known = masked_bce_sums(logits, torch.tensor([[1.0, NAN]]), ONES, ONES, 0.0)
    (entropy / known).backward()
    assert logits.grad is not None
    assert logits.grad[0, 1] == 0
    assert logits.grad[0, 0].item() == pytest.approx(torch.sigmoid(torch.tensor(0.3)).item() - 1)


def test_weights_and_smoothing_by_hand() -> None:
    entropy, known = _loss([[0.0, 0.0]], [[1.0, 0.0]], positive_weight=torch.tensor([3.0, 3.0]))
    assert entropy.item() == pytest.approx(3 * math.log(2) + math.log(2))
    entropy, known = _loss([[0.0, 0.0]], [[1.0, 0.0]], label_weight=torch.tensor([1.0, 0.5]))
    assert (entropy.item(), known.item()) == pytest.approx((1.5 * math.log(2), 1.5))
    entropy, known = _loss(
        [[0.0], [0.0]], [[1.0], [1.0]], positive_weight=ONES[:1], label_weight=torch.tensor([[2.0], [0.0]])
    )
    assert (entropy.item(), known.item()) == pytest.approx((2 * math.log(2), 2))
    # target 0.9 at probability 3/4
    entropy, known = _loss([[math.log(3), 5.0]], [[1.0, NAN]], smoothing=0.2)
    assert entropy.item() == pytest.approx(-0.9 * math.log(3 / 4) - 0.1 * math.log(1 / 4))


def test_nothing_known_is_zero() -> None:
    entropy, known = _loss([[1.0, 2.0]], [[NAN, NAN]])
    assert (entropy.item(), known.item()) == (0, 0)


def test_positive_weights_by_hand() -> None:
    # 1 of 4; all positive; 3 of 4; only unknown
    targets = np.array([[1, 1, 1, NAN], [0, 1, 1, NAN], [0, 1, 1, NAN], [0, NAN, 0, NAN]], np.float32)
    assert positive_weights(targets, 10.0).tolist() == pytest.approx([3.0, 1.0, 1 / 3, 1.0])
    assert positive_weights(targets, 2.0).tolist() == pytest.approx([2.0, 1.0, 0.5, 1.0])
    counted = np.array([[1, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [0.5, 1, 2, 1]], np.float32)
    assert positive_weights(targets, 10.0, counted).tolist() == pytest.approx([2.5, 1.0, 2 / 3, 1.0])
