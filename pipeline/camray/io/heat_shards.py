"""Shards of raw heat maps: float16 on disk, scaled by a power of two per method."""

import numpy as np
from numpy.typing import NDArray

from camray.adapters.pixel_store import write_shard
from camray.domain.errors import CheckpointError, SettingsError
from camray.io.artifacts import ExplainFiles

_LARGEST = float(np.finfo(np.float16).max)


def write_heat_shard(files: ExplainFiles, method: str, shard: int, heat: NDArray[np.float32], exponent: int) -> None:
    """Write one shard of a method's maps [n, L, h, w]; see `to_float16`."""
    stored = to_float16(heat, method, exponent)
    write_shard(files.heat_shard(method, shard), iter(stored), stored.shape[1:], np.float16)


def to_float16(heat: NDArray[np.float32], method: str, exponent: int) -> NDArray[np.float16]:
    """Round maps to what is stored: ``heat * 2**exponent`` as float16.

    Raises
    ------
    CheckpointError
        If a map is not finite.
    SettingsError
        If float16 cannot hold a value; the message names the exponent that would do.
    """
    if not np.isfinite(heat).all():
        raise CheckpointError(f"method '{method}' gives heat that is not finite; train again, or use other weights")
    largest = float(np.abs(heat).max(initial=0.0))
    if largest * 2.0**exponent > _LARGEST:
        fitting = int(np.floor(np.log2(_LARGEST / largest)))
        raise SettingsError(
            f"method '{method}': heat reaches {largest:.3g}, float16 ends at {_LARGEST:.0f}; "
            f"set explain.heat_exponents.{method}={fitting} or less"
        )
    return (heat * np.float32(2.0**exponent)).astype(np.float16)
