"""Paths of the files that camray ships: at the top of a checkout, or inside the package of a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(folder: str) -> Path:
    """Return the folder ``configs`` or ``data_manifests`` of this installation."""
    inside = _PACKAGE / f"_{folder}"
    return inside if inside.is_dir() else _PACKAGE.parents[1] / folder


def lung_weights() -> Path:
    """Return the file of the lung segmenter that ships with camray, made by ``camray lungs train``."""
    return _PACKAGE / "weights" / "lungs.safetensors"
