"""The record of a finished stage, with a digest of its own content: a damaged one is recognized."""

import json
from collections.abc import Mapping
from typing import Any

from camray.adapters.run_folders.digests import digest_of

DIGEST_KEY = "record_sha256"  # absent in records of early versions


def with_own_digest(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as it is read back from JSON, with a digest of its content."""
    stored: dict[str, Any] = json.loads(json.dumps(dict(record), default=str))
    return {**stored, DIGEST_KEY: digest_of(stored)}


def is_undamaged(record: Mapping[str, Any]) -> bool:
    """Return whether a record's own digest, if it has one, is that of its content."""
    content = {key: each for key, each in record.items() if key != DIGEST_KEY}
    return record.get(DIGEST_KEY) in (None, digest_of(content))


def is_record(value: Any) -> bool:
    """Return whether a value read from ``stage.json`` can be the record of a finished stage, as it was written."""
    if not isinstance(value, dict) or not isinstance(value.get("outputs"), dict):
        return False
    if not is_undamaged(value):
        return False
    mappings = (value.get(key, {}) for key in ("counts", "figures", "settings", "inputs"))
    texts = (text for pair in value["outputs"].items() for text in pair)
    return all(isinstance(each, dict) for each in mappings) and all(isinstance(text, str) for text in texts)
