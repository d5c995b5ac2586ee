"""A folder that is not a run is reported with the runs beside it."""

from pathlib import Path

import pytest

from camray.adapters.run_folders.atomic_files import write_json
from camray.domain.errors import SettingsError
from camray.io.run_lookup import check_is_run


def test_a_folder_that_is_no_run_names_those_that_may_be_meant(tmp_path: Path) -> None:
    for name in ("phantom", "rsna-seed1"):
        write_json(tmp_path / "runs" / name / "settings.json", {})
    check_is_run(tmp_path / "runs" / "phantom")
    with pytest.raises(SettingsError, match=r"did you mean .*runs/phantom\? existing runs: phantom, rsna-seed1"):
        check_is_run(tmp_path / "runs" / "fantom")
    with pytest.raises(SettingsError, match=r"did you mean .*runs/phantom\?"):
        check_is_run(tmp_path / "phantom")  # the folder of the runs was left out
    with pytest.raises(SettingsError, match="not a run folder; existing runs: phantom"):
        check_is_run(tmp_path / "runs" / "zzz")
    with pytest.raises(SettingsError, match="not a run folder; make a run with"):
        check_is_run(tmp_path / "elsewhere" / "phantom")
    with pytest.raises(SettingsError, match=r"not a run folder; did you mean .*configs/rsna\.yaml.*\? make a run with"):
        check_is_run(tmp_path / "elsewhere" / "rsnaa", or_experiment=True)
