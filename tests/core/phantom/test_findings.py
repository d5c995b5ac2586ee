import numpy as np
import pytest
from scipy.ndimage import label

from camray.core.phantom.body import Body, draw_body
from camray.core.phantom.chest import LUNG_DENSITY, Chest, build_chest
from camray.core.phantom.fields import stream
from camray.core.phantom.findings import (
    CARDIOMEGALY,
    CONSOLIDATION,
    EFFUSION,
    FINDINGS,
    NODULE,
    PNEUMOTHORAX,
    LungTissue,
    PlannedFindings,
    Thorax,
    add_findings,
    draw_plan,
)
from camray.core.phantom.grid import Grid

PLANS = [draw_plan(stream(7, index, 0)) for index in range(4000)]


def upright(is_enlarged: bool = False, seed: int = 1) -> tuple[Grid, Body, Chest]:
    """A chest that fills a film of 42 x 36 cm, 0.2 cm pixels."""
    x = ((np.arange(180, dtype=np.float32) - 89.5) * 0.2)[None, :]
    y = ((np.arange(210, dtype=np.float32) - 104.5) * 0.2)[:, None]
    grid = Grid(x + 0 * y, y + 0 * x, 0.2, 0.2)
    body = draw_body(stream(seed, 0, 0), stream(seed, 0, 1), True, False, is_enlarged)
    return grid, body, build_chest(grid, body)


def healthy(grid: Grid, chest: Chest) -> LungTissue:
    density = np.full(grid.shape, LUNG_DENSITY, np.float32)
    vessels = np.full(grid.shape, 0.1, np.float32)
    return LungTissue(density, vessels, np.zeros(grid.shape, np.float32), chest.lung & (chest.air > 2.5))


def with_finding(plan: PlannedFindings, seed: int = 1) -> tuple[Grid, Chest, LungTissue, np.ndarray]:
    """The chest, its lungs after `plan`, and by how many cm of water the plan changed each ray."""
    grid, body, chest = upright(CARDIOMEGALY in plan.present, seed)
    lungs = healthy(grid, chest)
    add_findings(stream(seed, 0, 4), Thorax(grid, body, chest, lungs), plan, 36.0)
    change = chest.air * (lungs.density - LUNG_DENSITY) + (lungs.vessels - 0.1) + lungs.extra
    return grid, chest, lungs, change


def test_a_third_of_the_films_is_normal_and_findings_are_even() -> None:
    assert np.mean([not plan.present for plan in PLANS]) == pytest.approx(0.34, abs=0.03)
    for finding in FINDINGS:
        assert np.mean([finding in plan.present for plan in PLANS]) == pytest.approx(0.286, abs=0.03)


def test_air_and_fluid_never_share_a_side() -> None:
    both = [plan for plan in PLANS if {EFFUSION, PNEUMOTHORAX} <= set(plan.present)]
    assert len(both) > 100
    assert not any(plan.pneumothorax_side in plan.effusion_sides for plan in both)


def test_a_nodule_changes_its_mask_and_nothing_else() -> None:
    _, _, lungs, change = with_finding(PlannedFindings((NODULE,)))
    (mask,) = lungs.masks[NODULE]
    assert (change[mask] > 0).all()
    assert (change[~mask] == 0).all()


@pytest.mark.parametrize("seed", range(1, 6))
def test_a_nodule_is_large_enough_for_the_film(seed: int) -> None:
    _, _, lungs, _ = with_finding(PlannedFindings((NODULE,), nodules=2), seed)
    for mask in lungs.masks[NODULE]:
        assert mask.any(axis=0).sum() / mask.shape[1] > 0.065


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_pneumothorax_holds_air_without_vessels_inside_one_lung(side: float) -> None:
    grid, chest, lungs, change = with_finding(PlannedFindings((PNEUMOTHORAX,), pneumothorax_side=side))
    (mask,) = lungs.masks[PNEUMOTHORAX]
    assert not (mask & ~chest.lung).any()
    assert (grid.u[mask] * side > 0).all()
    assert (lungs.vessels[mask] == 0).all()
    deep = mask & (chest.air > 3)
    assert change[deep].mean() < -0.3
    assert lungs.extra.max() > 0.5  # the pleural line


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_an_effusion_lies_at_the_base_and_climbs_the_wall(side: float) -> None:
    grid, chest, lungs, change = with_finding(PlannedFindings((EFFUSION,), effusion_sides=(side,)))
    (mask,) = lungs.masks[EFFUSION]
    assert not (mask & ~chest.lung).any()
    assert (grid.u[mask] * side > 0).all()
    lung = chest.lung & (grid.u * side > 0)
    assert grid.v[mask].mean() > grid.v[lung].mean()
    assert change[mask & (chest.air > 3)].mean() > 1.0
    columns = np.flatnonzero(mask.any(axis=0))
    highest = grid.v[mask.argmax(axis=0)[columns], columns]  # v of the uppermost fluid, by column
    outer = int(np.argmin(highest))
    assert side * grid.u[0, columns[outer]] > 6  # the meniscus is highest at the ribs


def test_consolidation_is_denser_lung_in_one_piece() -> None:
    _, chest, lungs, change = with_finding(PlannedFindings((CONSOLIDATION,)))
    (mask,) = lungs.masks[CONSOLIDATION]
    assert not (mask & ~chest.lung).any()
    assert label(mask)[1] == 1
    assert change[mask].mean() > 0.8
    assert change[mask].mean() > 5 * np.abs(change[~mask]).mean()


@pytest.mark.parametrize("seed", range(1, 9))
def test_an_enlarged_heart_exceeds_the_usual_limit_and_a_normal_one_does_not(seed: int) -> None:
    for is_enlarged in (True, False):
        _, body, chest = upright(is_enlarged, seed)
        ratio = chest.heart.any(axis=0).sum() * 0.2 / (2 * body.half_width)
        assert (ratio > 0.56) == is_enlarged
        assert ratio > 0.34


def test_the_heart_lies_to_the_left() -> None:
    grid, _, chest = upright()
    assert grid.u[chest.heart].mean() > 0.5


def test_several_findings_leave_free_lung_to_one_another() -> None:
    plan = PlannedFindings(FINDINGS, pneumothorax_side=1.0, effusion_sides=(-1.0,))
    _, _, lungs, _ = with_finding(plan)
    assert set(lungs.masks) == set(FINDINGS)
    assert not (lungs.masks[CONSOLIDATION][0] & lungs.masks[PNEUMOTHORAX][0]).any()
    assert not (lungs.masks[CONSOLIDATION][0] & lungs.masks[EFFUSION][0]).any()


def test_no_plan_changes_nothing() -> None:
    _, _, lungs, change = with_finding(PlannedFindings(()))
    assert lungs.masks == {}
    assert (change == 0).all()
