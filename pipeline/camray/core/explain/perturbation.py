"""Score-CAM and occlusion: maps from the change of the logits when parts of the film are hidden; no gradients."""

from dataclasses import dataclass

import torch
from torch import Tensor

from camray.core.explain.autograd import Scorer, evaluating
from camray.core.explain.method_options import OcclusionBorder
from camray.core.explain.resampling import resampled


@torch.no_grad()
def scorecam_weights(score: Scorer, films: Tensor, activation: Tensor, *, batch_size: int = 32) -> Tensor:
    """Weight each channel by the score of the film masked with it.

    ``C_k = S(x * H_k) - S(0)``, ``H_k`` the channel interpolated to the input grid and rescaled to 0-1 by its own
    minimum and maximum; ``alpha_k = softmax over k of C_k`` (Wang et al., CVPRW 2020, eqs. 3-6 and algorithm 1,
    baseline black).

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W), float
        Input grid.
    activation : Tensor of shape (B, K, h, w), float
        Feature map of the same films.
    batch_size : int
        Films per forward pass.

    Returns
    -------
    Tensor of shape (B, L, K)
        Positive; the sum over K is one.

    Notes
    -----
    A constant channel has no ``H``; it gets ``C_k = 0`` without a forward pass.
    """
    low, high = activation.amin(dim=(2, 3)), activation.amax(dim=(2, 3))
    varied = (high > low).nonzero()  # [M, 2]: film, channel
    size = (films.shape[-2], films.shape[-1])
    with evaluating(score):
        black = score(torch.zeros_like(films[:1]))
        raised = black.new_zeros(*activation.shape[:2], black.shape[1])
        for part in torch.split(varied, batch_size):
            film, channel = part[:, 0], part[:, 1]
            mask = resampled(activation[film, channel][:, None], size).to(films.dtype)
            lowest, highest = mask.amin(dim=(2, 3), keepdim=True), mask.amax(dim=(2, 3), keepdim=True)
            mask = (mask - lowest) / (highest - lowest).clamp_min(torch.finfo(mask.dtype).tiny)
            raised[film, channel] = score(films[film] * mask) - black
    return torch.softmax(raised, dim=1).transpose(1, 2)


def scorecam(score: Scorer, films: Tensor, activation: Tensor, *, batch_size: int = 32) -> Tensor:
    """Compute Score-CAM, ``ReLU(sum_k alpha_k A_k)`` (Wang et al., CVPRW 2020).

    Parameters
    ----------
    score, films, activation, batch_size
        See `scorecam_weights`.

    Returns
    -------
    Tensor of shape (B, L, h, w)
        Feature grid, never negative, not rescaled.
    """
    weights = scorecam_weights(score, films, activation, batch_size=batch_size)
    return torch.einsum("blk,bkhw->blhw", weights, activation.to(weights.dtype)).clamp_min(0)


@dataclass(frozen=True)
class Patch:
    """Square patch that hides a part of a film.

    Parameters
    ----------
    side_px, step_px : int
        Side of the patch and distance of its positions, px; ``step_px <= side_px``.
    fill : float or None
        Grey value of the patch; None for the film's own mean, channel by channel.
    border : str
        ``beyond``: positions start outside the border (cut off there), so that, where the step divides the side, every
        pixel is covered equally often. ``inside``: they start in the corner, and the last one may be cut off.
    """

    side_px: int
    step_px: int
    fill: float | None = None
    border: OcclusionBorder = "beyond"


@torch.no_grad()
def occlusion(
    score: Scorer,
    films: Tensor,
    patch: Patch,
    *,
    keep: float = 1.0,
    batch_size: int = 32,
) -> Tensor:
    """Slide a patch over the film and record by how much each logit falls (Zeiler & Fergus, ECCV 2014).

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W), float
        Input grid.
    patch : Patch
        Side, step, fill and border.
    keep : float
        Below 1, coarse to fine: patches a patch apart are tried first; then only those fine positions that overlap the
        best such share of coarse patches, best by the largest absolute change of any label. The coarse values are kept
        elsewhere.
    batch_size : int
        Films per forward pass.

    Returns
    -------
    Tensor of shape (B, L, H, W)
        ``S(x) - S(x occluded)``, averaged over the patches that cover a pixel; positive where the film supports the
        label.

    Raises
    ------
    ValueError
        If the patch, step or share are out of range.
    """
    side, step, fill = patch.side_px, patch.step_px, patch.fill
    if not 1 <= step <= side or not 0 < keep <= 1:
        raise ValueError(f"patch {side}, step {step}, keep {keep}; expected 1 <= step <= patch and 0 < keep <= 1")
    filling = films.mean(dim=(2, 3), keepdim=True) if fill is None else torch.full_like(films[:, :, :1, :1], fill)
    patches = _Patches(score, films, filling, side, batch_size, patch.border)
    with evaluating(score):
        logits = score(films)
        if keep == 1.0:
            positions = patches.on_every_film(patches.corners(step))
            return patches.spread(positions, patches.drops(logits, positions))[0]
        corners = patches.corners(side)
        positions = patches.on_every_film(corners)
        drops = patches.drops(logits, positions)
        coarse, _ = patches.spread(positions, drops)
        fine = patches.refined(corners, drops, step, keep)
        refined, covered = patches.spread(fine, patches.drops(logits, fine))
    return torch.where(covered, refined, coarse)


@dataclass(frozen=True)
class _Patches:
    """Square patches on films; positions are rows [M, 3] of film, first row, first column."""

    score: Scorer
    films: Tensor
    filling: Tensor  # [B, C, 1, 1]
    side: int
    batch_size: int
    border: OcclusionBorder

    def corners(self, step: int) -> Tensor:
        """Return the patches' first (row, col), [P, 2]; each covers at least one pixel."""
        rows, cols = (self._starts(side, step) for side in self.films.shape[-2:])
        return torch.cartesian_prod(rows, cols)

    def _starts(self, side: int, step: int) -> Tensor:
        if self.border == "inside":
            return step * torch.arange(1 + -(-max(0, side - self.side) // step), device=self.films.device)
        first = step * ((self.side - 1) // step)
        return torch.arange(-first, side, step, device=self.films.device)

    def on_every_film(self, corners: Tensor) -> Tensor:
        """Place every patch on every film, film by film, [B P, 3]."""
        film = torch.arange(len(self.films), device=self.films.device).repeat_interleave(len(corners))
        return torch.cat([film[:, None], corners.repeat(len(self.films), 1)], dim=1)

    def refined(self, corners: Tensor, drops: Tensor, step: int, keep: float) -> Tensor:
        """Return the fine positions [M, 3] that overlap each film's best coarse patches."""
        n_best = max(1, round(keep * len(corners)))
        best = drops.abs().amax(dim=1).reshape(len(self.films), len(corners)).topk(n_best, dim=1).indices
        fine = self.corners(step)
        kept = []
        for film, indices in enumerate(best):
            distance = (fine[:, None] - corners[indices][None]).abs().amax(dim=2)
            near = fine[(distance < self.side).any(dim=1)]
            kept.append(torch.cat([near.new_full((len(near), 1), film), near], dim=1))
        return torch.cat(kept)

    def drops(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Return by how much the logits fall under each patch, [M, L]."""
        drops = []
        for part in torch.split(positions, self.batch_size):
            film = part[:, 0]
            occluded = torch.where(self._covers(part), self.filling[film], self.films[film])
            drops.append(logits[film] - self.score(occluded))
        return torch.cat(drops)

    def spread(self, positions: Tensor, drops: Tensor) -> tuple[Tensor, Tensor]:
        """Average the drops over the patches that cover a pixel, [B, L, H, W]; and which are covered, [B, 1, H, W]."""
        maps, covered = [], []
        for film in range(len(self.films)):
            own = positions[:, 0] == film
            rows, cols = self._spans(positions[own])
            total = torch.einsum("ml,mr,mc->lrc", drops[own], rows.to(drops), cols.to(drops))
            count = torch.einsum("mr,mc->rc", rows.to(drops), cols.to(drops))
            maps.append(total / count.clamp_min(1))
            covered.append(count[None] > 0)
        return torch.stack(maps), torch.stack(covered)

    def _covers(self, positions: Tensor) -> Tensor:
        """Return [M, 1, H, W]: which pixels are under each patch."""
        rows, cols = self._spans(positions)
        return (rows[:, :, None] & cols[:, None, :])[:, None]

    def _spans(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return [M, H] and [M, W]: which rows, and which columns, are under each patch."""
        rows, cols = (torch.arange(side, device=self.films.device) for side in self.films.shape[-2:])
        top, left = positions[:, 1, None], positions[:, 2, None]
        return (rows >= top) & (rows < top + self.side), (cols >= left) & (cols < left + self.side)
