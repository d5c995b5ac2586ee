"""Weights on disk; nothing in a file is run."""

from pathlib import Path

import pytest
import torch

from camray.adapters.checkpoints import (
    read_state,
    read_weights,
    state_bytes,
    weights_bytes,
)
from camray.domain.errors import CheckpointError

WEIGHTS = {"b": torch.arange(6.0).reshape(1, 2, 3), "a": torch.tensor(3)}


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, bytes]]:
        return Path.write_bytes, (self.path, b"owned")  # type: ignore[return-value]


def test_weights_come_back_and_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(weights_bytes(WEIGHTS))
    found = read_weights(path)
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], value) for name, value in WEIGHTS.items())
    channels_last = {"c": torch.rand(2, 3, 4, 4).to(memory_format=torch.channels_last)}
    assert weights_bytes(channels_last) == weights_bytes({"c": channels_last["c"].contiguous()})
    assert weights_bytes(dict(reversed(WEIGHTS.items()))) == weights_bytes(WEIGHTS)


@pytest.mark.parametrize("nested", [None, "state_dict", "model"])
def test_a_state_dict_of_torch_is_read_nested_or_not(tmp_path: Path, nested: str | None) -> None:
    path = tmp_path / "w.pth"
    torch.save(WEIGHTS if nested is None else {nested: WEIGHTS, "epoch": 3}, path)
    assert torch.equal(read_weights(path)["b"], WEIGHTS["b"])


def test_a_file_that_would_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    path, owned = tmp_path / "w.pth", tmp_path / "owned"
    torch.save({"state_dict": Trap(owned)}, path)
    with pytest.raises(CheckpointError, match="save its state_dict"):
        read_weights(path)
    assert not owned.exists()


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 40, b"\x80\x02]q\x00."])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name):
        read_weights(tmp_path / name)


def test_cut_short_files_are_refused(tmp_path: Path) -> None:
    torch.save(WEIGHTS, tmp_path / "w.pth")
    (tmp_path / "w.safetensors").write_bytes(weights_bytes(WEIGHTS))
    for path in (tmp_path / "w.pth", tmp_path / "w.safetensors"):
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(CheckpointError):
            read_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no such weights file"):
        read_weights(tmp_path / "w.pth")


def test_states_come_back_and_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fit.pt"
    assert read_state(path) is None
    path.write_bytes(state_bytes({"model": WEIGHTS, "reports": [{"loss": float("nan"), "auroc": [0.5]}], "best": None}))
    found = read_state(path)
    assert found is not None
    assert torch.equal(found["model"]["b"], WEIGHTS["b"])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="delete the folder"):
        read_state(path)
