"""Self-training of a tiny run: what it takes from the first run, what it leaves alone, and when it is refused."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import config_path, load_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.commands.refine import _print
from camray.domain.errors import InputRefusedError, PipelineError, SettingsError
from camray.domain.records import Split
from camray.io.artifacts import artifacts_of
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.stages.generate import stage as generate
from camray.stages.ingest import stage as ingest
from camray.stages.train.teacher_pairs import regions_of, teacher_of
from camray.workflows.multi_seed import share_inputs
from camray.workflows.refinement.consistency import film_consistency
from camray.workflows.refinement.settings import Refinement, refined_settings
from camray.workflows.refinement.verdict import Verdict, judge_refinement
from camray.workflows.run import run
from tests.faults.tiny_run import TINY
from tests.one_worker import map_here

CPU = torch.device("cpu")
FAST = ["track.enabled=false", "ingest.audit=false", "localize.zones=false", "explain.methods=[cam]", "device=cpu"]
ANY_BOX = ["refine.confidence=0", "refine.agreement=0", "refine.most_area=1"]
PLAN = Refinement(share=0.5)


def _run(settings: Settings, folder: RunFolder, until: str) -> None:
    list(run(settings, folder, NullTracker(), until=until))


def _contents(root: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunFolder]:
    settings = load_settings(config_path("phantom"), [*TINY[1:], *FAST])
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "tiny")
    with pytest.MonkeyPatch.context() as patch:
        for stage in (generate, ingest):
            patch.setattr(stage, "map_processes", map_here)
        _run(settings, folder, "localize")
        yield folder


Refined = tuple[Settings, RunFolder, Verdict, dict[str, tuple[int, int]]]


@pytest.fixture(scope="module")
def refined(first: RunFolder) -> Refined:
    """Refine it, after a first attempt whose bounds no box meets."""
    before = _contents(first.root)
    strict = refined_settings(first.root, PLAN, ["refine.confidence=1"])
    folder = RunFolder(first.root.parent / strict.name)
    share_inputs(first, folder, ("generate",))
    with pytest.raises(InputRefusedError, match=r"none of the teacher's boxes .* not confident enough\); lower refine"):
        _run(strict, folder, "train")
    settings = refined_settings(first.root, PLAN, ANY_BOX)
    _run(settings, folder, "localize")
    return settings, folder, judge_refinement(settings, folder, first, NullTracker()), before


@pytest.mark.slow
def test_the_new_run_has_a_finer_grid_the_same_films_and_half_of_the_epochs(first: RunFolder, refined: Refined) -> None:
    settings, folder, _, before = refined
    assert (settings.name, settings.ingest.rows, settings.train.max_epochs) == ("tiny-refined", 96, 1)
    assert settings.train.pretext.epochs == 0
    ours, theirs = (read_ingested(each).images.set_index("image_id")["split"] for each in (folder, first))
    assert ours.to_dict() == theirs.to_dict()
    assert _contents(first.root) == before
    contract = artifacts_of(folder).train.contract.read()
    assert contract.feature_rows == 12
    assert contract.starting_weights.startswith("model.safetensors of the run tiny, sha256 ")


def test_boxes_are_of_training_films_and_their_labels_alone_and_come_to_the_finer_grid(refined: Refined) -> None:
    settings, folder, _, _ = refined
    films, pairs = read_ingested(folder), artifacts_of(folder).train.teacher_pairs.read()
    training = films.split(Split.TRAIN)
    shown = films.labels.astype(str).query("value == '1'").merge(training[["image_id"]], on="image_id")
    assert set(zip(pairs["image_id"], pairs["label"], strict=True)) == set(
        zip(shown["image_id"], shown["label"], strict=True)
    )
    used = pairs[pairs["outcome"] == "used"]
    ids = training["image_id"].to_numpy(object)
    regions = regions_of(pairs, films, ids)
    assert int(np.isfinite(regions[..., 0]).sum()) == len(used) > 0
    row = used.iloc[0]
    film = films.film(row["image_id"])
    region = regions[list(ids).index(row["image_id"]), films.contract.labels.index(row["label"])]
    transform = film.transform
    assert region[0] * settings.ingest.cols == pytest.approx(
        row["x0"] * transform.scale_x + transform.offset_x, abs=1e-3
    )
    assert region[3] * settings.ingest.rows == pytest.approx(
        row["y1"] * transform.scale_y + transform.offset_y, abs=1e-3
    )


def test_no_annotation_is_read_for_boxes_or_verdict(
    first: RunFolder, refined: Refined, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, folder, _, _ = refined

    def refuse(_: IngestedFilms) -> Any:
        raise AssertionError("annotations were read")

    for name in ("annotations", "boxes"):
        monkeypatch.setattr(IngestedFilms, name, property(refuse))
    teacher = teacher_of(settings)
    assert teacher is not None
    again = teacher.pairs(read_ingested(folder), CPU)
    pd.testing.assert_frame_equal(again, artifacts_of(folder).train.teacher_pairs.read(), check_dtype=False)
    measured = film_consistency(folder, 0.001, CPU)
    validation = read_ingested(folder).split(Split.VALIDATION)
    assert set(measured["image_id"]) <= set(validation["image_id"])
    assert measured["agreement"].between(0, 1).all()
    assert measured["removal"].between(-1, 1).all()


def test_the_verdict_has_a_row_per_finding_and_too_few_films_keep_nothing(
    first: RunFolder, refined: Refined, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, folder, verdict, _ = refined
    assert list(verdict.table["label"]) == list(read_ingested(folder).contract.labels)
    assert not verdict.table["kept"].any()  # four validation films
    assert set(verdict.table["reason"]) == {"fewer than 8 validation films"}
    assert set(verdict.table["use"]) == {"tiny"}
    assert verdict.sentence.startswith("not kept: no finding's boxes are more consistent")
    assert verdict.path.is_file()
    again = judge_refinement(settings, folder, first, NullTracker())
    assert again.skipped
    pd.testing.assert_frame_equal(again.table, verdict.table, check_dtype=False)
    _print(verdict)
    shown = capsys.readouterr()
    assert "Nodule/Mass" in shown.out
    assert "not kept" in shown.err


def test_a_sentence_says_which_run_to_use_for_each_finding(refined: Refined) -> None:
    table = refined[2].table.assign(kept=[True, *[False] * (len(refined[2].table) - 1)])
    table.loc[0, "use"] = "tiny-refined"
    sentence = Verdict(table, Path("t.csv"), skipped=False).sentence
    assert sentence.startswith(f"kept for {table['label'][0]} alone")
    assert "use the boxes of tiny-refined" in sentence
    assert sentence.endswith("those of tiny")


def test_given_settings_win_and_grids_are_multiples_of_the_stride(first: RunFolder) -> None:
    settings = refined_settings(first.root, Refinement("other", 1.3), ["ingest.cols=128", "train.max_epochs=7"])
    assert (settings.name, settings.ingest.rows, settings.ingest.cols) == ("other", 80, 128)
    assert settings.train.max_epochs == 7
    with pytest.raises(SettingsError, match=r"refine.teacher starts the training from the teacher's weights"):
        refined_settings(first.root, PLAN, ["model.weights=w.safetensors"])


def test_other_runs_are_refused(first: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"exists, and is not a refinement .* --name"):
        refined_settings(first.root, Refinement("tiny"), None)
    unfinished = tmp_path / "begun"
    unfinished.mkdir()
    (unfinished / "settings.json").write_text(json.dumps({"name": "begun"}))
    with pytest.raises(PipelineError, match=r"has not finished: no ingest, train, explain, localize; .*`camray run"):
        refined_settings(unfinished, PLAN, None)
    with pytest.raises(SettingsError, match="not a run folder"):
        refined_settings(tmp_path / "nothing", PLAN, None)
