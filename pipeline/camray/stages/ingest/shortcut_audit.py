"""Audit of the ingested films: trivial features that predict labels, as a table and as a page.

Writes  ``ingest/audit.json``, ``ingest/audit.html``, and ``ingest/probes.npy``: what the probes, fitted on the training
        films, say of all others, as float32 [kinds, films, labels] in the order of ``images.parquet``
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from camray.adapters.run_folders.atomic_files import write_bytes
from camray.core.cohort.deduplication import patient_split_key
from camray.core.shortcuts import probes as audit
from camray.core.shortcuts.features import lung_tiles, probe_features
from camray.core.shortcuts.remedies import ANY_FINDING, suggestions_of
from camray.domain.labels import names_of
from camray.domain.records import Split
from camray.io.artifacts import IngestFiles
from camray.io.ingested_films import write_audit
from camray.reporting.shortcut_audit_page import audit_page
from camray.stages.ingest.admission import Admitted


def one_class_of(admitted: Admitted) -> list[str]:
    """Name the labels of one class among the training films."""
    is_training = (admitted.films["split"] == str(Split.TRAIN)).to_numpy(dtype=bool)
    return audit.one_class_labels(admitted.values[is_training], names_of(admitted.findings))


def _probed(admitted: Admitted) -> tuple[NDArray[np.int8], list[str]]:
    """Return values and names of the labels that are probed: of several, also whether there is any finding."""
    labels = list(names_of(admitted.findings))
    if len(labels) < 2:
        return admitted.values, labels
    return audit.with_any_finding(admitted.values), [*labels, ANY_FINDING]


def audit_films(
    files: IngestFiles,
    name: str,
    admitted: Admitted,
    statistics: NDArray[np.float32],
    seed: int,
    shares: NDArray[np.float64] | None,
) -> list[audit.Probe]:
    """Measure what trivial features predict, and write table and page of the audit.

    Parameters
    ----------
    files : IngestFiles
        Files of the stage.
    name : str
        Name of the data manifest.
    admitted : Admitted
        Films that are kept, their labels and boxes, and the refusals.
    statistics : ndarray of shape (films, 384), float32
        Histogram, thumbnail and tiles of each film that is kept.
    seed : int
        Seed of the probes' folds.
    shares : ndarray of shape (films, 12, 12), float64, or None
        Share of lung per tile, from `camray.stages.ingest.lung_coverage`. None leaves out the probes, and the pictures
        that compare films with and without a finding.

    Returns
    -------
    list of Probe
        The measured probes; none without `shares`.
    """
    films, labels = admitted.films, names_of(admitted.findings)
    probes, lungs = shares is not None, None if shares is None else lung_tiles(shares)
    features = probe_features(films, statistics, lungs)
    patients = patient_split_key(films["patient_key"].to_numpy(dtype=object), films["source"].to_numpy(dtype=object))
    measured: list[audit.Probe] = []
    if probes:
        with threadpool_limits(1, "blas"):  # columns are few: threads that wait for one another cost ten times as much
            measured = audit.run_probes(features, *_probed(admitted), patients, seed)
    reasons = admitted.refusals["reason"].value_counts().sort_index()
    summary: dict[str, Any] = {
        "manifest": name,
        "inputs": len(films) + len(admitted.refusals),
        "refused": len(admitted.refusals),
        "refusals": {str(reason): int(count) for reason, count in reasons.items()},
        "label_names": list(labels),
        "boxes": {label: int((admitted.boxes["label"] == i).sum()) for i, label in enumerate(labels)},
        "films_without_patient": int(films["patient_source"].isin(["study", "file"]).sum()),
        **audit.describe(films, admitted.values, labels),
        "probes": audit.probes_as_json(measured),
        "warnings": audit.warnings_of(measured),
        "suggestions": suggestions_of(measured),
        "table_faults": admitted.faults,
        "one_class": one_class_of(admitted) if probes else [],
        "doubtful": [
            {"image_id": str(film.image_id), "why": str(film.doubt)}
            for film in films[films["doubt"] != ""].itertuples()
        ],
    }
    logits: dict[str, NDArray[np.float32]] = {}
    if probes and len(labels):
        is_training = (films["split"] == str(Split.TRAIN)).to_numpy(dtype=bool)
        with threadpool_limits(1, "blas"):
            by_kind = audit.probe_logits(features, admitted.values, is_training, seed)
        logits = dict(zip(features, by_kind, strict=True))
    write_audit(files, summary, logits)
    values = admitted.values if probes else admitted.values[:, :0]  # without labels there is nothing to compare
    page = audit_page(summary, values, features["grey-level histogram"], features["8x8 thumbnail"])
    write_bytes(files.audit_page, page.encode())
    return measured
