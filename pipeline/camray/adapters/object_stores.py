"""Films in object stores (``s3://``, ``gs://``, ``az://``) through fsspec: one listing, then one object at a time."""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from camray.domain.errors import AuthenticationError, DicomError, PipelineError, SettingsError, UnreachableError
from camray.domain.records import RefusalReason

_ADDRESS = re.compile(r"(s3|gs|az|abfs|memory):/+(?=[^/])")
_EXTRAS = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az"}
_VERSION_KEYS = ("ETag", "etag", "generation", "LastModified", "last_modified", "created")
_DENIED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "PermissionError"}


@dataclass(frozen=True)
class StoredObject:
    """An object as listed: its size in bytes, and its ETag, generation or time."""

    size: int
    version: str


@dataclass(frozen=True)
class Listing:
    """Everything below an address: objects by name relative to it, and keys that name no file in a folder."""

    objects: Mapping[str, StoredObject]
    odd: tuple[str, ...] = ()


def is_store(path: Path) -> bool:
    """Tell whether a path is an address in an object store; a path keeps one of the slashes after the scheme.

    Examples
    --------
    >>> is_store(Path("s3://bucket/films")), is_store(Path("films"))
    (True, False)
    """
    return _ADDRESS.match(str(path)) is not None


def address_of(path: Path) -> str:
    """Return the address that a path stands for.

    Examples
    --------
    >>> address_of(Path("s3://bucket/films"))
    's3://bucket/films'
    """
    return _ADDRESS.sub(lambda match: f"{match[1]}://", str(path), count=1)


def list_store(path: Path) -> Listing:
    """List everything below an address, once.

    Raises
    ------
    SettingsError
        If there is nothing, or the extra that reads such stores is not installed.
    AuthenticationError, UnreachableError
        If the store refuses the credentials, or does not answer.
    """
    address = address_of(path)
    scheme, _, prefix = address.partition("://")
    files = _file_system(scheme)
    try:
        found = files.find(prefix, detail=True)
    except FileNotFoundError:
        found = {}
    except Exception as error:  # of three libraries, which share no class of errors
        raise _fault(address, error) from error
    start = prefix.rstrip("/") + "/"
    names = {key.lstrip("/").removeprefix(start): entry for key, entry in found.items() if not key.endswith("/")}
    objects = {name: _stored(names[name]) for name in sorted(names) if _is_plain(name)}
    if not names:
        raise SettingsError(
            f"data.root: {address} does not exist or holds no object; correct the bucket and the folder's name, or "
            "check that these credentials may list the bucket"
        )
    return Listing(objects, tuple(name for name in sorted(names) if not _is_plain(name)))


def read_object(path: Path, expected: StoredObject | None = None) -> bytes:
    """Return the bytes of one object.

    Parameters
    ----------
    path : Path
        Its address.
    expected : StoredObject or None
        As it was listed.

    Raises
    ------
    DicomError
        If the object is not there, may not be read, or is another than was listed.
    AuthenticationError, UnreachableError
        If the store does not know the credentials, or does not answer after the library's retries.
    """
    address = address_of(path)
    scheme, _, key = address.partition("://")
    files = _file_system(scheme)
    try:
        content: bytes = files.cat_file(key)
        now = None if expected is None else _stored(files.info(key))
    except FileNotFoundError:
        raise DicomError(RefusalReason.MISSING_FILE, "no such object; it was removed after it was listed") from None
    except PermissionError:
        raise DicomError(
            RefusalReason.UNREADABLE_HEADER, "the object cannot be read: access is denied; change its permissions"
        ) from None
    except Exception as error:  # of three libraries, which share no class of errors
        raise _fault(address, error) from error
    if expected is not None and (now != expected or len(content) != expected.size):
        raise DicomError(
            RefusalReason.UNREADABLE_HEADER, "the object changed after it was listed; run the same command again"
        )
    return content


def _is_plain(name: str) -> bool:
    return not any(part in {"", ".", ".."} for part in name.split("/")) and "\0" not in name


def _stored(entry: Mapping[str, Any]) -> StoredObject:
    version = next((entry[key] for key in _VERSION_KEYS if entry.get(key) is not None), "")
    text = str(version.timestamp()) if isinstance(version, datetime) else str(version)
    return StoredObject(int(entry.get("size") or 0), text)


def _file_system(scheme: str) -> Any:
    """Return fsspec's file system without its cache of listings; credentials come from the environment."""
    try:
        fsspec = importlib.import_module("fsspec")
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError:
        extra = _EXTRAS.get(scheme, scheme)
        raise SettingsError(f"{scheme}://: the library is missing; install it: pip install 'camray[{extra}]'") from None


def _fault(address: str, error: Exception) -> PipelineError:
    """Describe a store's fault by its kind; libraries' messages may contain keys and are not repeated."""
    kind = type(error).__name__
    if kind in _DENIED or isinstance(error, PermissionError):
        return AuthenticationError(
            f"{address}: the store refuses access ({kind}); expected credentials that may list and read it; for S3 set "
            "AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; see docs/how-to/object-stores.md"
        )
    return UnreachableError(
        f"{address}: the store does not answer, or not completely ({kind}), also when asked again; check its address "
        "(AWS_ENDPOINT_URL) and the network, then run the same command again"
    )
