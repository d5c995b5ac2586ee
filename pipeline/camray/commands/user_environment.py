"""Environment for users that the machine does not know, and for folders that cannot be written."""

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path

from camray.domain.errors import SettingsError

_THIS_MACHINE = "localhost,127.0.0.1,127.0.0.0/8,::1"  # as libraries read NO_PROXY: names, ends of names, networks
_COMPILED = Path(__file__).resolve().parents[1] / "core" / "metrics"  # one of the folders with compiled functions


def prepare_environment() -> None:
    """Set what libraries look up at import, where it is missing: the user's name, and a cache for compiled functions.

    Libraries raise or abort at import if the working folder was deleted, if a container runs with a user id without a
    name, or if neither the package nor the home folder can be written. Where the environment names a proxy, they would
    send requests for this machine to it, with the password and unencrypted. Processes started later inherit what is
    set here.

    Raises
    ------
    SettingsError
        If the working folder does not exist any more.
    """
    try:
        Path.cwd()
    except OSError as error:
        raise SettingsError(
            f"the working folder cannot be used ({error.strerror}); expected one that exists; change to another"
        ) from None
    try:
        getpass.getuser()
    except (KeyError, OSError, ImportError):
        os.environ["USER"] = f"uid{os.getuid()}"
    if any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" and os.environ[name] for name in os.environ):
        named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        os.environ["no_proxy"] = os.environ["NO_PROXY"] = f"{named},{_THIS_MACHINE}" if named else _THIS_MACHINE
    from camray.adapters.user_cache import user_cache

    if "NUMBA_CACHE_DIR" not in os.environ and not any(map(_is_writable, (_COMPILED / "__pycache__", user_cache()))):
        folder = tempfile.mkdtemp(prefix="camray-numba-")  # for this user alone: what is in it is executed
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        os.environ["NUMBA_CACHE_DIR"] = folder


def _is_writable(folder: Path) -> bool:
    """Return whether files can be made in a folder, which may have to be made first."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return os.access(existing, os.W_OK | os.X_OK)
