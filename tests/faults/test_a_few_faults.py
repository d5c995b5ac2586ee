"""A handful of the trials of `make test-faults`, in seconds; one file, so that they share one tiny run."""

import shutil
from pathlib import Path

import pytest

from tests.faults.fault_table import Tally
from tests.faults.test_corrupt_files import damage
from tests.faults.test_damaged_films import check_ingest, write_films
from tests.faults.test_full_disk import no_large_file
from tests.faults.test_hostile_texts import judge
from tests.faults.test_kills import kill_stages
from tests.faults.tiny_run import copied

pytestmark = pytest.mark.timeout(1800)  # commands are bounded by their own CPU time


def test_one_damaged_film_of_each_kind(tmp_path: Path, faults: Tally) -> None:
    digests = write_films(tmp_path / "films", 1)
    check_ingest(tmp_path / "films", digests, tmp_path / "runs", 1, faults)


def test_a_kill(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    run = copied(tiny_run, tmp_path)
    for stage in ("score", "export"):
        shutil.rmtree(run / stage)
    kill_stages({"score": 1}, tiny_run, tmp_path, faults)


def test_a_file_with_a_flipped_bit(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    damage(Path("explain/logits.npy"), "a bit flipped", tiny_run, tmp_path / "runs", faults)


def test_no_room_for_the_boxes(tiny_run: Path, tmp_path: Path, faults: Tally) -> None:
    no_large_file("localize", tiny_run, tmp_path / "runs", faults)


@pytest.mark.parametrize("name", ["markup", "backslash"])
def test_a_hostile_name(name: str, tmp_path: Path, faults: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(name, tmp_path, faults, monkeypatch, ("csv", "coco", "labelstudio", "voc", "sr", "gsps", "seg"))
