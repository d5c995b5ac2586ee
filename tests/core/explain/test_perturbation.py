"""Score-CAM and occlusion against slow plain references."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from camray.core.explain.perturbation import Patch, occlusion, scorecam, scorecam_weights
from camray.core.explain.seam import forward
from tests.core.explain.tiny import films, state_of, tiny


def _scorecam_by_hand(network: torch.nn.Module, film: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    black = network(torch.zeros_like(film)[None])[0]
    raised = []
    for channel in features:
        seen = interpolate(channel[None, None], size=film.shape[-2:], mode="bilinear", align_corners=False)
        seen = (seen - seen.min()) / (seen.max() - seen.min()) if seen.max() > seen.min() else torch.zeros_like(seen)
        raised.append(network(film[None] * seen)[0] - black)
    weights = torch.softmax(torch.stack(raised), dim=0)
    return torch.relu(torch.einsum("kl,khw->lhw", weights, features)).detach()


@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_scorecam_equals_the_paper_one_channel_at_a_time(batch_size: int) -> None:
    network, batch = tiny(), films()
    features = forward(network, batch).features.clone()
    features[0, 2] = 0.0  # a channel that says nothing
    heat = scorecam(network, batch, features, batch_size=batch_size)
    for number, film in enumerate(batch):
        np.testing.assert_allclose(heat[number], _scorecam_by_hand(network, film, features[number]), rtol=0, atol=1e-9)
        alone = scorecam(network, film[None], features[number : number + 1], batch_size=batch_size)
        np.testing.assert_allclose(heat[number], alone[0], rtol=0, atol=1e-12)
    weights = scorecam_weights(network, batch, features, batch_size=batch_size)
    np.testing.assert_allclose(weights.sum(dim=2), 1.0, rtol=0, atol=1e-12)
    assert weights.std() > 1e-3


def test_scorecam_without_any_structure_weighs_all_channels_alike() -> None:
    weights = scorecam_weights(tiny(), films(1), torch.ones(1, 4, 2, 2, dtype=torch.float64))
    assert weights.unique().tolist() == [0.25]


def _occlusion_by_hand(network: object, film: torch.Tensor, patch: int, step: int, fill: float | None) -> torch.Tensor:
    rows, cols = film.shape[-2:]
    first = step * ((patch - 1) // step)
    whole = network(film[None])[0].detach()
    total, count = torch.zeros(len(whole), rows, cols, dtype=film.dtype), torch.zeros(rows, cols, dtype=film.dtype)
    for top in range(-first, rows, step):
        for left in range(-first, cols, step):
            part = (slice(max(top, 0), top + patch), slice(max(left, 0), left + patch))
            hidden = film.clone()
            hidden[(slice(None), *part)] = film.mean() if fill is None else fill
            total[(slice(None), *part)] += (whole - network(hidden[None])[0].detach())[:, None, None]
            count[part] += 1
    return total / count


@pytest.mark.parametrize(("patch", "step", "fill"), [(2, 2, None), (4, 2, 0.0), (3, 2, None), (3, 1, 0.5), (20, 20, 0)])
def test_occlusion_equals_a_patch_at_a_time(patch: int, step: int, fill: float | None) -> None:
    network, batch = tiny(), films(2)
    for batch_size in (1, 7):
        heat = occlusion(network, batch, Patch(patch, step, fill=fill), batch_size=batch_size)
        for number, film in enumerate(batch):
            expected = _occlusion_by_hand(network, film, patch, step, fill)
            np.testing.assert_allclose(heat[number], expected, rtol=0, atol=1e-9)


def test_occlusion_of_a_sum_is_what_was_hidden() -> None:
    """S = sum of x, patches of one pixel, black: the map is the film."""
    batch = films(2)
    heat = occlusion(lambda x: x.flatten(1).sum(dim=1, keepdim=True), batch, Patch(1, 1, fill=0.0))
    np.testing.assert_allclose(heat, batch, rtol=0, atol=1e-12)


def test_coarse_to_fine_refines_where_it_matters_and_calls_the_network_less_often() -> None:
    seen = []

    def score(x: torch.Tensor) -> torch.Tensor:
        seen.append(len(x))
        return x[:, 0, 9:11, 12:15].sum(dim=(1, 2))[:, None]

    batch = torch.zeros(2, 1, 16, 24, dtype=torch.float64)
    batch[0, 0, 9:11, 12:15] = 1.0
    batch[1, 0, 9, 12] = 1.0
    full = occlusion(score, batch, Patch(4, 1, fill=0.0))
    calls, seen[:] = sum(seen), []
    heat = occlusion(score, batch, Patch(4, 1, fill=0.0), keep=0.1)
    assert sum(seen) < calls / 3
    peak = full == full.amax(dim=(2, 3), keepdim=True)
    np.testing.assert_allclose(heat[peak], full[peak], rtol=0, atol=1e-12)
    alone = torch.cat([occlusion(score, film[None], Patch(4, 1, fill=0.0), keep=0.1) for film in batch])
    assert torch.equal(heat, alone)
    coarse = occlusion(score, batch, Patch(4, 4, fill=0.0))
    untouched = torch.zeros(2, 1, 16, 24, dtype=torch.bool)
    untouched[:, :, 12 + 4 + 3 :, :] = untouched[..., :4] = True
    assert torch.equal(heat[untouched], coarse[untouched])
    np.testing.assert_allclose(occlusion(score, batch, Patch(4, 1, fill=0.0), keep=0.999), full, rtol=0, atol=1e-12)


def test_nothing_is_altered_and_bad_patches_are_refused() -> None:
    network, batch = tiny("in place"), films()
    network.train()
    network.second.eval()
    before, kept = state_of(network), batch.clone()
    features = forward(network, batch).features
    scorecam(network, batch, features)
    occlusion(network, batch, Patch(2, 2), keep=0.5)
    assert state_of(network) == before
    assert torch.equal(batch, kept)
    for patch, step, keep in ((2, 3, 1.0), (2, 0, 1.0), (2, 1, 0.0), (2, 1, 1.5)):
        with pytest.raises(ValueError, match="expected 1 <= step"):
            occlusion(network, batch, Patch(patch, step), keep=keep)
