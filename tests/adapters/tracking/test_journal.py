"""The journal's files with one byte changed: an entry is read as it was written, or known as damaged."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from camray.adapters.tracking.journal import DAMAGED, Journal

VALUES = {"loss": 0.25, "name": "Mass <3 cm \u202e", 7: [1, 10, 9], 10: None}


def _written(root: Path) -> Journal:
    journal = Journal(root)
    journal.remember(runs={"run": "id"})
    for step in range(12):
        journal.append("metrics", "run", values={"loss": step / 8}, step=step)
    journal.append("params", "run", values=VALUES)
    for _ in range(11):
        journal.mark_sent()
    return journal


def _damaged(data: bytes) -> Iterator[bytes]:
    for position, byte in list(enumerate(data))[:: 1 + len(data) // 40]:
        for other in {byte ^ 1, byte ^ 0x10, ord("7"), ord(",")} - {byte}:
            yield data[:position] + bytes([other]) + data[position + 1 :]


def test_entries_are_read_as_they_were_written_or_damaged(tmp_path: Path) -> None:
    _written(tmp_path)
    before = Journal(tmp_path).entries
    assert before[-1]["values"] == {str(key): value for key, value in VALUES.items()}
    path = tmp_path / "mlflow" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for number in (3, 12):
        for line in _damaged(lines[number][:-1]):  # a last line without its end was never finished
            path.write_bytes(b"".join([*lines[:number], line, b"\n", *lines[number + 1 :]]))
            entry = Journal(tmp_path).entries[number]
            if entry["call"] != DAMAGED:
                assert {key: entry[key] for key in before[number]} == before[number]


def test_the_number_of_sent_calls_is_right_or_unknown(tmp_path: Path) -> None:
    _written(tmp_path)
    path = tmp_path / "mlflow" / "sent"
    written = path.read_bytes()
    assert Journal(tmp_path).sent == 11
    for data in _damaged(written):
        path.write_bytes(data)
        journal = Journal(tmp_path)
        assert (journal.sent, journal.is_doubtful(journal.entries[-1])) in {(11, False), (0, True)}, data
        journal.remember(doubtful=0)


@pytest.mark.parametrize("sent", ["11", "99"])
def test_files_of_earlier_versions_are_read(tmp_path: Path, sent: str) -> None:
    folder = tmp_path / "mlflow"
    folder.mkdir()
    lines = [f'{{"call": "end", "n": {n}, "run": "run", "status": "FINISHED", "time_ms": 1}}\n' for n in range(12)]
    (folder / "journal.jsonl").write_text("".join(lines), encoding="utf-8")
    (folder / "state.json").write_text('{"runs": {"run": "id"}, "journal": "x"}', encoding="utf-8")
    (folder / "sent").write_text(sent, encoding="utf-8")
    journal = Journal(tmp_path)
    assert [entry["call"] for entry in journal.entries] == ["end"] * 12
    assert journal.sent == min(int(sent), 12)
