"""Films of a data set that is checked: headers, ids, and the pixels of a few films."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.progress import progress
from camray.core.cohort.deduplication import image_ids_by_path
from camray.core.imaging.chest_plausibility import chest_plausibility_warning
from camray.core.imaging.film_statistics import film_area, quantise
from camray.core.imaging.resampling import to_model_grid
from camray.domain.errors import ImageError
from camray.domain.films import Film, FilmHeader, FilmPolicy
from camray.io.film_files import read_film, read_film_header
from camray.workflows.dataset_check.report import MAX_LISTED, DataCheck

PLAUSIBILITY_SIDE_PX = 256


def needs_all_headers(manifest: Manifest) -> bool:
    """Return whether only headers link films to rows of the tables."""
    if manifest.films.image_id != "sop_instance_uid":
        return False
    rules = [rules for rules in (manifest.label_table, manifest.box_table) if rules is not None]
    return any(rule.key_is in ("image_id", "any") for rule in rules)


def spread_evenly(films: int, sample_size: int) -> list[int]:
    """Return the numbers of films that are evenly spread over all; a sample size of 0 selects all."""
    if sample_size <= 0 or sample_size >= films:
        return list(range(films))
    return sorted({int(number) for number in np.linspace(0, films - 1, sample_size)})


def read_headers(
    root: Path,
    sources: Sequence[str],
    numbers: Sequence[int],
    report: DataCheck,
    policy: FilmPolicy | None = None,
) -> dict[int, FilmHeader | None]:
    """Read headers: number of the film to its header, or to None where the film is refused."""
    headers: dict[int, FilmHeader | None] = {}
    reasons: Counter[str] = Counter()
    for number in progress(numbers, len(numbers), "reading headers"):
        try:
            headers[number] = read_film_header(root / sources[number], policy)
        except ImageError as error:
            headers[number] = None
            reasons[str(error.reason)] += 1
    report.counts["headers_read"] = len(headers)
    report.counts["refused_by_header"] = dict(sorted(reasons.items()))
    if reasons:
        counts = ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
        report.notes.append(f"{sum(reasons.values())} of {len(headers)} films tried would be refused: {counts}")
    return headers


def film_index(manifest: Manifest, sources: Sequence[str], headers: dict[int, FilmHeader | None]) -> FilmIndex:
    """Return the films' ids and paths, to be matched with rows of tables."""
    ids = []
    for number, source in enumerate(sources):
        path, header = PurePosixPath(source), headers.get(number)
        if manifest.films.image_id == "path":
            ids.append(path.with_suffix("").as_posix())
        else:
            by_header = manifest.films.image_id == "sop_instance_uid" and header is not None and header.image_id
            ids.append(str(by_header) if by_header else path.stem)
    usable = np.array(
        [number not in headers or headers[number] is not None for number in range(len(sources))], dtype=bool
    )
    names, paths = pd.Series(ids, dtype=str), pd.Series(list(sources), dtype=str)
    if manifest.films.image_id == "sop_instance_uid":
        syntax = [header.transfer_syntax if (header := headers.get(i)) is not None else "" for i in range(len(sources))]
        films = pd.DataFrame({"image_id": names, "source": paths, "pixel_sha256": paths, "transfer_syntax": syntax})
        names = image_ids_by_path(films, names)
    return FilmIndex(names, paths, usable)


def read_pixels(root: Path, sources: Sequence[str], numbers: Sequence[int], report: DataCheck) -> None:
    """Read the pixels of a few films: how many are refused, and which do not look like chest films."""
    reasons: Counter[str] = Counter()
    unusable = 0
    warned: list[tuple[str, str]] = []
    for number in progress(numbers, len(numbers), "reading pixels"):
        try:
            warning = _plausibility_warning(read_film(root / sources[number], FilmPolicy()))
            if warning[1]:
                warned.append(warning)
        except ImageError as error:
            reasons[str(error.reason)] += 1
            unusable += 1
    report.counts["films_read_whole"] = len(numbers)
    report.counts["refused_of_these"] = dict(sorted(reasons.items()))
    if warned:
        examples = "; ".join(f"{image_id}: {warning}" for image_id, warning in warned[:MAX_LISTED])
        more = "; ..." if len(warned) > MAX_LISTED else ""
        report.counts["doubtful_of_these"] = len(warned)
        report.notes.append(
            f"{len(warned)} of {len(numbers)} films tried do not look like chest films and would be kept: "
            f"{examples}{more}"
        )
    if unusable == len(numbers):
        counts = ", ".join(f"{count} x {reason}" for reason, count in sorted(reasons.items()))
        report.wrong.append(f"not one of {len(numbers)} films tried can be used: {counts}")


def _plausibility_warning(film: Film) -> tuple[str, str]:
    """Return the film's id and why it does not look like a chest film, or an empty text."""
    grey, grid = to_model_grid(film.pixels, PLAUSIBILITY_SIDE_PX, PLAUSIBILITY_SIDE_PX, "letterbox")
    stored = quantise(grey, 8)
    inside = stored[film_area(stored.shape, film.pixels.shape, grid)]
    return film.header.image_id, chest_plausibility_warning(inside)
