"""``drift.json`` of a model package: counts of features of its run's films; no film and no identifier."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.atomic_files import write_json
from camray.core.drift.reference import Reference, RunReference
from camray.io.json_files import other_version, read_json


def write_reference(path: Path, reference: RunReference) -> None:
    """Write ``drift.json``."""
    write_json(path, asdict(reference))


def read_reference(path: Path) -> RunReference:
    """Read ``drift.json``.

    Raises
    ------
    PipelineError
        If it is missing, or not of this version.
    """
    plain = read_json(path)
    try:
        return RunReference(
            tuple(_reference(entry) for entry in plain["references"]),
            str(plain["maker_key"]),
            int(plain["training"]),
            int(plain["held_out"]),
            tuple(map(str, plain["networks"])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise other_version(path, error) from error


def _reference(entry: dict[str, Any]) -> Reference:
    """Return one feature's counts; those that do not fit one another raise ValueError."""
    counts, bins = (tuple(map(int, entry[name])) for name in ("counts", "bins"))
    names, edges = tuple(map(str, entry["names"])), tuple(map(float, entry["edges"]))
    if not len(counts) == len(bins) == len(names or edges) + 1:
        raise ValueError(f"{len(counts)} counts of {entry['key']} for {len(bins)} cells")
    median = None if entry["median"] is None else float(entry["median"])
    return Reference(str(entry["key"]), str(entry["title"]), names, edges, bins, counts, median)
