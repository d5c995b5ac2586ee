"""Initial weights of a classifier from a state dict with other names.

One mapping of names, documented rule by rule in `_our_name`; tensors that do not fit are reported.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from camray.core.networks.classifier import PooledClassifier
from camray.core.networks.token_names import with_our_names
from camray.domain.contract import PACKAGED, NetworkSpec

_OLD_DENSE = re.compile(r"(denselayer\d+)\.(?:layers\.)?(norm|conv)\.?([12])\.")
_FLAT_BLOCK = re.compile(r"_blocks\.(\d+)\.(?=_)")
_THEIR_HEAD = re.compile(r"^(?:backbone\.(?:fc|_fc|class_layers\.out)|classifier\.0)\.(?=weight$|bias$)")
_PREFIXES = ("module.", "model.", "densenet121.", "backbone.")
_OURS = "backbone."
# layers that camray adds, scales that begin at 1 and counters: a published file need not have them
_MAY_BE_NEW = re.compile(r"\.(?:cam_conv|pyramid|ls[12])\.|\.num_batches_tracked$")
_NO_WEIGHTS = re.compile(r"(?:^|\.)(?:rope\.|num_batches_tracked$)")  # tables and counters inside published layers


@dataclass(frozen=True)
class WeightsReport:
    """Use of every tensor of a weights file.

    Parameters
    ----------
    matched : tuple of str
        Our names that took the file's values.
    summed_channels : tuple of str
        Those of `matched` whose three input channels were added up to one.
    missing : tuple of str
        Our names without a tensor in the file; they keep their initial values.
    unused : tuple of str
        The file's names without a counterpart of ours.
    wrong_shape : tuple of str
        Our names whose tensor in the file has another shape; they keep their initial values.
    shapes : tuple of str
        For each of `wrong_shape`, the file's shape and ours.
    without_layer : tuple of str
        Those of `unused` that belong inside a part of our backbone: to layers that it does not have.
    """

    matched: tuple[str, ...]
    summed_channels: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]
    wrong_shape: tuple[str, ...]
    shapes: tuple[str, ...] = ()
    without_layer: tuple[str, ...] = ()

    def misfit(self, spec: NetworkSpec) -> str:
        """Say why the file does not have the weights of a network.

        Parameters
        ----------
        spec : NetworkSpec
            Of the network. If it ends before the published one does, the file's last layers need no place.

        Returns
        -------
        str
            Counts and first names; empty if the file fills the backbone. Heads, layers that camray adds, counters, and
            scales that begin at 1 may be missing.
        """
        missing = [name for name in self.missing if name.startswith(_OURS) and not _MAY_BE_NEW.search(name)]
        of_another = [text for text in map(": ".join, zip(self.wrong_shape, self.shapes, strict=True)) if _OURS in text]
        is_cut = spec.backbone in PACKAGED and not spec.dilated
        faults = {
            "missing": missing,
            "of another shape": of_another,
            "of layers that it does not have": [] if is_cut else self.without_layer,
        }
        if not self.matched:
            return f"none of its {len(self.unused)} tensors fits"
        return "; ".join(f"{len(names)} {what} ({_first(names)})" for what, names in faults.items() if names)

    def as_json(self) -> dict[str, Any]:
        """Return a mapping for JSON.

        Returns
        -------
        dict
            The names, and their ``counts``.
        """
        plain = asdict(self)
        return {"counts": {name: len(names) for name, names in plain.items()}, **plain}


def load_starting_weights(model: PooledClassifier, given: Mapping[str, Tensor], head: bool = False) -> WeightsReport:
    """Copy all tensors that fit from a state dict into the classifier, in place.

    Parameters
    ----------
    model : PooledClassifier
        Changed in place.
    given : mapping of str to Tensor
        Our own names, MONAI's, torchvision's (ResNet, DenseNet, AlexNet, VGG16, GoogLeNet), TorchXRayVision's
        DenseNet, CheXNet's (``module.densenet121.features...``), EfficientNet-PyTorch's, or of a vision transformer
        (`camray.core.networks.token_names`).
    head : bool
        Also copy the classifying layer from other libraries' names, where its shape fits. Only where the file's labels
        are the model's, in the same order.

    Returns
    -------
    WeightsReport
        Names sorted.

    Notes
    -----
    A first convolution over three channels is added up to one: the response to a grey picture repeated in three
    channels of equal normalisation. The classifying layer is copied where it has our name (``classifier``) and its
    shape fits; `head` adds ``fc`` (torchvision's ResNet and GoogLeNet), ``classifier.0`` (CheXNet), ``_fc``
    (EfficientNet-PyTorch) and ``class_layers.out`` (MONAI). Fully connected layers (``classifier.1`` ... of AlexNet and
    VGG16) fit the whole networks, and not the GAP forms. Layers that the CAM paper removes and
    GoogLeNet's auxiliary classifiers are reported as unused; files older than PyTorch 0.4.1 lack
    ``num_batches_tracked``, which is reported as missing and harmless.
    """
    own = model.state_dict()
    if "backbone.pos_embed" in own:
        given = with_our_names(given, own["backbone.pos_embed"])
    blocks = _block_names(own)
    takes_head = head and "classifier.weight" in own
    matched: list[str] = []
    summed: list[str] = []
    wrong: dict[str, str] = {}
    unused: list[str] = []
    for theirs, tensor in given.items():
        name = _our_name(theirs, blocks)
        if takes_head:
            name = _THEIR_HEAD.sub("classifier.", name)
        if name not in own or name in matched:
            unused.append(theirs)
            continue
        fitted = _fit_channels(tensor, own[name])
        if fitted.shape != own[name].shape:
            wrong[name] = f"{tuple(tensor.shape)} in the file, expected {tuple(own[name].shape)}"
            continue
        if fitted.shape != tensor.shape:
            summed.append(name)
        own[name].copy_(fitted)  # state_dict shares its memory with the model
        matched.append(name)
    missing = set(own) - set(matched) - set(wrong)
    parts = {name.split(".")[1] for name in own if name.startswith(_OURS)}  # layer1, features, blocks, ...
    ours = {name: _our_name(name, blocks) for name in unused if not _NO_WEIGHTS.search(name)}
    strange = [theirs for theirs, name in ours.items() if name.startswith(_OURS) and name.split(".")[1] in parts]
    return WeightsReport(
        matched=tuple(sorted(matched)),
        summed_channels=tuple(sorted(summed)),
        missing=tuple(sorted(missing)),
        unused=tuple(sorted(unused)),
        wrong_shape=tuple(sorted(wrong)),
        shapes=tuple(wrong[name] for name in sorted(wrong)),
        without_layer=tuple(sorted(strange)),
    )


def _first(names: Iterable[str], most: int = 2) -> str:
    listed = list(names)
    return ", ".join(listed[:most]) + (", ..." if len(listed) > most else "")


def _our_name(theirs: str, blocks: Mapping[str, str]) -> str:
    name, before = theirs, ""
    while name != before:  # module.densenet121.features -> features
        before = name
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
    if name.startswith(("classifier.", "sharpness.")):  # CheXNet's is classifier.0, which has no counterpart
        return name
    name = _OLD_DENSE.sub(r"\1.layers.\2\3.", name)  # torchvision norm1, norm.1 -> MONAI layers.norm1
    name = _FLAT_BLOCK.sub(lambda match: blocks.get(match[1], match[0]), name)  # EfficientNet-PyTorch's flat numbering
    return f"backbone.{name}"


def _block_names(own: Mapping[str, Tensor]) -> dict[str, str]:
    matches = (re.search(r"_blocks\.\d+\.(\d+)\.", name) for name in own)
    return {match[1]: match[0] for match in matches if match is not None}


def _fit_channels(tensor: Tensor, ours: Tensor) -> Tensor:
    if tensor.ndim == 4 == ours.ndim and tensor.shape[1] == 3 and ours.shape[1] == 1 and ours.shape != tensor.shape:
        return tensor.sum(dim=1, keepdim=True)
    return tensor
