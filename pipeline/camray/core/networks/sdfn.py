"""SDFN: a backbone for the film, another for a crop around the lungs, and one linear layer for both (Liu et al. 2019).

Han Liu et al., "SDFN: Segmentation-based Deep Fusion Network for thoracic disease classification in chest X-ray
images", Comput. Med. Imaging Graph. 75, 2019: lung region generator, two classifiers as feature extractors, their
pooled features concatenated before the classifying layer. Here the crop's feature map is resampled to the film's grid
*before* the pool, by exact areas (`camray.core.lungs.crop.cells_to_film`). That changes no average: with ``gap`` the
logit is the paper's. And it makes the network like any other at the seam: both maps concatenated, [B, 2 K, h, w], one
linear head, hence ``mean(CAM) + bias == logit``, Grad-CAM in closed form, and every method on the
film's own grid.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from camray.core.lungs.crop import cells_to_film, crop_box, crop_films
from camray.core.lungs.detection import find_lungs
from camray.core.networks.backbones import build_backbone
from camray.core.networks.classifier import PooledClassifier, build_classifier, linear_head
from camray.core.networks.lung_unet import SIDE_PX, LungUNet, lung_probabilities, lung_view
from camray.core.networks.weights import WeightsReport, load_starting_weights
from camray.domain.contract import NetworkSpec
from camray.domain.geometry import Box, CropWindow, GridTransform

_CROP, _LUNGS = "crop_", "lungs."


class SdfnClassifier(PooledClassifier):
    """Whole-film and lung-crop branch of one shape, and a linear layer on both.

    Parameters
    ----------
    spec : NetworkSpec
        With ``fusion`` ``sdfn``; backbone, pool, stride and normalisation are those of both branches.
    labels : int
        Number of logits.

    Notes
    -----
    `features` gives [B, 2 K, h, w]: the film's channels, then the crop's. The lung segmenter is part of the network and
    of its checkpoint, and is not trained with it; where its result is implausible thresholds find the lungs, and where
    that fails too the crop is the whole film. The crop is a step function of the film: gradients treat it as constant,
    methods that alter films may move it. With pools other than ``gap`` the crop's cells keep their values
    instead of their mean, and the pool reads them on the film's grid, where the paper would pool on the crop's.
    """

    def __init__(self, spec: NetworkSpec, labels: int) -> None:
        super().__init__(spec, labels)
        self.crop_backbone, _ = build_backbone(spec, self.normalise.channels)
        self.channels = 2 * self.branch_channels
        self.classifier = linear_head(self.channels, labels, spec.pool)
        self.lungs = LungUNet().requires_grad_(False)

    def features(self, x: Tensor) -> Tensor:
        """Compute both branches' maps on the film's grid.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, 2 K, h, w)
            Film's channels, then the crop's; ``NetworkSpec.cells`` a side.

        Raises
        ------
        ValueError
            If H or W is not a multiple of stride times shrink, or there is more than one channel.
        """
        boxes = self.crop_boxes(x)
        film, crop = self.branches(x, boxes)
        rows, cols = x.shape[-2:]
        grid = (self.spec.cells(rows), self.spec.cells(cols))
        keep = "mean" if self.spec.pool == "gap" else "value"
        with torch.autocast(x.device.type, enabled=False):
            if film.shape[2:] != grid:
                whole = boxes.new_tensor([0.0, 0.0, cols, rows]).expand_as(boxes)
                film = cells_to_film(_wide(film), whole, rows, cols, grid, keep)
            laid = cells_to_film(_wide(crop), boxes, rows, cols, grid, keep)
        return cast(Tensor, self.dropout(torch.cat([film.to(laid.dtype), laid], dim=1)))

    def branches(self, x: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Run both backbones.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.
        boxes : Tensor of shape (B, 4), float64
            Crops on the model grid, (x0, y0, x1, y1), px, half-open.

        Returns
        -------
        (Tensor of shape (B, K, h', w'), Tensor of shape (B, K, h', w'))
            The film's map, and the crop's on the crop's own grid.

        Raises
        ------
        ValueError
            If H or W is not a multiple of stride times shrink, or there is more than one channel.
        """
        rows, cols = x.shape[-2:]
        shrink, step = self.spec.shrink, self.spec.stride * self.spec.shrink
        if x.ndim != 4 or x.shape[1] != 1 or rows % step or cols % step:
            raise ValueError(f"input of shape {tuple(x.shape)}; expected [B, 1, H, W] with H and W multiples of {step}")
        crops = crop_films(x, boxes, rows // shrink, cols // shrink)
        film = avg_pool2d(x, shrink) if shrink > 1 else x
        return self.backbone(self.normalise(film)), self.crop_backbone(self.normalise(crops))

    @torch.no_grad()
    def crop_boxes(self, x: Tensor) -> Tensor:
        """Find the crop of each film.

        Parameters
        ----------
        x : Tensor of shape (B, 1, H, W), float
            Grey 0-1, model grid.

        Returns
        -------
        Tensor of shape (B, 4), float64
            (x0, y0, x1, y1), half-open, whole px of the model grid.
        """
        views, to_view = lung_view(x.float())
        likely = lung_probabilities(self.lungs, views)
        shape, margin = (x.shape[-2], x.shape[-1]), self.spec.crop_margin
        on_host = (each[:, 0].float().cpu() for each in (x, views, likely))
        boxes = [
            _crop_of(grey, probability, to_view, lit_box(film), shape, margin).as_tuple()
            for film, grey, probability in zip(*on_host, strict=True)
        ]
        return torch.tensor(boxes, dtype=torch.float64, device=x.device)


def build_member(spec: NetworkSpec, labels: int, seed: int) -> PooledClassifier:
    """Build one network with fresh weights, fused or not.

    Parameters
    ----------
    spec, labels, seed
        See `build_classifier`.

    Returns
    -------
    PooledClassifier
        In training mode.
    """
    if spec.fusion == "none":
        return build_classifier(spec, labels, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SdfnClassifier(spec, labels)


def load_member_weights(model: PooledClassifier, given: Mapping[str, Tensor]) -> WeightsReport:
    """Copy initial weights into a network; both branches of a fused one start from the same backbone.

    Parameters
    ----------
    model : PooledClassifier
        Changed in place.
    given : mapping of str to Tensor
        State dict, see `load_starting_weights`.

    Returns
    -------
    WeightsReport
        Of the film's branch; the crop's branch and the lung segmenter are not included.

    Notes
    -----
    The crop branch and the lung segmenter of a file of ours are copied too, where their shapes fit.
    """
    own = (f"{_CROP}backbone.", _LUNGS)
    report = load_starting_weights(model, {name: value for name, value in given.items() if not name.startswith(own)})
    if not isinstance(model, SdfnClassifier):
        return report
    state = model.state_dict()
    for name, value in both_branches(model.state_dict()).items():
        if name.startswith(_CROP):
            state[name].copy_(given.get(name, value) if _fits(given.get(name), value) else value)
    for name, value in given.items():
        if name.startswith(_LUNGS) and name in state and _fits(value, state[name]):
            state[name].copy_(value)
    missing = tuple(name for name in report.missing if not name.startswith(own))
    return replace(report, missing=missing)


def both_branches(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy the film branch's weights to the crop's branch.

    Parameters
    ----------
    weights : mapping of str to Tensor
        State dict of an `SdfnClassifier`.

    Returns
    -------
    dict of str to Tensor
        A new mapping; the tensors are shared.
    """
    doubled = {f"{_CROP}{name}": value for name, value in weights.items() if name.startswith("backbone.")}
    return {**weights, **doubled}


def lit_box(film: Tensor) -> Box:
    """Enclose the part of a film that is not black margin of a letterbox or a collimator.

    Parameters
    ----------
    film : Tensor of shape (H, W), float
        Grey 0-1, model grid.

    Returns
    -------
    Box
        Model grid, px; the whole grid if all of it is black.
    """
    lit = film > 0
    rows, cols = (lit.any(dim=axis).nonzero().flatten() for axis in (1, 0))
    if not len(rows):
        return Box(0.0, 0.0, float(film.shape[1]), float(film.shape[0]))
    return Box(float(cols[0]), float(rows[0]), float(cols[-1]) + 1, float(rows[-1]) + 1)


def _crop_of(
    grey: Tensor, probability: Tensor, to_view: GridTransform, lit: Box, shape: tuple[int, int], margin: float
) -> Box:
    left, top = to_view.xy_to_model(lit.x0, lit.y0)
    right, bottom = to_view.xy_to_model(lit.x1, lit.y1)
    window = CropWindow(round(top), min(SIDE_PX, round(bottom)), round(left), min(SIDE_PX, round(right)))
    lungs = find_lungs(grey.numpy(), probability.numpy(), window).box()
    on_film = None if lungs is None else to_view.box_to_native(lungs).clipped(*shape)
    return crop_box(on_film, *shape, margin)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in {torch.bfloat16, torch.float16} else values


def _fits(value: Tensor | None, own: Tensor) -> bool:
    return value is not None and value.shape == own.shape
