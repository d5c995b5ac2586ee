"""Ingested films of a run: tables, pixels on the model grid, and each film's way there from the native grid.

Reads   ``ingest/``
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.metrics.localization.annotated_films import collect_annotated_films, number_patients
from camray.core.metrics.localization.masks import box_from_rle
from camray.domain.errors import PipelineError
from camray.domain.geometry import GridTransform
from camray.domain.records import CORNERS, Split
from camray.io.artifacts import IngestFiles, artifacts_of, save_array
from camray.io.ingest_contract import IngestContract
from camray.io.json_files import read_json


@dataclass(frozen=True)
class IngestedFilm:
    """One film as ingest recorded it.

    Parameters
    ----------
    image_id, split, source, pixel_sha256, view, laterality : str
        As in the images table.
    rows, cols : int
        Native grid, px.
    row_spacing_mm, col_spacing_mm : float or None
        None where it is not known.
    transform : GridTransform
        Native to model grid.
    shard, index : int
        Of its pixels in the store.
    """

    image_id: str
    split: str
    source: str
    pixel_sha256: str
    view: str
    laterality: Literal["L", "R", ""]
    rows: int
    cols: int
    row_spacing_mm: float | None
    col_spacing_mm: float | None
    transform: GridTransform
    shard: int
    index: int

    @property
    def shape_native(self) -> tuple[int, int]:
        """Rows and columns of the native grid."""
        return self.rows, self.cols

    @property
    def native_aspect(self) -> float:
        """Height over width of a native pixel in the patient; 1 where the spacing is not known."""
        if self.row_spacing_mm is None or self.col_spacing_mm is None:
            return 1.0
        return self.row_spacing_mm / self.col_spacing_mm


@dataclass(frozen=True, eq=False)
class IngestedFilms:
    """All ingested films of a run; tables are read when they are first needed.

    Parameters
    ----------
    files : IngestFiles
        Where they are.
    images : DataFrame
        `IMAGE_COLUMNS`, in the order of the table; ``image_id`` as str.
    """

    files: IngestFiles
    images: pd.DataFrame

    @cached_property
    def contract(self) -> IngestContract:
        """Findings and model grid."""
        return self.files.contract.read()

    @cached_property
    def labels(self) -> pd.DataFrame:
        """`LABEL_COLUMNS`, all of them categories: there may be millions of rows."""
        return self.files.labels.read(("image_id", "label", "value"))

    @cached_property
    def annotations(self) -> pd.DataFrame:
        """`ANNOTATION_COLUMNS`; ``image_id`` as str."""
        return _with_text_ids(self.files.annotations.read())

    @cached_property
    def groups(self) -> pd.DataFrame:
        """`GROUP_COLUMNS` and ``view``, in the order of `images`.

        Raises
        ------
        PipelineError
            If an earlier version of camray ingested the films.
        """
        if not self.files.groups.is_file():
            raise PipelineError(
                f"{self.files.groups.path}: no such file; it holds sex, age and site of the films, and is written by "
                "`camray ingest`: run it again with --force"
            )
        table = _with_text_ids(self.files.groups.read()).set_index("image_id").loc[self.images["image_id"]]
        return table.reset_index().assign(view=self.images["view"].to_numpy())

    @cached_property
    def boxes(self) -> pd.DataFrame:
        """Annotated boxes, native px, with masks turned into boxes; see `boxes_of_annotations`."""
        return boxes_of_annotations(self.annotations, self.images)

    @cached_property
    def ignored(self) -> pd.DataFrame:
        """Regions whose pixels do not count, in the form of the annotations; empty for most runs."""
        if not self.files.ignored.is_file():
            return pd.DataFrame(columns=list(self.files.ignored.columns))
        return _with_text_ids(self.files.ignored.read())

    @cached_property
    def probes(self) -> dict[str, pd.DataFrame]:
        """By kind of trivial features: logits of its probe by ``image_id`` and label, missing for training films."""
        return _read_probe_logits(self.files, self.images["image_id"])

    @cached_property
    def audit_warnings(self) -> list[str]:
        """Shortcuts that the audit warns of, then settings against them and weaker ones; empty without an audit."""
        audit = read_json(self.files.audit) if self.files.audit.is_file() else {}
        return [*audit.get("warnings", []), *audit.get("suggestions", [])]

    @cached_property
    def store(self) -> PixelStore:
        """Pixels on the model grid."""
        return self.files.store

    @cached_property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Native rows and columns by ``image_id``."""
        return sizes_of(self.images)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {image_id: row for row, image_id in enumerate(self.images["image_id"])}

    def film(self, image_id: str) -> IngestedFilm:
        """Return the record of one film."""
        row = self.images.iloc[self._rows[image_id]]
        spacing = [float(row[name]) for name in ("row_spacing_mm", "col_spacing_mm")]
        is_known = all(mm > 0 for mm in spacing)  # NaN is not
        return IngestedFilm(
            image_id=image_id,
            split=str(row["split"]),
            source=str(row["source"]),
            pixel_sha256=str(row["pixel_sha256"]),
            view=str(row["view"]),
            laterality=row["laterality"] if row["laterality"] in ("L", "R") else "",
            rows=int(row["rows"]),
            cols=int(row["cols"]),
            row_spacing_mm=spacing[0] if is_known else None,
            col_spacing_mm=spacing[1] if is_known else None,
            transform=transform_of(row),
            shard=int(row["shard"]),
            index=int(row["index"]),
        )

    def split(self, name: str) -> pd.DataFrame:
        """Return the images of a split, in the order of the table."""
        return self.images[self.images["split"] == name]

    def training_fractions(self, label: str) -> NDArray[np.float64]:
        """Return the boxes of a label on training films as fractions of the films' sides, [A, 4]."""
        films = self.split(Split.TRAIN)
        return collect_annotated_films(label, self.boxes, films, number_patients(films)).fraction_boxes()

    def grey(self, image_id: str) -> NDArray[np.float32]:
        """Return one film on the model grid, [rows, cols], grey 0-1."""
        row = self.images.iloc[self._rows[image_id]]
        return grey_of(self.store.shard(int(row["shard"]))[int(row["index"])])

    def stored_pixels(self, images: pd.DataFrame) -> NDArray[Any]:
        """Copy the stored pixels of some rows of the images table, [n, rows, cols]."""
        return self.store.rows(images["shard"].tolist(), images["index"].tolist())


def read_ingested(folder: RunFolder) -> IngestedFilms:
    """Open the ingested films of a run.

    Raises
    ------
    PipelineError
        If ingest has not finished, or an output of it has changed since.
    """
    folder.check_outputs("ingest")
    files = artifacts_of(folder).ingest
    return IngestedFilms(files, _with_text_ids(files.images.read()))


def grey_of(stored: NDArray[Any]) -> NDArray[np.float32]:
    """Return stored pixels, uint8 or uint16 of any shape, as grey 0-1."""
    return np.asarray(stored / np.float32(np.iinfo(stored.dtype).max), np.float32)


def transform_of(film: Any) -> GridTransform:
    """Return a film's way from the native to the model grid; `film` is a row of the images table."""
    return GridTransform(*(float(film[name]) for name in ("scale_x", "scale_y", "offset_x", "offset_y")))


def sizes_of(images: pd.DataFrame) -> dict[str, tuple[int, int]]:
    """Return native rows and columns by ``image_id``."""
    columns = (images[name] for name in ("image_id", "rows", "cols"))
    return {str(image_id): (int(rows), int(cols)) for image_id, rows, cols in zip(*columns, strict=True)}


def boxes_of_annotations(annotations: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """Turn masks into boxes: the smallest upright box around each mask.

    Parameters
    ----------
    annotations : DataFrame
        `ANNOTATION_COLUMNS`.
    images : DataFrame
        Columns ``image_id, rows, cols``.

    Returns
    -------
    DataFrame
        Columns image_id, label, x0, y0, x1, y1. A film and label with both boxes and masks keeps its boxes only.
    """
    boxes = annotations[annotations["kind"] != "mask"]
    masks = annotations[annotations["kind"] == "mask"]
    boxed = set(zip(boxes["image_id"], boxes["label"], strict=True))
    unboxed = [key not in boxed for key in zip(masks["image_id"], masks["label"], strict=True)]
    masks = masks[np.array(unboxed, dtype=bool)]
    sizes = sizes_of(images)
    columns = ["image_id", "label", *CORNERS]
    enclosing = []
    mask: Any
    for mask in masks[masks["image_id"].isin(sizes)].itertuples(index=False):
        corners = (mask.x0, mask.y0, mask.x1, mask.y1)
        if not np.isfinite(corners).all():
            box = box_from_rle(str(mask.rle), *sizes[mask.image_id])
            if box is None:  # an empty mask marks nothing
                continue
            corners = box.as_tuple()
        enclosing.append((mask.image_id, mask.label, *corners))
    boxes = boxes.loc[boxes["image_id"].isin(sizes), columns]
    return pd.concat([boxes, pd.DataFrame(enclosing, columns=columns)]) if enclosing else boxes


def write_audit(files: IngestFiles, audit: dict[str, Any], probe_logits: dict[str, NDArray[np.float32]]) -> None:
    """Write ``audit.json``, and ``probes.npy`` where there are probes.

    Parameters
    ----------
    files : IngestFiles
        Where to.
    audit : dict
        What was measured; ``label_names`` are the labels in the order of the logits.
    probe_logits : dict of str to ndarray of shape (films, labels), float32
        By kind of trivial features; empty where nothing was probed.
    """
    if probe_logits:
        save_array(files.probe_logits, np.stack(list(probe_logits.values())))
        audit = {**audit, "probe_kinds": list(probe_logits)}
    write_json(files.audit, audit)


def _read_probe_logits(files: IngestFiles, image_ids: "pd.Series[str]") -> dict[str, pd.DataFrame]:
    if not files.audit.is_file() or not files.probe_logits.is_file():
        return {}
    audit = read_json(files.audit)
    values = np.load(files.probe_logits, allow_pickle=False)
    kinds, labels = audit.get("probe_kinds", []), audit["label_names"]
    if values.shape != (len(kinds), len(image_ids), len(labels)):
        raise PipelineError(
            f"{files.probe_logits}: {values.shape} logits for {len(kinds)} probes of {len(image_ids)} films; "
            "ingest again"
        )
    return {kind: pd.DataFrame(table, image_ids, labels) for kind, table in zip(kinds, values, strict=True)}


def _with_text_ids(table: pd.DataFrame) -> pd.DataFrame:
    table["image_id"] = table["image_id"].astype(str)
    return table
