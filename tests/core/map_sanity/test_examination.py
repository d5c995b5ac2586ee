"""All checks of a method together, on networks that can be worked by hand."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch

from camray.core.explain.methods import METHODS, methods_named
from camray.core.explain.seam import forward
from camray.core.map_sanity.columns import SUMMARY
from camray.core.map_sanity.examination import SanityPlan, examine, examine_order
from camray.core.map_sanity.method_figures import MethodFigures
from camray.core.map_sanity.single_label import OneLabel, label_maps
from tests.core.explain import tiny
from tests.core.map_sanity import linear

SETTLED_BY_ALL_LABELS = {"integrated_gradients", "occlusion_coarse_to_fine"}  # how far they go depends on every label
PLAN = SanityPlan(steps=4, noise_draws=2)


def _figures(
    network: torch.nn.Module, films: torch.Tensor, labels: Sequence[int], *names: str, plan: SanityPlan = PLAN
):
    return list(examine(network, films, labels, methods_named(names), plan))


@pytest.mark.parametrize("name", sorted(set(METHODS) - SETTLED_BY_ALL_LABELS))
def test_one_labels_map_is_the_same_as_among_all_labels(name: str) -> None:
    network, films = tiny.tiny(), tiny.films()
    method, passed = METHODS[name], forward(network, films)
    among = method.finish(method.signed(network, passed))[:, 1]
    alone = label_maps(OneLabel(network, 1), method, films, batch_size=2)
    torch.testing.assert_close(alone, among, rtol=1e-9, atol=1e-9 * among.abs().max().item())


def test_a_random_last_layer_leaves_no_correlation_and_noise_stays_within_its_bound() -> None:
    network = linear.LinearNetwork(16, 2)
    films = torch.full((2, 1, 64, 64), 0.5, dtype=torch.float64)
    (found,) = _figures(network, films, [0, 1], "cam", plan=SanityPlan(noise=0.02, noise_draws=3, steps=4))
    assert found.cascade is not None
    assert found.cascade.blocks == ("classifier",)  # all that has weights
    assert np.abs(found.cascade.signed).max() < 0.2  # 256 independent cells: standard deviation 0.06
    assert found.noise.shape == (3, 2)
    assert found.noise.min() > 0
    assert found.noise.max() < 0.02 / 0.5
    summary = found.summary()
    assert tuple(summary) == SUMMARY
    assert summary["noise_max"] == pytest.approx(found.noise.max(axis=0).mean())
    assert summary["noise_max"] > summary["noise_mean"]
    assert summary["rank_head"] == summary["rank_all"] == pytest.approx(found.cascade.signed.mean())


def test_a_method_that_never_looks_at_the_last_layer_is_found_out() -> None:
    network, films = tiny.tiny(), tiny.films()
    cam, eigen = _figures(network, films, [0, 1, 2], "cam", "eigencam")
    assert eigen.cascade is not None
    assert eigen.cascade.blocks == ("classifier", "second", "first")
    np.testing.assert_allclose(eigen.cascade.signed[0], 1.0)
    assert (eigen.cascade.signed[1:] < 0.999).all()
    assert cam.cascade is not None
    assert (cam.cascade.signed[0] < 0.999).all()


def test_the_network_is_left_as_found_even_in_training() -> None:
    network, films = tiny.tiny().train(), tiny.films()
    before = tiny.state_of(network)
    examined = _figures(network, films, [0, 1, 2], *METHODS)
    assert tiny.state_of(network) == before
    assert [each.method for each in examined] == list(METHODS)
    assert not any(each.reason for each in examined)


def test_films_together_equal_films_one_by_one() -> None:
    network, films = tiny.tiny(), tiny.films()
    labels = [2, 0, 2]
    (together,) = _figures(network, films, labels, "saliency")
    alone = [_figures(network, films[i : i + 1], labels[i : i + 1], "saliency")[0] for i in range(3)]
    assert together.curves is not None
    assert together.cascade is not None
    for number, each in enumerate(alone):
        assert each.curves is not None
        assert each.cascade is not None
        np.testing.assert_allclose(each.curves.deletion[0], together.curves.deletion[number], rtol=1e-9)
        np.testing.assert_allclose(each.noise[:, 0], together.noise[:, number], rtol=1e-6)
        np.testing.assert_allclose(each.cascade.signed[:, 0], together.cascade.signed[:, number], rtol=1e-9)


def test_a_refusal_is_a_row_and_the_others_go_on() -> None:
    refused, fine = _figures(tiny.tiny("swish"), tiny.films(), [0, 1, 2], "guided_backprop", "cam")
    assert "no rule for" in refused.reason
    assert refused.curves is None
    summary = refused.summary()
    assert summary["films"] == summary["checked_films"] == 0
    assert np.isnan(summary["deletion_auc"])
    assert not fine.reason
    assert fine.summary()["films"] == 3


def test_constant_maps_are_counted_and_have_no_figures() -> None:
    network = tiny.tiny()
    with torch.no_grad():
        network.classifier.weight[1] = 0
    (found,) = _figures(network, tiny.films(), [0, 1, 1], "cam")
    assert found.constant.tolist() == [False, True, True]
    assert found.curves is not None
    assert found.cascade is not None
    assert np.isnan(found.curves.deletion[1:]).all()
    assert np.isnan(found.cascade.signed[:, 1:]).all()
    assert np.isnan(found.noise[:, 1:]).all()
    summary = found.summary()
    assert summary["constant"] == 2
    assert np.isfinite([summary["deletion_auc"], summary["rank_all"], summary["noise_max"]]).all()


def test_dear_methods_get_fewer_films_and_say_so() -> None:
    plan = SanityPlan(steps=4, noise_draws=2, most_passes=40)
    cheap, dear = _figures(tiny.tiny(), tiny.films(), [0, 1, 2], "cam", "smoothgrad", plan=plan)
    assert cheap.passes == 1
    assert cheap.summary()["films"] == cheap.summary()["checked_films"] == 3
    assert dear.passes == 1 + 16 * 3
    assert dear.summary()["films"] == dear.summary()["checked_films"] == 1
    (whole,) = _figures(tiny.tiny(), tiny.films(), [0, 1, 2], "smoothgrad")
    assert dear.curves is not None
    assert whole.curves is not None
    np.testing.assert_allclose(dear.curves.deletion, whole.curves.deletion[:1])


def test_given_maps_are_put_to_what_needs_no_method() -> None:
    network, films = linear.LinearNetwork(4, 2), linear.films(2, 4)
    heat = network.cam(network.features(films)).detach().numpy()[:, 1]
    given = examine_order(network, films, [1, 1], heat, "mine", PLAN)
    (made,) = _figures(network, films, [1, 1], "cam")
    assert isinstance(given, MethodFigures)
    assert given.method == "mine"
    assert given.cascade is None
    assert given.curves is not None
    assert made.curves is not None
    np.testing.assert_allclose(given.curves.deletion, made.curves.deletion)
    np.testing.assert_allclose(given.drop, made.drop)


def test_what_cannot_be_examined() -> None:
    with pytest.raises(ValueError, match="one label per film"):
        _figures(tiny.tiny(), tiny.films(), [0], "cam")
    with pytest.raises(ValueError, match="expected steps"):
        SanityPlan(steps=0)
