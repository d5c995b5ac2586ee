"""Facts of a run's films that tell whether a film is like those of training.

Reads   ``ingest/images.parquet``, ``ingest/store/``
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.progress import progress
from camray.core.cohort.groups import view_code
from camray.core.imaging.film_range import FilmFacts, FilmRange, appearance_of, fit_film_range, too_few
from camray.core.imaging.film_statistics import film_area, image_statistics
from camray.core.metrics.localization.annotated_films import number_patients
from camray.domain.films import width_mm
from camray.domain.records import Split
from camray.io.ingested_films import IngestedFilms, transform_of

MOST_FILMS = 2000  # of training, and of validation
_SEED = 0


def film_facts(films: IngestedFilms, image_ids: Sequence[str]) -> FilmFacts:
    """Measure some films of a run, in the order given."""
    images = films.images.set_index("image_id").loc[list(image_ids)]
    numbers = number_patients(films.images)
    rows = [{str(name): value for name, value in row.items()} for row in images.to_dict("records")]
    looks = [_appearance(films, row) for row in progress(rows, len(rows), "looking at films")]
    return FilmFacts(
        np.array(looks).reshape(len(rows), -1),
        tuple(view_code(str(row["view"] or "")) for row in rows),
        np.array([width_mm(int(row["cols"]), row["col_spacing_mm"], str(row["spacing_source"])) for row in rows]),
        np.array([numbers[image_id] for image_id in image_ids], np.int64),
    )


def film_range_of(films: IngestedFilms, share: float) -> FilmRange:
    """Learn which films are like the run's training films; see `fit_film_range`."""
    chosen = {split: _one_of_each_patient(films.split(split)) for split in (Split.TRAIN, Split.VALIDATION)}
    training, validation = (len(image_ids) for image_ids in chosen.values())
    if why := too_few(training, validation):
        return FilmRange(training, validation, why)
    facts = {split: film_facts(films, image_ids) for split, image_ids in chosen.items()}
    return fit_film_range(facts[Split.TRAIN], facts[Split.VALIDATION], share)


def _one_of_each_patient(images: pd.DataFrame) -> list[str]:
    """Return films of different patients, at most `MOST_FILMS`, drawn with a fixed seed."""
    shuffled = images.iloc[np.random.default_rng(_SEED).permutation(len(images))]
    patients = shuffled["patient_key"].fillna("").astype(str)
    is_first = (patients == "") | ~patients.duplicated()
    return sorted(shuffled.loc[is_first, "image_id"].astype(str)[:MOST_FILMS])


def _appearance(films: IngestedFilms, row: dict[str, Any]) -> NDArray[np.float64]:
    stored = films.store.rows([row["shard"]], [row["index"]])[0]
    rows, cols = film_area(stored.shape, (int(row["rows"]), int(row["cols"])), transform_of(row))
    return appearance_of(image_statistics(stored[rows, cols]))
