"""A sample of an ingest holds every table that training reads, for the films that it keeps."""

from pathlib import Path

import pandas as pd

from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.records import ANNOTATION_COLUMNS
from camray.io.artifacts import artifacts_of
from camray.workflows.model_comparison.film_sampling import write_sample
from tests.trained_run import LABELS, finish_ingest, ingested_run


def test_groups_follow_the_films_that_are_kept(tmp_path: Path) -> None:
    inputs, sample = ingested_run(tmp_path / "inputs"), RunFolder(tmp_path / "sample")
    files = artifacts_of(inputs).ingest
    marks = pd.DataFrame({"image_id": ["1.2.9", "1.2.10"], "label": LABELS[0], "reader": "", "kind": "box", "rle": ""})
    files.annotations.write(marks.assign(x0=1.0, y0=1.0, x1=9.0, y1=9.0)[list(ANNOTATION_COLUMNS)])
    films = [f"1.2.{number}" for number in range(12)]
    sexes = pd.DataFrame({"image_id": films, "sex": list("FM" * 6), "site": "", "maker": "", "age_years": 50.0})
    files.groups.write(sexes)
    finish_ingest(inputs)
    write_sample(inputs, sample, {"validation": 1}, seed=1)
    kept = artifacts_of(sample).ingest
    assert len(kept.groups.read()) == 9  # eight train
    assert set(kept.groups.read()["image_id"]) == set(kept.images.read()["image_id"])
