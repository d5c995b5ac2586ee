"""Order, reading and the thread that reads ahead."""

import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from camray.core.training.batches import batches, epoch_order, grey_tensor, read_ahead


def test_epochs_of_a_part_of_the_films_share_them_out() -> None:
    orders = [epoch_order(100, 5, 1, epoch, most=20) for epoch in range(10)]
    assert {order.shape for order in orders} == {(4, 5)}
    assert set(np.concatenate(orders[:5]).ravel()) == set(np.concatenate(orders[5:]).ravel()) == set(range(100))
    assert not np.array_equal(orders[0], orders[5])
    assert epoch_order(100, 8, 1, 0, most=5).shape == (1, 5)
    assert np.array_equal(epoch_order(10, 4, 1, 3, most=50), epoch_order(10, 4, 1, 3))


def test_an_epoch_visits_every_film_once_but_for_an_incomplete_batch() -> None:
    order = epoch_order(10, 4, seed=1, epoch=0)
    assert order.shape == (2, 4)
    assert len(set(order.ravel())) == 8
    assert set(epoch_order(12, 4, 1, 0).ravel()) == set(range(12))


def test_few_films_make_one_batch() -> None:
    assert sorted(epoch_order(3, 8, seed=1, epoch=0)[0]) == [0, 1, 2]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    assert np.array_equal(epoch_order(50, 5, 1, 2), epoch_order(50, 5, 1, 2))
    assert not np.array_equal(epoch_order(50, 5, 1, 2), epoch_order(50, 5, 1, 3))
    assert not np.array_equal(epoch_order(50, 5, 1, 2), epoch_order(50, 5, 2, 2))


def test_shares_of_two_processes_make_the_whole_batch() -> None:
    order = epoch_order(16, 4, 1, 0)
    assert sorted([*order[0, 0::2], *order[0, 1::2]]) == sorted(order[0])


@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_grey_runs_from_black_to_white(dtype: type, white: int) -> None:
    found = grey_tensor(torch.from_numpy(np.array([[[0, white]]], dtype)), torch.device("cpu"))
    assert found.shape == (1, 1, 1, 2)
    assert found.dtype == torch.float32
    assert found.flatten().tolist() == [0.0, 1.0]


def test_batches_hold_pixels_and_targets_of_the_same_films() -> None:
    pixels = np.arange(6, dtype=np.uint8)[:, None, None]
    targets = np.arange(6, dtype=np.float32)[:, None]
    found = list(batches([np.array([4, 1]), np.array([5, 0])], lambda positions: pixels[positions], targets, False))
    assert [batch.pixels.flatten().tolist() for batch in found] == [[4, 1], [5, 0]]
    assert [batch.targets.flatten().tolist() for batch in found] == [[4, 1], [5, 0]]
    assert [batch.weights for batch in found] == [None, None]
    (batch,) = batches([np.array([4, 1])], lambda positions: pixels[positions], targets, False, targets / 2)
    assert batch.weights is not None
    assert batch.weights.flatten().tolist() == [2, 0.5]


def test_reading_ahead_keeps_the_order() -> None:
    assert list(read_ahead(range(100), 3)) == list(range(100))
    assert list(read_ahead([], 1)) == []


def test_an_error_of_the_thread_reaches_the_consumer() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("disk gone")

    found = read_ahead(broken(), 2)
    assert next(found) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(found)


def test_a_consumer_that_leaves_ends_the_thread() -> None:
    before = threading.active_count()
    found = read_ahead(iter(range(10**9)), 2)
    assert next(found) == 0
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
