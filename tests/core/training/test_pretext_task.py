import torch

from camray.core.training.pretext_task import cell_targets, paste_opacities


def _films() -> torch.Tensor:
    """Grey films, dark lungs in the upper half, bright below; outside the body black."""
    films = torch.full((32, 1, 64, 48), 0.8)
    films[:, :, 4:40, 8:40] = 0.3
    films[:, :, :, :4] = 0.0
    return films


def _pasted(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    return paste_opacities(_films(), torch.Generator().manual_seed(seed))


def test_pasting_only_brightens_and_only_under_the_envelope() -> None:
    films, (pasted, envelope) = _films(), _pasted(1)
    assert (pasted >= films).all()
    assert torch.equal(pasted[envelope == 0], films[envelope == 0])
    assert pasted.max() <= 1
    assert envelope.min() >= 0
    assert envelope.max() <= 1
    assert (pasted[films == 0] == 0).all()  # nothing outside the body


def test_some_films_stay_as_they_are_and_most_do_not() -> None:
    _, envelope = _pasted(2)
    without = (envelope.flatten(1).amax(dim=1) == 0).float().mean()
    assert 0.05 < without < 0.5  # a quarter is meant


def test_opacities_lie_in_the_lungs() -> None:
    _, envelope = _pasted(3)
    centre_row = (envelope.sum(dim=(1, 3)) * torch.arange(64)).sum(dim=1) / envelope.sum(dim=(1, 2, 3)).clamp_min(1e-9)
    assert (centre_row[envelope.flatten(1).amax(dim=1) > 0] < 45).all()


def test_the_seed_decides_and_the_films_are_left_alone() -> None:
    films = _films()
    before = films.clone()
    first = paste_opacities(films, torch.Generator().manual_seed(4))[0]
    assert torch.equal(first, _pasted(4)[0])
    assert not torch.equal(first, _pasted(5)[0])
    assert torch.equal(films, before)


def test_cell_targets_by_hand() -> None:
    envelope = torch.zeros(1, 1, 8, 12)
    envelope[..., :4, :4] = 0.9  # fills the first cell
    envelope[..., 4:6, 8:10] = 0.9  # a quarter of the last
    envelope[..., 0, 11] = 0.39  # too faint
    assert cell_targets(envelope, 2, 3).tolist() == [[[[1.0, 0.0, 0.0], [0.0, 0.0, 0.625]]]]
