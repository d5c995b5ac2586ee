"""Merged tables of an import as a data set of its own, with the split of the run.

Reads   ``ingest/images.parquet``, the run's data manifest
Writes  ``reviewed/manifest.yaml split-train.txt split-validation.txt split-test.txt``, and for each split
        ``labels-<split>.csv boxes-<split>.csv``
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.errors import ManifestError
from camray.domain.labels import Finding
from camray.io.artifacts import artifacts_of

_KEY = {"key": "image_id", "key_is": "image_id"}


def write_data_set(folder: RunFolder, findings: Sequence[Finding]) -> None:
    """Write a manifest, lists and tables of each split, to train and score on the merged tables with the run's split.

    A new split would depend on the labels, which readers changed: test films of the run could become training films.
    The tables of one split serve to score a trained network on that split alone.

    Parameters
    ----------
    folder : RunFolder
        The run.
    findings : sequence of Finding
        The run's, in order, with codes.
    """
    files, images = artifacts_of(folder).reviewed, artifacts_of(folder).ingest.images.read()
    films = {str(split): set(rows["image_id"]) for split, rows in images.groupby("split", observed=True)}
    for split, names in sorted(films.items()):
        _write(files.split_list(split), "\n".join(sorted(names)) + "\n")
        for path in (files.labels_csv, files.boxes_csv):
            table = pd.read_csv(path, dtype=str, keep_default_na=False)
            part = table[table["image_id"].isin(names)]
            _write(files.split_table(path, split), part.to_csv(index=False, lineterminator="\n"))
    manifest: dict[str, Any] = {
        "name": "reviewed",
        "title": "The films of a run with readers' answers in place of what they judged",
        "licence": "that of the films",
        "citation": "none",
        "how_to_obtain": "camray review import; data.root is the folder of the run's films",
        "films": _film_rules(folder),
        "label_table": {"file": str(files.labels_csv.resolve()), "form": "wide", **_KEY},
        "box_table": {
            "file": str(files.boxes_csv.resolve()),
            **_KEY,
            "label": "label",
            "corners": ["x0", "y0", "x1", "y1"],
            "frame": "native",
            "reader": "reader",
        },
        "splits": {split: str(files.split_list(split).resolve()) for split in sorted(films)},
        "split_key_is": "image_id",
        "labels": [_label(finding) for finding in findings],
    }
    write_json(files.manifest, manifest)  # JSON is YAML


def _film_rules(folder: RunFolder) -> dict[str, Any]:
    """Return the run's rules for films; patients come from headers where the run took them from its tables."""
    record = folder.record("ingest") or {}
    name = (record.get("settings") or {}).get("data", {}).get("manifest", "folder")
    try:
        rules = load_manifest(str(name)).films.model_dump(mode="json")
    except ManifestError:  # a manifest that has gone since
        rules = load_manifest("folder").films.model_dump(mode="json")
    return {**rules, "patient": "header", "patient_pattern": None} if rules["patient"] == "table" else rules


def _label(finding: Finding) -> dict[str, Any]:
    code = finding.code
    coded = None if code is None else {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
    return {
        "name": finding.name,
        "code": coded,
        "localizable": finding.localizable,
        "aliases": list(finding.aliases),
    }


def _write(path: Path, text: str) -> None:
    write_bytes(path, text.encode("utf-8"))
