"""The published tables as they come: counts as published, in seconds. Films are not needed."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.label_values import ABSENT, PRESENT
from camray.adapters.datasets.manifest import Manifest
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.reading import Dataset, read_tables
from camray.adapters.datasets.table_paths import TablePaths, table_paths
from camray.adapters.datasets.tables import read_cells
from camray.core.cohort.reader_fusion import fuse_readers
from camray.domain.records import CORNERS

pytestmark = pytest.mark.realdata
MOST_SECONDS = 30


def _read(manifest: Manifest, labels: Path, boxes: Path, sources: Callable[[str], str], side: int) -> Dataset:
    assert manifest.label_table is not None
    keys = read_cells(labels)[manifest.label_table.key[0]].drop_duplicates()
    films = FilmIndex(
        keys.astype(str).reset_index(drop=True),
        pd.Series([sources(str(key)) for key in keys]),
        np.ones(len(keys), bool),
    )
    began = time.monotonic()
    data = read_tables(manifest, TablePaths(labels, boxes), films, np.full((len(keys), 2), side))
    assert time.monotonic() - began < MOST_SECONDS
    return data


@pytest.mark.slow
def test_nih_has_112120_films_and_984_boxes_on_880_films(real_data: Path) -> None:
    folder = real_data / "nih_sample"
    data = _read(
        load_manifest("nih_chestxray14"),
        folder / "Data_Entry_2017_v2020.csv.gz",
        folder / "BBox_List_2017.csv.gz",
        lambda key: f"images/{key}",
        1024,
    )
    assert data.labels.values.shape == (112_120, 14)
    assert data.labels.facts["patient_id"].nunique() == 30_805
    assert (len(data.boxes), data.boxes["film"].nunique()) == (984, 880)
    counts = data.boxes["label"].value_counts()
    names = [finding.name for finding in data.findings]
    assert {names[label]: int(n) for label, n in counts.items()} == {
        "Atelectasis": 180,
        "Effusion": 153,
        "Cardiomegaly": 146,
        "Infiltration": 123,
        "Pneumonia": 120,
        "Pneumothorax": 98,
        "Mass": 85,
        "Nodule": 79,
    }
    first = data.boxes.iloc[0]  # 225.08..., 547.01..., 86.77..., 79.18...: floats, not rounded
    assert first["x1"] == pytest.approx(225.084745762712 + 86.7796610169491)
    assert data.missing == []


def test_rsna_has_26684_patients_of_whom_6012_have_boxes(real_data: Path) -> None:
    table = real_data / "label_tables" / "kaggle_stage_2_train_labels.csv.zip"
    data = _read(load_manifest("rsna_pneumonia"), table, table, lambda key: f"stage_2_train_images/{key}.dcm", 1024)
    assert len(data.labels.values) == 26_684
    assert (len(data.boxes), data.boxes["film"].nunique()) == (9_555, 6_012)
    assert (data.labels.values[:, 0] == PRESENT).sum() == 6_012
    assert (data.labels.values[:, 0] == ABSENT).sum() == 26_684 - 6_012


@pytest.mark.slow
def test_vindr_has_15000_films_with_three_readers_each(real_data: Path) -> None:
    table = real_data / "label_tables" / "vinbigdata-train.csv.gz"
    manifest = load_manifest("vindr_cxr")
    data = _read(manifest, table, table, lambda key: f"train/{key}.dicom", 4000)
    assert len(read_cells(table)) == 67_914
    assert (len(data.labels.values), len(data.boxes), data.boxes["film"].nunique()) == (15_000, 36_096, 4_394)
    assert (data.readers == 3).all()
    majority = manifest.model_copy(update={"readers": "majority"})
    agreed = _read(majority, table, table, lambda key: f"train/{key}.dicom", 4000)
    assert ((agreed.labels.values == PRESENT) <= (data.labels.values == PRESENT)).all()
    fused = fuse_readers(data.boxes, data.readers, "fusion")
    kept = fuse_readers(data.boxes, data.readers, "majority")
    assert 0 < len(kept) < len(fused) < len(data.boxes)
    film, label = kept["film"].to_numpy(), kept["label"].to_numpy()
    assert (agreed.labels.values[film, label] == PRESENT).all()  # where most drew a box, most named the finding


@pytest.mark.slow
def test_siim_has_2669_films_with_3576_masks(real_data: Path) -> None:
    table = real_data / "label_tables" / "siim-pneumothorax-train-rle.csv.gz"
    data = _read(load_manifest("siim_pneumothorax"), table, table, lambda key: f"dicom-images-train/{key}.dcm", 1024)
    assert (len(data.boxes), data.boxes["film"].nunique()) == (3_576, 2_669)
    assert (data.labels.values[:, 0] == PRESENT).sum() == 2_669
    assert (data.labels.values[:, 0] == ABSENT).sum() == 12_047 - 2_669
    share = (data.boxes["x1"] - data.boxes["x0"]) * (data.boxes["y1"] - data.boxes["y0"]) / 1024**2
    assert share.median() < 0.2  # a transposed or absolute reading spreads boxes over the film
    # pneumothoraces lie to the left and right of the middle, and more above than below: not so if the axes are swapped
    x = (data.boxes["x0"] + data.boxes["x1"]) / 2
    assert ((x < 400) | (x > 624)).mean() > 0.8


@pytest.mark.slow
def test_the_sample_of_chestx_det_has_447_polygons_on_131_of_157_films(real_data: Path) -> None:
    folder, manifest = real_data / "chestx_det", load_manifest("chestx_det")
    sources = pd.Series(sorted(f"images/{path.name}" for path in (folder / "images").iterdir()))
    films = FilmIndex(sources.str.extract(r"images/(.+)\.", expand=False), sources, np.ones(len(sources), bool))
    paths = table_paths(manifest, folder, None, None, own=True)
    data = read_tables(manifest, paths, films, np.full((len(sources), 2), 512))
    assert (len(sources), len(data.boxes), data.boxes["film"].nunique()) == (157, 447, 131)
    present = (data.labels.values == PRESENT).sum(axis=0)
    counts = {finding.name: int(n) for finding, n in zip(data.findings, present, strict=True)}
    assert (counts["Consolidation"], counts["Effusion"], counts["Fracture"], counts["Calcification"]) == (98, 69, 15, 4)
    with (folder / "ChestX_Det_train.json").open() as file:
        corners = {tuple(box) for film in json.load(file) for box in film["boxes"]}
    near = [
        any(np.abs(np.array(box) - 2 * own).max() <= 4 for box in corners) for own in data.boxes[CORNERS].to_numpy()
    ]
    assert np.mean(near) > 0.7  # the published boxes surround the polygons, rounded; some are drawn wider
