"""Files of data manifests: where they are, and their reading with all faults listed at once."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from camray.adapters.datasets.manifest import BoxTableRules, FilmRules, LabelRules, LabelTableRules, Manifest
from camray.domain.errors import ManifestError
from camray.domain.package_data import shipped
from camray.domain.suggestions import did_you_mean

MAX_ALIASES = 20  # each level of aliases multiplies the one below


def load_manifest(name: str) -> Manifest:
    """Read a data manifest.

    Parameters
    ----------
    name : str
        Folder under ``data_manifests/``, or a path to a manifest file or to its folder.

    Returns
    -------
    Manifest
        Validated and frozen.

    Raises
    ------
    ManifestError
        If there is no such manifest, or it is invalid; all faults are listed at once.
    """
    path = manifest_path(name)
    try:
        text = path.read_text(encoding="utf-8")
        n_aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader))
        if n_aliases > MAX_ALIASES:
            raise ManifestError(f"{path}: {n_aliases} aliases (*name); expected at most {MAX_ALIASES}; write them out")
        plain = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{path}: cannot be read as a data manifest: {error}") from error
    if not isinstance(plain, dict):
        raise ManifestError(f"{path}: expected a mapping, got a {type(plain).__name__}; see data_manifests/README.md")
    try:
        return Manifest.model_validate(plain)
    except ValidationError as error:
        faults = [_describe(fault) for fault in error.errors()]
        raise ManifestError(f"{path}: {len(faults)} fault(s) in the data manifest:\n" + "\n".join(faults)) from error


def manifest_title(name: str) -> str:
    """Return the name in a data manifest; of one that cannot be read, the name it was asked for by."""
    try:
        return load_manifest(name).name
    except ManifestError:
        return Path(name).stem or name


def manifest_path(name: str) -> Path:
    """Return the file of a data manifest; see `load_manifest`."""
    folder, given = shipped("data_manifests"), Path(name)
    for path in (folder / name / "manifest.yaml", given, given / "manifest.yaml"):
        if path.is_file():
            return path
    raise ManifestError(
        f"data manifest '{name}': no such folder under data_manifests/ and no such file; "
        f"{did_you_mean(name, known_manifests())}"
    )


def known_manifests() -> tuple[str, ...]:
    """Return the names of the manifests that camray ships, sorted."""
    return tuple(sorted(path.parent.name for path in shipped("data_manifests").glob("*/manifest.yaml")))


_SECTIONS: dict[str, type[BaseModel]] = {
    "films": FilmRules,
    "label_table": LabelTableRules,
    "box_table": BoxTableRules,
    "labels": LabelRules,
}


def _describe(fault: Any) -> str:
    keys = [str(part) for part in fault["loc"]]
    if fault["type"] != "extra_forbidden":
        return f"  {'.'.join(keys) or 'manifest'}: {fault['msg']}"
    section = _SECTIONS.get(keys[0], Manifest) if len(keys) > 1 else Manifest
    legal = sorted(section.model_fields)
    return f"  {'.'.join(keys)}: unknown key; {did_you_mean(keys[-1], legal, 'legal keys:')}"
