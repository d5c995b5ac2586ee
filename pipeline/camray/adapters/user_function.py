"""A function of the logits that a user wrote, from the user's own file."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from camray.domain.errors import SettingsError


def read_target(text: str) -> Callable[[Any], Any]:
    """Load a target function.

    Parameters
    ----------
    text : str
        ``FILE.py:NAME``. The file is the user's program: it is run, as Python runs it.

    Returns
    -------
    callable
        Logits [B, L], a torch tensor, to scalars [B] or [B, T], each film's on its own row, by torch functions.

    Raises
    ------
    SettingsError
        If there is no such file or function, or the file does not run.
    """
    file, _, name = text.rpartition(":")
    path = Path(file)
    if not path.is_file() or not name.isidentifier():
        raise SettingsError(f"target '{text}': expected FILE.py:NAME, a function in a file that is there")
    try:
        found = runpy.run_path(str(path)).get(name)
    except Exception as error:
        raise SettingsError(f"target '{text}': {path} does not run: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise SettingsError(f"target '{text}': {path} holds no function '{name}'")
    function: Callable[[Any], Any] = found
    return function
