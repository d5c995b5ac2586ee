"""What stages depend on: settings in their records, and names that are checked before anything runs."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.errors import PipelineError
from camray.workflows.setting_names import check_names
from camray.workflows.stage_inputs import STAGES, stage_settings

EXPLAIN = next(stage for stage in STAGES if stage.name == "explain")


def test_added_settings_at_their_default_do_not_outdate_older_runs() -> None:
    plain = Settings.model_validate({"name": "t"})
    assert not {"integrated_gradients", "occlusion"} & set(stage_settings(EXPLAIN, plain)["explain"])
    changed = Settings.model_validate({"name": "t", "explain": {"occlusion": {"fill": 0.0}}})
    assert stage_settings(EXPLAIN, changed)["explain"]["occlusion"]["fill"] == 0.0
    assert "integrated_gradients" not in stage_settings(EXPLAIN, changed)["explain"]


def test_new_settings_of_network_and_training_do_not_outdate_older_runs() -> None:
    stage = next(stage for stage in STAGES if stage.name == "train")
    sections = stage_settings(stage, Settings.model_validate({"name": "t"}))
    assert not {"norm_momentum", "head", "pyramid_strides", "pyramid_channels"} & set(sections["model"])
    assert not {"min_steps", "head_rate", "epoch_films", "outside_penalty"} & set(sections["train"])


def test_groups_outdate_scores_if_they_are_set_and_not_by_default() -> None:
    stage = next(stage for stage in STAGES if stage.name == "score")
    sections = stage_settings(stage, Settings.model_validate({"name": "t"}))
    assert not {"groups", "group_patients"} & set(sections["score"])
    changed = Settings.model_validate({"name": "t", "score": {"groups": ["sex"], "group_patients": 5}})
    assert stage_settings(stage, changed)["score"]["groups"] == ["sex"]
    assert stage_settings(stage, changed)["score"]["group_patients"] == 5


def test_findings_left_out_outdate_an_ingest_and_none_left_out_does_not() -> None:
    stage = next(stage for stage in STAGES if stage.name == "ingest")
    assert "leave_out" not in stage_settings(stage, Settings.model_validate({"name": "t"}))["data"]
    fewer = Settings.model_validate({"name": "t", "data": {"leave_out": ["Mass"]}})
    assert stage_settings(stage, fewer)["data"]["leave_out"] == ["Mass"]


def test_a_preparation_of_films_outdates_an_ingest_and_none_does_not() -> None:
    stage = next(stage for stage in STAGES if stage.name == "ingest")
    assert "prepare" not in stage_settings(stage, Settings.model_validate({"name": "t"}))["ingest"]
    masked = Settings.model_validate({"name": "t", "ingest": {"prepare": {"mask_border": 0.1}}})
    assert stage_settings(stage, masked)["ingest"]["prepare"]["mask_border"] == 0.1


def test_unlabelled_films_outdate_ingest_and_training_and_none_does_not() -> None:
    ingest, training = (next(stage for stage in STAGES if stage.name == name) for name in ("ingest", "train"))
    plain = Settings.model_validate({"name": "t", "train": {"pretext": {"epochs": 1}}})
    assert "keep_unlabelled" not in stage_settings(ingest, plain)["ingest"]
    assert set(stage_settings(training, plain)) == {"seed", "model", "train"}
    kept = Settings.model_validate({**plain.model_dump(), "ingest": {"keep_unlabelled": True}})
    assert stage_settings(ingest, kept)["ingest"]["keep_unlabelled"] is True
    assert stage_settings(training, kept)["ingest.keep_unlabelled"] is True


def test_a_penalty_on_maps_needs_maps() -> None:
    penalty = {"name": "t", "train": {"outside_penalty": 1}, "explain": {"methods": ["gradcam"]}}
    with pytest.raises(ValueError, match=r"set it to 0, or model.backbone=vgg16_gap"):
        Settings.model_validate({**penalty, "model": {"backbone": "vgg16"}})
    assert Settings.model_validate({**penalty, "model": {"backbone": "vgg16_gap"}}).train.outside_penalty == 1


def test_a_teacher_outdates_a_training_and_none_does_not() -> None:
    stage = next(stage for stage in STAGES if stage.name == "train")
    assert "refine" not in stage_settings(stage, Settings.model_validate({"name": "t", "refine": {"weight": 2}}))
    taught = Settings.model_validate({"name": "t", "refine": {"teacher": "runs/first"}})
    assert stage_settings(stage, taught)["refine"]["teacher"] == "runs/first"


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"model": {"backbone": "vgg16"}, "explain": {"methods": ["gradcam"]}}, r"model\.backbone=vgg16"),
        ({"train": {"outside_penalty": 1}}, r"train\.outside_penalty=1"),
    ],
)
def test_a_teacher_needs_a_pool_and_the_maps_to_itself(changes: dict[str, Any], cause: str) -> None:
    with pytest.raises(ValueError, match=f"does not go with {cause}; .* set refine.teacher=null"):
        Settings.model_validate({"name": "t", "refine": {"teacher": "runs/first"}, **changes})


def test_unlabelled_films_without_a_pretext_are_refused_before_films_are_read() -> None:
    with pytest.raises(ValueError, match=r"train.pretext.epochs is 0; .* set train.pretext.epochs=5"):
        Settings.model_validate({"name": "t", "ingest": {"keep_unlabelled": True}})


@pytest.mark.parametrize(
    ("changes", "until", "hint"),
    [
        ({"explain": {"methods": ["gradcan"]}}, "export", "did you mean 'gradcam'"),
        ({"explain": {"methods": ["gradcan"]}}, "train", None),
        ({"data": {"manifest": "phantm"}}, "ingest", "did you mean 'phantom'"),
        ({"data": {"manifest": "phantm", "generate": {}}}, "generate", None),
        ({}, "xplain", "did you mean 'explain'"),
    ],
)
def test_near_names_before_anything_runs(tmp_path: Path, changes: dict[str, Any], until: str, hint: str | None) -> None:
    settings = Settings.model_validate({"name": "t", **changes})
    with nullcontext() if hint is None else pytest.raises(PipelineError, match=hint):
        check_names(settings, RunFolder(tmp_path), until)
