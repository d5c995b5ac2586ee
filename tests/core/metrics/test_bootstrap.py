import numpy as np
import pytest

from camray.core.metrics.bootstrap import (
    CHUNK_RESAMPLES,
    mean_of_defined,
    percentile_intervals,
    replace_zero_width_intervals,
    resampled_counts,
    sums_by_patient,
    weighted_means,
)


def test_counts_draw_every_time_as_many_patients_as_there_are() -> None:
    chunks = list(resampled_counts(7, CHUNK_RESAMPLES + 20, seed=3))
    assert [len(chunk) for chunk in chunks] == [CHUNK_RESAMPLES, 20]
    counts = np.concatenate(chunks)
    assert (counts.sum(axis=1) == 7).all()
    assert counts.mean(axis=0) == pytest.approx(1.0, abs=0.35)
    np.testing.assert_array_equal(counts, np.concatenate(list(resampled_counts(7, CHUNK_RESAMPLES + 20, seed=3))))


def test_many_patients_come_in_smaller_chunks_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(resampled_counts(37, 100, seed=3)))
    monkeypatch.setattr("camray.core.metrics.bootstrap.CHUNK_WEIGHTS", 300)
    chunks = list(resampled_counts(37, 100, seed=3))
    assert {len(chunk) for chunk in chunks} == {8, 4}
    np.testing.assert_array_equal(np.concatenate(chunks), whole)


def test_weighted_means_equal_the_mean_over_the_drawn_patients_films() -> None:
    rng = np.random.default_rng(0)
    values, patients = rng.random((12, 3)), rng.integers(0, 5, 12)
    counts = next(resampled_counts(5, 30, seed=1))
    means = weighted_means(
        counts, sums_by_patient(values, patients, 5), np.bincount(patients, minlength=5).astype(float)
    )
    for row, drawn in zip(means, counts.astype(int), strict=True):
        films = [
            film for patient, times in enumerate(drawn) for film in list(np.flatnonzero(patients == patient)) * times
        ]
        expected = values[films].mean(axis=0) if films else np.full(3, np.nan)
        np.testing.assert_allclose(row, expected)


def test_a_sample_without_items_is_undefined_and_left_out() -> None:
    means = weighted_means(np.array([[2.0, 0.0], [0.0, 2.0]]), np.array([[0.0], [1.0]]), np.array([0.0, 1.0]))
    assert np.isnan(means[0, 0])
    assert means[1, 0] == 1.0
    low, high = percentile_intervals(np.array([[np.nan, np.nan], [1.0, np.nan]]), 0.95)
    np.testing.assert_array_equal(low, [1.0, np.nan])
    np.testing.assert_array_equal(high, [1.0, np.nan])


def test_percentiles_by_hand() -> None:
    low, high = percentile_intervals(np.arange(101.0)[:, None], 0.9)
    assert (low[0], high[0]) == pytest.approx((5.0, 95.0))


def test_no_resample_gives_no_interval() -> None:
    low, high = percentile_intervals(np.zeros((0, 2)), 0.95)
    assert np.isnan([low, high]).all()


def test_an_interval_without_width_is_wilsons_or_none() -> None:
    """3 of 3: z = 1.96, Wilson's lower bound 1 / (1 + z^2 / 3) = 0.4385; 0 of 5: upper z^2 / (5 + z^2) = 0.4345."""
    value = np.array([1.0, 0.0, 0.37, 1.0, 0.5])
    low, high = value.copy(), value.copy()
    low[4], high[4] = 0.2, 0.8
    found = replace_zero_width_intervals(value, low, high, np.array([3, 5, 1, 0, 9]), 0.95)
    np.testing.assert_allclose(found[0], [0.4385, 0.0, np.nan, np.nan, 0.2], atol=1e-4)
    np.testing.assert_allclose(found[1], [1.0, 0.4345, np.nan, np.nan, 0.8], atol=1e-4)
    assert low[0] == 1  # the arguments stay


def test_mean_of_defined_ignores_the_undefined() -> None:
    np.testing.assert_array_equal(mean_of_defined(np.array([[1.0, np.nan, 3.0], [np.nan] * 3])), [2.0, np.nan])


@pytest.mark.slow
def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    # films of one patient share a patient's own rate, so intervals by film would be too narrow
    rng, covered, by_film, trials = np.random.default_rng(0), 0, 0, 400
    for trial in range(trials):
        rates = rng.beta(2, 2, 80)
        patients = np.repeat(np.arange(80), 4)
        values = (rng.random(320) < rates[patients]).astype(float)[:, None]
        for counted, groups in ((True, patients), (False, np.arange(320))):
            n = int(groups.max()) + 1
            draws = [
                weighted_means(counts, sums_by_patient(values, groups, n), np.bincount(groups).astype(float))
                for counts in resampled_counts(n, 400, seed=trial)
            ]
            low, high = percentile_intervals(np.concatenate(draws), 0.95)
            inside = bool(low[0] <= 0.5 <= high[0])
            covered, by_film = covered + (inside and counted), by_film + (inside and not counted)
    assert 0.92 <= covered / trials <= 0.975
    assert by_film / trials < 0.9
