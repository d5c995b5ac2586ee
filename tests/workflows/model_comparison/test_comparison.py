"""A comparison small enough for every machine: two networks, two pools, drawn films of 64 px."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import config_path, parse_settings
from camray.adapters.settings.schema import Settings
from camray.commands.app import app
from camray.core.explain.method_options import IntegrationOptions, MethodOptions
from camray.core.explain.methods import METHODS
from camray.core.metrics.model_comparison import COMPARE_COLUMNS
from camray.core.networks.classifier import build_classifier
from camray.domain.contract import NetworkSpec
from camray.domain.errors import CheckpointError, SettingsError
from camray.stages.generate import stage as generate
from camray.stages.ingest import stage as ingest
from camray.workflows.model_comparison.combination import STAGE
from camray.workflows.model_comparison.comparison import ModelComparison, compare
from camray.workflows.model_comparison.explanation import Cost, is_expensive, try_methods
from camray.workflows.model_comparison.film_sampling import choose_films
from camray.workflows.model_comparison.plan import NO_POOL, plan_of
from tests.one_worker import map_here

GUIDED = METHODS["guided_backprop"]
SMALL = {"widths": [4, 6, 8, 8], "stem_kernel": 3}
CHANGES = {
    "ingest": {"rows": 64, "cols": 64},
    "data": {"generate": {"films": 24, "rows": 96}},
    "train": {"max_epochs": 1, "batch_size": 4, "pretext": {"epochs": 0}},
}


def settings_of(**changed: Any) -> Settings:
    asked = {
        "networks": ["resnet_light", "alexnet_gap"],
        "pools": ["gap", "gmp"],
        "methods": ["cam", "guided_backprop", "integrated_gradients"],
        "changes": CHANGES,
        "test_films": 5,
        "validation_films": 4,
        "expensive_test_films": 2,
        "expensive_validation_films": 2,
        "sanity_films": 1,
        **changed,
    }
    plain = {
        "name": "tiny",
        "device": "cpu",
        "data": {"manifest": "phantom", "generate": {"films": 24, "seed": 2}},
        "ingest": {"fractions": [0.4, 0.3, 0.3], "workers": 1},
        "model": SMALL,
        "explain": {"integrated_gradients": {"rule": "riemann_left", "steps": 3}},
        "localize": {"calibrate_levels": [0.2, 0.5], "calibrate_smooth": [0.0], "calibrate_dilate": [1.0]},
        "score": {"bootstrap": 20},
        "track": {"enabled": False},
        "compare": asked,
    }
    return parse_settings(plain, "test")


def refusing(network: Any, passed: Any) -> Any:
    if network.spec.backbone == "alexnet_gap":
        raise CheckpointError("this network has no ReLU that it knows")
    return GUIDED.signed(network, passed)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModelComparison, Path]]:
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        choosy = replace(GUIDED, signed=refusing)
        patch.setitem(METHODS, "guided_backprop", choosy)
        for stage in (generate, ingest):
            patch.setattr(stage, "map_processes", map_here)
        yield compare(settings_of(), runs, lambda line: None), runs


def test_every_network_pool_and_method_has_its_rows(done: tuple[ModelComparison, Path]) -> None:
    table = done[0].table
    assert list(table.columns) == list(COMPARE_COLUMNS)
    ours = table[table["network"] != "baseline"]
    counted = ours.groupby(["network", "pool", "method"]).size().to_dict()
    for pool in ("gap", "gmp"):
        assert counted["resnet_light", pool, "cam"] == 2  # thresholds of validation, and fixed
        assert counted["resnet_light", pool, "guided_backprop"] == 2
        assert counted["alexnet_gap", pool, "guided_backprop"] == 1  # refused
    assert len(table[table["network"] == "baseline"]) == 6


def test_a_refusal_is_a_row_with_its_reason_and_no_figures(done: tuple[ModelComparison, Path]) -> None:
    table = done[0].table
    refused = table[(table["network"] == "alexnet_gap") & (table["method"] == "guided_backprop")]
    assert refused["reason"].str.contains("no ReLU").all()
    assert refused[["hit_rate", "top1_localization_error", "seconds_a_film"]].isna().all(axis=None)
    assert (refused["films"] == 0).all()
    assert (table.loc[~table.index.isin(refused.index), "reason"] == "").all()


def test_figures_fit_one_another(done: tuple[ModelComparison, Path]) -> None:
    table = done[0].table
    rows = table[(table["reason"] == "") & table["top1_localization_error"].notna()]
    for k in (1, 5):
        assert (rows[f"top{k}_localization_error"] >= rows[f"top{k}_classification_error"] - 1e-12).all()
    assert (rows["top5_classification_error"] == 0).all()  # five labels
    accuracies = rows[[f"iou_accuracy_0.{tenth}" for tenth in range(1, 8)]].to_numpy()
    assert (np.diff(accuracies, axis=1) <= 1e-12).all()
    ours = rows[rows["network"] != "baseline"]
    assert (ours["films"] == 5).all()
    assert (ours["threshold_films"] == 4).all()
    assert (ours["boxed_labels"] >= 5).all()
    assert ours["auroc"].between(0, 1).all()
    assert (ours["seconds_a_film"] > 0).all()
    assert (ours["sanity_films"] == 1).all()
    assert ours["deletion_auc"].between(0, 1).all()


def test_the_same_network_has_the_same_classification_whatever_explains_it(done: tuple[ModelComparison, Path]) -> None:
    table = done[0].table[done[0].table["reason"] == ""]
    for _, rows in table[table["network"] != "baseline"].groupby(["network", "pool"]):
        assert rows[["auroc", "top1_classification_error"]].nunique().tolist() == [1, 1]


def test_the_whole_image_baseline_is_worked_out_from_the_boxes_alone(done: tuple[ModelComparison, Path]) -> None:
    table = done[0].table.set_index("method")
    assert (
        table.loc["baseline:whole_image", "iou_accuracy_0.1"] >= table.loc["baseline:whole_image", "iou_accuracy_0.5"]
    )
    assert table.loc["baseline:whole_image", "auroc"] == 0.5
    assert np.isnan(table.loc["baseline:fixed_point", "mean_iou"])  # a point has no box


def test_what_is_finished_is_not_done_again_and_the_table_stays(done: tuple[ModelComparison, Path]) -> None:
    first, runs = done
    stamps = {path: path.stat().st_mtime_ns for path in first.folder.glob(f"*/{STAGE}/stage.json")}
    assert len(stamps) == 4
    victim = sorted(stamps)[0]
    victim.unlink()  # as if it had been killed before it was closed
    told: list[str] = []
    again = compare(settings_of(), runs, told.append)
    kept = {path for path, stamp in stamps.items() if path.stat().st_mtime_ns == stamp}
    assert kept == set(stamps) - {victim}
    pd.testing.assert_frame_equal(again.table, first.table)
    assert sum("skipped" in line for line in told) == 3


def test_the_page_holds_the_table_and_loads_nothing(done: tuple[ModelComparison, Path]) -> None:
    page = (done[0].folder / "comparison.html").read_text(encoding="utf-8")
    assert page.count("<tr") == 1 + len(done[0].table)
    assert "guided_backprop" in page
    assert "https://" not in page
    assert 'src="data:image/jpeg' in page
    written = pd.read_csv(done[0].folder / "comparison.csv")
    assert len(written) == len(done[0].table)


@pytest.mark.slow
def test_a_dear_method_is_scored_on_fewer_films_and_says_so(done: tuple[ModelComparison, Path]) -> None:
    changed = {"networks": ["resnet_light"], "pools": ["gap"], "methods": ["cam", "occlusion"], "sanity_films": 0}
    found = compare(settings_of(**changed, most_passes=100), done[1], lambda line: None).table
    ours = found[found["network"] != "baseline"].set_index("method")
    assert (ours.loc["cam", "films"] == 5).all()
    assert (ours.loc["occlusion", "films"] == 2).all()
    assert (ours["sanity_films"] == 0).all()


def test_a_fully_connected_network_stands_once_whatever_the_pools() -> None:
    plan = plan_of(settings_of(networks=["alexnet", "nin"]))
    assert [(each.network, each.pool) for each in plan.combinations] == [
        ("alexnet", NO_POOL),
        ("nin", "gap"),
        ("nin", "gmp"),
    ]
    assert [each.name for each in plan.combinations] == ["alexnet", "nin-gap", "nin-gmp"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"networks": ["resnet_lite"]}, "compare.networks"),
        ({"pools": ["gap", "gap"]}, "compare.pools"),
        ({"methods": ["camm"]}, "camm"),
        ({"changes": {"train": {"max_epoch": 3}}}, "max_epochs"),
        ({"changes": {**CHANGES, "ingest": {"rows": 60, "cols": 64}}}, "not a multiple"),
        ({"network_changes": {"alexnet_gap": {"ingest.rows": 96}}}, "share 'ingest'"),
        ({"network_changes": {"alexnet_gap": {"score.resample": "film"}}}, "share 'score'"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_trained(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        plan_of(settings_of(**changed))


def test_a_networks_own_changes_win_over_those_of_all() -> None:
    plan = plan_of(settings_of(network_changes={"alexnet_gap": {"train": {"learning_rate": 0.25}}}))
    rates = {each.network: each.settings.train.learning_rate for each in plan.combinations}
    assert rates == {"resnet_light": 2e-3, "alexnet_gap": 0.25}
    assert all(each.settings.train.max_epochs == 1 for each in plan.combinations)


def test_films_are_shared_out_among_labels_and_few_are_the_first_of_many() -> None:
    images = pd.DataFrame({"image_id": [f"f{n}" for n in range(12)], "split": ["test"] * 10 + ["train"] * 2})
    annotations = pd.DataFrame(
        [(f"f{n}", "common") for n in range(12)] + [("f3", "rare"), ("f11", "rare")], columns=["image_id", "label"]
    )
    many = choose_films(images, annotations, "test", 6, 1)
    assert len(many) == len(set(many)) == 6
    assert "f3" in many[:2]  # the rare label's turn
    assert "f11" not in many
    assert choose_films(images, annotations, "test", 3, 1) == many[:3]
    assert len(choose_films(images, annotations, "test", 99, 1)) == 10
    assert choose_films(images, annotations, "validation", 3, 1) == []


def test_methods_refuse_by_name_what_they_cannot_treat_and_the_others_tell_their_cost() -> None:
    whole = build_classifier(NetworkSpec(backbone="efficientnet_b0", stride=32), 2, seed=0).eval()
    tried = try_methods(whole, torch.rand(1, 1, 32, 32), ("cam", "guided_backprop"))
    assert tried["cam"].reason == ""
    assert tried["cam"].passes == 1
    assert "ReLU" in tried["guided_backprop"].reason  # swish
    connected = build_classifier(NetworkSpec(backbone="alexnet"), 2, seed=0).eval()
    tried = try_methods(connected, torch.rand(1, 1, 64, 64), ("cam", "gradcam"))
    assert "alexnet_gap" in tried["cam"].reason
    assert tried["gradcam"].reason == ""


def test_dear_is_what_costs_more_passes_than_allowed() -> None:
    assert not is_expensive(Cost("a", passes=10.0), 5, 50)
    assert is_expensive(Cost("a", passes=10.1), 5, 50)


def test_methods_have_the_options_of_the_settings(done: tuple[ModelComparison, Path]) -> None:
    rows = done[0].table[done[0].table["method"] == "integrated_gradients"]
    assert set(rows["passes_a_film"]) == {4.0}  # the film itself, and three points
    network = build_classifier(NetworkSpec(widths=(4, 6, 8, 8), stride=8), 2, seed=0).eval()
    nine = MethodOptions(IntegrationOptions("riemann_left", steps=9))
    tried = try_methods(network, torch.rand(1, 1, 64, 64), ["integrated_gradients"], nine)
    assert tried["integrated_gradients"].passes == 10


def test_options_of_methods_that_are_not_compared_are_refused(tmp_path: Path) -> None:
    words = ["compare", str(config_path("phantom")), "compare.methods=[cam]", "explain.occlusion.patch_px=16"]
    refused = CliRunner().invoke(app, [*words, "--runs", str(tmp_path)])
    assert "explain.occlusion.patch_px: an option of occlusion or occlusion_coarse_to_fine; cam: no options" in str(
        refused.exception
    )
    assert not list(tmp_path.iterdir())


def test_a_comparison_leaves_no_lock_behind(done: tuple[ModelComparison, Path]) -> None:
    with RunFolder(done[0].folder).locked():
        pass
