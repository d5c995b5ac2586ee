"""Any method asked any way, for one look at a few films: at chosen layers, for another target, over several views.

The stages compute all labels' maps on the feature grid. A person who looks at one picture wants more: the pixels that a
pixel method points at, a map fused from several layers, the map of a difference of two logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from torch import Tensor, nn

from camray.core.explain.autograd import Rule, Scorer, layer_maps
from camray.core.explain.cam import ForwardPass, SeamNetwork, TargetedNetwork, columns_of
from camray.core.explain.gradient_cams import fused, gradcam_map, gradcam_plus_plus_map, hirescam_map, layercam_map
from camray.core.explain.methods import METHODS, Method, methods_named
from camray.core.explain.resampling import resampled
from camray.core.explain.test_time_averaging import explain
from camray.domain.errors import SettingsError

AT_LAYERS: dict[str, Rule] = {
    "gradcam": gradcam_map,
    "gradcam_plus_plus": gradcam_plus_plus_map,
    "hirescam": hirescam_map,
    "layercam": layercam_map,
}
SHALLOW_GAMMA = 2.0  # the paper's, for all layers that are fused


@dataclass(frozen=True)
class Question:
    """What is asked of a network.

    Parameters
    ----------
    method : str
        One of `camray.core.explain.methods.METHODS`.
    layers : tuple of str
        Where the maps are taken, names as in ``network.named_modules()``; only for `AT_LAYERS`. None: at the seam, the
        map that the pool reads. Several: fused as LayerCAM does, each scaled to [0, 1) first, ``tanh(2 M / max M)``.
    targets : callable, optional
        Logits [B, L] to scalars [B, T] or [B], each film's on its own row; what is explained in the logits' place.
    labels : tuple of int
        Which logits are explained, in this order; all of them where it is empty. Without effect beside `targets`.
    flip : bool
        Average over the films and their mirror images.
    scales : tuple of float
        Average over these input sizes.

    Raises
    ------
    SettingsError
        If there is no such method, or it cannot be taken at layers.
    """

    method: str = "cam"
    layers: tuple[str, ...] = ()
    targets: Scorer | None = None
    labels: tuple[int, ...] = ()
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        methods_named([self.method])
        if self.layers and self.method not in AT_LAYERS:
            raise SettingsError(
                f"method '{self.method}' is not taken at layers; of those that are, there are {', '.join(AT_LAYERS)}"
            )
        if not self.scales or min(self.scales) <= 0:
            raise SettingsError(f"scales {self.scales}; expected one or more positive numbers")


@dataclass(frozen=True)
class Answer:
    """What came of it; T is the number of targets, of asked labels, or of all labels.

    Parameters
    ----------
    logits : Tensor of shape (B, L)
        Of all labels, averaged over the views.
    values : Tensor of shape (B, T)
        Of what is explained, likewise.
    heat : Tensor of shape (B, T, h, w)
        Raw maps for boxes: on the feature grid, or on the input grid where layers were named.
    shown : Tensor of shape (B, T, h', w')
        Raw maps for the eye: on the input grid where the method explains pixels; else `heat`.
    """

    logits: Tensor
    values: Tensor
    heat: Tensor
    shown: Tensor


def ask(network: SeamNetwork, films: Tensor, grid: tuple[int, int], question: Question) -> Answer:
    """Explain all labels, or the given targets, of a few films.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode; left as found.
    films : Tensor of shape (B, C, H, W)
    grid : tuple of int
        Feature grid of films of this size, see `camray.core.explain.test_time_averaging.feature_grid`.
    question : Question

    Raises
    ------
    SettingsError
        If CAM is asked of a network without a pooled linear head, or of targets that are not its labels.
    CheckpointError
        If the network, a layer or the targets cannot be treated; the message says which and why.
    """
    asked = _narrowed(network, question)
    if question.layers:
        methods: Sequence[Method] = [_method_at(question, cast(nn.Module, network), grid)]
    else:
        plain = METHODS[question.method]
        methods = [plain] if plain.on_input is None else [plain, _of_pixels(plain)]
    found = explain(asked, films, methods, grid, flip=question.flip, scales=question.scales)
    heat, shown = found.heat[methods[0].name], found.heat[methods[-1].name]
    logits = found.logits
    if asked is not network:
        logits = explain(network, films, (), grid, flip=question.flip, scales=question.scales).logits
    return Answer(logits, found.logits, heat, shown)


class _ChosenLabels(nn.Module):
    """A network that knows some of its labels only: the others cost no backward pass."""

    def __init__(self, network: SeamNetwork, labels: Sequence[int]) -> None:
        super().__init__()
        self.network, self.spec, self.labels = network, network.spec, list(labels)

    def features(self, x: Tensor) -> Tensor:
        return self.network.features(x)

    def head(self, features: Tensor) -> Tensor:
        return self.network.head(features)[:, self.labels]

    def cam(self, features: Tensor) -> Tensor:
        return self.network.cam(features)[:, self.labels]


def _narrowed(network: SeamNetwork, question: Question) -> SeamNetwork:
    if question.targets is not None:
        return TargetedNetwork(network, question.targets)
    return _ChosenLabels(network, question.labels) if question.labels else network


def _of_pixels(plain: Method) -> Method:
    """Turn a method that explains pixels into one whose maps stay on the input grid."""
    on_input, power = plain.on_input, plain.power
    if on_input is None:
        raise SettingsError(f"method '{plain.name}' does not explain pixels")

    def signed(network: SeamNetwork, passed: ForwardPass) -> Tensor:
        return on_input(network, passed) * _pixels(passed.films) ** power

    def finish(maps: Tensor) -> Tensor:
        return maps / _pixels(maps) ** power

    return replace(plain, name=f"{plain.name} of pixels", signed=signed, finish=finish, on_pixels=True)


def _every(logits: Tensor) -> Tensor:
    return logits


def _picker(labels: Sequence[int]) -> Scorer:
    return lambda logits: logits[:, list(labels)]


def _pixels(films: Tensor) -> float:
    return float(films.shape[-2] * films.shape[-1])


def _method_at(question: Question, network: nn.Module, grid: tuple[int, int]) -> Method:
    """Make the method at named layers; one layer's map stays raw, several are scaled and fused."""
    rule, layers = AT_LAYERS[question.method], question.layers
    targets: Scorer = _every
    if question.targets is not None:
        targets = partial(columns_of, question.targets)
    elif question.labels:
        targets = _picker(question.labels)
    shallow = dict.fromkeys(layers, SHALLOW_GAMMA) if len(layers) > 1 else {}
    power = METHODS[question.method].power if len(layers) == 1 else 0

    def signed(_network: SeamNetwork, passed: ForwardPass) -> Tensor:
        maps = layer_maps(network, passed.films, list(layers), rule, targets)[1]
        finest = max(((heat.shape[-2], heat.shape[-1]) for heat in maps.values()), key=lambda side: side[0] * side[1])
        heat = resampled(maps[layers[0]], finest) if len(layers) == 1 else fused(maps, finest, shallow)
        seen = passed.features.shape[-2] * passed.features.shape[-1]
        return heat * (seen / (grid[0] * grid[1])) ** power

    plain = METHODS[question.method]
    return replace(plain, signed=signed, finish=lambda maps: maps, note=f"{plain.note}, at {', '.join(layers)}",
                   on_input=None, on_pixels=True)  # fmt: skip
