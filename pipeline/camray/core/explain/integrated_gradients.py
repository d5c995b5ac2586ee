"""Integrated gradients: the gradient of a logit by the input, integrated from a black film to the film itself.

Adaptively until the maps are complete, or by a fixed rule. All maps are raw, on the scale of the logits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from camray.core.explain.autograd import Scorer, evaluating, input_gradients
from camray.core.explain.method_options import IntegrationRule
from camray.domain.errors import CheckpointError


def integrated_gradients(
    score: Scorer,
    films: Tensor,
    *,
    pieces: int = 8,
    tolerance: float = 1e-3,
    batch_size: int = 32,
    max_points: int = 4096,
) -> Tensor:
    """Integrate the gradient along the straight line from a black film (Sundararajan et al., ICML 2017, eq. 1).

    ``IG_i = x_i integral_0^1 dS/dx_i (a x) da``, by the midpoint rule on pieces of the line.

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W), float
        x, input grid.
    pieces : int
        Equal pieces at the start.
    tolerance : float
        Completeness: ``|sum IG - (S(x) - S(0))| <= tolerance * max(1, |S(x) - S(0)|)`` for every label.
    batch_size : int
        Points per forward pass.
    max_points : int
        Maximum number of gradients per film.

    Returns
    -------
    Tensor of shape (B, L, H, W), float
        Signed, summed over channels.

    Raises
    ------
    CheckpointError
        If a film's maps are not complete after `max_points`.

    Notes
    -----
    Completeness holds piece by piece: the difference between a piece's gradient and the change of S over the piece is
    its error. A piece without a kink of a piecewise linear S has none. While a film's errors do not add up to within
    the tolerance, its pieces with more than 1/256 of it are halved. Each film is refined by itself, so that a batch
    equals films one by one.
    """
    line = _Line(score, films, batch_size)
    state = _first_round(line, pieces, tolerance)
    while len(state.film):
        state = _next_round(line, state)
        exhausted = ~state.is_complete & ((state.remaining == 0) | (state.points > max_points))
        if bool(exhausted.any()):
            raise CheckpointError(
                f"integrated gradients of {int(exhausted.sum())} films are not complete to within {tolerance}; "
                f"allow more than {max_points} points"
            )
    return (state.sums * films[:, None]).sum(dim=2)


def integrated_gradients_by_rule(
    score: Scorer, films: Tensor, *, rule: IntegrationRule, steps: int, batch_size: int = 32
) -> Tensor:
    """Integrate the gradient from a black film by a fixed rule; see `integrated_gradients`.

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W), float
        x, input grid.
    rule : str
        See `rule_points`.
    steps : int
        Points per film.
    batch_size : int
        Points per forward pass.

    Returns
    -------
    Tensor of shape (B, L, H, W), float
        Signed, summed over channels. Complete only as far as the rule is exact.
    """
    points, weights = rule_points(rule, steps)
    total: Tensor | None = None
    for rows in torch.split(torch.arange(steps), max(1, batch_size // len(films))):
        parts = torch.tensor(points[rows.numpy()], dtype=films.dtype, device=films.device)
        share = torch.tensor(weights[rows.numpy()], dtype=films.dtype, device=films.device)
        scaled = (parts[:, None, None, None, None] * films[None]).flatten(0, 1)
        gradients = input_gradients(score, scaled)[1]
        gradients = gradients.reshape(len(rows), len(films), *gradients.shape[1:])
        added = torch.einsum("s,sblchw->blchw", share, gradients)
        total = added if total is None else total + added
    if total is None:
        raise ValueError(f"{steps} steps; expected at least one")
    return (total * films[:, None]).sum(dim=2)


def rule_points(rule: IntegrationRule, steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points and weights of an integration rule on 0-1.

    Parameters
    ----------
    rule : str
        ``gausslegendre``, or ``riemann_left``, ``_middle``, ``_right``, ``_trapezoid``: as Captum has them. Its
        trapezoids have ``steps`` points and a width of ``1 / steps``: their weights sum to ``1 - 1 / steps``.
    steps : int
        At least 1; 2 for trapezoids.

    Returns
    -------
    (ndarray of shape (steps,), ndarray of shape (steps,)), float64
        Points, rising, and weights.

    Raises
    ------
    ValueError
        If the rule has no points.
    """
    if rule == "gausslegendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (nodes + 1) / 2, weights / 2
    ends = {
        "riemann_left": (0.0, 1 - 1 / steps),
        "riemann_middle": (0.5 / steps, 1 - 0.5 / steps),
        "riemann_right": (1 / steps, 1.0),
        "riemann_trapezoid": (0.0, 1.0),
    }
    if rule not in ends:
        raise ValueError(f"rule '{rule}' has no fixed points; expected one of gausslegendre, {', '.join(ends)}")
    weights = np.full(steps, 1 / steps)
    if rule == "riemann_trapezoid":
        weights[[0, -1]] /= 2
    return np.linspace(*ends[rule], steps), weights


@dataclass(frozen=True)
class _Refinement:
    """Integrals so far, by film, and the pieces [M] that are still to be integrated."""

    sums: Tensor  # [B, L, C, H, W]: integral of the gradient
    errors: Tensor  # [B, L]: of the pieces that are settled
    allowed: Tensor  # [B, L]
    points: Tensor  # [B]: gradients so far
    is_complete: Tensor  # [B]
    remaining: Tensor  # [B]: pieces still to be integrated
    width: float
    film: Tensor  # [M]: whose piece it is
    begin: Tensor  # [M]: where on the line, 0-1
    first: Tensor  # [M, L]: scores at its two ends
    last: Tensor


def _first_round(line: "_Line", pieces: int, tolerance: float) -> _Refinement:
    films, count = line.films, len(line.films)
    ends = line.scores(pieces)
    change = ends[:, -1] - ends[:, 0]
    return _Refinement(
        sums=films.new_zeros(*change.shape, *films.shape[1:]),
        errors=torch.zeros_like(change),
        allowed=tolerance * change.abs().clamp_min(1),
        points=torch.zeros(count, dtype=torch.int64, device=films.device),
        is_complete=torch.zeros(count, dtype=torch.bool, device=films.device),
        remaining=torch.full((count,), pieces, device=films.device),
        width=1 / pieces,
        film=torch.arange(count, device=films.device).repeat_interleave(pieces),
        begin=(torch.arange(pieces, dtype=films.dtype, device=films.device) / pieces).repeat(count),
        first=ends[:, :-1].flatten(0, 1),
        last=ends[:, 1:].flatten(0, 1),
    )


def _next_round(line: "_Line", state: _Refinement) -> _Refinement:
    """Integrate the pieces; keep films that are complete, and exact pieces of the others; halve the rest."""
    film, begin, count = state.film, state.begin, len(line.films)
    points = torch.bincount(film, minlength=count)
    result = line.integrate(film, begin, state.width, state.last - state.first, state.allowed)
    now_complete = ((state.errors + result.errors).abs() <= state.allowed).all(dim=1)
    halved = ~(result.is_exact | now_complete[film])
    width, middle = state.width / 2, result.middle[halved]
    return _Refinement(
        sums=state.sums + torch.where(now_complete[:, None, None, None, None], result.all, result.exact),
        errors=state.errors.index_add(0, film[result.is_exact], result.each[result.is_exact]),
        allowed=state.allowed,
        points=state.points + points,
        is_complete=torch.where(points > 0, now_complete, state.is_complete),
        remaining=torch.bincount(film[halved], minlength=count),
        width=width,
        film=film[halved].repeat(2),
        begin=torch.cat([begin[halved], begin[halved] + width]),
        first=torch.cat([state.first[halved], middle]),
        last=torch.cat([middle, state.last[halved]]),
    )


@dataclass(frozen=True)
class _Pieces:
    """Results of one round: sums of gradients [B, L, C, H, W] over all pieces and over the exact ones, and errors."""

    all: Tensor
    exact: Tensor
    errors: Tensor  # [B, L]: of all pieces of a film
    each: Tensor  # [M, L]
    middle: Tensor  # [M, L]: scores half-way
    is_exact: Tensor  # [M]: negligible error for all labels


@dataclass(frozen=True)
class _Line:
    """The straight line from black to each film."""

    score: Scorer
    films: Tensor
    batch_size: int

    def scores(self, pieces: int) -> Tensor:
        """Score the ends of equal pieces, [B, pieces + 1, L]."""
        count, films = len(self.films), self.films
        film = torch.arange(count, device=films.device).repeat_interleave(pieces + 1)
        part = (torch.arange(pieces + 1, dtype=films.dtype, device=films.device) / pieces).repeat(count)
        with evaluating(self.score), torch.no_grad():
            scores = [self.score(self._at(film[rows], part[rows])) for rows in self._batches(len(film))]
        return torch.cat(scores).reshape(count, pieces + 1, -1)

    def integrate(self, film: Tensor, begin: Tensor, width: float, change: Tensor, allowed: Tensor) -> _Pieces:
        """Take the midpoint's gradient for each piece ``[begin, begin + width]``, given the change of its scores."""
        shape = (*allowed.shape, *self.films.shape[1:])
        every, exact = self.films.new_zeros(shape), self.films.new_zeros(shape)
        errors, middle, flags = [], [], []
        for rows in self._batches(len(film)):
            own = film[rows]
            score, gradients = input_gradients(self.score, self._at(own, begin[rows] + width / 2))
            gradients = gradients * width
            error = (gradients * self.films[own][:, None]).sum(dim=(2, 3, 4)) - change[rows]
            good = (error.abs() <= allowed[own] / 256).all(dim=1)
            every.index_add_(0, own, gradients)
            exact.index_add_(0, own[good], gradients[good])
            errors.append(error)
            middle.append(score.detach())
            flags.append(good)
        each = torch.cat(errors)
        return _Pieces(
            every,
            exact,
            torch.zeros_like(allowed).index_add(0, film, each),
            each,
            torch.cat(middle),
            torch.cat(flags),
        )

    def _at(self, film: Tensor, part: Tensor) -> Tensor:
        return part[:, None, None, None] * self.films[film]

    def _batches(self, count: int) -> tuple[Tensor, ...]:
        return torch.split(torch.arange(count, device=self.films.device), self.batch_size)
