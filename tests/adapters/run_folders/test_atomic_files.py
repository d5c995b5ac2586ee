"""Files are written whole, or not at all."""

import os
from pathlib import Path

import pytest

from camray.adapters.run_folders.atomic_files import write_bytes, write_json


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": 2})
    assert path.read_text(encoding="utf-8").index('"a"') < path.read_text(encoding="utf-8").index('"b"')
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "full")])
def test_what_is_interrupted_leaves_the_former_file_alone(
    error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes(tmp_path / "a.png", b"former")

    def interrupted(_: int) -> None:
        raise error

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(type(error)):
        write_bytes(tmp_path / "a.png", b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.png", b"former")]
