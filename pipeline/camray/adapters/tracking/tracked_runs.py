"""What a journal says of the tracked runs: their names, params and tags, and what is told to a new one."""

import getpass
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from camray.adapters.tracking.journal import ROOT, Entry

_NUMBERED = f"{ROOT}@"  # run@2: the second MLflow run of a run folder


def is_root(run: str) -> bool:
    """Return whether a local name is that of a whole run, not of a nested one."""
    return run == ROOT or run.startswith(_NUMBERED)


def present_root(entries: list[Entry]) -> str:
    """Return the local name of the whole run that was started last."""
    started = [entry["run"] for entry in entries if entry["call"] == "start" and is_root(entry["run"])]
    return started[-1] if started else ROOT


def next_root(root: str) -> str:
    """Return the local name of the whole run after this one.

    Examples
    --------
    >>> next_root("run"), next_root("run@2")
    ('run@2', 'run@3')
    """
    return f"{_NUMBERED}{int(root.partition('@')[2] or 1) + 1}"


def name_of_root(folder: str, root: str) -> str:
    """Return what the UI calls a whole run.

    Examples
    --------
    >>> name_of_root("phantom", "run"), name_of_root("phantom", "run@2")
    ('phantom', 'phantom (2)')
    """
    number = root.partition("@")[2]
    return f"{folder} ({number})" if number else folder


def experiment_of(entries: list[Entry], root: str, otherwise: str) -> str:
    """Return the experiment in which a whole run was started: its nested runs belong there too."""
    return next(
        (str(e["experiment"]) for e in entries if e["call"] == "start" and e["run"] == root and e.get("experiment")),
        otherwise,
    )


def number_of_starts(entries: list[Entry], name: str) -> int:
    """Return how many nested runs of this name were started."""
    return sum(e["call"] == "start" and e.get("name") == name and not is_root(e["run"]) for e in entries)


def user_tags() -> dict[str, str]:
    """Return who runs this, in MLflow's own tag; empty where the system does not say."""
    with suppress(KeyError, OSError, ImportError):
        return {"mlflow.user": getpass.getuser()}
    return {}


def known_values(entries: list[Entry]) -> dict[tuple[str, str], dict[str, str]]:
    """Return the params and the tags of each run, as the journal says."""
    known: dict[tuple[str, str], dict[str, str]] = {}
    for entry in entries:
        if entry["call"] in {"params", "tags"} and isinstance(entry.get("values"), dict):
            known.setdefault((entry["run"], entry["call"]), {}).update(entry["values"])
        elif entry["call"] == "untag":
            for key in entry.get("keys", ()):
                known.get((entry["run"], "tags"), {}).pop(key, None)
    return known


def status_of(error: BaseException | None) -> str:
    """Return the status of an MLflow run that ends with this error."""
    if error is None or isinstance(error, GeneratorExit):
        return "FINISHED"
    return "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings with dotted names."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found
