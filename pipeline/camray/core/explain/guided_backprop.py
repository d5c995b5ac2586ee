"""Guided backpropagation and the deconvnet: backpropagation with another rule at every ReLU.

With R the backward signal at a ReLU's output and f the ReLU's input (Springenberg et al. 2015, figure 1):

backpropagation
    ``[f > 0] R``
deconvnet
    ``ReLU(R)`` (Zeiler & Fergus, ECCV 2014); max pools are reversed by their switches, and layers that the paper does
    not have (normalisation, averages, fully connected layers) by their gradient
guided backpropagation
    ``[f > 0] ReLU(R)`` (Springenberg et al., eq. 1)

The rule is attached to the nodes of one pass's autograd graph, not to modules: it applies to every ReLU however it is
written (module, function, in place, ``clamp(min=0)``) and as often as it runs, and the network is not altered. A graph
with any step that is not known to be linear, a pool or a normalisation is refused by that step's name, so that no
result is a plain gradient by mistake.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor

from camray.core.explain.autograd import Scorer, checked_scores, evaluating, gradients_by_target
from camray.core.explain.resampling import resampled
from camray.domain.errors import CheckpointError

GuidedRule = Literal["guided", "deconvnet"]
_WITHOUT_ACTIVATION = frozenset(
    {
        "AccumulateGrad",
        "Add",
        "Addmm",
        "AdaptiveAvgPool2D",
        "AdaptiveMaxPool2D",
        "Alias",
        "Amax",
        "AsStrided",
        "AvgPool2D",
        "AvgPool3D",
        "Bmm",
        "Cat",
        "Clone",
        "ConstantPadNd",
        "Convolution",
        "Copy",
        "CopySlices",
        "CudnnBatchNorm",
        "CudnnConvolution",
        "Div",
        "Expand",
        "Flip",
        "Gather",
        "GridSampler2D",
        "Index",
        "IndexSelect",
        "Linear",
        "LogSigmoid",
        "Logsumexp",
        "MaxPool2DWithIndices",
        "Mean",
        "MkldnnConvolution",
        "Mm",
        "Mul",
        "Mv",
        "NativeBatchNorm",
        "NativeGroupNorm",
        "NativeLayerNorm",
        "Neg",
        "Permute",
        "Pow",
        "ReflectionPad2D",
        "ReplicationPad2D",
        "Repeat",
        "ReshapeAlias",
        "Select",
        "Slice",
        "Softmax",
        "Split",
        "SplitWithSizes",
        "Sqrt",
        "Squeeze",
        "Stack",
        "Sub",
        "Sum",
        "T",
        "ToCopy",
        "Transpose",
        "Unbind",
        "UnsafeSplit",
        "UnsafeView",
        "Unsqueeze",
        "UpsampleBilinear2D",
        "UpsampleNearest2D",
        "VarMean",
        "View",
    }
)


def guided_gradients(score: Scorer, films: Tensor, rule: GuidedRule = "guided") -> tuple[Tensor, Tensor]:
    """Propagate every logit back to the input with another rule at the ReLUs.

    Parameters
    ----------
    score : Scorer
        Run once, in evaluation mode; neither hooked nor altered.
    films : Tensor of shape (B, C, H, W), float
        Input grid.
    rule : str
        ``guided`` or ``deconvnet``.

    Returns
    -------
    logits : Tensor of shape (B, L)
        Detached.
    gradients : Tensor of shape (B, L, C, H, W)
        Signed, detached.

    Raises
    ------
    CheckpointError
        If the network has no ReLU, or a step for which there is no rule; the message names it.
    """
    leaf = films.detach().clone().requires_grad_(True)
    with evaluating(score), torch.enable_grad():
        logits = checked_scores(score(leaf), len(films))
        rectifiers = [node for node in _nodes(logits) if _is_rectifier(node)]
        if not rectifiers:
            raise CheckpointError(f"{_title(rule)} needs ReLUs, and this network has none; choose another method")
        for node in rectifiers:
            node.register_hook(_backward_hook(rule))  # freed with the graph
        gradients = torch.stack([gradient for (gradient,) in gradients_by_target(logits, [leaf])], dim=1)
    return logits.detach(), gradients


def guided_gradcam(gradients: Tensor, gradcam: Tensor) -> Tensor:
    """Multiply guided gradients by Grad-CAM (Selvaraju et al., ICCV 2017, section 3.2).

    Parameters
    ----------
    gradients : Tensor of shape (B, L, C, H, W), float
        See `guided_gradients`.
    gradcam : Tensor of shape (B, L, h, w), float
        Raw, feature grid; interpolated bilinearly to the input grid.

    Returns
    -------
    Tensor of shape (B, L, C, H, W), float
        Signed, not rescaled, input grid.
    """
    return gradients * resampled(gradcam, (gradients.shape[-2], gradients.shape[-1]))[:, :, None]


def _backward_hook(rule: GuidedRule) -> Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], tuple[Tensor | None, ...]]:
    def hook(inward: tuple[Tensor, ...], outward: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
        # `inward` is [f > 0] R; its positive part is [f > 0] ReLU(R). Clamps have further inputs: their limits.
        first = inward[0] if rule == "guided" else outward[0]
        return (first.clamp_min(0), *inward[1:])

    return hook


def _nodes(scores: Tensor) -> Iterator[Any]:
    """Yield every step of a graph once, the last one first; refuse unknown steps."""
    seen: set[Any] = set()
    pending: list[Any] = [scores.grad_fn]
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        name = _short_name(node)
        if not (name in _WITHOUT_ACTIVATION or _is_rectifier(node) or _is_floor(node)) or _is_gate(node):
            raise CheckpointError(
                f"guided backpropagation and deconvnet: no rule for '{name}' ({node.name()}); they apply to networks "
                "of linear layers, pools, normalisations and ReLUs. Choose another method"
            )
        yield node
        pending.extend(before for before, _ in node.next_functions)


def _short_name(node: Any) -> str:
    """Turn ``ReluBackward0`` or ``torch::autograd::AccumulateGrad`` into ``Relu``, ``AccumulateGrad``."""
    return str(node.name()).rpartition("::")[2].rstrip("0123456789").removesuffix("Backward")


def _is_rectifier(node: Any) -> bool:
    """Tell whether a step is ``max(x, 0)``."""
    name = _short_name(node)
    is_clamp = name == "ClampMin" or (name == "Clamp" and node._saved_max is None)
    return name == "Relu" or (is_clamp and not isinstance(node._saved_min, Tensor) and node._saved_min == 0)


def _is_floor(node: Any) -> bool:
    """Tell whether a step only bounds a value away from zero, as in normalisations."""
    return _short_name(node) == "ClampMin" and not isinstance(node._saved_min, Tensor) and 0 < node._saved_min < 1e-3


def _is_gate(node: Any) -> bool:
    """Tell whether a step multiplies by a mask, ``x * (x > 0)``, or by itself."""
    if _short_name(node) != "Mul":
        return False
    factors = [factor for factor in (node._saved_self, node._saved_other) if factor is not None]
    if len(factors) == 1 and factors[0].dim() > 0:  # the other factor does not depend on the films
        return bool(((factors[0] == 0) | (factors[0] == 1)).all() and factors[0].min() != factors[0].max())
    return False


def _title(rule: GuidedRule) -> str:
    return "guided backpropagation" if rule == "guided" else "deconvnet"
