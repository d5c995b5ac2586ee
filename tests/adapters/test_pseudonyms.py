"""Pseudonyms and the site's key."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from camray.adapters.pseudonyms import KEY_VARIABLE, key_path, load_key, pseudonym
from camray.domain.errors import SettingsError


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    place = tmp_path / "new" / "key"
    key = load_key(place)
    assert len(key) >= 32
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert load_key(place) == key
    assert [path.name for path in place.parent.iterdir()] == ["key"]


def test_everybody_who_starts_at_once_gets_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(load_key, [tmp_path / "key"] * 64))
    assert len(keys) == 1


def test_the_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(tmp_path / "mine"))
    assert key_path() == tmp_path / "mine"
    monkeypatch.delenv(KEY_VARIABLE)
    assert key_path() == Path.home() / ".config" / "camray" / "key"


def test_a_short_key_and_an_unreadable_one_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"secret")
    with pytest.raises(SettingsError, match="6 bytes"):
        load_key(tmp_path / "short")
    with pytest.raises(SettingsError, match=KEY_VARIABLE):
        load_key(tmp_path / "short" / "key")


def test_pseudonyms_differ_by_key_kind_and_value_and_not_by_padding() -> None:
    key = b"k" * 32
    name = pseudonym(key, "patient", "CANARY-1")
    assert len(name) == 32
    assert "canary" not in name.lower()
    assert pseudonym(key, "patient", "CANARY-1 \0") == name
    others = {
        pseudonym(b"j" * 32, "patient", "CANARY-1"),
        pseudonym(key, "study", "CANARY-1"),
        pseudonym(key, "patient", "2"),
    }
    assert len(others | {name}) == 4
