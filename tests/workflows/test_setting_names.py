"""Names in settings are refused before any film is read, with the near one."""

from pathlib import Path
from typing import Any

import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import ManifestError, PipelineError
from camray.stages.ingest import stage as ingest_stage
from camray.workflows.run import run
from camray.workflows.setting_names import check_names


def _settings(tmp_path: Path, table: str, **sections: Any) -> Settings:
    root = tmp_path / "films"
    root.mkdir(exist_ok=True)
    (root / "labels.csv").write_text(table, encoding="utf-8")
    (root / "f0.png").write_bytes(b"no film")
    data = {"manifest": "folder", "root": str(root), **sections.pop("data", {})}
    return parse_settings({"name": "x", "data": data, "track": {"enabled": False}, **sections}, "test")


TABLE = "image_id,Mass,Effusion\nf0.png,1,0\n"


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"data": {"leave_out": ["Efusion"]}}, r"data.leave_out: unknown \['Efusion'\]; did you mean 'Effusion'"),
        ({"train": {"label_weights": {"mass": 2.0}}}, "train.label_weights: .*did you mean 'Mass'"),
        ({"localize": {"prevalence": {"Mas": 0.1}}}, "localize.prevalence: .*did you mean 'Mass'"),
        ({"score": {"human": {"Masss": {}}}}, "score.human: .*did you mean 'Mass'"),
        (
            {"data": {"leave_out": ["Mass"]}, "train": {"label_weights": {"Mass": 2.0}}},
            "train.label_weights: .*the findings are Effusion",
        ),
        ({"explain": {"splits": ["tset"]}}, "explain.splits: .*did you mean 'test'"),
        ({"score": {"splits": ["vaildation"]}}, "score.splits: .*did you mean 'validation'"),
        ({"export": {"splits": ["all"]}}, "export.splits: .*the splits are train, validation, test"),
        ({"explain": {"heat_exponents": {"gradcamm": 1}}}, "explain.heat_exponents: .*did you mean 'gradcam'"),
        ({"ingest": {"split": "official"}}, "no official split lists, and the label table no column 'split'"),
    ],
)
def test_a_wrong_name_is_refused_before_any_film_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sections: dict[str, Any], said: str
) -> None:
    read: list[object] = []
    monkeypatch.setattr(ingest_stage, "_read", lambda *rest: read.append(rest))
    with pytest.raises(PipelineError, match=said):
        list(run(_settings(tmp_path, TABLE, **sections), RunFolder(tmp_path / "run"), NullTracker()))
    assert not read


def test_right_names_pass(tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "data": {"leave_out": ["Mass"]},
        "train": {"label_weights": {"Effusion": 2.0}},
        "score": {"splits": ["validation", "test"], "human": {"Effusion": {"hit_rate": 0.5}}},
        "ingest": {"split": "official"},
    }
    table = "image_id,Mass,Effusion,split\nf0.png,1,0,train\n"
    check_names(_settings(tmp_path, table, **sections), RunFolder(tmp_path / "run"), "export")


def test_names_of_generated_films_are_the_manifests(tmp_path: Path) -> None:
    data = {"manifest": "phantom", "root": None, "generate": {"films": 8}}
    settings = _settings(tmp_path, TABLE, data=data, train={"label_weights": {"Pneumothorx": 1.0}})
    with pytest.raises(PipelineError, match="did you mean 'Pneumothorax'"):
        check_names(settings, RunFolder(tmp_path / "run"), "train")


def test_a_missing_list_of_the_official_split_is_named_at_once(tmp_path: Path) -> None:
    data = {"manifest": "nih_chestxray14", "labels": str(tmp_path / "films" / "labels.csv")}
    settings = _settings(tmp_path, TABLE, data=data, ingest={"split": "official"})
    with pytest.raises(ManifestError, match="no such split list"):
        check_names(settings, RunFolder(tmp_path / "run"), "ingest")
