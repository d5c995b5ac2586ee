"""Keys and descriptions that MLflow accepts: a name that it would refuse is replaced, and stays apart from others."""

import hashlib
import re

MAX_CHARACTERS = 250
_DESCRIPTION = 5000  # characters of a description in the store's database
_CUT = "\n\n(cut here; the run's artifact has the whole text)"
_REFUSED = re.compile(r"[^\w.\- :/]")  # of keys of metrics, params and tags: letters of any script are accepted
_REFUSED_IN_PICTURES = re.compile(r"[^A-Za-z0-9_.\-/ ]")


def tracking_key(name: str) -> str:
    """Return a name as a key of a metric, a param or a tag.

    A changed name ends with a digest of the original, so two names never become one key.

    Examples
    --------
    >>> tracking_key("validation_auroc.Nodule/Mass"), tracking_key("폐결절")
    ('validation_auroc.Nodule/Mass', '폐결절')
    >>> tracking_key("Mass >3 cm"), tracking_key("Mass <3 cm")
    ('Mass _3 cm-7a1ce8e6', 'Mass _3 cm-6baa51d5')
    """
    parts = _REFUSED.sub("_", name).split("/")
    normalized = [part if part not in ("", ".", "..") else "_" for part in parts]  # MLflow reads a key as a path
    if normalized[0].startswith(".."):
        normalized[0] = "_" + normalized[0][1:]
    return _apart("/".join(normalized), name)


def picture_key(name: str) -> str:
    """Return a name as a key of a picture: MLflow accepts ASCII letters only; see `tracking_key`."""
    return _apart(_REFUSED_IN_PICTURES.sub("_", name) or "_", name)


def within_limit(text: str) -> str:
    """Cut a description at the end of a line to what the store's column holds."""
    if len(text) <= _DESCRIPTION:
        return text
    return text[: _DESCRIPTION - len(_CUT)].rpartition("\n")[0] + _CUT


def _apart(key: str, name: str) -> str:
    if key == name and len(key) <= MAX_CHARACTERS:
        return key
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{key[: MAX_CHARACTERS - 1 - len(digest)]}-{digest}"
