"""Object stores: listed once, read one object at a time, faults by kind and without secrets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from camray.adapters import object_stores
from camray.adapters.object_stores import StoredObject, address_of, is_store, list_store, read_object
from camray.domain.errors import AuthenticationError, DicomError, SettingsError, UnreachableError
from camray.domain.records import RefusalReason


@pytest.fixture
def store() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def test_addresses_survive_as_paths() -> None:
    assert [is_store(Path(text)) for text in ("gs://b/f", "az://b", "films", "/s3:/b", "http://b")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert address_of(Path("s3://b/ü %41/x.dcm")) == "s3://b/ü %41/x.dcm"


def test_lists_plain_names_and_sets_odd_ones_apart(store: Any) -> None:
    for key in ("/b/f/ü %41.dcm", "/b/f/a/x", "/b/f/a//x", "/b/f/../y", "/b/fx"):
        store.store[key] = fsspec.implementations.memory.MemoryFile(store, key, b"12")
    listing = list_store(Path("memory://b/f"))
    assert list(listing.objects) == ["a/x", "ü %41.dcm"]
    assert [each.size for each in listing.objects.values()] == [2, 2]
    assert listing.odd == ("../y", "a//x")


def test_nothing_there_is_said(store: Any) -> None:
    with pytest.raises(SettingsError, match=r"memory://none/f does not exist or holds no object"):
        list_store(Path("memory://none/f"))


def test_a_changed_or_removed_object_is_refused(store: Any) -> None:
    store.pipe("/b/f/x", b"12")
    path, expected = Path("memory://b/f/x"), list_store(Path("memory://b/f")).objects["x"]
    assert read_object(path, expected) == b"12"
    store.pipe("/b/f/x", b"13")
    with pytest.raises(DicomError, match="changed after it was listed"):
        read_object(path, expected)
    store.rm("/b/f/x")
    with pytest.raises(DicomError) as caught:
        read_object(path, expected)
    assert caught.value.reason == RefusalReason.MISSING_FILE


class NoCredentialsError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NoCredentialsError("secret"), AuthenticationError),
        (ConnectionError("secret"), UnreachableError),
        (OSError(5, "secret"), UnreachableError),
    ],
)
def test_faults_end_the_run_without_the_librarys_words(
    error: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def cat_file(self, key: str) -> bytes:
            raise error

    monkeypatch.setattr(object_stores, "_file_system", lambda scheme: Broken())
    with pytest.raises(expected, match=r"s3://b/x: .*store") as caught:
        read_object(Path("s3://b/x"), StoredObject(1, "e"))
    assert "secret" not in str(caught.value)


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacks(scheme: str, **_: Any) -> None:
        raise ImportError

    monkeypatch.setattr(fsspec, "filesystem", lacks)
    with pytest.raises(SettingsError, match=r"pip install 'camray\[gs\]'"):
        list_store(Path("gs://b/f"))
