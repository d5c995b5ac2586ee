"""Map sanity checks of explanation methods on one network; refusals are reported with their reason.

cascading parameter randomisation (Adebayo et al., NeurIPS 2018)
    `weight_randomization.cascade`; agreement with the original map by `similarity.rank_correlations`, of the maps as
    they are and of their absolute values, and by `similarity.structural_similarities`.
noise stability (max-sensitivity, Yeh et al., NeurIPS 2019, eq. 2, by the size of the map)
    ``max_j ||M(x + d_j) - M(x)|| / ||M(x)||`` over draws d_j, uniform in the cube ``|d| <= r``, ``x + d_j`` cut to 0-1;
    and the mean over j in place of the maximum. A few draws are a lower bound of the true maximum.
deletion and insertion
    `deletion_insertion.removal_curves`.
average drop and increase
    `deletion_insertion.confidence_through`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from camray.core.explain.autograd import evaluating
from camray.core.explain.method import Method
from camray.core.explain.seam import SeamNetwork
from camray.core.map_sanity.deletion_insertion import (
    Baseline,
    Curves,
    CurveSettings,
    confidence_through,
    removal_curves,
)
from camray.core.map_sanity.method_figures import Cascade, MethodFigures
from camray.core.map_sanity.similarity import (
    FloatArray,
    is_constant,
    rank_correlations,
    relative_changes,
    structural_similarities,
)
from camray.core.map_sanity.single_label import OneLabel, label_maps
from camray.core.map_sanity.weight_randomization import MOST_BLOCKS, Block, blocks_of, cascade
from camray.domain.errors import PipelineError


@dataclass(frozen=True)
class SanityPlan:
    """Settings of the sanity checks.

    Parameters
    ----------
    steps : int
        Of the deletion and insertion curves.
    blur : float
        Standard deviation of the blurred film that insertion starts from, fraction of the film's longer side.
    noise : float
        r: largest change of a pixel, in grey values of 0-1.
    noise_draws : int
        Noisy films for each film.
    most_blocks : int
        Blocks of the cascade at most.
    most_passes : int or None
        Maximum films through the network for the maps of a method, and again for its noise and cascade; a more
        expensive method is examined on the first films only, at least on one. None sets no limit.
    seed : int
        Of the weights, the noise, and the order of equal cells.
    batch_size : int
        Films per pass.
    deletion_baseline, insertion_baseline : str
        See `CurveSettings`.
    """

    steps: int = 16
    blur: float = 1 / 16
    noise: float = 0.02
    noise_draws: int = 4
    most_blocks: int = MOST_BLOCKS
    most_passes: int | None = None
    seed: int = 0
    batch_size: int = 32
    deletion_baseline: Baseline = "mean"
    insertion_baseline: Baseline = "blurred"

    def __post_init__(self) -> None:
        if min(self.steps, self.noise_draws, self.batch_size) < 1 or not (self.blur > 0 and self.noise > 0):
            raise ValueError(f"{self}: expected steps, draws and batch size of one or more, blur and noise above 0")


def examine(
    network: nn.Module, films: Tensor, labels: Sequence[int], methods: Iterable[Method], plan: SanityPlan
) -> Iterator[MethodFigures]:
    """Run all checks of every method.

    Parameters
    ----------
    network : Module
        A `SeamNetwork`. Examined in evaluation mode and left exactly as found; weights are randomised on a copy.
    films : Tensor of shape (N, 1, H, W)
        Grey 0-1, on the model grid and the network's device.
    labels : sequence of int
        Which label of the network each film is examined for; films that show it, or the figures mean little.
    methods : iterable of Method
    plan : SanityPlan

    Yields
    ------
    MethodFigures
        One per method, in their order. Where a method refuses the network: its reason, and nothing else.

    Raises
    ------
    ValueError
        If there is no film, or not one label per film.
    """
    pairs = _Pairs(films, tuple(labels))
    with evaluating(network):
        blocks = blocks_of(network, plan.most_blocks)
        for method in methods:
            try:
                yield _examined(network, pairs, method, blocks, plan)
            except PipelineError as error:
                yield MethodFigures(method.name, reason=str(error))


def examine_order(
    network: nn.Module, films: Tensor, labels: Sequence[int], heat: FloatArray, name: str, plan: SanityPlan
) -> MethodFigures:
    """Apply the checks that need no method to given maps: deletion, insertion, average drop and increase.

    For baselines that do not use the film, to be compared with methods.

    Parameters
    ----------
    network, films, labels, name, plan
        As for `examine`.
    heat : ndarray of shape (N, h, w), float64
        Raw map of each pair.

    Returns
    -------
    MethodFigures
        The figures of each pair.
    """
    with evaluating(network):
        return _removed(network, _Pairs(films, tuple(labels)), heat, name, plan)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Films [N, 1, H, W] and the label that each is examined for."""

    films: Tensor
    labels: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.labels or len(self.labels) != len(self.films):
            raise ValueError(f"{len(self.films)} films and {len(self.labels)} labels; expected one label per film")

    def part(self, start: int, stop: int) -> "_Pairs":
        return _Pairs(self.films[start:stop], self.labels[start:stop])

    def by_label(self) -> Iterator[tuple[int, list[int]]]:
        for label in sorted(set(self.labels)):
            yield label, [number for number, other in enumerate(self.labels) if other == label]


def _examined(
    network: nn.Module, pairs: _Pairs, method: Method, blocks: tuple[Block, ...], plan: SanityPlan
) -> MethodFigures:
    count = len(pairs.labels)
    heat, passes = _maps(network, pairs.part(0, 1), method, plan)  # measures the cost of a map
    examined = _affordable(passes, count, plan)
    if examined > 1:
        heat = np.concatenate([heat, _maps(network, pairs.part(1, examined), method, plan)[0]])
    figures = _removed(network, pairs.part(0, examined), heat, method.name, plan)
    checked = _affordable(passes * (plan.noise_draws + len(blocks)), examined, plan)
    near, original = pairs.part(0, checked), heat[:checked]
    noise = np.stack(
        [relative_changes(original, _maps(network, noisy, method, plan)[0]) for noisy in _noisy(near, plan)]
    )
    agreement = [
        (block.name, *_agreement(original, _maps(altered, near, method, plan)[0]))
        for block, altered in cascade(network, blocks, plan.seed)
    ]
    names, *rows = zip(*agreement, strict=True)
    randomised = Cascade(tuple(names), *(np.stack(each) for each in rows))
    return replace(figures, noise=noise, cascade=randomised, passes=passes)


def _removed(network: nn.Module, pairs: _Pairs, heat: FloatArray, name: str, plan: SanityPlan) -> MethodFigures:
    blur_px = plan.blur * max(pairs.films.shape[-2:])
    settings = CurveSettings(
        plan.steps, blur_px, plan.seed, plan.batch_size, plan.deletion_baseline, plan.insertion_baseline
    )
    per_film: dict[str, FloatArray] = {key: np.zeros(len(heat)) for key in ("whole", "drop", "increase")}
    parts: list[tuple[list[int], Curves]] = []
    for label, at in pairs.by_label():
        view, films = OneLabel(_seam(network), label), pairs.films[at]
        parts.append((at, removal_curves(view, films, heat[at], settings)))
        confidence = confidence_through(view, films, heat[at], batch_size=plan.batch_size)
        for key, values in per_film.items():
            values[at] = getattr(confidence, key)
    fractions = parts[0][1].fractions
    deletion, insertion = (np.zeros((len(heat), len(fractions))) for _ in range(2))
    for at, curves in parts:
        deletion[at], insertion[at] = curves.deletion, curves.insertion
    curves = Curves(fractions, deletion, insertion)
    return MethodFigures(name, "", is_constant(heat), curves, per_film["whole"], per_film["drop"], per_film["increase"])


def _maps(network: nn.Module, pairs: _Pairs, method: Method, plan: SanityPlan) -> tuple[FloatArray, float]:
    """Return raw maps [N, h, w] and what one of them cost."""
    map_of_pair: dict[int, FloatArray] = {}
    passes = 0
    for label, at in pairs.by_label():
        view = OneLabel(_seam(network), label)
        maps = label_maps(view, method, pairs.films[at], plan.batch_size).double().cpu().numpy()
        map_of_pair |= dict(zip(at, maps, strict=True))
        passes += view.passes
    return np.stack([map_of_pair[number] for number in range(len(pairs.labels))]), passes / len(pairs.labels)


def _affordable(passes: float, count: int, plan: SanityPlan) -> int:
    if plan.most_passes is None:
        return count
    return max(1, min(count, int(plan.most_passes / max(passes, 1.0))))


def _noisy(pairs: _Pairs, plan: SanityPlan) -> Iterator[_Pairs]:
    """Yield the films under noise: uniform in -r to r, the same for every film of a draw, cut to grey 0-1."""
    generator = torch.Generator().manual_seed(plan.seed)
    for _ in range(plan.noise_draws):
        drawn = torch.rand(pairs.films.shape[1:], generator=generator, dtype=torch.float64) * 2 - 1
        yield _Pairs((pairs.films + plan.noise * drawn.to(pairs.films)).clamp(0, 1), pairs.labels)


def _agreement(original: FloatArray, heat: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    signed, absolute = rank_correlations(original, heat), rank_correlations(np.abs(original), np.abs(heat))
    return signed, absolute, structural_similarities(original, heat)


def _seam(network: nn.Module) -> SeamNetwork:
    return cast(SeamNetwork, network)
