"""What the head of the report says, worked out from the tables."""

import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.tracking.interface import NullTracker
from camray.io.explained_run import open_explained_run
from camray.stages.localize import stage as localize
from camray.stages.score.report_head import report_head
from tests.scored_run import add_network, make_run, settings_of

LABELS = ("nodule", "effusion")


def test_the_head_says_what_the_files_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_run(tmp_path / "run", LABELS, 20)
    add_network(folder, LABELS)
    localize.run(settings_of(), folder, NullTracker())
    drawn = datetime.fromisoformat("2026-03-04T23:30:00+02:00")
    monkeypatch.setattr("camray.stages.score.report_head.localized_at", lambda _run: drawn)
    head = dict(report_head(settings_of(), open_explained_run(folder)))
    assert list(head) == ["Version", "Date", "Data", "Films", "Network", "Command"]
    assert head["Date"] == "2026-03-04 (boxes drawn)"
    assert head["Data"] == "data manifest folder, digest digest"
    assert re.fullmatch(r"camray \S+", head["Version"])
    images = pd.read_parquet(folder.root / "ingest" / "images.parquet")
    for split, part in images.groupby("split", observed=True):
        assert f"{split} {len(part)} ({part['patient_key'].nunique()} patients)" in head["Films"]
    assert "96 x 64 px, maps of 12 x 8 cells" in head["Network"]
    assert "squares" in head["Command"]
    assert str(tmp_path) not in " ".join(head.values())
