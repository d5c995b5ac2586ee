"""Pseudonyms: keyed hashes of patient and study identifiers, and the key, which stays on the site.

The key is read from the file in ``CAMRAY_KEY_FILE``, or from ``~/.config/camray/key``; it is created on first use with
mode 600. With the key, one can test whether a known PatientID is in a table; without it, one cannot.
"""

import hashlib
import hmac
import logging
import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

from camray.domain.errors import SettingsError

logger = logging.getLogger(__name__)
KEY_VARIABLE = "CAMRAY_KEY_FILE"
KEY_BYTES = 32
PSEUDONYM_CHARACTERS = 32


def key_path() -> Path:
    """Return the path of the site's key.

    Raises
    ------
    SettingsError
        If it is relative to the home folder of a user who has none.
    """
    named = os.environ.get(KEY_VARIABLE, "").strip()
    try:
        return Path(named).expanduser() if named else Path.home() / ".config" / "camray" / "key"
    except RuntimeError as error:
        raise SettingsError(
            f"{named or '~/.config/camray/key'}: this user has no home folder, expected a file with the key for "
            f"pseudonyms; set {KEY_VARIABLE} to one"
        ) from error


def load_key(path: Path | None = None) -> bytes:
    """Return the site's key, created on first use.

    Two processes that start at the same time get the same key: it is written to a temporary file and hard-linked, and
    the second link fails.

    Parameters
    ----------
    path : Path or None
        File of the key; None uses `key_path`.

    Returns
    -------
    bytes
        At least `KEY_BYTES` long.

    Raises
    ------
    SettingsError
        If the file cannot be read or created, or is too short.
    """
    key_file = key_path() if path is None else path
    try:
        if not key_file.exists():
            _create_key(key_file)
        key = key_file.read_bytes().strip()
    except OSError as error:
        raise SettingsError(
            f"{key_file}: the key for pseudonyms cannot be read or created ({error.strerror}); set {KEY_VARIABLE} to a "
            "file that this user can write"
        ) from error
    if len(key) < KEY_BYTES:
        raise SettingsError(f"{key_file}: the key for pseudonyms has {len(key)} bytes; expected at least {KEY_BYTES}")
    _warn_of_other_readers(key_file)
    return key


def key_fingerprint(key: bytes) -> str:
    """Return 16 hexadecimal characters that tell keys apart and do not reveal them."""
    return hmac.new(key, b"fingerprint of the key", hashlib.sha256).hexdigest()[:16]


def is_key_fingerprint(text: str) -> bool:
    """Return whether a text can be the fingerprint of a key."""
    return re.fullmatch("[0-9a-f]{16}", text) is not None


def _warn_of_other_readers(path: Path) -> None:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        logger.warning(
            "%s: others can read or change the key for pseudonyms (mode %03o, expected 600), and with it test if a "
            "patient is in a table; run: chmod 600 %s",
            path,
            mode,
            path,
        )


def _create_key(path: Path) -> None:
    path.parent.mkdir(0o700, parents=True, exist_ok=True)  # who can write the folder can replace the key
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".key-")  # mkstemp sets mode 600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_hex(KEY_BYTES).encode())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            return  # another process was first: its key is used
    finally:
        temporary.unlink()


def pseudonym(key: bytes, kind: str, value: str) -> str:
    """Hash an identifier with the site's key (HMAC-SHA-256, first 128 bits).

    Parameters
    ----------
    key : bytes
        From `load_key`.
    kind : str
        ``patient`` or ``study``: equal texts of different kinds get different pseudonyms.
    value : str
        The identifier; surrounding blanks and NULs, the padding of DICOM, are ignored.

    Returns
    -------
    str
        32 hexadecimal characters.
    """
    message = (kind + "\0" + value.strip(" \0")).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:PSEUDONYM_CHARACTERS]
