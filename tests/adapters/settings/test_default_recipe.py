from pathlib import Path

import pytest

from camray.adapters.settings.default_recipe import DEFAULT_RECIPE, with_default_recipe
from camray.adapters.settings.loading import load_settings
from camray.adapters.settings.schema import Settings
from camray.domain.errors import SettingsError


def loaded(tmp_path: Path, text: str, *overrides: str) -> Settings:
    (tmp_path / "x.yaml").write_text(f"name: mine\n{text}")
    return load_settings(tmp_path / "x.yaml", list(overrides))


def test_an_experiment_without_a_network_gets_the_whole_recipe(tmp_path: Path) -> None:
    plain = loaded(tmp_path, "data: {manifest: folder, root: films}\n").model_dump()
    for section, values in DEFAULT_RECIPE.items():
        assert {name: plain[section][name] for name in values} == values
    assert (plain["model"]["weights"], plain["model"]["normalise"]) == ("imagenet", "photo")


def test_given_values_win(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "ingest: {rows: 64}\ntrain: {batch_size: 4}\n", "train.max_epochs=2")
    assert (settings.ingest.rows, settings.ingest.cols) == (64, 320)
    assert (settings.train.batch_size, settings.train.max_epochs, settings.train.min_steps) == (4, 2, 0)
    assert settings.train.head_rate == 10


def test_an_experiment_with_a_network_is_left_as_it_is(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "model: {backbone: resnet_light}\n")
    assert settings == Settings.model_validate({"name": "mine", "model": {"backbone": "resnet_light"}})
    assert loaded(tmp_path, "", "model.backbone=resnet_light") == settings


def test_a_stored_run_keeps_its_settings(tmp_path: Path) -> None:
    stored = loaded(tmp_path, "ingest: {rows: 96}\n")
    (tmp_path / "settings.json").write_text(stored.model_dump_json())
    assert load_settings(tmp_path / "settings.json") == stored


@pytest.mark.parametrize("text", ["model: 3\n", "train: [1]\n", "explain: no\n"])
def test_a_section_that_is_no_mapping_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=text.split(":")[0]):
        loaded(tmp_path, text)


def test_the_recipe_is_not_changed_by_its_use() -> None:
    with_default_recipe({"train": {"max_epochs": 2}})["train"]["batch_size"] = 1
    assert DEFAULT_RECIPE["train"]["batch_size"] == 16
    assert "min_steps" in DEFAULT_RECIPE["train"]
