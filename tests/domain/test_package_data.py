"""Which file an experiment's name means."""

from pathlib import Path

import pytest

from camray.domain.package_data import experiment_file, shipped


@pytest.mark.parametrize("given", ["rsna", "configs/rsna.yaml"])
def test_name_means_the_shipped_experiment_in_a_folder_without_it(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert experiment_file(Path(given)) == shipped("configs") / "rsna.yaml"


@pytest.mark.parametrize("given", ["rsna", "configs/rsna.yaml"])
def test_what_is_there_comes_first(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(given).parent.mkdir(exist_ok=True)
    Path(given).write_text("name: own\n", encoding="utf-8")
    assert experiment_file(Path(given)) == Path(given)


@pytest.mark.parametrize("given", ["rsnaa", "rsna.yaml", "other/rsna.yaml", "configs/rsna", "/rsna", "runs/rsna", "."])
def test_other_paths_stay_as_they_are(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert experiment_file(Path(given)) == Path(given)
