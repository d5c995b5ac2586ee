"""Published checkpoints for colour images, with their own channels, sampling and normalisation.

No convention for films is applied: three channels with ImageNet's mean and standard deviation, the published stride and
sampling (``aligned=False``), and a checkpoint that fits to the last tensor or is refused.
"""

from collections.abc import Mapping
from typing import Final

from torch import Tensor

from camray.core.networks.classifier import PooledClassifier, build_classifier
from camray.core.networks.normalise import ImageNetNormalise
from camray.core.networks.weights import WeightsReport, load_starting_weights
from camray.domain.contract import BACKBONES, PACKAGED, TOKEN_STRIDES, NetworkSpec
from camray.domain.errors import CheckpointError, SettingsError
from camray.domain.suggestions import did_you_mean

PUBLISHED: Final = tuple(name for name in BACKBONES if name not in {"resnet_light", *TOKEN_STRIDES})
_OWN_STRIDE: Final = dict.fromkeys(
    ("resnet18", "resnet50", "densenet121", "efficientnet_b0", "googlenet", "nin", *PACKAGED), 32
)
_CUT_STRIDE: Final = 16
_HEADS: Final = ("fc", "classifier.6", "classifier.0", "classifier", "_fc", "class_layers.out")
_TRAINING_ONLY: Final = ("aux1.", "aux2.", "op_threshs")


def published_spec(backbone: str) -> NetworkSpec:
    """Describe a backbone as published: average pool, its own stride, the published sampling.

    Parameters
    ----------
    backbone : str
        One of `PUBLISHED`.

    Returns
    -------
    NetworkSpec
        Not aligned.

    Raises
    ------
    SettingsError
        If no checkpoint of that backbone is published; the message lists those that are.
    """
    if backbone not in PUBLISHED:
        near = did_you_mean(backbone, PUBLISHED, "expected one of")
        raise SettingsError(f"no published backbone '{backbone}'; {near}")
    return NetworkSpec(backbone=backbone, stride=_OWN_STRIDE.get(backbone, _CUT_STRIDE), aligned=False)


def published_classifier(backbone: str, given: Mapping[str, Tensor]) -> tuple[PooledClassifier, WeightsReport]:
    """Build a network for colour images and load a checkpoint into it.

    Parameters
    ----------
    backbone : str
        One of `PUBLISHED`.
    given : mapping of str to Tensor
        State dict with torchvision's names, or any others that `load_starting_weights` knows, of three channels.

    Returns
    -------
    PooledClassifier
        In evaluation mode, without gradients on its weights; reads RGB 0-1, [B, 3, H, W].
    WeightsReport
        Use of every tensor.

    Raises
    ------
    SettingsError
        If there is no such backbone.
    CheckpointError
        If a tensor is missing, of the wrong shape, or has no place (but for auxiliary classifiers of the training).

    Notes
    -----
    GoogLeNet's and EfficientNet-Lite's published weights come from another framework, where mean and standard deviation
    are 0.5; torchvision turns ImageNet's normalisation into that (``transform_input``).
    """
    spec = published_spec(backbone)
    half = (0.5, 0.5, 0.5)
    is_half = backbone.startswith(("googlenet", *PACKAGED))
    normalise = ImageNetNormalise(half, half) if is_half else ImageNetNormalise()
    network = build_classifier(spec, _classes(given, backbone), seed=0, normalise=normalise)
    report = load_starting_weights(network, given, head=True)
    faults = {
        "missing": [name for name in report.missing if not name.endswith("num_batches_tracked")],
        "of another shape": list(report.wrong_shape),
        "without a place": [name for name in report.unused if not _is_for_training(name)],
    }
    if any(faults.values()):
        summary = "; ".join(f"{len(names)} {what} ({names[0]}, ...)" for what, names in faults.items() if names)
        raise CheckpointError(
            f"the weights are not those of a {backbone} for colour images: {summary}; set the right --backbone, or use "
            "a state dict with torchvision's names"
        )
    return network.eval().requires_grad_(False), report


def _classes(given: Mapping[str, Tensor], backbone: str) -> int:
    """Read the number of classes off the last layer, whatever prefix its name has."""
    for head in _HEADS:
        for name, tensor in given.items():
            if (name == f"{head}.bias" or name.endswith(f".{head}.bias")) and not _is_for_training(name):
                return int(tensor.numel())
    raise CheckpointError(f"the weights have no classifying layer; a {backbone} needs one of {', '.join(_HEADS)}")


def _is_for_training(name: str) -> bool:
    return any(part in name for part in _TRAINING_ONLY)
