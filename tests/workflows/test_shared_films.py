"""Parts of ingest: one list of the films, one key for pseudonyms, and the bytes of one process."""

import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from camray.adapters.datasets import film_files
from camray.adapters.pseudonyms import KEY_VARIABLE
from camray.adapters.run_folders import digests
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.domain.errors import IncompleteError, PipelineError, SettingsError
from camray.domain.parts import parse_part
from camray.stages.ingest import stage as ingest
from camray.workflows import stage_inputs
from camray.workflows.parts import PartReport, run_part
from camray.workflows.run import run_these
from tests.one_worker import map_here

pytestmark = pytest.mark.traced  # modules of io

FILMS, SHARDS = 13, 5  # of three films each


@pytest.fixture(autouse=True)
def one_worker_and_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(ingest, "map_processes", map_here)
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "key"))


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of generated films with a label table; one of them is damaged."""
    root = tmp_path_factory.mktemp("generated") / "run"
    plain = {"name": "g", "data": {"generate": {"films": FILMS - 1, "rows": 96}}}
    list(run_these({"generate"}, parse_settings(plain, "test"), RunFolder(root), NullTracker()))
    films = root / "generate" / "films"
    (films / "damaged.dcm").write_bytes(sorted(films.iterdir())[0].read_bytes()[:900])
    return root / "generate"


def _settings(root: Path, **changes: object) -> Settings:
    chosen = {"rows": 32, "cols": 24, "shard_films": 3, "workers": 1, "audit": False, **changes}
    return parse_settings({"name": "i", "data": {"root": str(root), "manifest": "phantom"}, "ingest": chosen}, "test")


def _whole(root: Path, folder: RunFolder) -> dict[str, str]:
    (report,) = run_these({"ingest"}, _settings(root), folder, NullTracker())
    outputs: dict[str, str] = report.record["outputs"]
    return outputs


def _part(root: Path, folder: RunFolder, text: str, **changes: object) -> PartReport:
    return run_part(_settings(root, **changes), folder, "ingest", parse_part(text))


@pytest.mark.parametrize("order", [["2/2", "1/2"], ["4/5", "1/5", "5/5", "3/5", "2/5"]])
def test_parts_in_any_number_and_order_end_in_the_bytes_of_one_process(
    generated: Path, tmp_path: Path, order: list[str]
) -> None:
    expected = _whole(generated, RunFolder(tmp_path / "one"))
    folder = RunFolder(tmp_path / "parts")
    assert sum(_part(generated, folder, part).units for part in order) == SHARDS
    assert {path.name for path in folder.root.iterdir()} == {"settings.json", "parts", ".lock"}
    assert _whole(generated, folder) == expected
    refused = pd.read_parquet(folder.root / "ingest" / "refusals.parquet")
    assert [Path(source).name for source in refused["source"]] == ["damaged.dcm"]
    late = _part(generated, folder, order[0])
    assert late.is_stage_finished
    assert not list((folder.root / "parts").glob("ingest-*"))


def test_only_the_first_part_looks_at_all_films(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = []
    for module, name in ((film_files, "_walk"), (digests, "_files_below")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda root, real=real: (walks.append(root), real(root))[1])
    folder = RunFolder(tmp_path / "run")
    _part(generated, folder, "3/5")
    assert walks.count(generated) == 2  # the digest of the films, and their list
    _part(generated, folder, "1/5")
    _part(generated, folder, "2/5")
    assert walks.count(generated) == 2


def test_a_damaged_list_is_made_again(generated: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    _part(generated, folder, "1/2")
    (path,) = (folder.root / "parts").glob("ingest-*/films.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    _part(generated, folder, "2/2")
    assert path.read_bytes() == whole


def test_another_key_for_pseudonyms_is_refused_by_parts_and_by_the_merge(
    generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    _part(generated, folder, "1/2")
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "other"))
    for act in (lambda: _part(generated, folder, "2/2"), lambda: _whole(generated, folder)):
        with pytest.raises(PipelineError, match="part 1/2 of 'ingest' was made with another key for pseudonyms"):
            act()


def test_a_machine_without_the_films_of_its_share_is_refused(generated: Path, tmp_path: Path) -> None:
    films = Path(shutil.copytree(generated, tmp_path / "films"))
    folder = RunFolder(tmp_path / "run")
    _part(films, folder, "1/5")  # rows 0 to 2
    names = sorted((films / "films").iterdir())
    names[4].unlink()
    os.utime(names[3], (1.0, 1.0))
    with pytest.raises(IncompleteError, match=r"2 of the 3 films of this part are missing or differ .*first: row 3"):
        _part(films, folder, "2/5")
    assert _part(films, folder, "3/5").units == 1  # its own films are as listed
    with pytest.raises(PipelineError, match="part 1/5 of 'ingest' was made from other films"):
        _whole(films, folder)


def test_parts_of_generated_films_wait_for_their_generation(generated: Path, tmp_path: Path) -> None:
    made = {"generate": {"films": FILMS - 1, "rows": 96}}
    settings = parse_settings({"name": "g", "data": made, "ingest": {"workers": 1, "rows": 32, "audit": False}}, "test")
    with pytest.raises(PipelineError, match="'generate' is not up to date"):
        run_part(settings, RunFolder(tmp_path / "none"), "ingest", parse_part("1/1"))
    folder = RunFolder(Path(shutil.copytree(generated.parent, tmp_path / "run")))
    (folder.root / "generate" / "films" / "damaged.dcm").unlink()
    assert run_part(settings, folder, "ingest", parse_part("1/1")).units == 1
    (report,) = run_these({"ingest"}, settings, folder, NullTracker())
    assert report.record["inputs"] == {"generate": folder.output_digest("generate")}


def test_a_part_of_other_settings_is_refused(generated: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    _part(generated, folder, "1/2")
    with pytest.raises(SettingsError, match=r"ingest\.rows was 32, now 48"):
        _part(generated, folder, "2/2", rows=48)


def test_tables_count_as_settings_and_films_do_not(tmp_path: Path) -> None:
    films, table = tmp_path / "films", tmp_path / "labels.csv"
    films.mkdir()
    table.write_text("a")
    settings = parse_settings({"name": "i", "data": {"root": str(films), "labels": str(table)}}, "test")
    stage = next(each for each in stage_inputs.STAGES if each.name == "ingest")

    def key() -> dict[str, str]:
        return stage_inputs.inputs_without_films(stage, settings, RunFolder(tmp_path / "run"))

    before = key()
    (films / "new.dcm").touch()
    assert key() == before
    table.write_text("ab")
    assert key() != before
