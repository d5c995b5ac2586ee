"""The folder for what can be made or obtained again: that of the user's environment."""

import os
from pathlib import Path


def user_cache() -> Path:
    """Return the user's cache folder; it need not exist."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 - never raises
