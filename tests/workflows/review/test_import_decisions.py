"""Decisions back into a run: agreement, the merged tables, and nothing dropped in silence."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camray.adapters.datasets.films_index import FilmIndex
from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.datasets.reading import read_tables
from camray.adapters.datasets.table_paths import TablePaths
from camray.adapters.review.decisions import PAGE_FORMAT
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.run_folders.tables import read_table
from camray.adapters.tracking.interface import NullTracker
from camray.core.metrics.bootstrap import Bootstrap
from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, DecisionsRead
from camray.domain.records import ANNOTATION_COLUMNS, LABEL_COLUMNS
from camray.io.artifacts import artifacts_of
from camray.workflows.review.export_page import run_digest
from camray.workflows.review.import_decisions import ImportOptions, import_decisions
from tests.workflows.review.reviewed_run import LABELS, make_reviewed_run

WITHOUT_INTERVALS = ImportOptions(Bootstrap(0, 0.95, 1))


class Recorder(NullTracker):
    def __init__(self) -> None:
        self.told: dict[str, float] = {}
        self.files: list[str] = []

    def metrics(self, values: Any, step: int = 0) -> None:
        self.told.update(values)

    def artifact(self, path: Path, folder: str = "") -> None:
        self.files.append(path.name)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return make_reviewed_run(tmp_path_factory.mktemp("import"))[1]


def _claims(folder: RunFolder) -> pd.DataFrame:
    return pd.read_parquet(folder.root / "localize" / "predictions.parquet").set_index(["image_id", "label"])


def _film(folder: RunFolder, image_id: str, verdicts: dict[str, tuple[str, Any]], changed: str = "2") -> dict[str, Any]:
    findings = {}
    for label in LABELS:
        row = _claims(folder).loc[[(image_id, label)]].iloc[0]
        corners = row[["x0", "y0", "x1", "y1"]].tolist()
        boxes = [corners] if row["reported"] and np.isfinite(corners).all() else []
        default = ("confirm", None) if row["reported"] else (None, None)
        verdict, own = verdicts.get(label, default)
        ai = {"reported": bool(row["reported"]), "probability": 0.5, "boxes": boxes}
        findings[label] = {"verdict": verdict, "boxes": own, "comment": "secret", "changed": changed, "ai": ai}
    return {"image_id": image_id, "finished": True, "changed": changed, "seconds": 10, "findings": findings}


def _write(folder: RunFolder, path: Path, reader: str, films: list[dict[str, Any]], digest: str | None = None) -> Path:
    run = {"digest": run_digest(folder) if digest is None else digest}
    content = {"format": PAGE_FORMAT, "run": run, "reader": reader, "films": films}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _ids(folder: RunFolder) -> list[str]:
    return list(pd.read_parquet(folder.root / "explain" / "images.parquet")["image_id"])


def test_a_reader_who_confirms_all_agrees_wholly(folder: RunFolder, tmp_path: Path) -> None:
    path = _write(folder, tmp_path / "a.json", "A", [_film(folder, image_id, {}) for image_id in _ids(folder)])
    tracker = Recorder()
    found = import_decisions([path], folder, tracker, ImportOptions(Bootstrap(20, 0.95, 1)))
    row = found.agreement.set_index(["reader", "other", "label", "metric"]).sort_index()
    assert row.loc[("A", "AI", "all findings", "cohen_kappa"), "value"] == 1.0
    assert row.loc[("A", "AI", "all findings", "box_iou"), "value"] == 1.0
    assert row.loc[("A", "AI", "Mass", "box_ppv"), "value"].tolist() == [1.0] * 4
    assert found.counts["problems"] == 0
    assert found.counts["films"] == found.counts["readings_finished"] == len(_ids(folder))
    assert tracker.told["final.A.AI.all findings.cohen_kappa"] == 1.0
    assert {"agreement.csv", "problems.csv", "boxes.csv", "labels.csv"} <= set(tracker.files)
    assert "decisions.parquet" not in tracker.files  # comments are free text
    assert all(b"secret" not in (found.folder / name).read_bytes() for name in tracker.files)


@pytest.mark.parametrize("is_reported", [False, True])
def test_a_finding_that_is_not_judged_is_not_compared_with_the_ai_unless_reported(
    is_reported: bool, tmp_path: Path
) -> None:
    folder = make_reviewed_run(tmp_path)[1]
    files = artifacts_of(folder).localize
    thresholds = files.thresholds.read()
    silent = [replace(each, not_judged="chance") if each.label == "Mass" else each for each in thresholds.cutoffs]
    files.thresholds.write(replace(thresholds, cutoffs=tuple(silent)))
    predictions = files.predictions.read()
    predictions.loc[predictions["label"] == "Mass", "reported"] = is_reported
    files.predictions.write(predictions)
    path = _write(folder, tmp_path / "a.json", "A", [_film(folder, image_id, {}) for image_id in _ids(folder)])
    compared = import_decisions([path], folder, NullTracker(), WITHOUT_INTERVALS).agreement
    is_of_both = (compared["other"] == "AI") & (compared["metric"] != "uncertain")
    compared = compared[is_of_both & (compared["n"] > 0)]
    assert ("Mass" in set(compared["label"])) == is_reported
    assert set(compared["label"]) - {"all findings", "Mass"}


def test_what_readers_had_seen_is_in_counts_and_table(folder: RunFolder, tmp_path: Path) -> None:
    first, second = _ids(folder)[:2]
    told = {**_film(folder, first, {}), "finish_shown": {"ai": True, "annotations": True}}
    for finding in told["findings"].values():
        finding["shown"] = {"ai": True, "annotations": False}
    path = _write(folder, tmp_path / "a.json", "A", [told, _film(folder, second, {})])
    found = import_decisions([path], folder, NullTracker(), WITHOUT_INTERVALS)
    table = pd.read_parquet(found.folder / "decisions.parquet")
    rows = table[table["image_id"] == first]
    judged = rows["verdict"] != ""
    assert rows["ai_shown"].all()
    assert 0 < judged.sum() < len(LABELS)
    assert (rows["annotations_shown"] == ~judged).all()  # the rest was answered by finishing the film
    assert table.loc[table["image_id"] == second, ["ai_shown", "annotations_shown"]].isna().all(axis=None)
    counted = {name: found.counts[f"annotations_{name}"] for name in ("shown", "hidden", "unknown")}
    assert counted == {"shown": (~judged).sum(), "hidden": judged.sum(), "unknown": len(LABELS)}
    assert found.counts["ai_unknown"] == len(LABELS)
    assert json.loads((found.folder / "summary.json").read_text())["counts"] == found.counts


def test_mlflow_gets_it(folder: RunFolder, tmp_path: Path, empty_store: Path) -> None:
    import mlflow

    from camray.adapters.tracking.mlflow import MlflowTracker
    from camray.adapters.tracking.store import store_uri

    path = _write(folder, tmp_path / "a.json", "Dr A", [_film(folder, image_id, {}) for image_id in _ids(folder)[:4]])
    store = tmp_path / "store"
    store.mkdir()
    shutil.copy(empty_store, store)
    with MlflowTracker(tmp_path / "run", store, None, "reviewed", "unused:unused") as tracker:
        import_decisions([path], folder, tracker, WITHOUT_INTERVALS)
    client = mlflow.MlflowClient(store_uri(None, store), registry_uri=store_uri(None, store))
    experiment = client.get_experiment_by_name("reviewed").experiment_id
    (run,) = client.search_runs([experiment], "attributes.run_name = 'review'")
    assert run.data.metrics["review.films"] == 4
    assert any("claim_ppv" in key and "Dr A" in key for key in run.data.metrics)
    files = {item.path for item in client.list_artifacts(run.info.run_id, "review")}
    assert {"review/agreement.csv", "review/boxes.csv"} <= files


def test_the_merged_tables_are_annotations(folder: RunFolder, tmp_path: Path) -> None:
    first, second = _ids(folder)[:2]
    verdicts = {"Mass": ("adjust", [[10, 20, 60, 90]]), "Nodule": ("uncertain", None), "Hernia": ("reject", None)}
    path = _write(folder, tmp_path / "a.json", "A", [_film(folder, first, verdicts)])
    found = import_decisions([path], folder, NullTracker(), WITHOUT_INTERVALS)
    labels = read_table(found.folder / "labels.parquet", LABEL_COLUMNS).set_index(["image_id", "label"])["value"]
    annotations = read_table(found.folder / "annotations.parquet", ANNOTATION_COLUMNS)
    before = read_table(folder.root / "ingest" / "labels.parquet", LABEL_COLUMNS).set_index(["image_id", "label"])
    assert labels[first, "Mass"] == "1"
    assert labels[first, "Nodule"] == "uncertain"
    assert labels[second].equals(before["value"][second].loc[labels[second].index])
    mass = annotations[(annotations["image_id"] == first) & (annotations["label"] == "Mass")]
    assert mass[["reader", "x0", "y0", "x1", "y1"]].to_numpy().tolist() == [["A", 10, 20, 60, 90]]
    images = pd.read_parquet(folder.root / "ingest" / "images.parquet")
    films = FilmIndex(images["image_id"], images["source"], np.ones(len(images), dtype=bool))
    tables = TablePaths(found.folder / "labels.csv", found.folder / "boxes.csv")
    read = read_tables(load_manifest("folder"), tables, films, images[["rows", "cols"]].to_numpy(np.int64))
    place = list(images["image_id"]).index(first)
    names = [finding.name for finding in read.findings]
    assert names == list(LABELS)
    codes = {"1": 1, "0": 0, "uncertain": 2}
    assert read.labels.values[place, names.index("Mass")] == 1
    assert {"1", "0", "uncertain"} >= {labels[first, name] for name in names}
    assert len(read.boxes) == len(annotations)
    again = read.boxes[(read.boxes["film"] == place) & (read.boxes["label"] == names.index("Mass"))]
    assert again[["x0", "y0", "x1", "y1"]].to_numpy().tolist() == [[10, 20, 60, 90]]
    for name in names:
        assert read.labels.values[place, names.index(name)] == codes[labels[first, name]]


def test_unknown_films_and_findings_and_conflicts_are_told(folder: RunFolder, tmp_path: Path) -> None:
    first = _ids(folder)[0]
    film = _film(folder, first, {"Mass": ("adjust", [[10, 20, 60, 90], [9000, 9000, 9010, 9010], [-30, 5, 40, 50]])})
    film["findings"]["Plague"] = film["findings"]["Mass"]
    stranger = _film(folder, first, {}) | {"image_id": "9.9.9"}
    old = _write(folder, tmp_path / "old.json", "A", [_film(folder, first, {"Mass": ("uncertain", None)}, "1")])
    new = _write(folder, tmp_path / "new.json", "A", [film, stranger], digest="another")
    found = import_decisions([new, old], folder, NullTracker(), WITHOUT_INTERVALS)
    told = [(problem.source, problem.what) for problem in found.problems]
    for words in (
        "not one of this run",
        "'Plague' is no finding",
        "outside its film",
        "over its film's edge",
        "another state of the run",
    ):
        assert sum(words in what for _, what in told) == 1, words
    assert any("old.json" in what and "differ" in what for _, what in told)
    decisions = pd.read_parquet(found.folder / "decisions.parquet").set_index("label")
    assert decisions.loc["Mass", "value"] == "1"  # the later change won, though its file came first
    assert json.loads(decisions.loc["Mass", "boxes"]) == [[10, 20, 60, 90], [0, 5, 40, 50]]
    problems = pd.read_csv(found.folder / "problems.csv")
    assert len(problems) == len(found.problems)


def test_another_form_comes_in_by_its_suffix(folder: RunFolder, tmp_path: Path) -> None:
    first = _ids(folder)[0]
    path = tmp_path / "report.dcm"
    path.write_bytes(b"")

    def read(path: Path, labels: Any, reader: str) -> DecisionsRead:
        return DecisionsRead(path.name, "sr", decisions=(Decision("B", first, "Mass", "1", (Box(1, 2, 30, 40),)),))

    found = import_decisions(
        [path], folder, NullTracker(), ImportOptions(Bootstrap(0, 0.95, 1), readers={".dcm": read})
    )
    assert found.counts["decisions"] == 1
    with pytest.raises(AnnotationError, match=r"report\.dcm"):
        import_decisions([path], folder, NullTracker(), WITHOUT_INTERVALS)


def test_nothing_that_fits_is_an_error(folder: RunFolder, tmp_path: Path) -> None:
    stranger = _film(folder, _ids(folder)[0], {}) | {"image_id": "9.9.9"}
    path = _write(folder, tmp_path / "a.json", "A", [stranger])
    with pytest.raises(AnnotationError, match="not one of this run"):
        import_decisions([path], folder, NullTracker(), WITHOUT_INTERVALS)
    with pytest.raises(AnnotationError, match="no such file"):
        import_decisions([tmp_path / "none.json"], folder, NullTracker(), WITHOUT_INTERVALS)
