"""A model package: a run's files that prediction needs, in the run's layout, with films that check it, and digests.

Reads and writes  ``package.json checks/ model.onnx LICENSE NOTICE card.md card.html`` beside the run's files
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.package_marks import CHECKS_FOLDER, PACKAGE_FILE
from camray.adapters.run_folders.stage_record import DIGEST_KEY, is_undamaged, with_own_digest
from camray.core.drift.reference import RunReference
from camray.domain.errors import CheckpointError
from camray.domain.records import PREDICTION_COLUMNS
from camray.io.artifact_types import Named, RecordFile, path_of, record_of, table_of
from camray.io.artifacts import GeneratedFiles, RunArtifacts
from camray.io.drift_reference import read_reference, write_reference

FORMAT = 1
_ADVICE = "restore the file from where the package came from, or write the package again with `camray package`"


@dataclass(frozen=True)
class PackageManifest:
    """What a package says of itself.

    Parameters
    ----------
    format : int
        Version of the package's layout, `FORMAT`.
    camray : str
        Version of the package's writer.
    name : str
        Of the run.
    build : dict of str to str
        Libraries and processor that made the expected answers.
    files : dict of str to str
        SHA-256 by path inside the package, of every file but this one.
    """

    format: int
    camray: str
    name: str
    build: Mapping[str, str]
    files: Mapping[str, str]


def write_manifest(path: Path, manifest: PackageManifest) -> None:
    """Write ``package.json``, with a digest of its own content."""
    write_json(path, with_own_digest(asdict(manifest)))


def read_manifest(path: Path) -> PackageManifest:
    """Read ``package.json``.

    Raises
    ------
    CheckpointError
        If it is missing, damaged, or of a later format.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: missing, so the package cannot be checked; {_ADVICE}")
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not readable as JSON, it is damaged; {_ADVICE}") from error
    if not isinstance(plain, dict) or DIGEST_KEY not in plain or not is_undamaged(plain):
        raise CheckpointError(f"{path}: changed or damaged since camray wrote it; {_ADVICE}")
    if plain.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: format {plain.get('format')!r} of packages, expected {FORMAT}; use the version of camray that "
            f"wrote it ({plain.get('camray')}), or write the package again"
        )
    return _manifest_of(path, plain)


def _manifest_of(path: Path, plain: dict[str, Any]) -> PackageManifest:
    try:
        texts = {key: {str(name): str(value) for name, value in plain[key].items()} for key in ("build", "files")}
        return PackageManifest(FORMAT, str(plain["camray"]), str(plain["name"]), **texts)
    except (KeyError, AttributeError) as error:
        raise CheckpointError(f"{path}: not the manifest of a package ({error}); {_ADVICE}") from error


class CheckFiles(GeneratedFiles):
    """``checks/``: generated films and what the package answers on them."""

    films = path_of("films")
    expected = table_of("expected.parquet", PREDICTION_COLUMNS)


class PackageFiles(RunArtifacts):
    """Files of a package: those of a run, and its own."""

    manifest: Named[RecordFile[PackageManifest]] = record_of(PACKAGE_FILE, read_manifest, write_manifest)
    checks = Named(CHECKS_FOLDER, CheckFiles)
    lungs = path_of("lungs.safetensors")
    onnx = path_of("model.onnx")
    drift_reference: Named[RecordFile[RunReference]] = record_of("drift.json", read_reference, write_reference)
    licence = path_of("LICENSE")
    notice = path_of("NOTICE")
    card = path_of("card.md")  # type: ignore[assignment]  # beside the manifest, where people look first
    card_page = path_of("card.html")


def digests_of(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a package but its manifest, by path, sorted."""
    names = {path.relative_to(root).as_posix(): path for path in sorted(root.rglob("*")) if path.is_file()}
    return {name: file_digest(path) for name, path in names.items() if name != PACKAGE_FILE}


def check_package(root: Path) -> PackageManifest:
    """Check that a package holds the files that its manifest names, unchanged, and no others.

    Raises
    ------
    CheckpointError
        If a file is missing, changed, a link, or not of the package; the message names it.
    """
    manifest = PackageFiles(root).manifest.read()
    links = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_symlink())
    if links:
        raise CheckpointError(f"{root / links[0]}: a link; expected a file or folder of the package; {_ADVICE}")
    present = digests_of(root)
    for name, digest in manifest.files.items():
        if name not in present:
            raise CheckpointError(f"{root / name}: missing; {_ADVICE}")
        if present[name] != digest:
            raise CheckpointError(
                f"{root / name}: changed or damaged since the package was written (its digest differs from the one in "
                f"{PACKAGE_FILE}); {_ADVICE}"
            )
    for name in present:
        if name not in manifest.files:
            raise CheckpointError(f"{root / name}: not a file of the package; move it elsewhere")
    return manifest
