"""Maps from what becomes of the logits when parts of the film are hidden: Score-CAM and occlusion; no gradients."""

from collections.abc import Iterator

import torch
from torch import Tensor

from camray.core.explain.autograd import Scorer, evaluating
from camray.core.explain.resampling import resampled


@torch.no_grad()
def scorecam_weights(score: Scorer, films: Tensor, activation: Tensor, *, batch_size: int = 32) -> Tensor:
    """Weigh each channel by the score of the film seen through it.

    ``C_k = S(x * H_k) - S(0)``, ``H_k`` the channel brought to the input grid and to 0-1 by its own minimum and
    maximum; ``alpha_k = softmax over k of C_k`` (Wang et al., CVPRW 2020, eqs. 3-6 and algorithm 1, baseline black).

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W)
    activation : Tensor of shape (B, K, h, w)
    batch_size : int
        Films a forward pass.

    Returns
    -------
    Tensor of shape (B, L, K)
        Positive, adding up to one.

    Notes
    -----
    A constant channel has no ``H``; it hides nothing in particular and gets ``C_k = 0``, without a forward pass.
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
    """Score-CAM: ``ReLU(sum_k alpha_k A_k)``, [B, L, h, w], not rescaled; see `scorecam_weights`."""
    weights = scorecam_weights(score, films, activation, batch_size=batch_size)
    return torch.einsum("blk,bkhw->blhw", weights, activation.to(weights.dtype)).clamp_min(0)


@torch.no_grad()
def occlusion(
    score: Scorer,
    films: Tensor,
    *,
    patch: int,
    step: int,
    fill: float | None = None,
    keep: float = 1.0,
    batch_size: int = 32,
) -> Tensor:
    """Slide a patch over the film and write down by how much each logit falls (Zeiler & Fergus, ECCV 2014).

    Parameters
    ----------
    score : Scorer
        Films to logits [B, L].
    films : Tensor of shape (B, C, H, W)
    patch, step : int
        Side of the square patch and distance of its positions, px; ``step <= patch``. Positions start beyond the border
        (cut off there), so that, where step divides patch, every pixel is covered equally often.
    fill : float, optional
        What the patch shows; the film's own mean, channel by channel, where it is None.
    keep : float
        Below 1, coarse to fine: patches a patch apart are tried first; then only those fine positions that overlap the
        best such share of coarse patches, best by the largest absolute change of any label. Elsewhere the coarse
        values stand.
    batch_size : int
        Films a forward pass.

    Returns
    -------
    Tensor of shape (B, L, H, W)
        ``S(x) - S(x occluded)``, averaged over the patches that cover a pixel; positive where the film speaks for the
        label.

    Raises
    ------
    ValueError
        If the patch, step or share are out of range.
    """
    if not 1 <= step <= patch or not 0 < keep <= 1:
        raise ValueError(f"patch {patch}, step {step}, keep {keep}; expected 1 <= step <= patch and 0 < keep <= 1")
    filling = films.mean(dim=(2, 3), keepdim=True) if fill is None else torch.full_like(films[:, :, :1, :1], fill)
    with evaluating(score):
        logits = score(films)
        if keep == 1.0:
            places = _everywhere(films, _positions(films, patch, step))
            return _spread(films, places, _drops(score, films, logits, filling, places, patch, batch_size), patch)[0]
        corners = _positions(films, patch, patch)
        places = _everywhere(films, corners)
        drops = _drops(score, films, logits, filling, places, patch, batch_size)
        coarse, _ = _spread(films, places, drops, patch)
        fine = _refined(films, corners, drops, patch, step, keep)
        drops = _drops(score, films, logits, filling, fine, patch, batch_size)
        refined, covered = _spread(films, fine, drops, patch)
    return torch.where(covered, refined, coarse)


def _positions(films: Tensor, patch: int, step: int) -> Tensor:
    """Return the patches' first (row, col), [P, 2]; each covers at least one pixel."""
    first = step * ((patch - 1) // step)
    rows, cols = (torch.arange(-first, side, step, device=films.device) for side in films.shape[-2:])
    return torch.cartesian_prod(rows, cols)


def _everywhere(films: Tensor, corners: Tensor) -> Tensor:
    """Return [B P, 3]: film, row, col; every patch on every film, film by film."""
    film = torch.arange(len(films), device=films.device).repeat_interleave(len(corners))
    return torch.cat([film[:, None], corners.repeat(len(films), 1)], dim=1)


def _refined(films: Tensor, corners: Tensor, drops: Tensor, patch: int, step: int, keep: float) -> Tensor:
    """Return the fine places [M, 3] that overlap each film's best coarse patches."""
    best = drops.abs().amax(dim=1).reshape(len(films), len(corners)).topk(max(1, round(keep * len(corners))), dim=1)
    fine = _positions(films, patch, step)
    kept = []
    for film, chosen in enumerate(best.indices):
        distance = (fine[:, None] - corners[chosen][None]).abs().amax(dim=2)
        near = fine[(distance < patch).any(dim=1)]
        kept.append(torch.cat([near.new_full((len(near), 1), film), near], dim=1))
    return torch.cat(kept)


def _drops(
    score: Scorer, films: Tensor, logits: Tensor, filling: Tensor, places: Tensor, patch: int, batch_size: int
) -> Tensor:
    """Return how far the logits fall with the patch at each place, [M, L]."""
    found = []
    for part in torch.split(places, batch_size):
        film = part[:, 0]
        found.append(logits[film] - score(torch.where(_covers(films, part, patch), filling[film], films[film])))
    return torch.cat(found)


def _covers(films: Tensor, places: Tensor, patch: int) -> Tensor:
    """Return [M, 1, H, W]: which pixels lie under the patch."""
    rows, cols = _spans(films, places, patch)
    return (rows[:, :, None] & cols[:, None, :])[:, None]


def _spread(films: Tensor, places: Tensor, drops: Tensor, patch: int) -> tuple[Tensor, Tensor]:
    """Average the drops over the patches that cover a pixel; tell which pixels are covered, [B, 1, H, W]."""
    maps, covered = [], []
    for film in range(len(films)):
        mine = places[:, 0] == film
        rows, cols = _spans(films, places[mine], patch)
        total = torch.einsum("ml,mr,mc->lrc", drops[mine], rows.to(drops), cols.to(drops))
        count = torch.einsum("mr,mc->rc", rows.to(drops), cols.to(drops))
        maps.append(total / count.clamp_min(1))
        covered.append(count[None] > 0)
    return torch.stack(maps), torch.stack(covered)


def _spans(films: Tensor, places: Tensor, patch: int) -> Iterator[Tensor]:
    """Yield [M, H] and [M, W]: which rows, and which columns, lie under the patch."""
    for axis, side in ((1, films.shape[-2]), (2, films.shape[-1])):
        index, first = torch.arange(side, device=films.device), places[:, axis, None]
        yield (index >= first) & (index < first + patch)
