"""Features of a run's films and of predictions, for drift.

Reads   ``ingest/images.parquet acquisition.parquet``, ``explain/``, ``localize/``
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.run_folder import RunFolder
from camray.core.drift.features import Feature, film_features, one_film_per_patient, output_features
from camray.core.drift.reference import RunReference, reference_of
from camray.core.localization.box_thresholds import Thresholds
from camray.domain.errors import PipelineError
from camray.domain.predicted_films import Verdict
from camray.domain.records import Split
from camray.io.artifacts import RunArtifacts, artifacts_of
from camray.io.explained_run import ExplainedRun, open_explained_run
from camray.io.film_verdicts import not_judged_table
from camray.io.ingested_films import IngestedFilms, read_ingested
from camray.io.run_lookup import check_is_run

MAKER = "header/maker"
DRIFT_SEED = 1  # of everything that is drawn: the same for a run and its package
_ELSEWHERE = "elsewhere"  # no folder: the run and its package give the same predictions, and either may be at hand


@dataclass(frozen=True, eq=False)
class PredictedFeatures:
    """Features of one folder of predictions.

    Parameters
    ----------
    features : list of Feature
        Of one film of each patient.
    maker_key : str
        Fingerprint of the key that manufacturers are hashed with; empty where they are not known.
    written : str
        Date of the boxes, YYYY-MM-DD.
    films, patients : int
        In the folder.
    """

    features: list[Feature]
    maker_key: str
    written: str
    films: int
    patients: int


def reference_of_run(folder: RunFolder, report: str, seed: int) -> RunReference:
    """Count the features of a run's films.

    Header and appearance are those of the training films. Outputs are those of validation and test films: of films that
    it was trained on, a network is surer than of any others.

    Parameters
    ----------
    folder : RunFolder
        Of the run that trained the network.
    report : {'judged', 'cutoff', 'all'}
        As `localize.report`: what makes an answer.
    seed : int
        Of the choice of one film for each patient.

    Raises
    ------
    PipelineError
        If the run has not finished ``localize``, or a file of it has changed since.
    """
    films = read_ingested(folder)
    table = _with_acquisition(films)
    training = one_film_per_patient(table[table["split"] == Split.TRAIN], seed)
    run = open_explained_run(folder)
    explained = films.images[films.images["image_id"].isin(run.image_ids)]
    held_out = one_film_per_patient(explained[explained["split"] != Split.TRAIN], seed)
    features = [*film_features(training), *_outputs(run, held_out, run.thresholds, report)]
    references = tuple(reference_of(feature) for feature in features)
    return RunReference(references, _maker_key(table), len(training), len(held_out), _networks(folder))


def read_predicted(root: Path, trained: Path, networks: tuple[str, ...], report: str, seed: int) -> PredictedFeatures:
    """Read the features of a folder of predictions.

    Parameters
    ----------
    root : Path
        Folder that `camray predict` wrote.
    trained : Path
        Run, or model package, that it is compared with.
    networks : tuple of str
        Digests of the network, as of a `RunReference`.
    report : {'judged', 'cutoff', 'all'}
        As of `reference_of_run`. Answers are made anew, as of the run's films: neither another report nor a prevalence
        at the site is drift.
    seed : int
        Of the choice of one film for each patient.

    Raises
    ------
    SettingsError
        If the folder holds no run.
    PipelineError
        If it is of another network or of other thresholds than `trained`, or has changed since it was written.
    """
    check_is_run(root)
    folder = RunFolder(root, trained=root / _ELSEWHERE)
    explained, localized = folder.record("explain"), folder.record("localize")
    if explained is None or localized is None:
        raise PipelineError(f"{root}: not finished; repeat the `camray predict` that made it")
    if explained.get("inputs", {}).get("train") not in networks:
        raise PipelineError(
            f"{root}: not predictions of the network of {trained}, so that its outputs cannot be compared; name the "
            f"run that made them, or repeat `camray predict {trained} FILMS`"
        )
    run = open_explained_run(folder)
    now = RunArtifacts(trained).localize.thresholds.read()
    if (run.thresholds.boxes, run.thresholds.cutoffs) != (now.boxes, now.cutoffs):
        raise PipelineError(
            f"{root}: predictions with other thresholds than {trained} has now, so that answers and boxes cannot be "
            f"compared; repeat `camray predict {trained} FILMS`"
        )
    table = _with_acquisition(run.films)
    chosen = one_film_per_patient(table, seed)
    features = [*film_features(chosen), *_outputs(run, chosen, now, report)]
    written = str(localized.get("finished_at", ""))[:10]
    return PredictedFeatures(features, _maker_key(table), written, len(table), len(chosen))


def _networks(folder: RunFolder) -> tuple[str, ...]:
    """Return the digests that predictions have of this run's network, and those that were made by its package."""
    files, record = artifacts_of(folder).train, folder.record("train")
    if record is None:
        raise PipelineError(f"{folder.root}: no trained network; name the run that trained it")
    names = (files.contract.path.name, files.weights.name)
    packaged = {name: digest for name, digest in record["outputs"].items() if name in names}
    return digest_of(record["outputs"]), digest_of(packaged)


def _with_acquisition(films: IngestedFilms) -> pd.DataFrame:
    """Return the images table, with the acquisition table where this version ingested the films."""
    if not films.files.acquisition.is_file():
        return films.images
    acquisition = films.files.acquisition.read()
    acquisition["image_id"] = acquisition["image_id"].astype(str)
    return films.images.merge(acquisition, on="image_id", how="left", validate="one_to_one")


def _maker_key(table: pd.DataFrame) -> str:
    return str(table["maker_key"].iloc[0]) if "maker_key" in table and len(table) else ""


def _outputs(run: ExplainedRun, films: pd.DataFrame, thresholds: Thresholds, report: str) -> list[Feature]:
    """Return the features of what the network says of some explained films."""
    image_ids = films["image_id"].tolist()
    boxes = run.default_predictions
    boxes = boxes[boxes["image_id"].isin(image_ids)]
    size = films.set_index("image_id")[["rows", "cols"]].prod(axis=1)
    boxes = boxes.assign(film_px=boxes["image_id"].map(size).astype(float))
    return output_features(image_ids, run.logit_table, _answers(run, thresholds, report), boxes)


def _answers(run: ExplainedRun, thresholds: Thresholds, report: str) -> pd.DataFrame:
    """Return the verdicts by ``image_id`` and label."""
    why = not_judged_table(run, report, thresholds)
    reported = {
        label: thresholds.reported(label, run.logits[:, number], report)
        for number, label in enumerate(run.labels)
        if label in thresholds.cutoff_of
    }
    none = np.zeros(len(run.logits), np.bool_)
    columns = {
        label: np.where(reported.get(label, none), str(Verdict.REPORTED), str(Verdict.NOT_REPORTED))
        for label in run.labels
    }
    return pd.DataFrame(columns, run.image_ids, dtype=object).where(why == "", str(Verdict.NOT_JUDGED))
