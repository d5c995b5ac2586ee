"""Import of readers' decisions: agreement, predictive values, reading times, merged annotations.

Reads   decisions files, reports; ``ingest/`` (films, labels, annotations), ``explain/grid.json``, ``localize/`` (boxes)
Writes  ``reviewed/decisions.parquet readings.parquet agreement.csv problems.csv unread.csv labels.csv boxes.csv
        annotations.parquet manifest.yaml split-*.txt labels-*.csv boxes-*.csv summary.json``
Run     ``camray review import decisions-*.json runs/phantom``
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from camray.adapters.dicom.read.sr import is_dicom, read_reports
from camray.adapters.review.decisions import read_decisions
from camray.adapters.run_folders.atomic_files import write_bytes, write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.tracking.interface import Tracker
from camray.core.metrics.bootstrap import Bootstrap
from camray.core.reader_study.agreement_table import ALL_LABELS, AgreementPlan, Claim, agreement_rows
from camray.core.reader_study.consensus import MergePolicy, merge
from camray.core.reader_study.sr_decisions import decisions_of
from camray.domain.errors import AnnotationError
from camray.domain.geometry import Box
from camray.domain.reader_decisions import Decision, DecisionsRead, Problem, Reading
from camray.domain.spreadsheet_cells import without_formulas
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import ExplainedRun, open_explained_run
from camray.io.film_verdicts import not_judged_table
from camray.io.workflow_artifacts import ReviewedFiles
from camray.workflows.review.dataset_manifest import write_data_set
from camray.workflows.review.export_page import run_digest
from camray.workflows.review.film_names import by_image_id
from camray.workflows.review.import_counts import import_counts
from camray.workflows.review.merged_tables import write_decisions, write_merged

TOLERANCE_PX = 1.0  # readers' tools round: a box may reach this far over the edge without being reported
# one file or folder of decisions to records: path, the run's labels, name of the reader where the form has none
Reader = Callable[[Path, Sequence[str], str], DecisionsRead]
READERS: dict[str, Reader] = {".json": read_decisions}  # by suffix; DICOM reports are read against the run


@dataclass(frozen=True)
class Imported:
    """Result of an import: its folder, counts, agreement and problems."""

    folder: Path
    counts: dict[str, int]
    agreement: pd.DataFrame
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _ReviewedRun:
    """The run that decisions are compared with, the AI's claims by film and label, and its digest."""

    run: ExplainedRun
    claims: dict[tuple[str, str], Claim]
    digest: str

    @property
    def labels(self) -> tuple[str, ...]:
        return self.run.labels

    @property
    def images(self) -> pd.DataFrame:
        return self.run.films.images

    @property
    def judged_claims(self) -> dict[tuple[str, str], Claim]:
        """Claims without those on findings that the run neither reports nor denies."""
        table = not_judged_table(self.run, "judged")
        silent = {(image_id, label) for label in self.labels for image_id in map(str, table.index[table[label] != ""])}
        # localize.report=cutoff reports them all the same
        told = {key[1] for key in silent & self.claims.keys() if self.claims[key].reported}
        return {key: claim for key, claim in self.claims.items() if key not in silent or key[1] in told}


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import.

    Parameters
    ----------
    bootstrap : Bootstrap
        Of the intervals.
    reader : str
        Who read, for forms that do not say.
    policy : {'majority', 'union'}
        See `camray.core.reader_study.consensus.merge`.
    readers : mapping of suffix to Reader
        Forms beyond `READERS`.
    """

    bootstrap: Bootstrap
    reader: str = ""
    policy: MergePolicy = "majority"
    readers: Mapping[str, Reader] = field(default_factory=dict)


def import_decisions(paths: Sequence[Path], folder: RunFolder, tracker: Tracker, options: ImportOptions) -> Imported:
    """Read decisions, measure them and merge them; everything is written to ``reviewed/`` anew.

    Parameters
    ----------
    paths : sequence of Path
        Decisions files (JSON), DICOM reports, and folders of such reports; where two decide the same, the later change
        counts, else the later file.
    folder : RunFolder
        The run that was reviewed.
    tracker : Tracker
        Gets figures and tables, without comments: they are free text.
    options : ImportOptions
        Reader, merging, intervals and further forms.

    Raises
    ------
    AnnotationError
        If a file cannot be read, or holds no usable decision.
    PipelineError
        If the run has no boxes.
    """
    reviewed = _open_reviewed(folder)
    forms = {**READERS, ".dcm": _reports_reader(reviewed, paths), **options.readers}
    read = [by_image_id(_read(path, reviewed, options.reader, forms), reviewed.images) for path in paths]
    problems = [problem for each in read for problem in each.problems] + _other_runs(read, reviewed)
    decisions, readings = _of_this_run(*_joined(read, problems), reviewed, problems)
    if not decisions:
        raise AnnotationError(
            f"no usable decision in {len(paths)} file(s): none names a film and a finding of {folder.root}; "
            + "; ".join(sorted({problem.what for problem in problems})[:5])
        )
    patients = dict(zip(reviewed.images["image_id"], reviewed.images["patient_key"], strict=True))
    bootstrap = options.bootstrap
    plan = AgreementPlan(patients, resamples=bootstrap.resamples, confidence=bootstrap.confidence, seed=bootstrap.seed)
    agreement = agreement_rows(decisions, reviewed.judged_claims, readings, plan)
    counts = import_counts(decisions, readings, problems)
    run, files = reviewed.run, artifacts_of(folder).reviewed
    unread = [mark for each in read for mark in each.unread]
    write_decisions(files, decisions, readings, problems, unread)
    write_bytes(files.agreement, without_formulas(agreement).to_csv(index=False, lineterminator="\n").encode())
    write_merged(run.films, files, run.labels, merge(decisions, options.policy))
    write_data_set(folder, run.findings)
    write_json(files.summary, {"counts": counts, "policy": options.policy, "run_digest": reviewed.digest})
    _track(tracker, files, agreement, counts)
    return Imported(files.folder, counts, agreement, tuple(problems))


def _read(path: Path, run: _ReviewedRun, reader: str, readers: Mapping[str, Reader]) -> DecisionsRead:
    if not path.exists():
        raise AnnotationError(f"{path}: no such file of decisions")
    suffix = path.suffix.lower()
    if path.is_dir() or (suffix not in readers and is_dicom(path)):  # a PACS names files by their UIDs
        suffix = ".dcm"
    if suffix not in readers:
        legal = ", ".join(sorted(readers))
        raise AnnotationError(
            f"{path.name}: no form of decisions that is known; expected {legal}, or a folder of DICOM reports"
        )
    return readers[suffix](path, run.labels, reader)


def _reports_reader(run: _ReviewedRun, paths: Sequence[Path]) -> Reader:
    """Return what reads DICOM reports: they need the AI's boxes and the findings' codes to be understood."""

    def read(path: Path, labels: Sequence[str], reader: str) -> DecisionsRead:
        reports, problems = read_reports(path)
        decisions = decisions_of(reports, run.run.findings, run.claims, _source_name(path, paths), reader)
        return replace(decisions, problems=(*problems, *decisions.problems))

    return read


def _source_name(path: Path, paths: Sequence[Path]) -> str:
    """Return a path's name, numbered where another path has the same stem: an unnamed reader is called by it."""
    same = [each for each in paths if each.stem == path.stem]
    return path.name if same.index(path) == 0 else f"{path.stem} ({same.index(path) + 1}){path.suffix}"


def _open_reviewed(folder: RunFolder) -> _ReviewedRun:
    digest, run = run_digest(folder), open_explained_run(folder)
    claims: dict[tuple[str, str], Claim] = {}
    row: Any
    for row in run.default_predictions.sort_values(["image_id", "label", "rank"]).itertuples(index=False):
        claim = claims.get((row.image_id, row.label), Claim(bool(row.reported)))
        corners = (row.x0, row.y0, row.x1, row.y1)
        if row.reported and np.isfinite(corners).all():
            claim = replace(claim, boxes=(*claim.boxes, Box(*map(float, corners))))
        claims[row.image_id, row.label] = claim
    return _ReviewedRun(run, claims, digest)


def _other_runs(files: Sequence[DecisionsRead], run: _ReviewedRun) -> list[Problem]:
    what = "made with another state of the run: its boxes may differ from those measured here; used all the same"
    return [Problem(file.source, what) for file in files if file.run_digest and file.run_digest != run.digest]


def _joined(
    files: Sequence[DecisionsRead], problems: list[Problem]
) -> tuple[list[tuple[str, Decision]], list[tuple[str, Reading]]]:
    """Join the files; of two decisions on one finding the one that was changed later counts, else the later file's."""
    decisions: dict[tuple[str, str, str, str], tuple[str, Decision]] = {}
    readings: dict[tuple[str, str], tuple[str, Reading]] = {}
    for file in files:
        for decision in file.decisions:
            key = (decision.reader, decision.image_id, decision.label, decision.phase)
            old = decisions.get(key)
            if old is not None and _answer(old[1]) != _answer(decision):
                later = decision.changed >= old[1].changed or not old[1].changed or not decision.changed
                loser = old[0] if later else file.source
                what = f"two files differ ({old[0]} and {file.source}); the later one counts, that of {loser} does not"
                problems.append(Problem(file.source, what, *key[:3]))
                if not later:
                    continue
            decisions[key] = (file.source, decision)
        for reading in file.readings:
            earlier = readings.get((reading.reader, reading.image_id))
            if earlier is None or reading.changed >= earlier[1].changed:
                readings[reading.reader, reading.image_id] = (file.source, reading)
    return list(decisions.values()), list(readings.values())


def _answer(decision: Decision) -> tuple[Any, ...]:
    return decision.value, decision.boxes, decision.verdict, decision.comment


def _of_this_run(
    decisions: Sequence[tuple[str, Decision]],
    readings: Sequence[tuple[str, Reading]],
    run: _ReviewedRun,
    problems: list[Problem],
) -> tuple[list[Decision], list[Reading]]:
    """Keep what is of this run; report the rest. A film that is not the run's is reported once for each reader."""
    sizes = run.run.films.sizes
    unknown: set[tuple[str, str]] = set()
    kept = []
    for source, decision in decisions:
        if decision.image_id not in sizes:
            unknown.add((decision.reader, decision.image_id))
        elif decision.label not in run.labels:
            what = f"'{decision.label}' is no finding of this run; left out"
            problems.append(Problem(source, what, decision.reader, decision.image_id, decision.label))
        else:
            kept.append(_clipped(decision, sizes[decision.image_id], source, problems))
    unknown |= {(reading.reader, reading.image_id) for _, reading in readings if reading.image_id not in sizes}
    sources = {(decision.reader, decision.image_id): source for source, decision in decisions}
    sources |= {(reading.reader, reading.image_id): source for source, reading in readings}
    problems += [
        Problem(sources[key], "the film is not one of this run; its decisions were left out", *key)
        for key in sorted(unknown)
    ]
    return kept, [reading for _, reading in readings if reading.image_id in sizes]


def _clipped(decision: Decision, size: tuple[int, int], source: str, problems: list[Problem]) -> Decision:
    boxes = []
    for box in decision.boxes:
        inside = box.clipped(*size)
        if inside is None:
            problems.append(
                Problem(source, "a box outside its film; left out", decision.reader, decision.image_id, decision.label)
            )
            continue
        if max(abs(a - b) for a, b in zip(box.as_tuple(), inside.as_tuple(), strict=True)) > TOLERANCE_PX:
            what = f"a box that reaches more than {TOLERANCE_PX:g} px over its film's edge; clipped"
            problems.append(Problem(source, what, decision.reader, decision.image_id, decision.label))
        boxes.append(inside)
    return replace(decision, boxes=tuple(boxes))


def _track(tracker: Tracker, files: ReviewedFiles, agreement: pd.DataFrame, counts: Mapping[str, int]) -> None:
    with tracker.stage("review"):
        tracker.metrics({f"review.{key}": float(value) for key, value in counts.items()})
        tracked = agreement[agreement["interval"].fillna("") != "wilson"]
        row: Any
        for row in tracked.itertuples(index=False):
            at = f"@{row.criterion:g}" if np.isfinite(row.criterion) else ""
            versus = f".{row.other}" if row.other else ""
            tracker.metrics({f"{row.phase}.{row.reader}{versus}.{row.label}.{row.metric}{at}": float(row.value)})
        for path in (files.agreement, files.problems, files.labels_csv, files.boxes_csv, files.summary):
            tracker.artifact(path, "review")
        tracker.table(agreement.astype(object).where(agreement.notna(), None), "agreement")


def headline(agreement: pd.DataFrame) -> pd.DataFrame:
    """Return the main rows: every reader against the AI over all findings, and between readers."""
    several = ALL_LABELS in set(agreement["label"])
    rows = agreement[(agreement["label"] == ALL_LABELS) | ~agreement["label"].map(lambda _: several)]
    metrics = ["cohen_kappa", "fleiss_kappa", "box_iou", "claim_ppv", "claim_npv", "box_ppv", "median_seconds"]
    rows = rows[rows["metric"].isin(metrics) & (rows["interval"].fillna("") != "wilson")]
    return rows.reset_index(drop=True)
