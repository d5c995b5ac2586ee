"""The review page as files of a folder that opens from the disk.

Layout: ``index.html``, ``app/`` (scripts and styles as shipped), ``data/run.js`` (the worklist), ``data/<film>.js``
(one film's maps and boxes, loaded when the film is opened), ``films/<film>.png`` or ``.webp``. Data are scripts,
because a page opened from the disk may not fetch.

Heat maps are there as the run holds them (half precision, feature grid): with them the page finds the run's own boxes
to the last bit, where 8 bits would not, at about the same size.
"""

import base64
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camray.domain.errors import ExportError
from camray.domain.file_names import file_names
from camray.domain.geometry import Box
from camray.reporting.overlays import heat_colours
from camray.reporting.page_rendering import asset, render
from camray.reporting.review_page.records import PageFilm, PageRun

PictureFormat = Literal["png", "webp"]
WEBP_QUALITY = 92
STYLE = "review.css"
SCRIPTS = (  # in the order in which they are run
    "heat.js",
    "regions.js",
    "films.js",
    "storage.js",
    "state.js",
    "exchange.js",
    "worklist.js",
    "viewer.js",
    "marks.js",
    "pointer.js",
    "findings.js",
    "keys.js",
    "main.js",
)


def review_page_files(
    run: PageRun, image_ids: Sequence[str], films: Iterable[PageFilm], picture: PictureFormat = "png"
) -> Iterator[tuple[str, bytes]]:
    """Make the page's files, film by film; ``index.html`` comes last.

    Parameters
    ----------
    run : PageRun
        What the films share.
    image_ids : sequence of str
        Of all films, to name their files.
    films : iterable of PageFilm
        In the order of the worklist; read one at a time.
    picture : {'png', 'webp'}
        PNG keeps every grey value; WebP is about a fifth as large and nearly the same.

    Yields
    ------
    name : str
        Path relative to the page's folder.
    content : bytes

    Raises
    ------
    ExportError
        If `films` holds a film that `image_ids` does not name.
    """
    names = file_names(image_ids)
    rows = []
    for film in films:
        if film.image_id not in names:
            raise ExportError("the review page was given a film that is not in its list; build the page again")
        name = names[film.image_id]
        yield f"films/{name}.{picture}", _picture(film.grey, picture)
        yield f"data/{name}.js", render("review_page/film.js.j2", name=name, film=_film_data(film)).encode("ascii")
        rows.append(_film_row(film, name))
    yield "data/run.js", render("review_page/run.js.j2", run=_run_data(run, rows, picture)).encode("ascii")
    for name in (STYLE, *SCRIPTS):
        yield f"app/{name}", asset(f"review_page/{name}").encode()
    yield "index.html", render("review_page/index.html.j2", run_name=run.name, style=STYLE, scripts=SCRIPTS).encode()


def _picture(grey: NDArray[np.uint8], form: PictureFormat) -> bytes:
    stream = io.BytesIO()
    if form == "png":
        Image.fromarray(grey).save(stream, format="PNG")
    else:
        Image.fromarray(grey).save(stream, format="WEBP", quality=WEBP_QUALITY)
    return stream.getvalue()


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _run_data(run: PageRun, rows: list[dict[str, Any]], picture: PictureFormat) -> dict[str, Any]:
    return {
        "name": run.name,
        "digest": run.digest,
        "method": run.method,
        "labels": list(run.labels),
        "cutoffs": list(run.cutoffs),
        "logit_cutoffs": list(run.logit_cutoffs),
        "no_probability": list(run.no_probability),
        "recipes": [None if recipe is None else asdict(recipe) for recipe in run.recipes],
        "grid": dict(run.grid),
        "exponent": run.exponent,
        "min_area": run.min_area,
        "only_best": run.only_best,
        "prior": None if run.prior is None else _base64(run.prior.astype(np.float32)),
        "colours": list(heat_colours()),
        "has_annotations": run.has_annotations,
        "picture_format": picture,
        "films": rows,
    }


def _film_row(film: PageFilm, name: str) -> dict[str, Any]:
    reported = [bool(value) for value in film.reported]
    return {
        "id": film.image_id,
        "file": name,
        "probabilities": [None if value is None else round(value, 6) for value in film.probabilities],
        "logits": [round(float(value), 6) for value in film.logits],
        "reported": reported,
        "not_judged": list(film.not_judged),
        "boxes": [_corners(boxes) if report else [] for boxes, report in zip(film.boxes, reported, strict=True)],
        "annotated": [bool(value) for value in film.annotated],
        "disagreement": [None if value is None else round(float(value), 4) for value in film.disagreement],
        "aspect": film.aspect,
        "note": film.note,
        "facts": film.facts,
    }


def _film_data(film: PageFilm) -> dict[str, Any]:
    to = film.transform
    return {
        "rows": film.shape_native[0],
        "cols": film.shape_native[1],
        "transform": [to.scale_x, to.scale_y, to.offset_x, to.offset_y],
        "window": list(film.window),
        "boxes": [_corners(boxes) for boxes in film.boxes],
        "annotations": [
            {"label": label, "reader": reader, "box": list(box.as_tuple())} for label, reader, box in film.annotations
        ],
        "heat": _base64(film.heat),
    }


def _corners(boxes: list[Box]) -> list[list[float]]:
    return [list(box.as_tuple()) for box in boxes]
