"""What a model package takes over of its run: settings, records and texts, without paths or identifiers."""

from importlib import metadata
from pathlib import Path
from typing import Any

from camray.adapters.datasets.manifest_files import known_manifests
from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.stage_record import with_own_digest
from camray.adapters.settings.loading import parse_settings
from camray.adapters.settings.refinement import RefineSettings
from camray.adapters.settings.schema import Settings, TrackSettings
from camray.adapters.settings.stored_digest import with_digest
from camray.domain.contract import ModelContract

PLAIN_MANIFEST = "folder"
_OWN_LICENCE = "LICENSE"


def packaged_settings(settings: Settings) -> dict[str, Any]:
    """Return the settings that prediction needs, as JSON with a digest; no path of the machine is among them.

    A data manifest that camray does not ship is replaced by `PLAIN_MANIFEST`: of new films it decides at most which
    files are left out by name.
    """
    name = settings.data.manifest
    data = {"manifest": name if name in known_manifests() else PLAIN_MANIFEST, "readers": settings.data.readers}
    plain = _without_paths(settings.model_dump())
    plain |= {"data": data, "refine": RefineSettings().model_dump(), "track": TrackSettings().model_dump()}
    return with_digest(parse_settings(plain, "the package's settings").model_dump(mode="json"))


def _without_paths(value: Any) -> Any:
    """Return plain settings with None in place of every path."""
    if isinstance(value, dict):
        return {key: _without_paths(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_paths(each) for each in value]
    return None if isinstance(value, Path) else value


def packaged_record(stage: str, before: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the record of a stage whose outputs are the files in `folder`; of the run's record only the version."""
    outputs = {path.name: file_digest(path) for path in sorted(folder.iterdir())}
    version = str(before.get("code_version", code_version()))
    return with_own_digest({"stage": stage, "counts": {}, "figures": {}, "outputs": outputs, "code_version": version})


def licence_text() -> str:
    """Return the licence that camray is under."""
    return _own_text(_OWN_LICENCE)


def notice_text(contract: ModelContract) -> str:
    """Return the notice: what the weights started from, and what the films that check the package are."""
    start = contract.starting_weights or "random weights; no weights of others went into it"
    return (
        "Weights of this package\n-----------------------\n"
        f"They were trained with camray {contract.code_version}.\nThey started from: {start}.\n"
        "The terms of these initial weights and of the training films apply to what was trained from them; the\n"
        "model card names both. The file LICENSE is camray's own licence: it covers camray's part of this\n"
        "package (the films in checks/, which camray has drawn and which show no patient), not the weights.\n\n"
        f"Notice of camray\n----------------\n{_own_text('NOTICE')}"
    )


def _own_text(name: str) -> str:
    """Return a text that is installed with camray, or is at the top of its checkout."""
    checkout = Path(__file__).resolve().parents[4] / name
    if checkout.is_file():
        return checkout.read_text(encoding="utf-8")
    return str(metadata.distribution("camray").read_text(f"licenses/{name}"))
