"""Blocks of films that parts draw: the tables of one process, whichever blocks are there."""

from pathlib import Path

import pytest

from camray.adapters.run_folders.part_folders import StageParts
from camray.adapters.run_folders.part_merge import take_units
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.parts import parse_part
from camray.io import film_lungs
from camray.io.artifacts import artifacts_of
from camray.stages.localize import film_blocks
from camray.stages.localize import stage as localize
from tests.scored_run import make_run

LABELS, FILMS = ("Mass", "Effusion"), 41
CLAIM: dict[str, str] = {}
IN_USE = film_blocks.BLOCK_FILMS, film_lungs._FILMS_AT_ONCE


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(film_blocks, "BLOCK_FILMS", 4)
    monkeypatch.setattr(film_lungs, "_FILMS_AT_ONCE", 2)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run", LABELS, FILMS)


def _settings(zones: bool) -> Settings:
    chosen = {"zones": zones, "policies": ["fraction_of_max", "otsu"], "boxes": "many"}
    return parse_settings({"name": "t", "device": "cpu", "localize": chosen}, "test")


def _outputs(folder: RunFolder) -> dict[str, bytes]:
    root = folder.root / "localize"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _part(folder: RunFolder, text: str, zones: bool) -> None:
    parts = StageParts(folder.root, "localize", "0123456789abcdef")
    localize.run_part(_settings(zones), folder, parts.part(parse_part(text), CLAIM))


def _merge(folder: RunFolder) -> list[int]:
    parts = StageParts(folder.root, "localize", "0123456789abcdef")
    return sorted(take_units(parts, CLAIM, artifacts_of(folder).localize.unfinished).taken)


def test_blocks_are_whole_batches_of_the_lungs() -> None:
    assert IN_USE[0] % IN_USE[1] == 0


@pytest.mark.parametrize("zones", [True, False])
@pytest.mark.parametrize("parts", [["2/2", "1/2"], ["2/3"]])
def test_boxes_and_lungs_have_the_bytes_of_one_process(folder: RunFolder, zones: bool, parts: list[str]) -> None:
    localize.run(_settings(zones), folder, NullTracker())
    expected = _outputs(folder)
    assert ("lungs.parquet" in expected) == zones
    for path in expected:
        (folder.root / "localize" / path).unlink()
    for part in parts:
        _part(folder, part, zones)
    taken = _merge(folder)
    blocks = -(-len(artifacts_of(folder).explain.images.read()) // 4)
    assert blocks >= 4
    assert taken == [block for block in range(blocks) if len(parts) == 2 or block % 3 == 1]
    localize.run(_settings(zones), folder, NullTracker())
    assert _outputs(folder) == expected


def test_a_block_that_is_not_whole_is_drawn_again(folder: RunFolder) -> None:
    localize.run(_settings(zones=False), folder, NullTracker())
    expected = _outputs(folder)
    _part(folder, "1/1", zones=False)
    _merge(folder)
    unfinished = artifacts_of(folder).localize.unfinished
    (unfinished / "boxes-00001.parquet").write_bytes(b"no table")
    (unfinished / "boxes-00002.parquet").unlink()
    localize.run(_settings(zones=False), folder, NullTracker())
    assert _outputs(folder) == expected
