"""Pseudonyms: a keyed hash of what names a patient or a study, and the key that stays on the site.

The key is read from the file that ``CAMRAY_KEY_FILE`` names, or from ``~/.config/camray/key``; it is made on first use
with mode 600. Whoever has the key can test whether a known PatientID is in a table; nobody else can.
"""

import hashlib
import hmac
import os
import secrets
import tempfile
from pathlib import Path

from camray.domain.errors import SettingsError

KEY_VARIABLE = "CAMRAY_KEY_FILE"
KEY_BYTES = 32
PSEUDONYM_CHARACTERS = 32


def key_path() -> Path:
    """Return where the site's key lies."""
    named = os.environ.get(KEY_VARIABLE, "").strip()
    return Path(named).expanduser() if named else Path.home() / ".config" / "camray" / "key"


def load_key(path: Path | None = None) -> bytes:
    """Return the site's key, made on first use.

    Two processes that start at the same time get the same key: it is written aside and linked into place, and the link
    fails for whoever comes second.

    Parameters
    ----------
    path : Path or None
        None takes `key_path`.

    Returns
    -------
    bytes
        At least `KEY_BYTES` of them.

    Raises
    ------
    SettingsError
        If the file cannot be read or made, or holds too little.
    """
    place = key_path() if path is None else path
    try:
        if not place.exists():
            _make_key(place)
        key = place.read_bytes().strip()
    except OSError as error:
        raise SettingsError(
            f"{place}: the key for pseudonyms cannot be read or made ({error.strerror}); set {KEY_VARIABLE} to a file "
            "that this user can write"
        ) from error
    if len(key) < KEY_BYTES:
        raise SettingsError(f"{place}: the key for pseudonyms holds {len(key)} bytes, expected at least {KEY_BYTES}")
    return key


def _make_key(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=place.parent, prefix=".key-")  # mkstemp gives mode 600
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(secrets.token_hex(KEY_BYTES).encode())
            stream.flush()
            os.fsync(stream.fileno())
        try:
            place.hardlink_to(temporary)
        except FileExistsError:
            return  # another process was first: its key holds
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
        The identifier; blanks and NULs around it do not count, as DICOM pads with them.

    Returns
    -------
    str
        32 hexadecimal characters.
    """
    message = (kind + "\0" + value.strip(" \0")).encode()
    return hmac.new(key, message, hashlib.sha256).hexdigest()[:PSEUDONYM_CHARACTERS]
