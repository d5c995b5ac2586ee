"""Training of the lung segmenter on generated films, whose lungs are known exactly."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.core.imaging.resampling import to_model_grid
from camray.core.networks.lung_unet import SIDE_PX, LungUNet, build_lung_unet
from camray.core.phantom.film import PhantomFilm, render_film
from camray.core.training.augmentation import Augmentation, augment

BoolImage = NDArray[np.bool_]
FloatImage = NDArray[np.float32]

_ROWS = 192  # of a drawn film, so that a half of it still has more pixels than the segmenter's grid
_GEOMETRY = Augmentation(flip=0.5, rotate_deg=10, translate=0.1, scale=0.25, aspect=0.15)
_GREY = Augmentation(gamma=0.7, contrast=0.3, brightness=0.15, noise=0.04, erase=0.3)


@dataclass(frozen=True, eq=False)
class LungSample:
    """A film and its lungs on the segmenter's grid.

    Parameters
    ----------
    grey : ndarray of shape (SIDE_PX, SIDE_PX), float32
        0-1.
    lung : ndarray of shape (SIDE_PX, SIDE_PX), bool
        Both lungs.
    """

    grey: FloatImage
    lung: BoolImage


@dataclass(frozen=True)
class LungFitSettings:
    """Duration, batches and learning rate.

    Parameters
    ----------
    epochs, batch_size : int
        At least 1.
    learning_rate : float
        Highest; it falls to zero along a cosine.
    seed : int
        Of weights, batches and augmentation.
    """

    epochs: int
    batch_size: int = 16
    learning_rate: float = 5e-3
    seed: int = 1


def lung_samples(seed: int, index: int) -> tuple[LungSample, LungSample]:
    """Draw one film: whole, and one half of its chest, right and left alternately.

    Parameters
    ----------
    seed, index : int
        As for `render_film`; equal arguments give equal bytes.

    Returns
    -------
    (LungSample, LungSample)
        The whole film and the half.
    """
    film = render_film(seed, index, _ROWS)
    half = film_half(film, "lung_right" if index % 2 else "lung_left")
    return _sample(film.image, _lung_of(film)), _sample(*half)


def film_half(film: PhantomFilm, lung: str) -> tuple[FloatImage, BoolImage]:
    """Cut a film in the middle between both lungs.

    Parameters
    ----------
    film : PhantomFilm
        With both lungs, else it stays whole.
    lung : str
        ``lung_right`` or ``lung_left``, the half to keep.

    Returns
    -------
    (ndarray of shape (H, W'), float32; ndarray of shape (H, W'), bool)
        The half's grey 0-1 and its lungs, native grid.
    """
    right, left = film.lung_masks["lung_right"], film.lung_masks["lung_left"]
    if not (right.any() and left.any()):
        return film.image, _lung_of(film)
    middle = round((float(np.nonzero(right)[1].mean()) + float(np.nonzero(left)[1].mean())) / 2)
    part = slice(None, middle) if lung == "lung_right" else slice(middle, None)
    return film.image[:, part], _lung_of(film)[:, part]


def fit_lungs(samples: list[LungSample], settings: LungFitSettings) -> Iterator[tuple[LungUNet, float]]:
    """Train a segmenter.

    Parameters
    ----------
    samples : list of LungSample
        At least one batch.
    settings : LungFitSettings
        Duration, batches and learning rate.

    Yields
    ------
    LungUNet
        After each epoch; the same object every time.
    float
        The epoch's mean loss: Dice loss plus cross entropy (Milletari et al. 2016; `monai.losses.DiceCELoss`).
    """
    from monai.losses.dice import DiceCELoss  # takes seconds

    grey, lung = (_stacked([getattr(sample, key) for sample in samples]) for key in ("grey", "lung"))
    network, generator = build_lung_unet(settings.seed), torch.Generator().manual_seed(settings.seed)
    steps = settings.epochs * (len(samples) // settings.batch_size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    criterion = DiceCELoss(sigmoid=True)
    for _ in range(settings.epochs):
        order = torch.randperm(len(samples), generator=generator)
        losses = []
        for start in range(0, len(samples) - settings.batch_size + 1, settings.batch_size):
            batch = order[start : start + settings.batch_size]
            films, masks = _augmented(grey[batch], lung[batch], generator)
            loss = criterion(network(films), masks)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        yield network, float(np.mean(losses))


def dice(first: BoolImage, second: BoolImage) -> float:
    """Compute the Dice coefficient of two masks, ``2 |A B| / (|A| + |B|)``.

    Parameters
    ----------
    first, second : ndarray of one shape, bool
        On one grid.

    Returns
    -------
    float
        0-1; 1 if both are empty.

    Examples
    --------
    >>> dice(np.array([True, True, False]), np.array([True, False, False]))
    0.6666666666666666
    """
    total = int(first.sum() + second.sum())
    return 2 * int((first & second).sum()) / total if total else 1.0


def _augmented(films: Tensor, lungs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    moved = augment(torch.cat([films, lungs], dim=1), _GEOMETRY, generator)  # both channels move together
    return augment(moved[:, :1].contiguous(), _GREY, generator).clamp(0, 1), (moved[:, 1:] >= 0.5).float()


def _lung_of(film: PhantomFilm) -> BoolImage:
    return film.lung_masks["lung_right"] | film.lung_masks["lung_left"]


def _sample(image: FloatImage, lung: BoolImage) -> LungSample:
    grey, _ = to_model_grid(image, SIDE_PX, SIDE_PX, "letterbox")
    mask, _ = to_model_grid(lung.astype(np.float32), SIDE_PX, SIDE_PX, "letterbox")
    return LungSample(grey, mask >= 0.5)


def _stacked(images: list[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(images).astype(np.float32))[:, None]
