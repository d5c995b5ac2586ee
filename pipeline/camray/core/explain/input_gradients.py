"""Maps on the input grid from the gradient of a logit by the input; raw, on the scale of the logits per grey value."""

from dataclasses import dataclass

import torch
from torch import Tensor

from camray.core.explain.autograd import Scorer, evaluating, input_gradients
from camray.domain.errors import CheckpointError


def absolute(gradients: Tensor) -> Tensor:
    """Saliency (Simonyan et al. 2013, section 3.1): ``max_c |dS/dx_c|``, [B, L, C, H, W] to [B, L, H, W]."""
    return gradients.abs().amax(dim=2)


def squared(gradients: Tensor) -> Tensor:
    """Sensitivity (Zurada et al. 1994; Gevrey et al. 2003): ``sum_c (dS/dx_c)^2``, to [B, L, H, W]."""
    return gradients.square().sum(dim=2)


def input_times_gradient(score: Scorer, films: Tensor) -> Tensor:
    """Return ``sum_c x_c dS/dx_c`` (Shrikumar et al. 2016), [B, L, H, W], signed.

    Notes
    -----
    For a network without biases, made of linear layers, ReLUs and pools, the sum over the film is the logit (Euler).
    """
    return (input_gradients(score, films)[1] * films[:, None]).sum(dim=2)


def smoothgrad(score: Scorer, films: Tensor, *, samples: int, noise: float, seed: int) -> Tensor:
    """Average the gradient over noisy copies (Smilkov et al. 2017): ``1/n sum dS/dx (x + N(0, sigma^2))``.

    Parameters
    ----------
    score : Scorer
    films : Tensor of shape (B, C, H, W)
    samples : int
        n.
    noise : float
        sigma by the film's own range (max - min), as in the paper.
    seed : int
        Of the noise. Every film sees the same draws, scaled to its range, so that a batch equals films one by one.

    Returns
    -------
    Tensor of shape (B, L, C, H, W)
        Signed; see `absolute` and `squared`.

    Raises
    ------
    ValueError
        If there is no sample, or the noise is negative.
    """
    if samples < 1 or noise < 0:
        raise ValueError(f"{samples} samples with noise {noise}; expected one or more, and noise >= 0")
    generator = torch.Generator().manual_seed(seed)
    sigma = noise * (films.amax(dim=(1, 2, 3), keepdim=True) - films.amin(dim=(1, 2, 3), keepdim=True))
    total: Tensor | None = None
    for _ in range(samples):
        drawn = torch.randn(films.shape[1:], generator=generator, dtype=torch.float64).to(films)
        gradients = input_gradients(score, films + sigma * drawn)[1]
        total = gradients if total is None else total + gradients
    if total is None:
        raise ValueError("no sample was drawn")
    return total / samples


def integrated_gradients(
    score: Scorer,
    films: Tensor,
    baseline: Tensor | None = None,
    *,
    pieces: int = 8,
    tolerance: float = 1e-3,
    batch_size: int = 32,
    most_points: int = 4096,
) -> Tensor:
    """Integrate the gradient along the straight line from a baseline (Sundararajan et al., ICML 2017, eq. 1).

    ``IG_i = (x_i - x'_i) integral_0^1 dS/dx_i (x' + a (x - x')) da``, by the midpoint rule on pieces of the line.

    Parameters
    ----------
    score : Scorer
    films : Tensor of shape (B, C, H, W)
    baseline : Tensor broadcastable to `films`, optional
        x'; black where it is None.
    pieces : int
        Equal pieces to start with.
    tolerance : float
        Completeness: ``|sum IG - (S(x) - S(x'))| <= tolerance * max(1, |S(x) - S(x')|)`` for every label.
    batch_size : int
        Points a pass.
    most_points : int
        Gradients a film, after which it is given up.

    Returns
    -------
    Tensor of shape (B, L, H, W)
        Signed, summed over channels.

    Raises
    ------
    CheckpointError
        If a film's maps do not add up within `most_points`.

    Notes
    -----
    Completeness holds piece by piece: what a piece's gradient misses of the change of S over the piece is its error. A
    piece without a kink of a piecewise linear S has none. While a film's errors do not add up to within the tolerance,
    its pieces with more than 1/256 of it are halved. This is settled film by film: a batch equals films one by one.
    """
    start = torch.zeros_like(films) if baseline is None else baseline.to(films).expand_as(films)
    line = _Line(score, start, films - start, batch_size)
    count, width = len(films), 1 / pieces
    ends = line.scores(pieces)
    change = ends[:, -1] - ends[:, 0]
    allowed = tolerance * change.abs().clamp_min(1)
    sums = films.new_zeros(*change.shape, *films.shape[1:])
    errors = torch.zeros_like(change)
    done, points = torch.zeros(2, count, dtype=torch.int64, device=films.device)
    film = torch.arange(count, device=films.device).repeat_interleave(pieces)
    begin = (torch.arange(pieces, dtype=films.dtype, device=films.device) / pieces).repeat(count)
    first, last = ends[:, :-1].flatten(0, 1), ends[:, 1:].flatten(0, 1)
    while len(film):
        points = points + torch.bincount(film, minlength=count)
        found = line.integrate(film, begin, width, last - first, allowed)
        is_done = ((errors + found.errors).abs() <= allowed).all(dim=1)
        sums += torch.where(is_done[:, None, None, None, None], found.all, found.exact)
        errors = errors.index_add(0, film[found.is_exact], found.each[found.is_exact])
        done = torch.where(torch.bincount(film, minlength=count) > 0, is_done.long(), done)
        halved = ~(found.is_exact | is_done[film])
        goes_on = (torch.bincount(film[halved], minlength=count) > 0) & (points <= most_points)
        if bool(((done == 0) & ~goes_on).any()):
            raise CheckpointError(
                f"integrated gradients of {int(((done == 0) & ~goes_on).sum())} films do not add up to within "
                f"{tolerance}; allow more than {most_points} points, or choose a baseline nearer to the films"
            )
        width /= 2
        film, begin = film[halved].repeat(2), torch.cat([begin[halved], begin[halved] + width])
        middle = found.middle[halved]
        first, last = torch.cat([first[halved], middle]), torch.cat([middle, last[halved]])
    return (sums * line.way[:, None]).sum(dim=2)


@dataclass(frozen=True)
class _Pieces:
    """What a round of pieces gave: gradient sums [B, L, C, H, W] of all and of the exact, and errors."""

    all: Tensor
    exact: Tensor
    errors: Tensor  # [B, L]: of all pieces of a film
    each: Tensor  # [M, L]
    middle: Tensor  # [M, L]: scores half-way
    is_exact: Tensor  # [M]: next to no error for any label


@dataclass(frozen=True)
class _Line:
    """The straight line of each film from its baseline."""

    score: Scorer
    start: Tensor
    way: Tensor
    batch_size: int

    def scores(self, pieces: int) -> Tensor:
        """Score the ends of equal pieces, [B, pieces + 1, L]."""
        count = len(self.way)
        film = torch.arange(count, device=self.way.device).repeat_interleave(pieces + 1)
        part = (torch.arange(pieces + 1, dtype=self.way.dtype, device=self.way.device) / pieces).repeat(count)
        with evaluating(self.score), torch.no_grad():
            found = [
                self.score(self._at(film[some], part[some]))
                for some in torch.split(torch.arange(len(film), device=film.device), self.batch_size)
            ]
        return torch.cat(found).reshape(count, pieces + 1, -1)

    def integrate(self, film: Tensor, begin: Tensor, width: float, change: Tensor, allowed: Tensor) -> _Pieces:
        """Take the midpoint's gradient for each piece ``[begin, begin + width]``, over which scores change so much."""
        shape = (*allowed.shape, *self.way.shape[1:])
        every, exact = self.way.new_zeros(shape), self.way.new_zeros(shape)
        each, middle, flags = [], [], []
        for part in torch.split(torch.arange(len(film), device=film.device), self.batch_size):
            mine = film[part]
            score, gradients = input_gradients(self.score, self._at(mine, begin[part] + width / 2))
            gradients = gradients * width
            missed = (gradients * self.way[mine][:, None]).sum(dim=(2, 3, 4)) - change[part]
            good = (missed.abs() <= allowed[mine] / 256).all(dim=1)
            every.index_add_(0, mine, gradients)
            exact.index_add_(0, mine[good], gradients[good])
            each.append(missed)
            middle.append(score.detach())
            flags.append(good)
        missed = torch.cat(each)
        errors = torch.zeros_like(allowed).index_add(0, film, missed)
        return _Pieces(every, exact, errors, missed, torch.cat(middle), torch.cat(flags))

    def _at(self, film: Tensor, part: Tensor) -> Tensor:
        return self.start[film] + part[:, None, None, None] * self.way[film]
