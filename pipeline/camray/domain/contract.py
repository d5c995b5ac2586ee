"""Model contract: labels, input and architecture of a trained network, stored beside its weights."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, get_args

from camray.domain.preparation import UNCHANGED, FilmPreparation, preparation_from_json

Backbone = Literal[
    "resnet_light",
    "resnet18",
    "resnet50",
    "densenet121",
    "efficientnet_b0",
    "alexnet_gap",
    "vgg16_gap",
    "vgg16_bn_gap",
    "googlenet_gap",
    "googlenet",
    "nin",
    "efficientnet_lite0",
    "efficientnet_lite1",
    "efficientnet_lite2",
    "vit_s16",
    "vit_b14",
    "eva_x_s16",
    "alexnet",
    "vgg16",
    "vgg16_bn",
]
Pool = Literal["gap", "gmp", "lse", "pcam", "lse_map", "lse_learned", "noisy_or"]
Stride = Literal[8, 14, 16, 32]
Normalisation = Literal["fixed", "film", "local", "film_local", "photo"]
Fusion = Literal["none", "sdfn"]
Head = Literal["linear", "pyramid"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)
POOLS: tuple[Pool, ...] = get_args(Pool)
STRIDES: tuple[Stride, ...] = get_args(Stride)
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
FUSIONS: tuple[Fusion, ...] = get_args(Fusion)
HEADS: tuple[Head, ...] = get_args(Head)
FULLY_CONNECTED = ("alexnet", "vgg16", "vgg16_bn")  # no pool, no linear head: Grad-CAM, and no CAM
PACKAGED = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")  # a package ships ImageNet weights
PYRAMIDS = ("resnet_light", "resnet18", "resnet50", *PACKAGED)  # backbones that a pyramid can read
TOKEN_STRIDES = {"vit_s16": 16, "vit_b14": 14, "eva_x_s16": 16}  # vision transformers: the side of their patches, px
GREY_SCALE = "MONOCHROME2 after VOI, 0 black to 1 white, stored as round(grey * (2**bits - 1))"


@dataclass(frozen=True)
class NetworkSpec:
    """Architecture of a network, without its weights.

    Parameters
    ----------
    backbone : str
        One of `BACKBONES`.
    pool : str
        One of `POOLS`; must be ``gap``, without effect, if `backbone` is one of `FULLY_CONNECTED`.
    lse_r : float
        Sharpness of ``lse`` and ``lse_map``; of ``lse_learned`` at the start of training.
    stride : int
        Model px per cell, one of `STRIDES`: a pyramid's finest one, a transformer's patch (`TOKEN_STRIDES`).
    aligned : bool
        The last strided layer samples odd instead of even positions, so that the receptive field of a feature cell is
        centred on the cell. False keeps the published sampling, whose maps are up to half a cell too far down and
        right. AlexNet at stride 16 keeps the published sampling in any case, see `cells`.
    dilated : bool
        Whether dilation replaces a stride that is omitted for a finer map, so that trained weights keep their meaning.
        False ends EfficientNet-Lite at the last block of the stride instead: it has no omitted strides.
    normalise : str
        One of `NORMALISATIONS`, see `camray.core.networks.normalise`.
    widths, blocks : tuple of int
        Channels and blocks of the four layers; only for ``resnet_light``.
    stem_kernel : int
        Side of the first convolution, px; only for ``resnet_light``.
    stem_pool : bool
        Whether max pooling follows the first convolution; only for ``resnet_light``.
    dropout : float
        Probability of dropping a channel of the feature map in training.
    norm_momentum : float
        Share of a batch in the running statistics of batch normalisation, in training.
    head : str
        One of `HEADS`: what the pool reads, the backbone's last map (``linear``), or the sum of several (``pyramid``).
    pyramid_strides : tuple of int
        Strides of the maps that are added up, rising, the first equal to `stride`; only for ``pyramid``.
    pyramid_channels : int
        Channels of their sum; only for ``pyramid``.
    members : int
        Number of networks of this architecture whose logits and maps are averaged.
    fusion : str
        One of `FUSIONS`: ``sdfn`` applies two backbones to the film and a lung crop, and concatenates their features.
    crop_margin : float
        Margin around the lungs on each side, fraction of their box's width and height; only for ``sdfn``.
    shrink : int
        Both branches work on 1/shrink of the model grid's sides. The crop is cut from the full grid, so it has more
        detail of the lungs than the film; only for ``sdfn``.

    Raises
    ------
    ValueError
        If a choice is not legal; the message lists the legal ones.
    """

    backbone: str = "resnet_light"
    pool: str = "gap"
    lse_r: float = 5.0
    stride: int = 16
    aligned: bool = True
    dilated: bool = True
    normalise: str = "fixed"
    widths: tuple[int, ...] = (16, 32, 64, 128)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    stem_kernel: int = 7
    stem_pool: bool = True
    dropout: float = 0.0
    members: int = 1
    fusion: str = "none"
    crop_margin: float = 0.05
    shrink: int = 1
    norm_momentum: float = 0.1
    head: str = "linear"
    pyramid_strides: tuple[int, ...] = (8, 16, 32)
    pyramid_channels: int = 96

    def __post_init__(self) -> None:
        for name, legal in (
            ("backbone", BACKBONES),
            ("pool", POOLS),
            ("stride", STRIDES),
            ("normalise", NORMALISATIONS),
            ("fusion", FUSIONS),
            ("head", HEADS),
        ):
            if getattr(self, name) not in legal:
                raise ValueError(f"{name} is {getattr(self, name)!r}; expected one of {', '.join(map(str, legal))}")
        if len(self.widths) != 4 or len(self.blocks) != 4 or min(*self.widths, *self.blocks) < 1:
            raise ValueError(f"widths {self.widths} and blocks {self.blocks} must be four positive numbers each")
        if self.stem_kernel < 3 or self.stem_kernel % 2 == 0:
            raise ValueError(f"stem_kernel is {self.stem_kernel}; expected an odd number from 3 up")
        if not (self.lse_r > 0 and 0 <= self.dropout < 1):
            raise ValueError(f"lse_r {self.lse_r} must be positive and dropout {self.dropout} in [0, 1)")
        if not 0 < self.norm_momentum <= 1:
            raise ValueError(f"norm_momentum is {self.norm_momentum}; expected a number above 0, and at most 1")
        if self.members < 1:
            raise ValueError(f"members is {self.members}; expected one or more")
        if self.is_fully_connected and (self.pool, self.stride) != ("gap", 16):
            raise ValueError(
                f"{self.backbone} has fully connected layers on a map of stride 16 and no pool; "
                f"pool '{self.pool}' and stride {self.stride} are requested; leave them at gap and 16"
            )
        self._check_patch()
        self._check_fusion()
        if self.head == "pyramid":
            self._check_pyramid()

    def _check_patch(self) -> None:
        patch = TOKEN_STRIDES.get(self.backbone)
        if self.stride != patch and (patch is not None or self.stride == 14):
            raise ValueError(f"stride is {self.stride}; {self.backbone} has {patch or '8, 16 or 32'}")
        if patch == 14 and "local" in self.normalise:
            raise ValueError(f"normalise '{self.normalise}' needs sides that are multiples of 4; 14 is not: use film")

    def _check_fusion(self) -> None:
        if self.fusion == "sdfn" and self.is_fully_connected:
            raise ValueError(f"fusion 'sdfn' joins pooled features, and {self.backbone} has no pool: use its GAP form")
        if not (0 <= self.crop_margin < 1 and self.shrink >= 1):
            raise ValueError(f"crop_margin {self.crop_margin} must be in [0, 1) and shrink {self.shrink} at least 1")
        if self.fusion == "none" and self.shrink != 1:
            raise ValueError(f"shrink is {self.shrink} without a fusion; ingest a smaller grid instead")

    def _check_pyramid(self) -> None:
        strides = self.pyramid_strides
        if self.backbone not in PYRAMIDS:
            raise ValueError(f"head 'pyramid' needs one of the backbones {', '.join(PYRAMIDS)}; got {self.backbone}")
        if len(strides) < 2 or sorted(set(strides)) != list(strides) or not set(strides) <= {8, 16, 32}:
            raise ValueError(f"pyramid_strides are {strides}; expected two or more of 8, 16, 32, rising")
        if self.stride != strides[0] or self.pyramid_channels < 1:
            raise ValueError(
                f"stride {self.stride}: a pyramid has its finest one, {strides[0]}, and one channel or more"
            )

    @property
    def last_stride(self) -> int:
        """Stride of the backbone's last map, px of the model grid: a pyramid's coarsest, else `stride`."""
        return self.pyramid_strides[-1] if self.head == "pyramid" else self.stride

    @property
    def is_fully_connected(self) -> bool:
        """Whether fully connected layers replace the pool and the linear layer."""
        return self.backbone in FULLY_CONNECTED

    def cells(self, side_px: int) -> int:
        """Count the feature cells along a side of the model grid.

        Parameters
        ----------
        side_px : int
            A multiple of the stride.

        Returns
        -------
        int
            ``side_px / stride``; one less for AlexNet's published sampling, 13 at 224 px. Maps are still
            scaled to the whole model grid; `camray.core.networks.alexnet` documents the error.
        """
        published = self.backbone in {"alexnet", "alexnet_gap"} and not (self.stride == 8 and self.aligned)
        return side_px // self.stride - (1 if published else 0)


@dataclass(frozen=True)
class ModelContract:
    """A trained network's labels, input and provenance.

    Parameters
    ----------
    labels : tuple of str
        In the order of the logits.
    rows, cols : int
        Model grid, px.
    fit : str
        How a film fits the model grid: letterbox, crop or stretch.
    bits : int
        Bits per pixel of the model grid in training, 8 or 16.
    network : NetworkSpec
        Its architecture.
    feature_rows, feature_cols : int
        Feature grid, see `NetworkSpec.cells`; it covers the model grid exactly.
    data_digest : str
        Digest of the training data.
    seed : int
        Seed of the training.
    code_version : str
        Of camray.
    grey_scale : str
        Meaning of the input's grey values.
    starting_weights : str
        Origin and digest of the weights that the training started from; empty: random.
    preparation : FilmPreparation
        How films are changed before they are resampled to the model grid.
    """

    labels: tuple[str, ...]
    rows: int
    cols: int
    fit: str
    bits: int
    network: NetworkSpec
    feature_rows: int
    feature_cols: int
    data_digest: str
    seed: int
    code_version: str
    grey_scale: str = GREY_SCALE
    starting_weights: str = ""
    preparation: FilmPreparation = UNCHANGED

    def __post_init__(self) -> None:
        stride = self.network.stride
        cells = (self.network.cells(self.rows), self.network.cells(self.cols))
        step = stride * self.network.shrink
        is_whole = self.rows % step == self.cols % step == 0 and min(cells) > 0
        if (self.feature_rows, self.feature_cols) != cells or not is_whole:
            raise ValueError(
                f"a feature grid of {self.feature_rows} x {self.feature_cols} cells of {stride} px does not cover "
                f"the model grid of {self.rows} x {self.cols} px; choose multiples of {step}"
            )
        if not self.labels or len(set(self.labels)) != len(self.labels):
            raise ValueError(f"expected at least one label, all different; got {self.labels}")

    def as_json(self) -> dict[str, Any]:
        """Return a JSON-able mapping; `contract_from_json` reads it back."""
        return asdict(self)


def contract_from_json(plain: Mapping[str, Any]) -> ModelContract:
    """Read a contract from its JSON.

    Raises
    ------
    ValueError
        If a key is missing or unknown, or a value is invalid.
    """
    network = plain.get("network")
    if not isinstance(network, Mapping):
        raise ValueError("'network' is missing")
    _check_keys(plain, ModelContract, "contract")
    _check_keys(network, NetworkSpec, "network")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in network.items()}
    spec = NetworkSpec(**values)
    preparation = preparation_from_json(plain.get("preparation", {}))
    return ModelContract(**{**plain, "labels": tuple(plain["labels"]), "network": spec, "preparation": preparation})


def _check_keys(plain: Mapping[str, Any], record: type, where: str) -> None:
    """Check the keys; keys with a default, which equals the earlier behaviour, may be missing in older contracts."""
    known = {item.name for item in fields(record)}
    needed = {item.name for item in fields(record) if item.default is MISSING and item.default_factory is MISSING}
    missing, unknown = sorted(needed - set(plain)), sorted(set(plain) - known)
    if missing or unknown:
        raise ValueError(f"{where}: missing keys {missing}, unknown keys {unknown}")
