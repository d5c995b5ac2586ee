"""Shortcut probes find a planted shortcut, find none in noise, and say why they cannot tell."""

import numpy as np
import pandas as pd
import pytest

from pipeline.core.audit import (
    Probe,
    acquisition_tags,
    describe,
    one_hot,
    probe_auc,
    probes_as_json,
    run_probes,
    warnings_of,
)


def _patients(n: int) -> list[str]:
    return [f"p{i}" for i in range(n)]


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
            "split": ["train", "train", "test"], "patient_key": ["a", "a", "b"], "view": ["PA", "", "AP"],
            "sex": ["F", "F", ""], "laterality": "", "modality": "DX", "transfer_syntax": "s", "photometric": "m",
            "bits_stored": [8, 8, 12], "spacing_source": "none", "rows": [10, 20, 30], "cols": 5,
            "row_spacing_mm": [np.nan] * 3, "col_spacing_mm": [np.nan] * 3, "grey_mean": 0.5, "grey_deviation": 0.1,
            "grey_low": 0.0, "grey_median": 0.5, "grey_high": 1.0, "maker": "",
        }
    )  # fmt: skip
    found = describe(images, np.array([[1], [0], [-1]], np.int8), ["L"])
    assert found["labels"]["train"]["L"] == {"present": 1, "absent": 1, "uncertain": 0, "no_information": 0}
    assert found["labels"]["test"]["L"]["no_information"] == 1
    assert found["films_by"]["view"] == {"(unknown)": 1, "AP": 1, "PA": 1}
    assert found["patients_by_split"] == {"train": 1, "test": 1}
    assert found["spread"]["rows"]["median"] == 20
    assert found["spread"]["row_spacing_mm"] == {"n": 0}
    assert set(acquisition_tags(images)) >= {"transfer_syntax", "spacing", "size", "maker"}
    assert not {"patient_key", "source", "image_id"} & set(acquisition_tags(images))
