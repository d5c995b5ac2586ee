"""Remedies measured on a run of generated films with planted shortcuts: each column lowers its own probe."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.commands.remedies import _print_table
from camray.core.phantom.film import render_film
from camray.domain.errors import PipelineError
from camray.domain.preparation import FilmPreparation
from camray.stages.ingest import stage as ingest
from camray.workflows import shortcut_remedies
from camray.workflows.run import run
from camray.workflows.shortcut_remedies import BALANCE, NOW, RemedyTable, _changed, _preparations, remedy_table
from tests.one_worker import map_here

FILMS = 60
Run = tuple[Path, RemedyTable]


def _planted(root: Path) -> Settings:
    """Write films of which every second one has a mass, a bright border and exposure, and mostly a woman."""
    root.mkdir(parents=True)
    lines = ["image_id,Mass,patient_id,sex,age,view"]
    for number in range(FILMS):
        film, is_planted = render_film(3, number, 128).image, number % 2
        if is_planted:
            film = 0.3 + 0.6 * film
            film[:5] = film[-5:] = film[:, :5] = film[:, -5:] = 1.0
        Image.fromarray(np.rint(film * 255).astype(np.uint8)).save(root / f"f{number}.png")
        is_woman = is_planted if number % 5 else not is_planted
        lines.append(f"f{number},{is_planted},p{number},{'F' if is_woman else 'M'},50,PA")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    grid = {"rows": 64, "cols": 64, "workers": 1}
    return parse_settings({"name": "planted", "data": {"root": str(root)}, "ingest": grid}, "test")


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    root = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        for module in (ingest, shortcut_remedies):
            patch.setattr(module, "map_processes", map_here)
        list(run(_planted(root / "films"), RunFolder(root / "run"), NullTracker(), until="ingest"))
        yield root / "run", remedy_table(root / "run", 0)


def _auc(table: RemedyTable, features: str) -> dict[str, Any]:
    (row,) = [row for row in table.rows if row["features"] == features]
    return row


def test_each_remedy_lowers_the_probe_of_its_shortcut(measured: Run) -> None:
    _, table = measured
    assert table.films == FILMS
    border, histogram, sex = (_auc(table, kind) for kind in ("border", "grey-level histogram", "sex"))
    assert border[NOW] > 0.9
    assert border["all four"] < 0.65  # the exposure is in the border too
    assert histogram[NOW] > 0.9
    assert histogram["all four"] < 0.65
    assert sex[NOW] == pytest.approx(0.8, abs=0.1)
    assert abs(sex[BALANCE] - 0.5) < 0.15
    assert sex["equalize"] == sex[NOW]


def test_columns_name_their_settings_and_the_strongest_probes_come_first(measured: Run) -> None:
    _, table = measured
    assert table.settings["mask_border"] == "ingest.prepare.mask_border=0.08"
    assert table.settings[BALANCE] == "train.balance='[sex]'"
    now = [row[NOW] or 0 for row in table.rows]
    assert now == sorted(now, reverse=True)
    assert table.uncounted == 0


@pytest.mark.slow
def test_some_of_the_films_are_the_same_ones_each_time(measured: Run) -> None:
    root, _ = measured
    first, again = (remedy_table(root, 40) for _ in range(2))
    assert first.films == 40
    assert first.rows == again.rows


def test_a_film_that_has_changed_is_reported(measured: Run) -> None:
    root, _ = measured
    path = root.parent / "films" / "f7.png"
    before = path.read_bytes()
    Image.fromarray(np.eye(100, dtype=np.uint8) * 200).save(path)
    with pytest.raises(PipelineError, match=r"f7\.png: its pixels have changed"):
        remedy_table(root, 0)
    path.write_bytes(before)


def test_what_a_run_does_already_is_no_remedy() -> None:
    present = FilmPreparation(equalize=True)
    named = _preparations(present)
    assert "equalize" not in named
    assert named["crop_lungs"] == FilmPreparation(equalize=True, crop_lungs=True)
    assert _changed(present, named["all four"]) == (
        "ingest.prepare.mask_border=0.08 ingest.prepare.mask_markers=true ingest.prepare.crop_lungs=true"
    )


def test_the_printed_table_has_a_dash_for_what_was_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"label": "Mass", "features": "age", "films": 9, "now": 0.7, "equalize": None}]
    _print_table(RemedyTable(9, {"equalize": "ingest.prepare.equalize=true"}, rows, 0.25), 5)
    shown = capsys.readouterr()
    assert "0.70" in shown.out
    assert "–" in shown.out
    assert "25%" in shown.err
