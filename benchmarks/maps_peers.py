"""The maps of `benchmarks.maps` by other libraries, called as their documentation says.

Each task returns every requested label's maps [B, L, h, w], so that results can be compared as well as times. If a
library gives no raw maps (pytorch-grad-cam rescales each map to 0-1 on the input grid), camray's are rescaled alike.
"""

import importlib.util
import io
import sys
import types
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr

import numpy as np
import torch
from torch import Tensor, nn

LAYER = "backbone"
Task = Callable[[], Tensor]


def installed(name: str) -> bool:
    """Tell whether a library is there."""
    return importlib.util.find_spec(name) is not None


def rescaled(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring raw maps to what pytorch-grad-cam returns: positive part, 0-1, on the input grid, 0-1 again."""
    heat = _unit(maps.clamp_min(0))
    return _unit(nn.functional.interpolate(heat, size=size, mode="bilinear", align_corners=False))


def _unit(maps: Tensor) -> Tensor:
    maps = maps - maps.amin(dim=(2, 3), keepdim=True)
    return maps / (1e-7 + maps.amax(dim=(2, 3), keepdim=True))


def captum_gradcam(network: nn.Module, films: Tensor, labels: Sequence[int]) -> Task:
    """Captum: one call a label."""
    from captum.attr import LayerGradCam

    explainer = LayerGradCam(network, network.get_submodule(LAYER))

    def task() -> Tensor:
        maps = [explainer.attribute(films, target=label, relu_attributions=True) for label in labels]
        return torch.cat(maps, dim=1).detach()

    return task


def monai_gradcam(network: nn.Module, films: Tensor, labels: Sequence[int]) -> Task:
    """MONAI: one call a label, without its rescaling."""
    from monai.visualize import GradCAM

    explainer = GradCAM(network, LAYER, postprocessing=_identity, upsampler=_same_size)

    def task() -> Tensor:
        return torch.cat([explainer(films, class_idx=label) for label in labels], dim=1).detach()

    return task


def monai_cam(network: nn.Module, films: Tensor, labels: Sequence[int]) -> Task:
    """MONAI: one call a label, without its rescaling."""
    from monai.visualize import CAM

    explainer = CAM(network, LAYER, "classifier", postprocessing=_identity, upsampler=_same_size)

    def task() -> Tensor:
        with torch.no_grad():
            return torch.cat([explainer(films, class_idx=[label] * len(films)) for label in labels], dim=1)

    return task


def grad_cam_library(kind: str, network: nn.Module, films: Tensor, labels: Sequence[int], batch_size: int = 0) -> Task:
    """pytorch-grad-cam: one call a label; `kind` is ``GradCAM`` or ``ScoreCAM``."""
    _without_compiled_operators()
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    explainer = getattr(pytorch_grad_cam, kind)(model=network, target_layers=[network.get_submodule(LAYER)])
    if batch_size:
        explainer.batch_size = batch_size

    def task() -> Tensor:
        with redirect_stderr(io.StringIO()):  # progress bars
            found = [explainer(films, [ClassifierOutputTarget(label)] * len(films)) for label in labels]
        return torch.from_numpy(np.stack(found, axis=1))

    return task


def captum_occlusion(network: nn.Module, films: Tensor, labels: Sequence[int], patch: int, batch_size: int) -> Task:
    """Captum: one call a label."""
    from captum.attr import Occlusion

    explainer, window = Occlusion(network), (films.shape[1], patch, patch)

    def task() -> Tensor:
        with torch.no_grad():
            maps = [
                explainer.attribute(
                    films, window, strides=window, target=label, baselines=0, perturbations_per_eval=batch_size
                )
                for label in labels
            ]
        return torch.cat(maps, dim=1)

    return task


def monai_occlusion(network: nn.Module, films: Tensor, patch: int, batch_size: int) -> Task:
    """MONAI: one film a call, all labels at once; it returns scores, and the fall of the score is what is compared."""
    from monai.visualize import OcclusionSensitivity

    explainer = OcclusionSensitivity(
        network, mask_size=patch, n_batch=batch_size, verbose=False, mode=0.0, overlap=0.0, activate=False
    )

    def task() -> Tensor:
        with torch.no_grad():
            logits = network(films)[:, :, None, None]
            return logits - torch.cat([torch.as_tensor(explainer(film[None])[0]) for film in films])

    return task


def _identity(maps: Tensor) -> Tensor:
    return maps


def _same_size(_size: object) -> Callable[[Tensor], Tensor]:
    return _identity


def _without_compiled_operators() -> None:
    """Let torchvision, which pytorch-grad-cam imports for its pictures, load beside a CPU build of torch.

    Its wheels are linked to a CUDA build, so that its own operators do not load; none of them is used here.
    """
    if not torch.cuda.is_available():
        sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("torchvision._meta_registrations"))
