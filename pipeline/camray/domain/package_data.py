"""Paths of the files that camray ships: at the top of a checkout, or inside the package of a wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped(folder: str) -> Path:
    """Return the folder ``configs`` or ``data_manifests`` of this installation."""
    inside = _PACKAGE / f"_{folder}"
    return inside if inside.is_dir() else _PACKAGE.parents[1] / folder


def experiment_file(given: Path) -> Path:
    """Return the file of an experiment: `given` where it is there, else the one that ships with camray under this name.

    ``rsna`` and ``configs/rsna.yaml`` name the same experiment in a folder that has neither. A path that is not there
    and names none is returned as it is.
    """
    is_name = given.parts in ((given.stem,), ("configs", f"{given.stem}.yaml"))
    file = shipped("configs") / f"{given.stem}.yaml"
    return file if is_name and not given.exists() and file.is_file() else given


def lung_weights() -> Path:
    """Return the file of the lung segmenter that ships with camray, made by ``camray lungs train``."""
    return _PACKAGE / "weights" / "lungs.safetensors"
