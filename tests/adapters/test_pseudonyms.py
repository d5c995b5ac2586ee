"""Pseudonyms and the site's key."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from camray.adapters.pseudonyms import KEY_VARIABLE, is_key_fingerprint, key_fingerprint, key_path, load_key, pseudonym
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


@pytest.mark.parametrize(
    ("mode", "warns"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o666, True)]
)
def test_a_key_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, *, warns: bool
) -> None:
    load_key(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    load_key(tmp_path / "key")
    assert [f"chmod 600 {tmp_path / 'key'}" in message for message in caplog.messages] == [True] * warns


def test_a_user_without_a_home_folder_is_asked_for_a_key_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(SettingsError, match=f"no home folder.*set {KEY_VARIABLE}"):
        load_key()


def test_a_fingerprint_tells_keys_apart() -> None:
    assert len({key_fingerprint(b"a" * 32), key_fingerprint(b"b" * 32)}) == 2
    assert key_fingerprint(b"a" * 32) == key_fingerprint(b"a" * 32)
    assert is_key_fingerprint(key_fingerprint(b"a" * 32))
    assert not is_key_fingerprint("")


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


def test_others_can_neither_read_nor_replace_a_new_key(tmp_path: Path) -> None:
    mask = os.umask(0)
    try:
        load_key(tmp_path / "camray" / "key")
    finally:
        os.umask(mask)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "camray", tmp_path / "camray" / "key")]
    assert modes == [0o700, 0o600]
