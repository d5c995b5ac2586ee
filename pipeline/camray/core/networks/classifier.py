"""The classifier split at the map that its pool reads: features, then head or class activation maps."""

from typing import cast

import torch
from torch import Tensor, nn

from camray.core.networks.alexnet import alexnet_layers
from camray.core.networks.backbones import build_backbone
from camray.core.networks.normalise import ImageNetNormalise, Normalise
from camray.core.networks.pooling import NOISY_OR_BIAS, LabelSharpness, film_logits, label_maps
from camray.core.networks.vgg import vgg16_layers
from camray.domain.contract import NetworkSpec
from camray.domain.errors import SettingsError

_HEAD_STD = 0.01


class PooledClassifier(nn.Module):
    """Backbone, pool and one linear layer: logits and all labels' maps from one forward pass.

    Parameters
    ----------
    spec : NetworkSpec
        Its shape and arithmetic.
    labels : int
        Number of logits.
    normalise : ImageNetNormalise, optional
        For colour images: replaces the spec's normalisation of grey films.

    Notes
    -----
    ``head(features(x)) == forward(x)``. With ``gap`` the mean of ``cam(features)`` plus the bias is the logit. Input is
    float [B, 1, H, W], grey 0-1; normalisation is part of `features`. H and W must be multiples of the stride; the
    feature grid (`NetworkSpec.cells`) covers the model grid exactly.
    """

    def __init__(self, spec: NetworkSpec, labels: int, normalise: ImageNetNormalise | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.normalise = normalise or Normalise(spec.normalise)
        self.backbone, self.branch_channels = build_backbone(spec, self.normalise.channels)
        self.channels = self.branch_channels
        self.dropout = nn.Dropout2d(spec.dropout)
        self.sharpness = LabelSharpness(labels, spec.lse_r) if spec.pool == "lse_learned" else None
        self.classifier = linear_head(self.channels, labels, spec.pool)

    def features(self, x: Tensor) -> Tensor:
        """Compute the map that the pool reads.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, K, h, w)
            H/stride x W/stride cells, AlexNet one less (`NetworkSpec.cells`). After the last activation: ReLU, hence >=
            0, for all backbones but EfficientNet (swish, >= -0.28).

        Raises
        ------
        ValueError
            If H or W is not a multiple of the stride, or the channels are not those of the normalisation.
        """
        colours, stride = self.normalise.colours, self.spec.stride
        if x.ndim != 4 or x.shape[1] != colours or x.shape[2] % stride or x.shape[3] % stride:
            raise ValueError(
                f"input of shape {tuple(x.shape)}; expected [B, {colours}, H, W] with H and W multiples of {stride}"
            )
        return cast(Tensor, self.dropout(self.backbone(self.normalise(x))))

    def head(self, features: Tensor) -> Tensor:
        """Pool and classify; computed in float32 under autocast.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            From `features`.

        Returns
        -------
        Tensor of shape (B, L), float
            Logits.
        """
        with torch.autocast(features.device.type, enabled=False):
            wide = features.float() if features.dtype in {torch.bfloat16, torch.float16} else features
            weight, bias = self.classifier.weight, self.classifier.bias
            sharpness = self.spec.lse_r if self.sharpness is None else self.sharpness()
            return film_logits(wide, weight, bias, self.spec.pool, sharpness)

    def cam(self, features: Tensor) -> Tensor:
        """Compute all labels' raw class activation maps: head weights times features.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            From `features`.

        Returns
        -------
        Tensor of shape (B, L, h, w), float
            Signed, bias excluded.
        """
        return label_maps(features, self.classifier.weight.to(features.dtype))

    def forward(self, x: Tensor) -> Tensor:
        """Classify films.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, L), float
            Logits.
        """
        return self.head(self.features(x))


class FullyConnectedClassifier(PooledClassifier):
    """A published network with its fully connected layers: logits from one pass, Grad-CAM, but no CAM.

    Parameters
    ----------
    spec : NetworkSpec
        Its backbone one of `FULLY_CONNECTED`.
    labels : int
        Number of logits.
    normalise : ImageNetNormalise, optional
        As in `PooledClassifier`.

    Notes
    -----
    The map at the seam is the last convolution's, after its ReLU; pool, flattening and layers are the head. Names in
    the state dict are torchvision's: ``classifier.1.weight`` and so on.
    """

    def __init__(self, spec: NetworkSpec, labels: int, normalise: ImageNetNormalise | None = None) -> None:
        super().__init__(spec, labels, normalise)
        self.flatten, layers = alexnet_layers(labels) if spec.backbone == "alexnet" else vgg16_layers(labels)
        nn.init.normal_(cast(nn.Linear, layers[-1]).weight, std=_HEAD_STD)
        del self.classifier
        self.classifier = layers  # type: ignore[assignment]

    def head(self, features: Tensor) -> Tensor:
        """Pool to a fixed grid, flatten and classify; computed in float32 under autocast.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            From `features`.

        Returns
        -------
        Tensor of shape (B, L), float
            Logits.
        """
        with torch.autocast(features.device.type, enabled=False):
            wide = features.float() if features.dtype in {torch.bfloat16, torch.float16} else features
            return cast(Tensor, self.classifier(self.flatten(wide)))

    def cam(self, features: Tensor) -> Tensor:
        """Refuse: class activation maps need one linear layer after a pool.

        Parameters
        ----------
        features : Tensor of shape (B, K, h, w), float
            Not read.

        Returns
        -------
        Tensor
            Never.

        Raises
        ------
        SettingsError
            Always.
        """
        gap = f"{self.spec.backbone}_gap"
        raise SettingsError(
            f"CAM needs a pool and one linear layer, and {self.spec.backbone} has fully connected layers; "
            f"set explain.methods to gradcam, or model.backbone to {gap}"
        )


def linear_head(channels: int, labels: int, pool: str) -> nn.Linear:
    """Build the linear layer after a pool, or before it, with small weights.

    Parameters
    ----------
    channels, labels : int
        Of its input and output.
    pool : str
        ``noisy_or`` adds up the evidence of all cells and therefore begins with rare positives (`NOISY_OR_BIAS`).

    Returns
    -------
    Linear
        Its weights are from torch's global generator.
    """
    layer = nn.Linear(channels, labels)
    nn.init.normal_(layer.weight, std=_HEAD_STD)
    nn.init.constant_(layer.bias, NOISY_OR_BIAS if pool == "noisy_or" else 0.0)
    return layer


def build_classifier(
    spec: NetworkSpec, labels: int, seed: int, normalise: ImageNetNormalise | None = None
) -> PooledClassifier:
    """Build a classifier with fresh weights.

    Parameters
    ----------
    spec : NetworkSpec
        Shape and arithmetic.
    labels : int
        Number of logits.
    seed : int
        Of the weights; torch's global generator is not changed.
    normalise : ImageNetNormalise, optional
        Makes it a network for colour images [B, 3, H, W].

    Returns
    -------
    PooledClassifier
        In training mode.

    Raises
    ------
    ValueError
        If the backbone does not support the requested stride.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = FullyConnectedClassifier if spec.is_fully_connected else PooledClassifier
        return kind(spec, labels, normalise)
