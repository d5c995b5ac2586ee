"""Explanations on request: one method for a few images, at chosen layers, for another target, over several views.

The explain stage computes all labels' maps on the feature grid. A user who looks at one image needs more: the pixels of
a pixel method, a map fused from several layers, the map of a difference of two logits.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from torch import Tensor, nn

from camray.core.explain.autograd import Rule, Scorer, layer_maps
from camray.core.explain.gradient_cams import fused, gradcam_map, gradcam_plus_plus_map, hirescam_map, layercam_map
from camray.core.explain.method import Method
from camray.core.explain.method_options import DEFAULT_OPTIONS, MethodOptions
from camray.core.explain.methods import METHODS, methods_named
from camray.core.explain.resampling import resampled
from camray.core.explain.seam import ForwardPass, SeamNetwork, TargetedNetwork, columns_of
from camray.core.explain.test_time_averaging import explain
from camray.domain.errors import SettingsError

LAYER_RULES: dict[str, Rule] = {
    "gradcam": gradcam_map,
    "gradcam_plus_plus": gradcam_plus_plus_map,
    "hirescam": hirescam_map,
    "layercam": layercam_map,
}
FUSION_GAMMA = 2.0  # the LayerCAM paper's value, used for every fused layer


@dataclass(frozen=True)
class ExplanationRequest:
    """A method and what it explains.

    Parameters
    ----------
    method : str
        One of `camray.core.explain.methods.METHODS`.
    layers : tuple of str
        Layers at which the maps are computed, names as in ``network.named_modules()``; only for `LAYER_RULES`. Empty:
        at the seam, the map that the pool reads. Several: fused as in LayerCAM, each first scaled to [0, 1) by
        ``tanh(2 M / max M)``.
    targets : callable, optional
        Logits [B, L] to scalars [B, T] or [B], each film's on its own row. They are explained instead of the logits.
    labels : tuple of int
        Columns of the logits to explain, in this order; empty for all. Ignored where `targets` is given.
    flip : bool
        Average over the films and their mirror images.
    scales : tuple of float
        Average over these input sizes, relative to the films' own.
    options : MethodOptions
        Of those methods that have any.

    Raises
    ------
    SettingsError
        If the method does not exist or does not support layers, or a scale is not positive.
    """

    method: str = "cam"
    layers: tuple[str, ...] = ()
    targets: Scorer | None = None
    labels: tuple[int, ...] = ()
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    options: MethodOptions = DEFAULT_OPTIONS

    def __post_init__(self) -> None:
        methods_named([self.method])
        if self.layers and self.method not in LAYER_RULES:
            raise SettingsError(
                f"method '{self.method}' does not support layers; methods that do: {', '.join(LAYER_RULES)}"
            )
        if not self.scales or min(self.scales) <= 0:
            raise SettingsError(f"scales {self.scales}; expected one or more positive numbers")


@dataclass(frozen=True)
class Explanation:
    """Logits and maps; T is the number of targets, of requested labels, or of all labels.

    Parameters
    ----------
    logits : Tensor of shape (B, L)
        All labels' logits, averaged over the views.
    values : Tensor of shape (B, T)
        The explained scalars, averaged over the views.
    heat : Tensor of shape (B, T, h, w)
        Raw maps for boxes: on the feature grid, or on the input grid where layers were requested.
    display_heat : Tensor of shape (B, T, h', w')
        Raw maps for display: on the input grid if the method explains pixels, else equal to `heat`.
    """

    logits: Tensor
    values: Tensor
    heat: Tensor
    display_heat: Tensor


def explain_images(
    network: SeamNetwork, films: Tensor, grid: tuple[int, int], request: ExplanationRequest
) -> Explanation:
    """Explain all labels, or the given targets, of a few films.

    Parameters
    ----------
    network : SeamNetwork
        In evaluation mode; not altered.
    films : Tensor of shape (B, C, H, W), float
        Network input, model grid.
    grid : tuple of int
        Feature grid (rows, cols) of films of this size, see `camray.core.explain.test_time_averaging.feature_grid`.
    request : ExplanationRequest
        Method, layers, targets and views.

    Returns
    -------
    Explanation
        Logits, explained values and maps, averaged over the views.

    Raises
    ------
    SettingsError
        If CAM is requested of a network without a pooled linear head, or for targets that are not its labels.
    CheckpointError
        If the method does not apply to the network, a layer or the targets; the message says which and why.
    """
    explained_network = _with_targets(network, request)
    if request.layers:
        methods: Sequence[Method] = [_method_at_layers(request, cast(nn.Module, network), grid)]
    else:
        (plain,) = methods_named([request.method], request.options)
        methods = [plain] if plain.on_input is None else [plain, _method_on_input(plain)]
    averages = explain(explained_network, films, methods, grid, flip=request.flip, scales=request.scales)
    heat, display_heat = averages.heat[methods[0].name], averages.heat[methods[-1].name]
    logits = averages.logits
    if explained_network is not network:
        logits = explain(network, films, (), grid, flip=request.flip, scales=request.scales).logits
    return Explanation(logits, averages.logits, heat, display_heat)


class _LabelSubset(nn.Module):
    """A network restricted to some of its labels, so that the others cost no backward pass."""

    def __init__(self, network: SeamNetwork, labels: Sequence[int]) -> None:
        super().__init__()
        self.network, self.spec, self.labels = network, network.spec, list(labels)

    def features(self, x: Tensor) -> Tensor:
        return self.network.features(x)

    def head(self, features: Tensor) -> Tensor:
        return self.network.head(features)[:, self.labels]

    def cam(self, features: Tensor) -> Tensor:
        return self.network.cam(features)[:, self.labels]


def _with_targets(network: SeamNetwork, request: ExplanationRequest) -> SeamNetwork:
    if request.targets is not None:
        return TargetedNetwork(network, request.targets)
    return _LabelSubset(network, request.labels) if request.labels else network


def _method_on_input(plain: Method) -> Method:
    """Turn a method that explains pixels into one whose maps stay on the input grid."""
    on_input, power = plain.on_input, plain.power
    if on_input is None:
        raise SettingsError(f"method '{plain.name}' does not explain pixels")

    def signed(network: SeamNetwork, passed: ForwardPass) -> Tensor:
        return on_input(network, passed) * _pixels(passed.films) ** power

    def finish(maps: Tensor) -> Tensor:
        return maps / _pixels(maps) ** power

    return replace(plain, name=f"{plain.name} of pixels", signed=signed, finish=finish, on_pixels=True)


def _pixels(films: Tensor) -> float:
    return float(films.shape[-2] * films.shape[-1])


def _targets_of(request: ExplanationRequest) -> Scorer:
    if request.targets is not None:
        return partial(columns_of, request.targets)
    labels = list(request.labels)
    return lambda logits: logits[:, labels] if labels else logits


def _method_at_layers(request: ExplanationRequest, network: nn.Module, grid: tuple[int, int]) -> Method:
    """Make the method at named layers: the map of one layer stays raw, those of several are scaled and fused."""
    plain, rule, layers = METHODS[request.method], LAYER_RULES[request.method], request.layers
    targets = _targets_of(request)
    gammas = dict.fromkeys(layers, FUSION_GAMMA) if len(layers) > 1 else {}
    power = plain.power if len(layers) == 1 else 0

    def signed(_network: SeamNetwork, passed: ForwardPass) -> Tensor:
        maps = layer_maps(network, passed.films, list(layers), rule, targets)[1]
        finest = max(((heat.shape[-2], heat.shape[-1]) for heat in maps.values()), key=lambda side: side[0] * side[1])
        heat = resampled(maps[layers[0]], finest) if len(layers) == 1 else fused(maps, finest, gammas)
        cells = passed.features.shape[-2] * passed.features.shape[-1]
        return heat * (cells / (grid[0] * grid[1])) ** power

    note = f"{plain.note}, at {', '.join(layers)}"
    return replace(plain, signed=signed, finish=lambda maps: maps, note=note, on_input=None, on_pixels=True)
