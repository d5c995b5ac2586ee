"""Shortcut probes find a planted shortcut, find none in noise, and say why they cannot tell."""

import numpy as np
import pandas as pd
import pytest

from camray.core.shortcuts.features import acquisition_tags, lung_tiles, one_hot, probe_features, regions, tile_shares
from camray.core.shortcuts.probes import (
    Probe,
    describe,
    probe_logits,
    probes_as_json,
    run_probes,
    warnings_of,
    with_any_finding,
)


def _patients(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


def probe_auc(features: np.ndarray, target: np.ndarray, patients: list[str], seed: int) -> tuple[float | None, str]:
    (probe,) = run_probes({"kind": features}, target.astype(np.int8)[:, None], ["label"], patients, seed)
    return probe.auc, probe.skipped


def test_a_planted_shortcut_is_found_and_noise_is_not() -> None:
    rng = np.random.default_rng(7)
    target = rng.random(400) < 0.5
    noise = rng.normal(size=(400, 5)).astype(np.float32)
    planted = noise.copy()
    planted[:, 2] += 3 * target
    found, _ = probe_auc(planted, target, _patients(400), 1)
    nothing, _ = probe_auc(noise, target, _patients(400), 1)
    assert found is not None
    assert found > 0.95
    assert nothing is not None
    assert 0.4 < nothing < 0.6


def test_patients_are_kept_together() -> None:
    # each patient's films share a mark and a label: only whoever sees the patient in training can tell the label
    rng = np.random.default_rng(3)
    owner = np.repeat(np.arange(60), 4)
    target = (rng.random(60) < 0.5)[owner]
    marks = (owner[:, None] == np.arange(60)).astype(np.float32)
    auc, _ = probe_auc(marks, target, [str(o) for o in owner], 1)
    assert auc is not None
    assert auc < 0.65


def test_any_finding_needs_one_present_or_all_absent() -> None:
    values = np.array([[0, 0], [0, 1], [0, -1], [2, 1], [2, 0]], np.int8)
    assert with_any_finding(values)[:, 2].tolist() == [0, 1, -1, 1, -1]
    np.testing.assert_array_equal(with_any_finding(values)[:, :2], values)


def test_constant_features_tell_nothing() -> None:
    target = np.arange(100) % 2 == 0
    auc, skipped = probe_auc(np.ones((100, 3), np.float32), target, _patients(100), 1)
    assert (auc, skipped) == (0.5, "")


@pytest.mark.parametrize(("present", "kind"), [(9, "present"), (95, "absent")])
def test_too_few_films_of_a_kind_are_skipped_with_a_reason(present: int, kind: str) -> None:
    target = np.arange(100) < present
    auc, skipped = probe_auc(np.ones((100, 1), np.float32), target, _patients(100), 1)
    assert auc is None
    assert kind in skipped


def test_ten_films_of_one_patient_are_too_few_patients() -> None:
    target = np.arange(100) < 20
    patients = ["one"] * 20 + _patients(80)
    assert probe_auc(np.ones((100, 1), np.float32), target, patients, 1)[0] is None


def test_one_hot_pools_rare_values() -> None:
    table = one_hot({"syntax": ["a"] * 6 + ["b"] * 5 + ["c", "d"]})
    assert table.shape == (13, 4)  # nothing, a, b, rare
    assert table.sum(0).tolist() == [0, 6, 5, 2]
    assert one_hot({}).shape == (0, 1)


def test_uncertain_and_unknown_films_do_not_count() -> None:
    values = np.array([[1], [0], [2], [-1]] * 20, np.int8)
    probes = run_probes({"x": np.zeros((80, 1), np.float32)}, values, ["L"], _patients(80), 1)
    assert (probes[0].n, probes[0].n_present) == (40, 20)


def test_warnings_speak_of_shortcuts_only() -> None:
    probes = [Probe("L", "x", 0.76, 9, 3), Probe("M", "x", 0.75, 9, 3), Probe("N", "x", None, 9, 3, "few")]
    assert len(warnings_of(probes)) == 1
    assert "L: x alone" in warnings_of(probes)[0]
    assert [p["warning"] for p in probes_as_json(probes)] == [True, False, False]


def test_description_counts_by_split_and_tag() -> None:
    images = pd.DataFrame(
        {
            "split": ["train", "train", "test"],
            "patient_key": ["a", "a", "b"],
            "view": ["PA", "", "AP"],
            "sex": ["F", "F", ""],
            "laterality": "",
            "modality": "DX",
            "transfer_syntax": "s",
            "photometric": "m",
            "bits_stored": [8, 8, 12],
            "spacing_source": "none",
            "rows": [10, 20, 30],
            "cols": 5,
            "row_spacing_mm": [np.nan] * 3,
            "col_spacing_mm": [np.nan] * 3,
            "grey_mean": 0.5,
            "grey_deviation": 0.1,
            "grey_low": 0.0,
            "grey_median": 0.5,
            "grey_high": 1.0,
            "maker": "",
        }
    )
    found = describe(images, np.array([[1], [0], [-1]], np.int8), ["L"])
    assert found["labels"]["train"]["L"] == {"present": 1, "absent": 1, "uncertain": 0, "no_information": 0}
    assert found["labels"]["test"]["L"]["no_information"] == 1
    assert found["films_by"]["view"] == {"(unknown)": 1, "AP": 1, "PA": 1}
    assert found["patients_by_split"] == {"train": 1, "test": 1}
    assert found["spread"]["rows"]["median"] == 20
    assert found["spread"]["row_spacing_mm"] == {"n": 0}
    assert set(acquisition_tags(images)) >= {"transfer_syntax", "spacing", "size", "maker"}
    assert not {"patient_key", "source", "image_id"} & set(acquisition_tags(images))


def _images(films: int, **columns: object) -> pd.DataFrame:
    plain = {
        "row_spacing_mm": 0.2,
        "rows": 2048,
        "cols": 2048,
        "transfer_syntax": "1.2",
        "photometric": "MONOCHROME2",
        "bits_stored": 12,
        "modality": "DX",
        "view": "PA",
        "spacing_source": "pixel",
        "maker": "m",
        "site": "",
        "sex": "",
        "age_years": np.nan,
    }
    return pd.DataFrame({**plain, **columns}, index=range(films))


def test_kinds_that_do_not_vary_are_left_out_and_site_and_age_stand_for_themselves() -> None:
    rng = np.random.default_rng(1)
    glances = np.zeros((60, 384), np.float32)
    assert list(probe_features(_images(60), glances)) == ["grey-level histogram", "8x8 thumbnail", "acquisition tags"]
    glances[:, 96:] = rng.random((60, 288))
    told = _images(60, site=["a", "b"] * 30, age_years=rng.uniform(20, 90, 60))
    found = probe_features(told, glances, np.eye(12, dtype=bool))
    assert {"site", "age", "border", "corners (markers)", "lungs masked out"} <= set(found)
    assert "sex" not in found
    assert found["border"].shape == (60, 2 * 44)
    assert found["corners (markers)"].shape == (60, 2 * 36)
    assert found["lungs masked out"].shape == (60, 2 * 132)
    assert "lungs masked out" not in probe_features(told, glances)
    assert "lungs masked out" not in probe_features(
        told, glances, np.ones((12, 12), bool)
    )  # nothing is left to look at


def test_tiles_by_share_of_their_pixels() -> None:
    mask = np.zeros((24, 36), bool)
    mask[:1, :3] = mask[2:4, 3:6] = True  # half of the first tile; the whole one below and right of it
    shares = tile_shares(mask, 12)
    assert (shares[0, 0], shares[1, 1], shares.sum()) == (0.5, 1.0, 1.5)
    uneven = tile_shares(np.ones((13, 17), bool), 12)
    assert (uneven == 1).all()


def test_lungs_lie_where_they_lie_on_more_than_a_few_films() -> None:
    shares = np.zeros((40, 12, 12))
    shares[:2, 0, 0] = 1.0  # on two of forty films: not more than a twentieth
    shares[:3, 4, 3] = 0.1
    shares[:, 5, 5] = 0.09
    tiles = lung_tiles(shares)
    assert tiles is not None
    assert np.argwhere(tiles).tolist() == [[4, 3]]
    assert lung_tiles(shares[:7]) is None


def test_regions_leave_the_lungs_out() -> None:
    lungs = np.zeros((12, 12), bool)
    lungs[2:9, 1:11] = True
    found = regions(lungs)
    assert not found["lungs masked out"][4, 3]
    assert found["lungs masked out"][11].all()
    assert "lungs masked out" not in regions(None)
    assert (found["border"].sum(), found["corners (markers)"].sum()) == (44, 36)


def test_ages_over_any_persons_count_as_untold() -> None:
    ages = probe_features(_images(3, age_years=[20.0, 412.0, 40.0]), np.zeros((3, 384), np.float32))["age"]
    assert ages[:, 0].tolist() == [20, 30, 40]
    assert ages[:, 2].tolist() == [1, 0, 1]


def test_probes_speak_of_films_they_were_not_fitted_on_alone() -> None:
    rng = np.random.default_rng(2)
    values = (rng.random((200, 2)) < 0.5).astype(np.int8)
    values[:, 1] = -1  # nothing is known of the second label
    planted = rng.normal(size=(200, 3)).astype(np.float32)
    planted[:, 0] += 4 * values[:, 0]
    is_training = np.arange(200) < 120
    logits = probe_logits({"planted": planted, "noise": planted[:, 1:]}, values, is_training, 1)
    assert logits.shape == (2, 200, 2)
    assert np.isnan(logits[:, is_training]).all()
    assert np.isnan(logits[..., 1]).all()
    told = values[120:, 0] == 1
    assert ((logits[0, 120:, 0] > 0) == told).mean() > 0.9
    assert ((logits[1, 120:, 0] > 0) == told).mean() < 0.7
