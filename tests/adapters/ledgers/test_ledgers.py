"""The export history and the delivery log, reopened as a second process would."""

import sqlite3
from datetime import datetime
from pathlib import Path

import pytest

from camray.adapters.ledgers.delivery_log import DeliveryLog
from camray.adapters.ledgers.export_history import ExportHistory
from camray.adapters.ledgers.sqlite_table import SqliteTable
from camray.domain.delivery import DeliveryState
from camray.domain.errors import ExportError, IncompleteError
from camray.domain.object_identity import ObjectIdentity, ObjectReference

SR = "1.2.840.10008.5.1.4.1.1.88.33"


def _identify(path: Path, content: str, hour: int) -> ObjectIdentity:
    return ExportHistory(path).identify("1.2.3", "1.2", "sr", SR, content, datetime(2026, 1, 1, hour, 0, 0, 9))


def test_unchanged_content_keeps_its_uid_and_changed_content_references_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "exported.sqlite"
    first = _identify(path, "a", 1)
    assert _identify(path, "a", 2) == first
    assert (first.version, first.created, first.predecessor) == (1, datetime(2026, 1, 1, 1), None)
    second = _identify(path, "b", 3)
    assert second.version == 2
    assert second.series_instance_uid != first.series_instance_uid
    assert second.predecessor == ObjectReference(SR, first.sop_instance_uid, first.series_instance_uid, "1.2")
    assert _identify(path, "b", 4) == second
    back = _identify(path, "a", 5)
    assert back.version == 3
    assert back.sop_instance_uid not in (first.sop_instance_uid, second.sop_instance_uid)


def test_attempts_are_counted_when_sending_starts(tmp_path: Path) -> None:
    path = tmp_path / "delivered.sqlite"
    for state in (DeliveryState.SENT, DeliveryState.SENT, DeliveryState.ACCEPTED):
        DeliveryLog(path).mark("pacs", "1.2.3", "digest", state, "message")
    assert DeliveryLog(path).rows("pacs") == [("1.2.3", DeliveryState.ACCEPTED, 2, "message")]
    assert DeliveryLog(path).state("other", "1.2.3", "digest") is DeliveryState.NEW


def test_a_block_that_raises_leaves_no_row(tmp_path: Path) -> None:
    table = SqliteTable(tmp_path / "t.sqlite", "CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY)")
    with pytest.raises(sqlite3.IntegrityError), table.transaction() as connection:
        connection.executemany("INSERT INTO t VALUES (?)", [(1,), (1,)])
    with table.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


@pytest.mark.parametrize("ledger", [DeliveryLog, ExportHistory])
def test_a_ledger_that_is_no_database_is_named(tmp_path: Path, ledger: type[DeliveryLog] | type[ExportHistory]) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"junk" * 1000)
    with pytest.raises(ExportError, match=r"ledger\.sqlite: damaged .*restore it from a copy, or move it away"):
        ledger(path)


def test_a_ledger_of_other_columns_is_named(tmp_path: Path) -> None:
    SqliteTable(tmp_path / "a.sqlite", "CREATE TABLE objects (source TEXT)")
    with pytest.raises(ExportError, match=r"a\.sqlite: damaged"):
        _identify(tmp_path / "a.sqlite", "a", 1)


def test_a_ledger_on_a_full_disk_can_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()  # cannot be opened, as with a full disk or no permission
    with pytest.raises(IncompleteError, match="run the same command again"):
        DeliveryLog(tmp_path / "ledger.sqlite")


@pytest.mark.parametrize(
    "change",
    [
        "content = 'c'",
        "version = 3",
        "created = '2026-01-01T04:00:00'",
        "sop_instance_uid = '2.25.7'",
    ],
)
@pytest.mark.parametrize("version", [1, 2])
def test_a_changed_row_of_the_history_is_refused(tmp_path: Path, change: str, version: int) -> None:
    path = tmp_path / "exported.sqlite"
    _identify(path, "a", 1)
    latest = _identify(path, "b", 2)
    assert _identify(path, "b", 3) == latest
    with SqliteTable(path, "SELECT 1").transaction() as connection:
        connection.execute(f"UPDATE objects SET {change} WHERE version = {version}")
    with pytest.raises(ExportError, match=r"exported\.sqlite: damaged .* was changed\), .*move it away"):
        _identify(path, "b", 3)


def test_a_state_that_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "delivered.sqlite"
    log = DeliveryLog(path)
    log.mark("pacs", "1.2.3", "digest", DeliveryState.ACCEPTED)
    with SqliteTable(path, "SELECT 1").transaction() as connection:
        connection.execute("UPDATE deliveries SET state = 'acceptfd'")
    for read in (lambda: log.state("pacs", "1.2.3", "digest"), lambda: log.rows("pacs")):
        with pytest.raises(ExportError, match=r"delivered\.sqlite: damaged"):
            read()
