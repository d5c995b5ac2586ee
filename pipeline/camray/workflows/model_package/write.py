"""A model package from a trained run: one folder that predicts without the run.

Reads   ``settings.json``, ``train/``, ``localize/thresholds.json``, ``ingest/contract.json`` and prior maps of a run
Writes  the package, whole or not at all
Run     ``camray package runs/phantom phantom-model``
"""

import shutil
import tempfile
from importlib import metadata
from pathlib import Path

from camray.adapters.onnx_model import check_can_write
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.package_marks import is_package
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.stage_replacement import STAGE_FILE
from camray.adapters.settings.schema import Settings
from camray.domain.errors import IncompleteError, PipelineError, SettingsError
from camray.io.artifacts import artifacts_of
from camray.io.drift_films import DRIFT_SEED, reference_of_run
from camray.io.model_card import read_card_facts
from camray.io.model_package import FORMAT, PackageFiles, PackageManifest, digests_of
from camray.reporting.model_card import card_markdown, card_page
from camray.workflows.model_package.checks import answers, draw_check_films, this_build
from camray.workflows.model_package.contents import licence_text, notice_text, packaged_record, packaged_settings
from camray.workflows.model_package.onnx_graph import write_onnx
from camray.workflows.stored_settings import settings_of

_STAGES = ("ingest", "train", "explain", "localize")
_NEEDED = ("ingest", "train", "localize")


def write_package(run: Path, out: Path, *, overwrite: bool = False, onnx: bool = False) -> PackageManifest:
    """Write the package of a trained run.

    Parameters
    ----------
    run : Path
        Root of the run.
    out : Path
        The package's folder: new, empty, or with `overwrite` an earlier package.
    overwrite : bool
        Whether an earlier package is replaced.
    onnx : bool
        Whether the network is in it as ONNX too.

    Returns
    -------
    PackageManifest

    Raises
    ------
    SettingsError
        If `run` is no run, `out` has something else in it, or what writes ONNX is not installed.
    PipelineError
        If the run is not trained and localized, or a file of it has changed since.
    ExportError
        If the network has no form in ONNX.
    IncompleteError
        If a process works on the run.
    """
    if onnx:
        check_can_write()
    settings, folder = settings_of(run), RunFolder(run)
    _check_target(run, out, overwrite)
    _check_source(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as work:
        files = PackageFiles(Path(work) / "package")
        _copy(folder, files, settings)
        manifest = _with_checks(files, settings.name, onnx)
        _put_in_place(files.folder, out, Path(work) / "replaced")
    return manifest


def _check_target(run: Path, out: Path, overwrite: bool) -> None:
    if out.resolve() == run.resolve() or run.resolve().is_relative_to(out.resolve()):
        raise SettingsError(f"{out}: is the run, or a folder around it; expected a new folder")
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise SettingsError(f"{out}: a file or a link; expected a new or an empty folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not is_package(out):
        raise SettingsError(
            f"{out}: holds something that is not a model package, which is never replaced; expected a new or an empty "
            "folder"
        )
    if not overwrite:
        raise SettingsError(f"{out}: holds a model package; choose another folder, or replace it with --overwrite")
    known = PackageFiles(out).manifest.read().files
    strange = [name for name in digests_of(out) if name not in known]
    if strange:
        raise SettingsError(f"{out / strange[0]}: not a file of the package that is to be replaced; move it elsewhere")


def _check_source(folder: RunFolder) -> None:
    if folder.is_locked():
        raise IncompleteError(f"{folder.root}: another process works on the run; wait for its end, then package it")
    for stage in _STAGES:
        folder.check_outputs(stage)
    for stage in _NEEDED:
        if folder.record(stage) is None:
            raise PipelineError(f"{folder.root}: stage '{stage}' has not finished; run `camray run` on it first")
    if not folder.is_current("localize"):
        raise PipelineError(
            f"{folder.root}: its thresholds are of other films, weights or maps than it has now; run `camray run "
            f"{folder.root}` first"
        )


def _copy(folder: RunFolder, files: PackageFiles, settings: Settings) -> None:
    """Write everything but the checks and the manifest."""
    run = artifacts_of(folder)
    pairs = [
        (run.train.weights, files.train.weights),
        (run.train.contract.path, files.train.contract.path),
        (run.ingest.contract.path, files.ingest.contract.path),
        (run.localize.thresholds.path, files.localize.thresholds.path),
        *((run.explain.prior(name), files.explain.prior(name)) for name in settings.explain.methods),
    ]
    if settings.localize.lungs is not None:
        pairs.append((settings.localize.lungs, files.lungs))
    for source, target in pairs:
        if source.is_file() or source.parent != run.explain.folder:
            write_bytes(target, source.read_bytes())
    for stage in _STAGES:
        stage_folder = files.folder / stage
        if stage_folder.is_dir():
            write_json(stage_folder / STAGE_FILE, packaged_record(stage, folder.record(stage) or {}, stage_folder))
    facts = read_card_facts(folder, settings)
    texts = {
        files.card: card_markdown(facts),
        files.card_page: card_page(facts),
        files.licence: licence_text(),
        files.notice: notice_text(files.train.contract.read()),
    }
    for path, text in texts.items():
        write_bytes(path, text.encode())
    files.drift_reference.write(reference_of_run(folder, settings.localize.report, DRIFT_SEED))
    write_json(files.settings, packaged_settings(settings))


def _with_checks(files: PackageFiles, name: str, onnx: bool) -> PackageManifest:
    """Draw the films that check the package, write its answers on them, ONNX if asked for, and the manifest."""
    draw_check_films(files.checks)
    _write_manifest(files, name)  # a package is read only with one
    if onnx:
        write_onnx(files.folder)
        _write_manifest(files, name)
    files.checks.expected.write(answers(files.folder))
    return _write_manifest(files, name)


def _write_manifest(files: PackageFiles, name: str) -> PackageManifest:
    manifest = PackageManifest(FORMAT, metadata.version("camray"), name, this_build(), digests_of(files.folder))
    files.manifest.write(manifest)
    return manifest


def _put_in_place(package: Path, out: Path, replaced: Path) -> None:
    """Rename the finished package to its place; an earlier one comes back if that fails."""
    if not out.exists():
        package.rename(out)
        return
    out.rename(replaced)
    try:
        package.rename(out)
    except BaseException:
        replaced.rename(out)
        raise
    shutil.rmtree(replaced)
