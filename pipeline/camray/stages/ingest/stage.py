"""Ingest of film folders and published tables: images, labels, annotations, refusals, pixel store, audit.

Reads   ``data.root`` or ``generate/``, the data manifest's tables; for new films the trained run's ingest contract.
Writes  images, labels, annotations and refusals (Parquet), ``store/``, ``contract.json``, ``audit.json`` and ``.html``.
Run     ``camray ingest configs/tb_hemithorax.yaml``
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.datasets.film_files import FilmFiles
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.table_paths import table_paths
from camray.adapters.object_stores import address_of
from camray.adapters.process_pool import count_workers, map_processes
from camray.adapters.progress import progress
from camray.adapters.pseudonyms import key_fingerprint, load_key
from camray.adapters.run_folders.part_folders import PartFolder
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.films import IngestSettings, PrepareSettings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import Tracker
from camray.core.preparation.prepared_film import ModelGrid
from camray.core.shortcuts.probes import Probe, one_class_note
from camray.core.shortcuts.remedies import suggestions_of
from camray.domain.errors import InputRefusedError, SettingsError
from camray.domain.file_names import printable
from camray.domain.films import FilmPolicy
from camray.domain.labels import Finding
from camray.domain.preparation import FilmPreparation
from camray.domain.records import IMAGE_COLUMNS, Counts, RefusalReason, Split, StageResult
from camray.io.artifacts import IngestFiles, artifacts_of
from camray.io.ingest_contract import IngestContract
from camray.io.ingested_films import IngestedFilms
from camray.io.tracked_films import track_films
from camray.stages.ingest.admission import Admitted, admit
from camray.stages.ingest.admitted_tables import acquisition_rows, data_digest, write_label_tables
from camray.stages.ingest.film_worker import FilmPlan, FilmRow, read_row, refused_row
from camray.stages.ingest.lung_coverage import lung_shares
from camray.stages.ingest.resumable_chunks import Chunks, chunked
from camray.stages.ingest.shortcut_audit import audit_films, one_class_of
from camray.stages.ingest.source import SHOWN_UNREAD, Source, list_source
from camray.stages.ingest.store_source import StoreFolder, store_folder

SHOWN_DOUBTFUL = 5
SHOWN_SUGGESTIONS = 3


def run(settings: Settings, folder: RunFolder, tracker: Tracker) -> StageResult:
    """Bring films and tables into the form that all later stages read.

    Parameters
    ----------
    settings : Settings
        ``data`` and ``ingest``.
    folder : RunFolder
        With `folder.trained` set, the model grid and the findings are that run's, every film is a test film, the tables
        are only those that the settings name, and there are no shortcut probes.
    tracker : Tracker
        Gets the data set's description and the audit.

    Raises
    ------
    SettingsError
        If an interrupted ingest is resumed with another key for pseudonyms.
    ManifestError, AnnotationError
        If the tables would make the result wrong.
    InputRefusedError
        If no film is left.
    """
    files = artifacts_of(folder).ingest
    source, grid = _source_and_grid(settings, folder)
    listed, key = list_source(source), load_key()
    chunks = _chunks(files.unfinished, listed.sources, grid)
    chunks.belong_to(key_fingerprint(key))
    for _ in _read(chunks, chunks.missing(), _plan(source, grid, key), grid.workers, store=source.store):
        pass
    admitted = admit(chunks.records(), source, grid, key, listed.unread)
    files.refusals.write(admitted.refusals)
    _stop_if_nothing_left(admitted, files)
    inputs = len(admitted.films) + len(admitted.refusals)
    statistics = chunks.statistics(admitted.films)
    digest = data_digest(admitted)
    images = _image_rows(admitted.films)
    files.images.write(images)
    files.acquisition.write(acquisition_rows(admitted, statistics, key_fingerprint(key)))
    write_label_tables(files, admitted, is_training=source.is_training)
    files.contract.write(_contract(admitted.findings, grid, source.manifest.name, digest))
    chunks.to_store(files.store_folder, admitted.films)
    shares = None
    if grid.audit and source.is_training:
        training = images.loc[images["split"] == Split.TRAIN.value, "image_id"].tolist()
        shares = lung_shares(IngestedFilms(files, images), training)
    probes = audit_films(files, source.manifest.name, admitted, statistics, grid.split_seed, shares)
    track_films(IngestedFilms(files, images), tuple(Split), tracker)
    tracker.artifact(files.audit_page, "audit")
    return StageResult(Counts(inputs, len(images), len(admitted.refusals)), _figures(admitted, probes, source, listed))


def run_part(settings: Settings, folder: RunFolder, part: PartFolder, sources: Sequence[str]) -> None:
    """Read the films of one part's chunks into the part's folder; `sources` are those of all parts."""
    source, grid = _source_and_grid(settings, folder)
    chunks = _chunks(part.folder, sources, grid)
    missing, plan = part.begin(len(chunks.sources)), _plan(source, grid, load_key())
    for _ in _read(chunks, missing, plan, grid.workers, lambda chunk: part.finish(chunk, chunks.files_of(chunk))):
        pass


def list_sources(settings: Settings, folder: RunFolder) -> tuple[Path, list[str]]:
    """Return the folder of the films, and their paths below it, in order; raises as `run` does."""
    source, _ = _source_and_grid(settings, folder)
    if source.store is not None:
        raise SettingsError(
            f"--part: {address_of(source.films_root)}: films in an object store are read by one process; leave out "
            "--part, or copy the films to a shared folder"
        )
    return source.films_root, list_source(source).sources


def films_root(settings: Settings, folder: RunFolder) -> Path:
    """Return the folder of the films."""
    return _source_and_grid(settings, folder)[0].films_root


def unfinished_chunks(folder: RunFolder) -> Path:
    """Return the folder of an unfinished ingest, bound to the site's key; raises as `run` does for another key."""
    files = artifacts_of(folder).ingest
    _chunks(files.unfinished, (), IngestSettings()).belong_to(key_fingerprint(load_key()))
    return files.unfinished


def _source_and_grid(settings: Settings, folder: RunFolder) -> tuple[Source, IngestSettings]:
    """Find films and tables, and the model grid: of the trained run where there is one."""
    if folder.trained is None:
        return _open_source(settings, folder, ()), settings.ingest
    trained = artifacts_of(folder.model_run).ingest.contract.read()
    return _open_source(settings, folder, trained.findings), _with_grid(settings, trained).ingest


def _chunks(folder: Path, sources: Sequence[str], grid: IngestSettings) -> Chunks:
    return Chunks(folder, (grid.rows, grid.cols), grid.bits, chunked(sources, grid.shard_films))


def _open_source(settings: Settings, folder: RunFolder, fixed: tuple[Finding, ...]) -> Source:
    """Find the folder of the films, and the tables."""
    data, manifest = settings.data, load_manifest(settings.data.manifest)
    if data.readers is not None:
        manifest = manifest.model_copy(update={"readers": data.readers})
    is_generated = data.generate is not None and folder.trained is None
    root = artifacts_of(folder).generate.folder if is_generated else data.root
    if root is not None and (store := store_folder(root)) is not None:
        store.fetch_tables(manifest)
        tables = table_paths(manifest, store.tables, data.labels, data.boxes, own=not fixed)
        return Source(store.tables, tables, manifest, fixed, () if fixed else data.leave_out, store=store)
    if root is None or not root.exists():
        raise SettingsError(f"data.root: {root} does not exist; name the folder that holds the films")
    if root.is_file():
        tables = table_paths(manifest, root.parent, data.labels, data.boxes, own=False)
        return Source(root.parent, tables, manifest, fixed, only=root.name)
    if not root.is_dir():
        raise SettingsError(f"data.root: {root} is neither a folder nor a file; name the folder that holds the films")
    tables = table_paths(manifest, root, data.labels, data.boxes, own=not fixed)
    return Source(root, tables, manifest, fixed, () if fixed else data.leave_out)


def _plan(source: Source, grid: IngestSettings, key: bytes) -> FilmPlan:
    rules = source.manifest.films
    policy = FilmPolicy(grid.modalities, grid.body_parts, grid.views)
    return FilmPlan(
        source.films_root,
        policy,
        ModelGrid(grid.rows, grid.cols, grid.fit),
        grid.bits,
        _preparation(grid),
        rules.image_id,
        rules.patient,
        key,
        rules.patient_pattern,
    )


def _read(
    chunks: Chunks,
    missing: Sequence[int],
    plan: FilmPlan,
    workers: int,
    finish: Callable[[int], None] = lambda _: None,
    store: StoreFolder | None = None,
) -> Iterator[int]:
    """Read some chunks; yield the chunk of each film."""

    def read(sources: Sequence[str]) -> Iterator[FilmRow]:
        own = plan if store is None else replace(plan, objects=store.expected(sources))
        for outcome in map_processes(partial(read_row, own), sources, count_workers(workers)):
            if outcome.value is not None:
                yield outcome.value
            elif outcome.error is not None:
                yield refused_row(outcome.item, outcome.error)

    total = sum(len(chunks.sources[chunk]) for chunk in missing)
    yield from progress(chunks.fill(missing, read, finish), total, "reading films")


def _stop_if_nothing_left(admitted: Admitted, files: IngestFiles) -> None:
    if len(admitted.films):
        return
    reasons = ", ".join(f"{count} x {reason}" for reason, count in admitted.refusals["reason"].value_counts().items())
    raise InputRefusedError(f"no usable film is left: {reasons}; each is listed in {files.refusals.path}")


def _image_rows(films: pd.DataFrame) -> pd.DataFrame:
    index = films.groupby("part").cumcount()
    return films.assign(shard=films["part"], index=index)[list(IMAGE_COLUMNS)]


def _figures(admitted: Admitted, probes: Sequence[Probe], source: Source, listed: FilmFiles) -> dict[str, Any]:
    own = [not finding.any_of for finding in admitted.findings]  # a box counts once, however many findings it serves
    reasons = admitted.refusals["reason"].value_counts()
    return {
        "films": len(admitted.films),
        "patients": int(admitted.films["patient_key"].nunique()),
        "boxes": sum(own[label] for label in admitted.boxes["label"]),
        **{f"refused.{reason}": int(count) for reason, count in reasons.items()},
        **{f"ignored.{kind}": count for kind, count in sorted(listed.ignored.items())},
        "shortcuts": sum(probe.is_shortcut for probe in probes),
        "table_faults": len(admitted.faults),
        **(one_class_note(one_class_of(admitted)) if source.is_training else {}),
        **_suggestion_note(probes),
        **admitted.notes,
        **_doubt_note(admitted.films),
        **_unread_note(listed),
    }


def _suggestion_note(probes: Sequence[Probe]) -> dict[str, str]:
    """Name the settings that may weaken the strongest shortcuts."""
    suggestions = suggestions_of(probes)
    more = (
        f"; and {len(suggestions) - SHOWN_SUGGESTIONS} more, see the audit" if suggestions[SHOWN_SUGGESTIONS:] else ""
    )
    return {"note_shortcuts": "; ".join(suggestions[:SHOWN_SUGGESTIONS]) + more} if suggestions else {}


def _unread_note(listed: FilmFiles) -> dict[str, str]:
    """Name the folders whose films are not read."""
    folders = [entry for entry in listed.unread if entry.reason == RefusalReason.UNREADABLE_FOLDER]
    if not folders:
        return {}
    named = ", ".join(printable(entry.source) for entry in folders[:SHOWN_UNREAD])
    more = ", ..." if len(folders) > SHOWN_UNREAD else ""
    return {"note_folders": f"{len(folders)} folder(s) are not read, refusals say why: {named}{more}"}


def _doubt_note(films: pd.DataFrame) -> dict[str, str]:
    """Name films that do not look like chest films, or have a useless window; they are kept."""
    doubtful = [str(image_id) for image_id in films.loc[films["doubt"] != "", "image_id"]]
    if not doubtful:
        return {}
    named = ", ".join(doubtful[:SHOWN_DOUBTFUL]) + (", ..." if len(doubtful) > SHOWN_DOUBTFUL else "")
    what = (
        f"{len(doubtful)} film(s) do not look like chest films, or their headers' windows are not usable; they are "
        f"kept; the audit page says why: {named}"
    )
    return {"note_doubtful": what}


def _contract(findings: tuple[Finding, ...], grid: IngestSettings, name: str, digest: str) -> IngestContract:
    return IngestContract(findings, grid.rows, grid.cols, grid.fit, grid.bits, name, digest, _preparation(grid))


def _preparation(grid: IngestSettings) -> FilmPreparation:
    return FilmPreparation(**grid.prepare.model_dump())


def _with_grid(settings: Settings, contract: IngestContract) -> Settings:
    prepare = PrepareSettings(**asdict(contract.preparation))
    grid = {
        "rows": contract.rows,
        "cols": contract.cols,
        "fit": contract.fit,
        "bits": contract.bits,
        "prepare": prepare,
    }
    return settings.model_copy(update={"ingest": settings.ingest.model_copy(update=grid)})
