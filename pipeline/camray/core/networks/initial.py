"""Initial values of network weights."""

from torch import nn


def he_initialised(network: nn.Module) -> None:
    """Set convolutions and linear layers to He et al.'s normal values (ICCV 2015), biases to 0, in place.

    Parameters
    ----------
    network : Module
        Its convolutions and linear layers are changed.

    Notes
    -----
    Published AlexNet, VGG and NIN have no normalisation: with smaller values the signal vanishes before their heads.
    """
    for part in network.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
            if part.bias is not None:
                nn.init.zeros_(part.bias)
