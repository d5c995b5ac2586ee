"""Files of weights and of the state of an unfinished fit; none of them can run code."""

import io
import struct
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from camray.domain.errors import CheckpointError

# raised by the two libraries for damaged or hostile files
_DAMAGED = (
    SafetensorError,
    UnpicklingError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
)


def weights_bytes(weights: Mapping[str, Tensor]) -> bytes:
    """Pack weights as safetensors; equal weights give equal bytes."""
    return safetensors.torch.save({name: value.detach().cpu().contiguous() for name, value in weights.items()})


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a file of weights, written by camray or by others.

    Parameters
    ----------
    path : Path
        ``*.safetensors``, or a file of `torch.save`: a state dict, or a mapping with one under ``state_dict`` or
        ``model``. No code in the file is executed.

    Returns
    -------
    dict of str to Tensor
        On the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged, or contains no state dict.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise CheckpointError(
            f"{path}: not readable as weights ({type(error).__name__}); expected safetensors, or a state dict of "
            "tensors saved by torch.save; a file of whole Python objects is refused, save its state_dict() instead"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    items = content.items() if isinstance(content, dict) else ()
    tensors = {str(name): value for name, value in items if isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path}: contains a {type(content).__name__} without tensors; expected a state dict")
    return tensors


def state_bytes(state: Mapping[str, Any]) -> bytes:
    """Pack the state of an unfinished fit: tensors, numbers, lists and mappings."""
    stream = io.BytesIO()
    torch.save(dict(state), stream)
    return stream.getvalue()


def read_state(path: Path) -> dict[str, Any] | None:
    """Read the state of an unfinished fit, or None if there is none.

    Raises
    ------
    CheckpointError
        If the file is damaged. (It is written atomically, so an interrupted write cannot be the cause.)
    """
    if not path.is_file():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGED as error:
        raise CheckpointError(
            f"{path}: damaged ({type(error).__name__}); delete the folder to train from the start"
        ) from error
    if not isinstance(content, dict):
        raise CheckpointError(
            f"{path}: contains a {type(content).__name__}; expected the state of a fit; delete the folder"
        )
    return content
