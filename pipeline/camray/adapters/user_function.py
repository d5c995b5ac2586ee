"""User-written functions of the logits."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camray.domain.errors import SettingsError


def read_target(text: str) -> Callable[[Any], Any]:
    """Load a target function from a user's file.

    Parameters
    ----------
    text : str
        ``FILE.py:NAME``. The file is executed as a Python program.

    Returns
    -------
    callable
        Logits [B, L], a torch tensor, to scalars [B] or [B, T], one row per film, by torch functions.

    Raises
    ------
    SettingsError
        If there is no such file or function, or the file fails.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not path.is_file() or not name.isidentifier():
        raise SettingsError(f"target '{text}': expected FILE.py:NAME, a function in an existing file")
    try:
        function = runpy.run_path(str(path)).get(name)
    except Exception as error:
        raise SettingsError(f"target '{text}': {path} fails: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise SettingsError(f"target '{text}': {path} has no function '{name}'")
    target: Callable[[Any], Any] = function
    return target
