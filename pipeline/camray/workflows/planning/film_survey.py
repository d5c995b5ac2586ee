"""Facts that a plan is made from: films, labels and boxes of a folder, seen by file names, tables and some headers."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from camray.adapters.datasets.film_files import list_films
from camray.adapters.datasets.label_values import ABSENT, PRESENT
from camray.adapters.datasets.left_out import without_findings
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.mask_table import UNKNOWN_SIDE
from camray.adapters.datasets.reading import Dataset, survey_tables
from camray.adapters.datasets.table_paths import own_table_files, table_paths
from camray.adapters.settings.schema import Settings
from camray.core.planning.facts import DataFacts, LabelFacts, Machine
from camray.core.training.device import choose_device
from camray.domain.errors import InputRefusedError, SettingsError
from camray.domain.films import FilmHeader, FilmPolicy
from camray.workflows.dataset_check.films import film_index, needs_all_headers, read_headers, spread_evenly
from camray.workflows.dataset_check.report import DataCheck

SAMPLED_HEADERS = 200
_Headers = dict[int, FilmHeader | None]


def this_machine(device: str) -> Machine:
    """Return what trains on this machine; see `choose_device` for the error."""
    return Machine(torch.get_num_threads(), choose_device(device).type == "cuda")


def survey_films(settings: Settings) -> DataFacts:
    """Look at the films and tables of an experiment before they are ingested.

    Headers of `SAMPLED_HEADERS` films are read, evenly spread; all where only they link films to rows of the tables.

    Parameters
    ----------
    settings : Settings
        ``data`` and ``ingest``.

    Raises
    ------
    SettingsError
        If there is no folder of films.
    InputRefusedError
        If it has no usable film.
    ManifestError, AnnotationError
        If a table cannot be read, or has no finding to train on because of its faults.
    """
    data, manifest = settings.data, load_manifest(settings.data.manifest)
    root = data.root
    if root is None or not root.is_dir():
        raise SettingsError(f"data.root: {root} is no folder; expected the folder that holds the films")
    tables = table_paths(manifest, root, data.labels, data.boxes, own=True)
    not_films = {*own_table_files(manifest, root), *(path for path in (data.labels, data.boxes) if path)}
    sources = list_films(root, manifest.films.include, manifest.films.exclude, not_films).sources
    headers = _read_headers(settings, root, sources, SAMPLED_HEADERS)
    index = film_index(manifest, sources, headers)
    dataset = survey_tables(manifest, tables, index, _sizes(len(sources), headers))
    is_sample = len(headers) < len(sources)
    if is_sample and dataset.has_label_table and needs_all_headers(manifest) and not dataset.is_named.all():
        headers = _read_headers(settings, root, sources, 0)
        index = film_index(manifest, sources, headers)
        dataset = survey_tables(manifest, tables, index, _sizes(len(sources), headers))
    facts = _facts(without_findings(dataset, data.leave_out), index.usable, headers)
    if all(label.is_one_class for label in facts.labels):
        dataset.report.stop_if_wrong({path.name for path in tables.box_tables})
    return facts


def _read_headers(settings: Settings, root: Path, sources: list[str], number: int) -> _Headers:
    """Read so many headers, or all for 0; at least one film must be usable."""
    if not sources:
        raise InputRefusedError(f"{root}: no film in it; expected DICOM, PNG or JPEG files")
    grid, report = settings.ingest, DataCheck(settings.data.manifest, root)
    policy = FilmPolicy(grid.modalities, grid.body_parts, grid.views)
    headers = read_headers(root, sources, spread_evenly(len(sources), number), report, policy)
    if not any(headers.values()):
        raise InputRefusedError(f"{root}: {'; '.join(report.notes)}")
    return headers


def _sizes(films: int, headers: _Headers) -> NDArray[np.int64]:
    sizes = np.full((films, 2), UNKNOWN_SIDE, dtype=np.int64)
    for number, header in headers.items():
        if header is not None:
            sizes[number] = header.rows, header.cols
    return sizes


def _facts(dataset: Dataset, usable: NDArray[np.bool_], headers: _Headers) -> DataFacts:
    values = np.where(usable[:, None], dataset.labels.values, -1)
    boxes = dataset.boxes[usable[dataset.boxes["film"].to_numpy(np.int64)]]
    labels = tuple(
        LabelFacts(
            finding.name,
            present=int((values[:, number] == PRESENT).sum()),
            absent=int((values[:, number] == ABSENT).sum()),
            boxed=int(boxes.loc[boxes["label"] == number, "film"].nunique()),
        )
        for number, finding in enumerate(dataset.findings)
    )
    sizes = np.array([_size(header) for header in headers.values() if header is not None], np.float64)
    rows, cols, aspect = np.median(sizes, axis=0)
    return DataFacts(
        films=int((dataset.labels.in_table & usable).sum() if dataset.has_label_table else usable.sum()),
        labelled=int(np.isin(values, (PRESENT, ABSENT)).any(axis=1).sum()),
        labels=labels,
        boxed=int(boxes["film"].nunique()),
        rows=int(rows),
        cols=int(cols),
        aspect=float(aspect),
        headers=len(sizes),
    )


def _size(header: FilmHeader) -> tuple[float, float, float]:
    """Return rows and columns, px, and height over width."""
    height, width = header.row_spacing_mm or 1.0, header.col_spacing_mm or 1.0
    return header.rows, header.cols, header.rows * height / (header.cols * width)
