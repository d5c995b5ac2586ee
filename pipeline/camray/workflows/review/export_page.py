"""The review page of a run: a folder that radiologists open in a browser, from the disk.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (maps), ``localize/`` (boxes, thresholds); the films
Writes  ``review/``
Run     ``camray review runs/phantom``
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from camray.adapters.pixel_store import PixelStore
from camray.adapters.progress import progress
from camray.adapters.review.page_folder import write_page
from camray.adapters.run_folder import RunFolder, digest_of, file_digest, read_table
from camray.adapters.settings.schema import Settings
from camray.core.localization.box_recipes import BoxRecipe, recipe_from_json
from camray.core.localization.default_method import default_method, default_thresholds
from camray.core.metrics.localization.masks import box_from_rle
from camray.domain.errors import PipelineError, SettingsError
from camray.domain.geometry import Box, boxes_to_array, iou_matrix
from camray.domain.records import ANNOTATION_COLUMNS, CORNERS, IMAGE_COLUMNS, LABEL_COLUMNS, PREDICTION_COLUMNS
from camray.io.explained_films import ExplainedFilms, read_explained
from camray.reporting.review_page.page import PictureFormat, review_page_files
from camray.reporting.review_page.records import PageFilm, PageRecipe, PageRun
from camray.workflows.review.display_images import Wanted, draw_films, wanted_of

DISPLAY_PX = 1024
_REFERENCES = {
    "max": "fraction of the map's maximum",
    "range": "fraction of the map's range",
    "raw": "the heat itself",
    "quantile": "fraction of the film that is cooler",
    "otsu": "factor on Otsu's threshold",
}


@dataclass(frozen=True)
class BuiltPage:
    """What was built: the page to open, its films, how many of them only at model resolution, and its size."""

    index: Path
    films: int
    coarse: int
    size_bytes: int


@dataclass(frozen=True)
class _Known:
    """All that is known of a run's films before their pictures are read."""

    films: ExplainedFilms
    images: pd.DataFrame  # by image_id
    boxes: dict[tuple[str, str], list[Box]]
    reported: set[tuple[str, str]]
    values: dict[tuple[str, str], str]
    annotations: dict[str, list[tuple[int, str, Box]]]
    method: str


def build(
    settings: Settings,
    folder: RunFolder,
    *,
    splits: Sequence[str] = (),
    annotations: bool = True,
    display_px: int = DISPLAY_PX,
    picture: PictureFormat = "png",
) -> BuiltPage:
    """Build the review page of a finished run.

    Parameters
    ----------
    settings : Settings
        The run's own.
    folder : RunFolder
        The run; `folder.trained` where its network is another run's and uses prior maps.
    splits : sequence of str
        Whose films are shown; those of ``export.splits`` by default.
    annotations : bool
        Put the annotations on the page. Leave them out where readers must not find them.
    display_px : int
        Longest side of a film's picture.
    picture : {'png', 'webp'}
        Form of the pictures.

    Raises
    ------
    PipelineError
        If a stage has not happened.
    SettingsError
        If no film is left to show.
    """
    thresholds = _thresholds(folder)
    known = _known(folder, thresholds, annotations)
    run = _page_run(settings, folder, known, thresholds, has_annotations=annotations and _has_annotations(known))
    wanted = splits or settings.export.splits
    chosen = [place for place, split in enumerate(known.films.table["split"]) if split in wanted]
    if not chosen:
        there = ", ".join(sorted(set(known.films.table["split"])))
        raise SettingsError(f"{folder.root}: no explained film is of split {', '.join(wanted)}; there are: {there}")
    drawn = draw_films(settings, folder, display_px, [_wanted(known, place) for place in chosen])
    heat = PixelStore(folder.root / "explain", f"heat-{known.method}")
    ids = [str(known.films.table["image_id"].iloc[place]) for place in chosen]
    pictures = progress(zip(chosen, drawn, strict=True), len(chosen), "drawing films")
    coarse: list[int] = []

    def films() -> Iterator[PageFilm]:
        for place, (grey, note) in pictures:
            if note:
                coarse.append(place)
            yield _page_film(known, place, heat, grey, note, run)

    size = write_page(folder.root / "review", review_page_files(run, ids, films(), picture))
    return BuiltPage(folder.root / "review" / "index.html", len(chosen), len(coarse), size)


def run_digest(folder: RunFolder) -> str:
    """Digest what decisions refer to: the run's boxes and thresholds, and the findings' order."""
    localize = folder.root / "localize"
    for name in ("predictions.parquet", "thresholds.json"):
        if not (localize / name).is_file():
            raise PipelineError(f"{localize / name}: no boxes; run the localize stage first")
    return digest_of([file_digest(localize / name) for name in ("predictions.parquet", "thresholds.json")])[:16]


def _thresholds(folder: RunFolder) -> dict[str, Any]:
    path = folder.root / "localize" / "thresholds.json"
    if not path.is_file():
        raise PipelineError(f"{path}: no thresholds; run the localize stage first")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _known(folder: RunFolder, thresholds: Mapping[str, Any], annotations: bool) -> _Known:
    films = read_explained(folder)
    ingest = folder.root / "ingest"
    images = read_table(ingest / "images.parquet", IMAGE_COLUMNS).set_index("image_id")
    predictions = read_table(folder.root / "localize" / "predictions.parquet", PREDICTION_COLUMNS)
    method = default_method(films.methods)
    shown = default_thresholds(thresholds["thresholds"], method, films.labels)
    pairs = pd.MultiIndex.from_arrays([predictions["label"], predictions["threshold_id"]])
    wanted = pairs.isin([(label, entry["id"]) for label, entry in shown.items()])
    predictions = predictions[wanted & (predictions["method"] == method)].sort_values(["image_id", "label", "rank"])
    boxes: dict[tuple[str, str], list[Box]] = {}
    for image_id, label, *corners in predictions.dropna(subset=CORNERS)[["image_id", "label", *CORNERS]].to_numpy():
        boxes.setdefault((image_id, label), []).append(Box(*map(float, corners)))
    reported = predictions[predictions["reported"]]
    empty = pd.DataFrame(columns=list(LABEL_COLUMNS))
    labels = read_table(ingest / "labels.parquet", LABEL_COLUMNS) if annotations else empty
    return _Known(
        films=films,
        images=images,
        boxes=boxes,
        reported=set(zip(reported["image_id"], reported["label"], strict=True)),
        values={(i, label): value for i, label, value in labels.itertuples(index=False)},
        annotations=_annotations(ingest, films) if annotations else {},
        method=method,
    )


def _annotations(ingest: Path, films: ExplainedFilms) -> dict[str, list[tuple[int, str, Box]]]:
    table = read_table(ingest / "annotations.parquet", ANNOTATION_COLUMNS)
    table = table[table["image_id"].isin(set(films.table["image_id"])) & table["label"].isin(films.labels)]
    found: dict[str, list[tuple[int, str, Box]]] = {}
    sizes = dict(zip(films.table["image_id"], films.sizes, strict=True))
    row: Any
    for row in table.itertuples(index=False):
        corners = (row.x0, row.y0, row.x1, row.y1)
        box: Box | None = None
        if np.isfinite(corners).all():
            box = Box(*map(float, corners))
        elif row.rle:
            box = box_from_rle(row.rle, *sizes[row.image_id])
        if box is not None:
            found.setdefault(row.image_id, []).append((films.labels.index(row.label), row.reader, box))
    return found


def _has_annotations(known: _Known) -> bool:
    return bool(known.annotations or known.values)


def _page_run(
    settings: Settings, folder: RunFolder, known: _Known, thresholds: Mapping[str, Any], *, has_annotations: bool
) -> PageRun:
    films, method = known.films, known.method
    entries = default_thresholds(thresholds["thresholds"], method, films.labels)
    cutoffs = {entry["label"]: float(entry["probability"]) for entry in thresholds["cutoffs"]}
    recipes = tuple(_page_recipe(entries[label]) if label in entries else None for label in films.labels)
    prior = films.prior(method)
    if prior is None and any(recipe is not None and recipe.prior for recipe in recipes):
        raise PipelineError(
            f"{folder.root}: its boxes use prior maps, which lie with the trained run; name that run with --trained"
        )
    rows, cols = films.shape_model
    cells = known_cells(folder)
    return PageRun(
        name=folder.root.resolve().name,
        digest=run_digest(folder),
        method=method,
        labels=films.labels,
        cutoffs=tuple(cutoffs.get(label, 0.5) for label in films.labels),
        recipes=recipes,
        grid={"rows": rows, "cols": cols, "feature_rows": cells[0], "feature_cols": cells[1]},
        exponent=int(films.exponents[method]),
        min_area=settings.localize.min_area,
        only_best=settings.localize.boxes == "one",
        prior=prior,
        has_annotations=has_annotations,
    )


def known_cells(folder: RunFolder) -> tuple[int, int]:
    """Return rows and columns of the feature grid."""
    grid = json.loads((folder.root / "explain" / "grid.json").read_text(encoding="utf-8"))
    return int(grid["feature_rows"]), int(grid["feature_cols"])


def _page_recipe(entry: Mapping[str, Any]) -> PageRecipe:
    recipe: BoxRecipe = recipe_from_json(entry["parameters"])
    words = [_REFERENCES[recipe.reference]]
    words += [f"smoothed by {recipe.smooth:g} cells"] if recipe.smooth else []
    words += [f"prior map × {recipe.prior:g}"] if recipe.prior else []
    words += [f"sides × {recipe.dilate:g}"] if recipe.dilate != 1 else []
    chosen = f"chosen on {entry['n']} validation films" if entry["source"] == "validation" else "fixed beforehand"
    return PageRecipe(
        reference=recipe.reference,
        level=1.0 if recipe.reference == "otsu" else recipe.level,
        prior=recipe.prior,
        dilate=recipe.dilate,
        region=recipe.region,
        kernel=_kernel(recipe.smooth),
        description=f"{', '.join(words)}; {chosen}",
    )


def _kernel(sigma: float) -> tuple[float, ...]:
    """Return the weights of the Gaussian that `camray.core.localization.heat_maps.upsampled` applies to an impulse."""
    if sigma <= 0:
        return (1.0,)
    reach = int(4.0 * sigma + 0.5)  # scipy's truncation
    impulse = np.zeros(2 * reach + 1)
    impulse[reach] = 1.0
    return tuple(float(weight) for weight in gaussian_filter1d(impulse, sigma, mode="constant"))


def _wanted(known: _Known, place: int) -> Wanted:
    window = known.films.windows[place]
    image = known.images.loc[known.films.table["image_id"].iloc[place]]
    return wanted_of(image, (window.row0, window.row1, window.col0, window.col1))


def _page_film(
    known: _Known, place: int, heat: PixelStore, grey: NDArray[np.uint8], note: str, run: PageRun
) -> PageFilm:
    films = known.films
    row = films.table.iloc[place]
    image_id, image = str(row["image_id"]), known.images.loc[row["image_id"]]
    window, size = films.windows[place], films.sizes[place]
    boxes = [known.boxes.get((image_id, label), []) for label in films.labels]
    reported = [(image_id, label) in known.reported for label in films.labels]
    marks = known.annotations.get(image_id, [])
    values = [known.values.get((image_id, label)) for label in films.labels]
    annotated = [value == "1" or any(number == label for number, _, _ in marks) for label, value in enumerate(values)]
    disagreement = [
        _disagreement(reported[label], boxes[label], annotated[label], [b for n, _, b in marks if n == label], value)
        for label, value in enumerate(values)
    ]
    row_mm, col_mm = float(image["row_spacing_mm"]), float(image["col_spacing_mm"])
    view = f" · {image['view']}" if image["view"] else ""
    return PageFilm(
        image_id=image_id,
        grey=grey,
        heat=np.asarray(heat.shard(int(row["shard"]))[int(row["index"])], np.float16),
        shape_native=size,
        aspect=row_mm / col_mm if row_mm > 0 and col_mm > 0 else 1.0,
        transform=films.transforms[place],
        window=(window.row0, window.row1, window.col0, window.col1),
        probabilities=[float(value) for value in films.probabilities[place]],
        reported=reported,
        boxes=boxes,
        annotations=marks,
        annotated=annotated if run.has_annotations else [False] * len(films.labels),
        disagreement=disagreement if run.has_annotations else [None] * len(films.labels),
        note=note,
        facts=f"{size[1]} × {size[0]} px{view}",
    )


def _disagreement(
    reported: bool, boxes: list[Box], annotated: bool, marks: list[Box], value: str | None
) -> float | None:
    """Return how much the AI differs from the annotation: 1 on presence, else what the best box lacks in IoU."""
    if value == "uncertain" or (not annotated and value != "0"):
        return None
    if reported != annotated:
        return 1.0
    if not (reported and boxes and marks):
        return 0.0
    return 1.0 - float(iou_matrix(boxes_to_array(boxes[:1]), boxes_to_array(marks)).max())
