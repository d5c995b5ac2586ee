"""The review page as a folder that opens from the disk: films, maps and boxes beside a few plain scripts.

Layout: ``index.html``, ``app/`` (scripts and styles as shipped), ``data/run.js`` (what the worklist knows),
``data/<film>.js`` (one film's maps and boxes, loaded when it is opened), ``films/<film>.png`` or ``.webp``. Data are
scripts, because a page opened from the disk may not fetch. ``files.json`` lists what was written, so that a second
build takes away what the first one left, and nothing else.

Heat maps lie there as the run holds them (half precision, feature grid): with them the page finds the run's own boxes
to the last bit, where 8 bits would not, at about the same size.
"""

import base64
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from camray.domain.errors import ExportError
from camray.domain.file_names import file_names
from camray.domain.geometry import Box, GridTransform

ASSETS = Path(__file__).parent / "assets"
FILES, INDEX = "files.json", "index.html"
PictureFormat = Literal["png", "webp"]
WEBP_QUALITY = 92


@dataclass(frozen=True)
class PageRecipe:
    """How one finding's boxes are cut; see `camray.core.localization.box_recipes.Recipe`.

    Parameters
    ----------
    reference, level, prior, dilate, region
        As in the recipe.
    kernel : tuple of float
        The Gaussian that smooths the map, odd and symmetric; (1.0,) for none.
    words : str
        The recipe for people, and where its threshold was chosen.
    """

    reference: str
    level: float
    prior: float
    dilate: float
    region: str
    kernel: tuple[float, ...]
    words: str


@dataclass(frozen=True, eq=False)
class PageRun:
    """What all films of a page share.

    Parameters
    ----------
    name, digest, method : str
        The run, a digest of its boxes and thresholds, and the explanation method shown.
    labels : tuple of str
        L of them.
    cutoffs : tuple of float
        From which probability each is reported.
    recipes : tuple of PageRecipe or None
        Label by label; None where a label has no threshold and hence no boxes.
    grid : mapping of str to int
        ``rows, cols, feature_rows, feature_cols``.
    exponent : int
        The stored heat is the raw heat times 2 to this power.
    min_area : float
        Smallest region, fraction of the film.
    only_best : bool
        One box a finding at most.
    prior : ndarray of shape (L, h, w), float32, or None
        Prior maps, where a recipe gives them weight.
    colours : tuple of int
        256 colours (0xRRGGBB) from no evidence to the most.
    has_annotations : bool
        Annotations may be shown.
    """

    name: str
    digest: str
    method: str
    labels: tuple[str, ...]
    cutoffs: tuple[float, ...]
    recipes: tuple[PageRecipe | None, ...]
    grid: Mapping[str, int]
    exponent: int
    min_area: float
    only_best: bool
    prior: NDArray[np.float32] | None
    colours: tuple[int, ...]
    has_annotations: bool


@dataclass(frozen=True, eq=False)
class PageFilm:
    """One film.

    Parameters
    ----------
    image_id : str
        Names it; nothing that identifies the patient.
    grey : ndarray of shape (H, W), uint8
        The whole film at display resolution.
    heat : ndarray of shape (L, h, w), float16
        As stored, see `PageRun.exponent`.
    shape_native : tuple of int
        (rows, cols).
    aspect : float
        Height over width of a native pixel as it should be shown.
    transform : GridTransform
        Native to model grid.
    window : tuple of int
        (row0, row1, col0, col1): the model pixels that the film covers.
    probabilities : sequence of float
        Label by label.
    reported : sequence of bool
        Likewise.
    boxes : sequence of list of Box
        The run's own boxes, label by label, best first, native px.
    annotations : sequence of (int, str, Box)
        Label number, reader and box.
    annotated : sequence of bool
        Labels that an annotation calls present.
    disagreement : sequence of float or None
        By label 0-1: how much the AI and the annotations differ; None where there is no annotation.
    note : str
        What the reader must know of this film's picture; may be empty.
    facts : str
        Size and view.
    """

    image_id: str
    grey: NDArray[np.uint8]
    heat: NDArray[np.float16]
    shape_native: tuple[int, int]
    aspect: float
    transform: GridTransform
    window: tuple[int, int, int, int]
    probabilities: Sequence[float]
    reported: Sequence[bool]
    boxes: Sequence[list[Box]]
    annotations: Sequence[tuple[int, str, Box]]
    annotated: Sequence[bool]
    disagreement: Sequence[float | None]
    note: str = ""
    facts: str = ""


def write_page(
    folder: Path, run: PageRun, image_ids: Sequence[str], films: Iterable[PageFilm], picture: PictureFormat = "png"
) -> int:
    """Write the page, film by film; ``index.html`` comes last.

    Parameters
    ----------
    folder : Path
        Where. What an earlier build wrote there is replaced; other files stay.
    run : PageRun
        What the films share.
    image_ids : sequence of str
        Of all films, to name their files.
    films : iterable of PageFilm
        In the order of the worklist; read one at a time.
    picture : {'png', 'webp'}
        PNG keeps every grey value; WebP is about a fifth as large and near it.

    Returns
    -------
    int
        Bytes written.

    Raises
    ------
    ExportError
        If a file cannot be written, or a film comes that `image_ids` does not name.
    """
    names, files = file_names(image_ids), _Files(folder)
    (folder / INDEX).unlink(missing_ok=True)
    rows = []
    for film in films:
        if film.image_id not in names:
            raise ExportError(f"{folder}: a film comes that was not announced; build the page again")
        name = names[film.image_id]
        files.write(f"films/{name}.{picture}", _picture(film.grey, picture))
        files.write(f"data/{name}.js", _script(f"CAMRAY.receive({_json(name)}, {_json(_film_data(film))});"))
        rows.append(_film_row(film, name))
    files.write("data/run.js", _script(f"window.CAMRAY = {{}};\nCAMRAY.run = {_json(_run_data(run, rows, picture))};"))
    for asset in sorted(ASSETS.iterdir()):
        if asset.suffix in {".js", ".css"}:
            files.write(f"app/{asset.name}", asset.read_bytes())
    files.write(INDEX, (ASSETS / INDEX).read_bytes())
    return files.close()


class _Files:
    """Files of one build: written whole or not at all, counted, and compared with those of the build before."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._size = folder, 0
        self._written: list[str] = []
        try:
            before = json.loads((folder / FILES).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            before = []
        self._before = {str(name) for name in before} if isinstance(before, list) else set()

    def write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        temporary = path.with_name(path.name + ".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(content)
            temporary.replace(path)
        except OSError as error:
            raise ExportError(
                f"{path}: cannot be written ({error.strerror}); free space or choose another folder"
            ) from error
        self._size += len(content)
        self._written.append(name)

    def close(self) -> int:
        root = self._folder.resolve()
        for name in sorted(self._before - set(self._written)):
            stale = (self._folder / name).resolve()
            if root in stale.parents:
                stale.unlink(missing_ok=True)
        size = self._size
        self.write(FILES, (json.dumps(sorted(self._written), indent=1) + "\n").encode())
        return size


def _picture(grey: NDArray[np.uint8], form: PictureFormat) -> bytes:
    stream = io.BytesIO()
    if form == "png":
        Image.fromarray(grey).save(stream, format="PNG")
    else:
        Image.fromarray(grey).save(stream, format="WEBP", quality=WEBP_QUALITY)
    return stream.getvalue()


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))  # ASCII: no U+2028 that would end a line


def _script(text: str) -> bytes:
    return (text + "\n").encode("ascii")


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()).decode()


def _run_data(run: PageRun, rows: list[dict[str, Any]], picture: PictureFormat) -> dict[str, Any]:
    return {
        "name": run.name,
        "digest": run.digest,
        "method": run.method,
        "labels": list(run.labels),
        "cutoffs": [float(value) for value in run.cutoffs],
        "recipes": [None if recipe is None else asdict(recipe) for recipe in run.recipes],
        "grid": dict(run.grid),
        "exponent": run.exponent,
        "min_area": run.min_area,
        "only_best": run.only_best,
        "prior": None if run.prior is None else _base64(run.prior.astype(np.float32)),
        "colours": list(run.colours),
        "has_annotations": run.has_annotations,
        "picture_format": picture,
        "films": rows,
    }


def _film_row(film: PageFilm, name: str) -> dict[str, Any]:
    reported = [bool(value) for value in film.reported]
    return {
        "id": film.image_id,
        "file": name,
        "probabilities": [round(float(value), 6) for value in film.probabilities],
        "reported": reported,
        "boxes": [_corners(boxes) if shown else [] for boxes, shown in zip(film.boxes, reported, strict=True)],
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
