"""File names from identifiers: what a file calls itself never chooses where we write."""

import hashlib
import re
from collections.abc import Iterable

LONGEST = 100


def file_names(identifiers: Iterable[str]) -> dict[str, str]:
    """Give each identifier a file name (without ending) of its own.

    Parameters
    ----------
    identifiers : iterable of str
        Image ids: UIDs, or stems of files, hence anything.

    Returns
    -------
    dict
        Identifier to a name of ``A-Z a-z 0-9 . _ -`` that starts with a letter or digit. An identifier that is such a
        name already keeps it; any other, or one that differs from another in case alone, gets a digest at its end.

    Examples
    --------
    >>> file_names(["1.2.840.1"])
    {'1.2.840.1': '1.2.840.1'}
    >>> file_names(["../a b"])
    {'../a b': 'a_b-2c2c791a'}
    """
    wanted = sorted(set(identifiers))
    folded: dict[str, int] = {}
    for identifier in wanted:
        folded[identifier.lower()] = folded.get(identifier.lower(), 0) + 1
    names = {}
    for identifier in wanted:
        plain = re.sub(r"[^A-Za-z0-9._-]", "_", identifier).lstrip("._-")[:LONGEST]
        if not plain or plain != identifier or folded[identifier.lower()] > 1:
            plain = f"{plain}-{hashlib.sha256(identifier.encode()).hexdigest()[:8]}".lstrip("-")
        names[identifier] = plain
    return names
