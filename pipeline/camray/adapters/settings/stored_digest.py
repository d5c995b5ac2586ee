"""Digest of stored settings: a run's file that was damaged is recognized, even if its values are legal."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camray.domain.errors import SettingsError

DIGEST_KEY = "settings_sha256"  # absent in runs of early versions, and in experiments


def with_digest(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they are read back from JSON, with a digest of them."""
    stored: dict[str, Any] = json.loads(json.dumps(dict(plain), default=str))
    return {**stored, DIGEST_KEY: _digest(stored)}


def without_digest(plain: Any, where: str) -> Any:
    """Return settings read from JSON without their digest, if they have one.

    Raises
    ------
    SettingsError
        If the digest is that of other settings.
    """
    if not isinstance(plain, dict) or DIGEST_KEY not in plain:
        return plain
    settings = {key: value for key, value in plain.items() if key != DIGEST_KEY}
    if plain[DIGEST_KEY] != _digest(settings):
        raise SettingsError(
            f"{where}: changed or damaged since camray wrote it ({DIGEST_KEY} is the digest of other settings); "
            f"restore the file; if the change is meant, remove {DIGEST_KEY} from it, or set SECTION.KEY=VALUE on the "
            "command line instead"
        )
    return settings


def has_checked_digest(path: Path) -> bool:
    """Return whether a file is JSON with a digest, and refuse it as `without_digest` does."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return False  # an experiment in YAML, or damaged
    return without_digest(plain, str(path)) is not plain


def _digest(settings: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
