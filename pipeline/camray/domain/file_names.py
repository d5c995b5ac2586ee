"""Safe file names for identifiers, which may contain any characters, and names of files as text."""

import hashlib
import re
from collections.abc import Iterable

LONGEST = 100


def file_names(identifiers: Iterable[str]) -> dict[str, str]:
    """Return a different file name (without suffix) for each identifier.

    Parameters
    ----------
    identifiers : iterable of str
        Image ids: UIDs, or stems of files, with any characters.

    Returns
    -------
    dict
        Identifier to a name of ``A-Z a-z 0-9 . _ -`` that starts with a letter or digit. An identifier that is such a
        name is kept; any other, or one that differs from another only in case, gets a digest as suffix.

    Examples
    --------
    >>> file_names(["1.2.840.1"])
    {'1.2.840.1': '1.2.840.1'}
    >>> file_names(["../a b"])
    {'../a b': 'a_b-2c2c791a'}
    """
    distinct = sorted(set(identifiers))
    folded: dict[str, int] = {}
    for identifier in distinct:
        folded[identifier.lower()] = folded.get(identifier.lower(), 0) + 1
    names = {}
    for identifier in distinct:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", identifier).lstrip("._-")[:LONGEST]
        if not plain or plain != identifier or folded[identifier.lower()] > 1:
            plain = f"{plain}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}".lstrip("-")
        names[identifier] = plain
    return names


def printable(name: str) -> str:
    """Return the name of a file as valid text: bytes that are no UTF-8 are spelled out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")
