"""Films of a run compared with its training films."""

from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.pixel_store import shard_path, write_shard
from camray.adapters.run_folders.stage_replacement import STAGE_FILE
from camray.core.imaging.film_range import LEAST_TRAINING, LEAST_VALIDATION
from camray.io.film_facts import film_facts, film_range_of
from camray.io.ingested_films import read_ingested
from tests.trained_run import ingested_run


def test_a_white_film_of_a_run_is_foreign_and_patients_count_once(tmp_path: Path) -> None:
    films = LEAST_TRAINING + LEAST_VALIDATION
    folder = ingested_run(tmp_path / "run", LEAST_TRAINING, LEAST_VALIDATION)
    path = folder.root / "ingest" / "images.parquet"
    images = pd.read_parquet(path)
    assert "1 training and 1 validation" in film_range_of(read_ingested(folder), 0.02).reason  # one patient has all
    images["patient_key"], images["view"] = [f"p{number}" for number in range(films)], "pa"
    images["spacing_source"] = "pixel"
    images.to_parquet(path, index=False)
    (folder.root / "ingest" / STAGE_FILE).unlink()
    known = film_range_of(read_ingested(folder), 0.02)
    assert (known.reason, known.views) == ("", ("PA",))
    assert (known.training, known.validation) == (LEAST_TRAINING, LEAST_VALIDATION)
    assert known.widths_mm == (80 * 0.2 / 1.25, 128 * 0.2 * 1.25)
    of_validation = images.loc[images["split"] == "validation", "image_id"].tolist()
    assert known.why_foreign(film_facts(read_ingested(folder), of_validation)) == [""] * LEAST_VALIDATION
    store = folder.root / "ingest" / "store"
    write_shard(shard_path(store, 0), iter(np.full((films // 2, 96, 64), 255, np.uint8)), (96, 64), np.uint8)
    white = film_facts(read_ingested(folder), images.loc[images["shard"] == 0, "image_id"].tolist()[:2])
    assert known.why_foreign(white) == ["appearance unlike the training films'"] * 2
