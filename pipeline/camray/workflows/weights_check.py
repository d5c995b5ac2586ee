"""Check of a local weights file: which backbones it fits, as training would load it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from camray.adapters.checkpoints import read_weights
from camray.adapters.progress import progress
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.settings.network import ModelSettings
from camray.core.networks.sdfn import build_member, load_member_weights
from camray.domain.contract import BACKBONES, NetworkSpec
from camray.domain.errors import CheckpointError, SettingsError
from camray.domain.suggestions import did_you_mean


@dataclass(frozen=True)
class BackboneFit:
    """One backbone, and what it would take from the file.

    Parameters
    ----------
    backbone : str
        With its default settings.
    misfit : str
        Why training would refuse the file; empty if it fits.
    matched, missing, wrong_shape, left_over : int
        Numbers of tensors: ours with and without a value, ours whose value has another shape, and the file's without a
        place. Heads are counted too.
    """

    backbone: str
    misfit: str
    matched: int
    missing: int
    wrong_shape: int
    left_over: int


@dataclass(frozen=True)
class WeightsCheck:
    """Content of a weights file, and the backbones that it fits.

    Parameters
    ----------
    path : Path
        The file.
    sha256 : str
        Digest of the file.
    tensors, parameters : int
        How many there are.
    first_layer : tuple of int
        Shape of the first convolution; empty without one.
    fits : tuple of BackboneFit
        The fewest left over first.
    """

    path: Path
    sha256: str
    tensors: int
    parameters: int
    first_layer: tuple[int, ...]
    fits: tuple[BackboneFit, ...]

    def settings_line(self, backbone: str) -> str:
        """Return the overrides that start a training from the file."""
        return f"model.backbone={backbone} model.weights={self.path}"

    def as_json(self) -> dict[str, Any]:
        """Return a mapping for JSON."""
        fits = [{**asdict(fit), "settings": self.settings_line(fit.backbone)} for fit in self.fits]
        return {**asdict(self), "path": str(self.path), "fits": fits}


def check_weights(path: Path, backbone: str | None = None) -> WeightsCheck:
    """Compare a file with the backbones, by the functions that training loads it with.

    Parameters
    ----------
    path : Path
        Safetensors or a state dict; no code in it is executed.
    backbone : str, optional
        Compare with this one only.

    Returns
    -------
    WeightsCheck
        With one fit at least.

    Raises
    ------
    SettingsError
        If there is no such backbone.
    CheckpointError
        If the file cannot be read, or fits nothing; the message names the closest backbone and what is missing.
    """
    if backbone is not None and backbone not in BACKBONES:
        raise SettingsError(f"no backbone '{backbone}'; {did_you_mean(backbone, BACKBONES, 'expected one of')}")
    given = read_weights(path)
    names = [backbone] if backbone else list(BACKBONES)
    compared = [_compared(name, given) for name in progress(names, len(names), "backbones")]
    fits = sorted((fit for fit in compared if not fit.misfit), key=lambda fit: fit.left_over)
    if not fits:
        raise CheckpointError(_nothing_fits(path, given, compared))
    first = next((tuple(value.shape) for value in given.values() if value.ndim == 4), ())
    parameters = sum(value.numel() for value in given.values())
    return WeightsCheck(path, file_digest(path), len(given), parameters, first, tuple(fits))


def _compared(backbone: str, given: dict[str, Tensor]) -> BackboneFit:
    settings = ModelSettings.model_validate({"backbone": backbone})
    spec = NetworkSpec(**{name: getattr(settings, name) for name in NetworkSpec.__dataclass_fields__})
    with torch.device("meta"):  # names and shapes without memory for values
        report = load_member_weights(build_member(spec, 1, seed=0), given)
    counts = (report.matched, report.missing, report.wrong_shape, report.unused)
    return BackboneFit(backbone, report.misfit(spec), *map(len, counts))


def _nothing_fits(path: Path, given: dict[str, Tensor], compared: list[BackboneFit]) -> str:
    closest = max(compared, key=lambda fit: (fit.matched - fit.left_over - fit.wrong_shape, fit.matched))
    names = ", ".join(list(given)[:3])
    what = "does not fit" if len(compared) == 1 else "fits no backbone; closest is"
    return (
        f"{path}: {what} {closest.backbone}: {closest.misfit}; its {len(given)} tensors begin with {names}; "
        "expected the names and shapes in docs/networks.md, section 'Weights from elsewhere'; `camray weights list` "
        "names published files that fit"
    )
