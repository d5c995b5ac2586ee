"""Starting values of networks that are built here."""

from torch import nn


def he_initialised(network: nn.Module) -> None:
    """Set convolutions and linear layers to He et al.'s normal values (ICCV 2015), biases to 0, in place.

    Notes
    -----
    Published AlexNet, VGG and NIN have no normalisation: with smaller values next to nothing would reach their heads.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
