import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydicom import dcmread

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.localization.masks import box_from_rle, mask_from_rle
from camray.core.phantom.film import render_film
from camray.core.phantom.findings import FINDINGS
from camray.domain.errors import SettingsError
from camray.io.artifacts import GeneratedFiles
from camray.stages.generate import stage as generate
from tests.one_worker import map_here

FILMS, ROWS, SEED = 9, 80, 2


def settings_for(workers: int, films: int = FILMS) -> Settings:
    return parse_settings(
        {
            "name": "drawn",
            "data": {"manifest": "phantom", "generate": {"films": films, "rows": ROWS, "seed": SEED}},
            "ingest": {"workers": workers},
        },
        "test",
    )


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", autouse=True)
def _one_worker_here() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(generate, "map_processes", map_here)
        yield


@pytest.fixture(scope="module")
def drawn(_one_worker_here: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("run")
    result = generate.run(settings_for(1), RunFolder(root), NullTracker())
    assert result.counts.as_json() == {"in": FILMS, "done": FILMS, "refused": 0}
    assert result.figures["films"] == FILMS
    return root / "generate"


def test_nothing_is_left_but_films_and_tables(drawn: Path) -> None:
    assert sorted(path.name for path in drawn.iterdir()) == [
        "boxes.csv",
        "films",
        "labels.csv",
        "lung_masks.parquet",
        "masks.parquet",
    ]
    assert len(list((drawn / "films").iterdir())) == FILMS


def test_tables_say_what_was_drawn(drawn: Path) -> None:
    labels, boxes = pd.read_csv(drawn / "labels.csv"), pd.read_csv(drawn / "boxes.csv")
    masks, lungs = pd.read_parquet(drawn / "masks.parquet"), pd.read_parquet(drawn / "lung_masks.parquet")
    assert list(labels.columns) == ["image_id", *FINDINGS]
    assert len(lungs) == 2 * FILMS
    for index, path in enumerate(sorted((drawn / "films").iterdir())):
        film, truth = dcmread(path), render_film(SEED, index, ROWS)
        assert film.SOPInstanceUID == labels.image_id[index]
        assert (film.Rows, film.Columns) == truth.image.shape
        assert [bool(labels[finding][index]) for finding in FINDINGS] == [f in truth.masks for f in FINDINGS]
        known = [(finding, mask) for finding, found in truth.masks.items() for mask in found]
        mine, of_boxes = masks[masks.image_id == film.SOPInstanceUID], boxes[boxes.image_id == film.SOPInstanceUID]
        assert len(known) == len(mine) == len(of_boxes)
        for (finding, mask), row, box in zip(known, mine.itertuples(), of_boxes.itertuples(), strict=True):
            assert row.label == box.label == finding
            assert (mask_from_rle(row.rle, row.rows, row.cols) == mask).all()
            enclosing = box_from_rle(row.rle, row.rows, row.cols)
            assert enclosing is not None
            assert enclosing.as_tuple() == (box.x0, box.y0, box.x1, box.y1)


def test_lung_masks_lie_on_their_films(drawn: Path) -> None:
    lungs = pd.read_parquet(drawn / "lung_masks.parquet")
    assert set(lungs.label) == {"lung_right", "lung_left"}
    for row in lungs.itertuples():
        assert mask_from_rle(row.rle, row.rows, row.cols).mean() > 0.02


def test_a_broken_off_start_goes_on_to_the_same_bytes(drawn: Path, tmp_path: Path) -> None:
    expected = digests(drawn)
    stage = tmp_path / "generate"
    wanted = settings_for(1).data.generate
    assert wanted is not None
    for index in (0, 1, 2):  # as a killed start leaves it: some films whole ...
        generate.make_film(GeneratedFiles(stage), wanted, index)
    (stage / "films" / "film-00002.dcm").write_bytes(b"torn")  # ... one torn ...
    (stage / "parts" / "film-00003.json").unlink()  # ... and one without its note
    untouched = (stage / "films" / "film-00001.dcm").stat().st_mtime_ns
    generate.run(settings_for(1), RunFolder(tmp_path), NullTracker())
    assert digests(stage) == expected
    assert (stage / "films" / "film-00001.dcm").stat().st_mtime_ns == untouched


def test_two_processes_write_the_same_bytes_as_one(drawn: Path, tmp_path: Path) -> None:
    generate.run(settings_for(2), RunFolder(tmp_path), NullTracker())
    assert digests(tmp_path / "generate") == digests(drawn)


def test_films_vary_in_encoding(drawn: Path) -> None:
    films = [dcmread(path, stop_before_pixels=True) for path in (drawn / "films").iterdir()]
    assert len({film.file_meta.TransferSyntaxUID for film in films}) > 2
    assert len({film.BitsStored for film in films}) > 1
    assert {film.PhotometricInterpretation for film in films} == {"MONOCHROME1", "MONOCHROME2"}


def test_notes_hold_no_clock_and_no_path(tmp_path: Path) -> None:
    wanted = settings_for(1).data.generate
    assert wanted is not None
    generate.make_film(GeneratedFiles(tmp_path / "generate"), wanted, 0)
    note = (tmp_path / "generate" / "parts" / "film-00001.json").read_text()
    assert str(tmp_path) not in note
    assert set(json.loads(note)) == {"image_id", "patient", "sha256", "rows", "cols", "lesions", "lungs"}


def test_without_settings_it_says_what_to_do(tmp_path: Path) -> None:
    settings = parse_settings({"name": "none"}, "test")
    with pytest.raises(SettingsError, match=r"data\.generate"):
        generate.run(settings, RunFolder(tmp_path), NullTracker())


def test_labels_are_zero_or_one(drawn: Path) -> None:
    values = pd.read_csv(drawn / "labels.csv")[list(FINDINGS)].to_numpy()
    assert set(np.unique(values)) <= {0, 1}
