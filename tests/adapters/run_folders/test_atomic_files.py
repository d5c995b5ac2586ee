"""Files are written whole, or not at all."""

from pathlib import Path

from camray.adapters.run_folders.atomic_files import write_json


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"b": 1, "a": 2})
    assert path.read_text(encoding="utf-8").index('"a"') < path.read_text(encoding="utf-8").index('"b"')
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
