"""The explanation methods by name, each with its equation and source.

`METHODS` has every method with its default options; `methods_named` looks them up, with other options if given. See
`camray.core.explain.method` for what a method is.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

from torch import Tensor

from camray.core.explain import cam as pooled
from camray.core.explain import gradient_cams, guided_backprop, perturbation
from camray.core.explain import input_gradients as saliency
from camray.core.explain.autograd import Rule, evaluating, input_gradients, scorer_of, seam_maps
from camray.core.explain.integrated_gradients import integrated_gradients, integrated_gradients_by_rule
from camray.core.explain.method import Method, OnInput
from camray.core.explain.method_options import DEFAULT_OPTIONS, IntegrationOptions, MethodOptions, OcclusionOptions
from camray.core.explain.resampling import area_mean
from camray.core.explain.seam import ForwardPass, SeamNetwork
from camray.domain.errors import SettingsError
from camray.domain.suggestions import did_you_mean

_BATCH_SIZE = 32
_PATCH_CELLS = 2
_COARSE_SHARE = 0.25


def _at_seam(rule: Rule, network: SeamNetwork, passed: ForwardPass) -> Tensor:
    return seam_maps(network, passed, rule) * passed.cells


def _eigencam(_network: SeamNetwork, passed: ForwardPass) -> Tensor:
    return gradient_cams.eigencam(passed.features)[:, None].repeat(1, passed.logits.shape[1], 1, 1)


def _scorecam(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    with evaluating(network):
        return perturbation.scorecam(scorer_of(network), passed.films, passed.features, batch_size=_BATCH_SIZE)


def _saliency(join: Callable[[Tensor], Tensor], network: SeamNetwork, passed: ForwardPass) -> Tensor:
    with evaluating(network):
        return join(input_gradients(scorer_of(network), passed.films)[1])


def _smoothgrad(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    with evaluating(network):
        return saliency.absolute(saliency.smoothgrad(scorer_of(network), passed.films, samples=16, noise=0.15, seed=0))


def _input_times_gradient(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    with evaluating(network):
        return saliency.input_times_gradient(scorer_of(network), passed.films)


def _integrated_gradients(options: IntegrationOptions, network: SeamNetwork, passed: ForwardPass) -> Tensor:
    score, rule = scorer_of(network), options.rule
    with evaluating(network):
        if rule == "adaptive":
            return integrated_gradients(score, passed.films, tolerance=options.tolerance, batch_size=_BATCH_SIZE)
        return integrated_gradients_by_rule(score, passed.films, rule=rule, steps=options.steps, batch_size=_BATCH_SIZE)


def _guided(rule: guided_backprop.GuidedRule, network: SeamNetwork, passed: ForwardPass) -> Tensor:
    with evaluating(network):
        return guided_backprop.guided_gradients(scorer_of(network), passed.films, rule)[1].sum(dim=2)


def _guided_gradcam(network: SeamNetwork, passed: ForwardPass) -> Tensor:
    gradcam = pooled.positive_mean(pooled.gradient_weighted(network, passed))
    with evaluating(network):
        gradients = guided_backprop.guided_gradients(scorer_of(network), passed.films)[1]
    return guided_backprop.guided_gradcam(gradients, gradcam).sum(dim=2)


def _occlusion(options: OcclusionOptions, keep: float, network: SeamNetwork, passed: ForwardPass) -> Tensor:
    cell = max(1, passed.films.shape[-2] // passed.features.shape[-2])
    patch, step = options.patch_px or _PATCH_CELLS * cell, options.step_px or cell
    if step > patch:
        raise SettingsError(
            f"explain.occlusion: a step of {step} px leaves gaps between patches of {patch} px; set "
            "explain.occlusion.step_px to at most patch_px"
        )
    with evaluating(network):
        return perturbation.occlusion(
            scorer_of(network),
            passed.films,
            perturbation.Patch(patch, step, options.fill, options.border),
            keep=keep,
            batch_size=_BATCH_SIZE,
        )


def _means(on_input: OnInput, power: int, network: SeamNetwork, passed: ForwardPass) -> Tensor:
    return area_mean(on_input(network, passed), passed.grid) * float(passed.cells**power)


def _by_cells(power: int, signed: Tensor) -> Tensor:
    return signed / float((signed.shape[-2] * signed.shape[-1]) ** power)


def _positive(signed: Tensor) -> Tensor:
    return signed.clamp_min(0)


def _seam_method(name: str, rule: Rule, finish: Callable[[Tensor], Tensor], note: str) -> Method:
    return Method(name, partial(_at_seam, rule), finish, note, "head", power=1)


def _input_method(
    name: str, on_input: OnInput, note: str, *, power: int = 1, work: Literal["network", "films"] = "network"
) -> Method:
    """Make a method on the input grid; its values shrink as ``1 / cells ** power`` at larger input sizes."""
    note = f"{note}; mean over each cell's area"
    return Method(name, partial(_means, on_input, power), partial(_by_cells, power), note, work, on_input, power)


def _integration_method(options: IntegrationOptions) -> Method:
    how = f"complete to {options.tolerance:.0%}".replace("%", " %")
    if options.rule != "adaptive":
        how = f"{options.rule} with {options.steps} points"
    return _input_method(
        "integrated_gradients",
        partial(_integrated_gradients, options),
        f"x times the mean of dS/dx from black to the film, {how} (Sundararajan et al., ICML 2017)",
    )


def _occlusion_methods(options: OcclusionOptions) -> tuple[Method, Method]:
    size = "2 x 2 cells" if options.patch_px is None else f"{options.patch_px} x {options.patch_px} px"
    step = "a cell" if options.step_px is None else f"{options.step_px} px"
    fill = "the film's mean grey" if options.fill is None else f"grey {options.fill:g}"
    border = "" if options.border == "beyond" else ", the first in the film's corner"
    return (
        _input_method(
            "occlusion",
            partial(_occlusion, options, 1.0),
            f"mean fall of S under patches of {size}, {step} apart, in {fill}{border} (Zeiler & Fergus, 2014)",
            power=0,
            work="films",
        ),
        _input_method(
            "occlusion_coarse_to_fine",
            partial(_occlusion, options, _COARSE_SHARE),
            f"occlusion by patches of {size} side by side, {step} apart about the quarter that matters most",
            power=0,
            work="films",
        ),
    )


_METHODS = (
    Method(
        "cam",
        pooled.cam,
        pooled.unchanged,
        "CAM_l = sum_k w_lk f_k, bias left out (Zhou et al., CVPR 2016)",
    ),
    Method(
        "gradcam",
        pooled.gradient_weighted,
        pooled.positive_mean,
        "Grad-CAM_l = ReLU(sum_k a_lk f_k), a_lk the mean of d logit_l / d f_k over the grid (Selvaraju et al., 2017)",
        "head",
        power=1,
    ),
    Method(
        "gradcam_plus_plus",
        partial(seam_maps, rule=gradient_cams.gradcam_plus_plus_map),
        _positive,
        "ReLU(sum_k w_lk f_k), w_lk = sum_ij exp(S) ReLU(g) / (2 + g sum_ab f_k), g = dS/df_k (Chattopadhay et al., "
        "WACV 2018, eq. 19)",
        "head",
    ),
    _seam_method(
        "hirescam", gradient_cams.hirescam_map, partial(_by_cells, 1), "sum_k g_k f_k (Draelos & Carin, 2020)"
    ),
    _seam_method(
        "layercam",
        gradient_cams.layercam_map,
        pooled.positive_mean,
        "ReLU(sum_k ReLU(g_k) f_k) (Jiang et al., TIP 2021)",
    ),
    Method(
        "scorecam",
        _scorecam,
        _positive,
        "ReLU(sum_k alpha_k f_k), alpha the softmax over k of S(x * H_k) - S(0) (Wang et al., CVPRW 2020)",
        "films",
    ),
    Method(
        "eigencam",
        _eigencam,
        pooled.unchanged,
        "f v_1, the first right singular vector; the same for every label (Muhammad & Yeasin, IJCNN 2020)",
    ),
    _input_method("saliency", partial(_saliency, saliency.absolute), "max_c |dS/dx_c| (Simonyan et al., 2013)"),
    _input_method("saliency_squared", partial(_saliency, saliency.squared), "sum_c (dS/dx_c)^2", power=2),
    _input_method(
        "smoothgrad", _smoothgrad, "|mean of dS/dx over 16 noisy films|, sigma 0.15 of the range (Smilkov et al., 2017)"
    ),
    _input_method("input_x_gradient", _input_times_gradient, "sum_c x_c dS/dx_c (Shrikumar et al., 2016)"),
    _integration_method(DEFAULT_OPTIONS.integrated_gradients),
    _input_method(
        "deconvnet", partial(_guided, "deconvnet"), "back with ReLU(R) at ReLUs (Zeiler & Fergus, ECCV 2014)"
    ),
    _input_method(
        "guided_backprop",
        partial(_guided, "guided"),
        "back with [f > 0] ReLU(R) at ReLUs (Springenberg et al., 2015)",
    ),
    _input_method(
        "guided_gradcam",
        _guided_gradcam,
        "guided backpropagation times Grad-CAM (Selvaraju et al., 2017)",
        power=2,
    ),
    *_occlusion_methods(DEFAULT_OPTIONS.occlusion),
)
METHODS: dict[str, Method] = {method.name: method for method in _METHODS}


OPTION_OWNERS = {  # sections of `MethodOptions`, and the methods that each belongs to
    "integrated_gradients": ("integrated_gradients",),
    "occlusion": ("occlusion", "occlusion_coarse_to_fine"),
}


def methods_named(names: Iterable[str], options: MethodOptions = DEFAULT_OPTIONS) -> tuple[Method, ...]:
    """Look up methods by name.

    Parameters
    ----------
    names : iterable of str
        One or more different keys of `METHODS`.
    options : MethodOptions
        Of those methods that have any.

    Returns
    -------
    tuple of Method
        In the order of the names.

    Raises
    ------
    SettingsError
        If a name is unknown or repeated, or there is none.
    """
    requested = tuple(names)
    unknown = [name for name in requested if name not in METHODS]
    if unknown or not requested or len(set(requested)) != len(requested):
        raise SettingsError(
            f"explain.methods: {list(requested)}; "
            f"{did_you_mean(unknown, METHODS, 'expected one or more different names out of:')}"
        )
    changed = (_integration_method(options.integrated_gradients), *_occlusion_methods(options.occlusion))
    methods = METHODS if options == DEFAULT_OPTIONS else METHODS | {method.name: method for method in changed}
    return tuple(methods[name] for name in requested)
