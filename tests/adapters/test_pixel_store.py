"""Shards appear whole or not at all, and are plain NumPy files."""

from pathlib import Path

import numpy as np
import pytest

from camray.adapters.pixel_store import OPEN_SHARDS, PixelStore, ShardWriter, open_shard, shard_path, write_shard
from camray.domain.errors import PipelineError


def test_a_shard_is_what_numpy_would_write(tmp_path: Path) -> None:
    rows = np.arange(24, dtype=np.uint16).reshape(4, 2, 3)
    assert write_shard(tmp_path / "a.npy", iter(rows), (2, 3), np.uint16) == 4
    np.save(tmp_path / "b.npy", rows)
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_broken_shard_never_appears(tmp_path: Path) -> None:
    with pytest.raises(KeyError), ShardWriter(tmp_path / "a.npy", (2,), np.uint8) as writer:  # noqa: PT012
        writer.append(np.zeros(2, np.uint8))
        raise KeyError("stopped")
    assert list(tmp_path.iterdir()) == []


def test_rows_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    with ShardWriter(tmp_path / "a.npy", (2,), np.uint8) as writer:
        with pytest.raises(ValueError, match="expected"):
            writer.append(np.zeros(3, np.uint8))
        with pytest.raises(ValueError, match="expected"):
            writer.append(np.zeros(2, np.int16))
    assert open_shard(tmp_path / "a.npy").shape == (0, 2)


def test_a_cut_shard_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_shard(path, iter(np.zeros((4, 8), np.uint8)), (8,), np.uint8)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PipelineError, match=r"a\.npy"):
        open_shard(path)
    with pytest.raises(PipelineError, match=r"b\.npy"):
        open_shard(tmp_path / "b.npy")


def test_rows_come_in_the_order_asked_for_from_many_shards(tmp_path: Path) -> None:
    for shard in range(OPEN_SHARDS + 2):
        rows = np.array([[10 * shard], [10 * shard + 1]], np.int32)
        write_shard(shard_path(tmp_path, shard, "x"), iter(rows), (1,), np.int32)
    store = PixelStore(tmp_path, "x")
    wanted = [(OPEN_SHARDS + 1, 1), (0, 0), (1, 1), (0, 1)]
    found = store.rows([shard for shard, _ in wanted], [index for _, index in wanted])
    assert found.ravel().tolist() == [10 * shard + index for shard, index in wanted]
    assert [int(store.shard(shard)[0, 0]) for shard in range(OPEN_SHARDS + 2)] == [
        10 * s for s in range(OPEN_SHARDS + 2)
    ]
