"""Options of integrated gradients and occlusion against numbers worked by hand, as Captum gives them."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from camray.core.explain.autograd import evaluating
from camray.core.explain.integrated_gradients import integrated_gradients_by_rule, rule_points
from camray.core.explain.method_options import IntegrationOptions, MethodOptions, OcclusionOptions
from camray.core.explain.methods import METHODS, methods_named
from camray.core.explain.perturbation import Patch, occlusion
from camray.domain.errors import SettingsError


class Cubes(nn.Module):
    """S(x) = sum x^3: the gradient at a x is 3 a^2 x^2."""

    def forward(self, films: Tensor) -> Tensor:
        return films.pow(3).sum(dim=(1, 2, 3))[:, None]


class FirstPixels(nn.Module):
    """S(x) = 2 x_00 + 4 x_02."""

    def forward(self, films: Tensor) -> Tensor:
        return (2 * films[:, 0, 0, 0] + 4 * films[:, 0, 0, 2])[:, None]


@pytest.mark.parametrize(
    ("rule", "steps", "mean_square"),
    [
        ("riemann_left", 4, (0 + 1 + 4 + 9) / 16 / 4),
        ("riemann_right", 4, (1 + 4 + 9 + 16) / 16 / 4),
        ("riemann_middle", 4, (1 + 9 + 25 + 49) / 64 / 4),
        ("riemann_trapezoid", 3, (0 / 2 + 1 / 4 + 1 / 2) / 3),  # weights 1/6, 1/3, 1/6, as Captum's
        ("gausslegendre", 2, 1 / 3),  # exact for cubes
    ],
)
def test_integrated_gradients_by_rule(rule: str, steps: int, mean_square: float) -> None:
    films = torch.tensor([[[[0.5, 1.0]]], [[[0.2, 0.0]]]], dtype=torch.float64)
    for batch_size in (1, 5):
        maps = integrated_gradients_by_rule(Cubes(), films, rule=rule, steps=steps, batch_size=batch_size)
        torch.testing.assert_close(maps, 3 * mean_square * films.pow(3))


def test_rules_without_fixed_points_are_refused() -> None:
    with pytest.raises(ValueError, match="no fixed points"):
        rule_points("adaptive", 4)
    points, weights = rule_points("gausslegendre", 50)
    assert weights.sum() == pytest.approx(1)
    assert (np.diff(points) > 0).all()


def test_occlusion_from_the_corner_in_black_by_hand() -> None:
    film = torch.tensor([[[[1.0, 1.0, 0.5, 1.0, 1.0]]]])
    score = FirstPixels()
    with evaluating(score):
        maps = occlusion(score, film, Patch(2, 2, fill=0.0, border="inside"))
    # patches on columns 0-1, 2-3 and 4: falls of 2, 4 x 0.5 and 0
    torch.testing.assert_close(maps[0, 0, 0], torch.tensor([2.0, 2.0, 2.0, 2.0, 0.0]))
    maps = occlusion(score, film, Patch(2, 1, fill=0.0, border="inside"))
    # on 0-1, 1-2, 2-3, 3-4: falls of 2, 2, 2, 0, averaged over the patches that cover a pixel
    torch.testing.assert_close(maps[0, 0, 0], torch.tensor([2.0, 2.0, 2.0, 1.0, 0.0]))
    beyond = occlusion(score, film, Patch(2, 1, fill=0.0))
    torch.testing.assert_close(beyond[0, 0, 0], torch.tensor([2.0, 2.0, 2.0, 1.0, 0.0]))
    maps = occlusion(score, film, Patch(2, 2, fill=1.0, border="inside"))
    torch.testing.assert_close(maps[0, 0, 0], torch.tensor([0.0, 0.0, -2.0, -2.0, 0.0]))


def test_options_choose_methods_and_name_themselves() -> None:
    names = ("cam", "integrated_gradients", "occlusion")
    assert methods_named(names) == tuple(METHODS[name] for name in names)
    options = MethodOptions(
        IntegrationOptions("riemann_left", steps=20), OcclusionOptions(patch_px=8, step_px=4, fill=0.0, border="inside")
    )
    cam, integrated, occluded = methods_named(names, options)
    assert cam is METHODS["cam"]
    assert "riemann_left with 20 points" in integrated.note
    assert "patches of 8 x 8 px, 4 px apart, in grey 0, the first in the film's corner" in occluded.note
    assert "complete to 1 %" in methods_named(names, MethodOptions(IntegrationOptions(tolerance=0.01)))[1].note


def test_a_step_larger_than_the_patch_is_a_settings_error() -> None:
    class Passed:
        films, features = torch.zeros(1, 1, 16, 16), torch.zeros(1, 1, 4, 4)

    options = MethodOptions(occlusion=OcclusionOptions(patch_px=2))
    with pytest.raises(SettingsError, match="step of 4 px leaves gaps between patches of 2 px"):
        methods_named(["occlusion"], options)[0].on_input(None, Passed())  # type: ignore[misc, arg-type]
