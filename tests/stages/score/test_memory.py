"""Scoring many films: memory grows with the tables alone."""

from pathlib import Path

import pytest

from benchmarks.scoring import generate, score_in_a_process


@pytest.mark.slow
def test_a_thousand_films_more_cost_little_memory(tmp_path: Path) -> None:
    peaks = {}
    for films in (1000, 4000):
        generate(tmp_path / str(films), films, 14, 0.05)
        peaks[films] = score_in_a_process(tmp_path / str(films), 100)[2]
    assert peaks[4000] - peaks[1000] < 36  # MiB; a column of text on 14 labels, or the maps kept, would be more
