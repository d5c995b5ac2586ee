"""What scoring reads of one run: its films, labels and boxes, and the maps and logits of those that were explained.

Reads   ``ingest/{images,labels,annotations}.parquet``, ``explain/{images.parquet,grid.json,logits.npy,heat-*.npy}``
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.pixel_store import PixelStore
from camray.adapters.run_folder import RunFolder, read_table
from camray.core.localization.heat_maps import film_window
from camray.core.metrics.localization.annotated_films import AnnotatedFilms, collect_annotated_films, number_patients
from camray.core.metrics.localization.masks import box_from_rle
from camray.core.metrics.localization.rows import Geometry, Placement
from camray.core.metrics.score_table import LabelLogits
from camray.domain.errors import PipelineError
from camray.domain.geometry import GridTransform
from camray.domain.records import ANNOTATION_COLUMNS, CORNERS, EXPLAINED_COLUMNS, IMAGE_COLUMNS, LABEL_COLUMNS

OPEN_SHARDS = 4  # of heat maps: films come in the order of their names, which is mostly that of the shards


@dataclass(frozen=True)
class Films:
    """One run's films.

    Parameters
    ----------
    images, labels : DataFrame
        As ingest wrote them, indexed by nothing; ``image_id`` as str. All of the labels' columns are categories.
    boxes : DataFrame
        Annotated boxes, native px, with masks turned into boxes.
    probes : mapping
        Kind of trivial features to what its probe says of each film: logits by ``image_id`` and label, missing for
        training films. Empty where ingest made no audit.
    """

    images: pd.DataFrame
    labels: pd.DataFrame
    boxes: pd.DataFrame
    probes: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    def split(self, name: str) -> pd.DataFrame:
        """Return the images of a split."""
        return self.images[self.images["split"] == name]

    def training_fractions(self, label: str) -> NDArray[np.float64]:
        """Return the training split's boxes of a label as fractions of their films' sides, [A, 4]."""
        films = self.split("train")
        return collect_annotated_films(label, self.boxes, films, number_patients(films)).fraction_boxes()


def read_films(folder: RunFolder) -> Films:
    """Read one run's films, labels and boxes."""
    ingest = folder.root / "ingest"
    images = read_table(ingest / "images.parquet", IMAGE_COLUMNS)
    labels = read_table(ingest / "labels.parquet", LABEL_COLUMNS, ("image_id", "label", "value"))
    annotations = read_table(ingest / "annotations.parquet", ANNOTATION_COLUMNS)
    for table in (images, annotations):
        table["image_id"] = table["image_id"].astype(str)
    return Films(images, labels, boxes_of_annotations(annotations, images), _read_probes(ingest, images))


def _read_probes(ingest: Path, images: pd.DataFrame) -> dict[str, pd.DataFrame]:
    audit, logits = ingest / "audit.json", ingest / "probes.npy"
    if not audit.is_file() or not logits.is_file():
        return {}
    found = json.loads(audit.read_text(encoding="utf-8"))
    values = np.load(logits, allow_pickle=False)
    kinds, names = found.get("probe_kinds", []), found["label_names"]
    if values.shape != (len(kinds), len(images), len(names)):
        raise PipelineError(
            f"{logits}: {values.shape} logits for {len(kinds)} probes of {len(images)} films; ingest again"
        )
    return {
        kind: pd.DataFrame(table, index=images["image_id"], columns=names)
        for kind, table in zip(kinds, values, strict=True)
    }


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
    sizes = {i: (int(r), int(c)) for i, r, c in zip(images["image_id"], images["rows"], images["cols"], strict=True)}
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


@dataclass(frozen=True)
class Maps:
    """Logits and raw heat maps of one run's explained films.

    Parameters
    ----------
    folder : Path
        The run's ``explain``.
    images : DataFrame
        ``image_id, split, shard, index``, in the order of the logits.
    grid : dict
        ``grid.json``.
    """

    folder: Path
    images: pd.DataFrame
    grid: dict[str, Any]
    _stores: dict[str, PixelStore] = field(default_factory=dict)

    @property
    def labels(self) -> list[str]:
        """Labels in the order of the logits and of the maps' second axis."""
        return [str(label) for label in self.grid["labels"]]

    @property
    def methods(self) -> list[str]:
        """Explanation methods, in the order of the settings."""
        return [str(method) for method in self.grid["methods"]]

    @property
    def shape_model(self) -> tuple[int, int]:
        """Rows and columns of the model grid."""
        return int(self.grid["rows"]), int(self.grid["cols"])

    @property
    def shape_feature(self) -> tuple[int, int]:
        """Rows and columns of the feature grid."""
        return int(self.grid["feature_rows"]), int(self.grid["feature_cols"])

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        ids, shards, indices = (self.images[name] for name in ("image_id", "shard", "index"))
        return {str(i): (int(s), int(n)) for i, s, n in zip(ids, shards, indices, strict=True)}

    @cached_property
    def logits(self) -> pd.DataFrame:
        """Logits by ``image_id`` and label."""
        path = self.folder / "logits.npy"
        if not path.is_file():
            raise PipelineError(f"{path}: no such file; run `explain` first")
        values = np.load(path, allow_pickle=False)
        return pd.DataFrame(values.astype(np.float64), index=self.images["image_id"].astype(str), columns=self.labels)

    def heat(self, method: str, label: str, image_id: str) -> NDArray[np.float32]:
        """Return one film's raw map of one label, [h, w], on the feature grid."""
        if method not in self._stores:
            self._stores[method] = PixelStore(self.folder, f"heat-{method}", OPEN_SHARDS)
        shard, index = self._places[image_id]
        maps = self._stores[method].shard(shard)
        scale = np.float32(2.0 ** -int(self.grid["heat_exponents"][method]))
        return np.asarray(maps[index, self.labels.index(label)], dtype=np.float32) * scale

    def reader(self, method: str, label: str) -> Callable[[str], NDArray[np.float32]]:
        """Return a function from ``image_id`` to the raw map of this method and label."""
        return lambda image_id: self.heat(method, label, image_id)


def read_maps(folder: RunFolder) -> Maps | None:
    """Open one run's maps; None where nothing was explained."""
    explain = folder.root / "explain"
    if not (explain / "grid.json").is_file():
        return None
    images = read_table(explain / "images.parquet", EXPLAINED_COLUMNS)
    images["image_id"] = images["image_id"].astype(str)
    return Maps(explain, images, json.loads((explain / "grid.json").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class SplitItems:
    """One split's explained films, their geometry, and their annotated films by label.

    Parameters
    ----------
    films : DataFrame
        Rows of ``images``.
    patients : dict
        ``image_id`` to patient number.
    geometry : Geometry
        Where the films lie on the model grid.
    items : dict
        Label to annotated films; every label that was asked for.
    """

    films: pd.DataFrame
    patients: dict[str, int]
    geometry: Geometry
    items: dict[str, AnnotatedFilms]


def split_items(films: Films, maps: Maps, split: str, labels: list[str]) -> SplitItems:
    """Collect one split's films that have maps, and their annotations."""
    chosen = films.split(split)
    explained = chosen[chosen["image_id"].isin(maps.images["image_id"])]
    if len(explained) < len(chosen):
        raise PipelineError(
            f"split '{split}': {len(chosen) - len(explained)} of {len(chosen)} films were not explained; "
            f"add '{split}' to explain.splits and run again"
        )
    patients = number_patients(explained)
    found = {label: collect_annotated_films(label, films.boxes, explained, patients) for label in labels}
    return SplitItems(explained, patients, geometry_of(explained, maps.shape_model), found)


_PLACED_BY = ("rows", "cols", "scale_x", "scale_y", "offset_x", "offset_y")


def geometry_of(films: pd.DataFrame, shape_model: tuple[int, int]) -> Geometry:
    """Return where each film lies on the model grid."""
    placements, alike = {}, dict[tuple[Any, ...], Placement]()  # most films of a run lie alike
    film: Any
    for film in films[["image_id", *_PLACED_BY]].itertuples(index=False):
        key = tuple(film[1:])
        if key not in alike:
            transform = transform_of(film)
            window = film_window(transform, (int(film.rows), int(film.cols)), shape_model)
            alike[key] = Placement(transform, window)
        placements[str(film.image_id)] = alike[key]
    return Geometry(shape_model, placements)


def transform_of(film: Any) -> GridTransform:
    """Return a film's way from the native to the model grid; `film` is a row of the images table."""
    return GridTransform(float(film.scale_x), float(film.scale_y), float(film.offset_x), float(film.offset_y))


def known_logits(films: Films, maps: Maps, chosen: SplitItems) -> dict[str, LabelLogits]:
    """Collect, label by label, the films whose presence is known; uncertain and missing ones are left out."""
    known = films.labels[films.labels["value"].isin(["0", "1"])]
    names: NDArray[Any] = known["image_id"].cat.categories.to_numpy(object)  # one text a film, whatever the labels
    places = maps.logits.index.get_indexer(pd.Index(names))
    patients = np.array([chosen.patients.get(name, -1) for name in names], dtype=np.int64)
    found = {}
    for number, label in enumerate(maps.labels):
        rows = known[known["label"] == label]
        codes, present = rows["image_id"].cat.codes.to_numpy(), (rows["value"] == "1").to_numpy(dtype=bool)
        order = np.argsort(codes, kind="stable")  # alphabetical, as the categories are
        order = order[patients[codes[order]] >= 0]
        codes = codes[order]
        found[label] = LabelLogits(
            patients=patients[codes],
            logits=maps.logits.iloc[places[codes], number].to_numpy(dtype=np.float64),
            present=present[order],
            image_ids=tuple(names[codes]),
        )
    return found
