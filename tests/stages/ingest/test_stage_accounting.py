"""Every entry of a folder and every film of a table is counted once: as a film, a refusal, or something ignored."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from camray.adapters.run_folder import RunFolder, read_table
from camray.adapters.settings.loading import parse_settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.records import ANNOTATION_COLUMNS, IMAGE_COLUMNS, REFUSAL_COLUMNS, StageResult
from camray.stages.ingest import stage as ingest


@pytest.fixture(autouse=True)
def _own_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))


def write_pictures(root: Path, *names: str) -> None:
    """Write a picture of 72 x 64 px under each name, no two alike."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(sum(name.encode())).integers(0, 256, (72, 64), dtype=np.uint8)
        Image.fromarray(noise).save(path)


def run(root: Path, out: Path, **options: Any) -> StageResult:
    data = {"root": str(root), **{name: str(options.pop(name)) for name in ("labels", "boxes") if name in options}}
    grid = {"rows": 32, "cols": 24, "workers": 1, "audit": False, **options}
    settings = parse_settings({"name": "t", "data": data, "ingest": grid}, "test")
    return ingest.run(settings, RunFolder(out), NullTracker())


def images(out: Path) -> pd.DataFrame:
    return read_table(out / "ingest" / "images.parquet", IMAGE_COLUMNS)


def annotations(out: Path) -> pd.DataFrame:
    return read_table(out / "ingest" / "annotations.parquet", ANNOTATION_COLUMNS)


def reasons(out: Path) -> dict[str, str]:
    refusals = read_table(out / "ingest" / "refusals.parquet", REFUSAL_COLUMNS)
    return dict(refusals[["source", "reason"]].itertuples(index=False))


def test_symlinked_folder(tmp_path: Path) -> None:
    names = [f"f{n:02}.png" for n in range(6)]
    write_pictures(tmp_path / "root", *names[:2])
    write_pictures(tmp_path / "elsewhere", *names[2:])
    rows = "".join(f"f{n:02},{n % 2}\n" for n in range(6))
    (tmp_path / "root" / "labels.csv").write_text("image_id,Mass\n" + rows)
    (tmp_path / "root" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root" / "up").symlink_to(tmp_path)
    (tmp_path / "root" / "dead.png").symlink_to("nowhere.png")
    (tmp_path / "root" / ".hidden").write_text("")
    os.mkfifo(tmp_path / "root" / "pipe")
    result = run(tmp_path / "root", tmp_path / "run")
    assert result.counts.as_json() == {"in": 9, "done": 6, "refused": 3}
    assert reasons(tmp_path / "run") == {"dead.png": "not_a_file", "pipe": "not_a_file", "up": "unreadable_folder"}
    assert {k: v for k, v in result.figures.items() if k.startswith("ignored.")} == {
        "ignored.hidden": 1,
        "ignored.tables": 1,
    }
    assert result.figures["note_folders"] == "1 folder(s) are not read, refusals say why: up"
