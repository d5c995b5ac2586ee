"""What `camray settings` says is what the models hold."""

from pathlib import Path

from camray.adapters.settings.loading import load_settings
from camray.adapters.settings.reference import Setting, list_settings, section_meaning, value_of
from camray.adapters.settings.schema import Settings

ROOT = Path(__file__).resolve().parents[3]


def test_kinds_defaults_and_bounds_are_the_models() -> None:
    listed = {each.name: each for each in list_settings(Settings)}
    assert listed["name"] == Setting("name", "text", None, listed["name"].meaning, required=True)
    assert (listed["train.max_epochs"].kind, listed["train.max_epochs"].default) == ("whole number >= 1", 20)
    assert (listed["localize.fraction_of_max"].kind, listed["ingest.bits"].kind) == ("number > 0 < 1", "8 | 16")
    assert listed["ingest.views"].default == ["PA", "AP", ""]
    assert listed["data.root"].kind == "path"
    assert listed["data.generate.films"].default == 900  # a section that may be left out
    assert section_meaning(Settings, "train") == "Training of the classifier."
    assert section_meaning(Settings, "name") == ""


def test_every_setting_says_what_it_means() -> None:
    assert [each.name for each in list_settings(Settings) if not each.meaning] == []


def test_an_experiments_value_stands_beside_the_default() -> None:
    plain = load_settings(ROOT / "configs" / "rsna.yaml", ["train.max_epochs=3"]).model_dump(mode="json")
    listed = {each.name: each for each in list_settings(Settings)}
    assert value_of(plain, listed["train.max_epochs"]) == 3
    assert value_of(plain, listed["data.generate.rows"]) == 512  # the section is not there
