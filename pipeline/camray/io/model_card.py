"""Facts for the model card of a trained run.

Reads   ``ingest/`` (tables, audit), ``train/`` (contract, record), ``localize/thresholds.json``, and
        ``score/scores.csv`` if they are of these maps
"""

from collections.abc import Mapping

import pandas as pd

from camray.adapters.datasets.manifest_files import load_manifest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.core.imaging.film_range import FilmRange
from camray.core.metrics.group_summary import group_lines
from camray.core.metrics.summary import headline_rows
from camray.core.model_card.facts import CardFacts, DataFacts, SplitFacts
from camray.core.probability.promise_words import percent, promise_words
from camray.domain.errors import PipelineError
from camray.domain.records import Split
from camray.domain.spreadsheet_cells import with_formulas
from camray.io.artifacts import artifacts_of
from camray.io.bootstrap import bootstrap_of
from camray.io.ingested_films import IngestedFilms, read_ingested

_STAGES = ("ingest", "train", "explain", "localize", "score")
_PRESENT, _ABSENT = "1", "0"


def read_card_facts(folder: RunFolder, settings: Settings) -> CardFacts:
    """Collect what a model card states.

    Parameters
    ----------
    folder : RunFolder
        Of the run that trained the network.
    settings : Settings
        Of that run.

    Raises
    ------
    PipelineError
        If the run has no trained network, or a record, the contract or the scores have changed since.
    ManifestError
        If its data manifest is not on this machine.
    """
    files = artifacts_of(folder)
    read_here = {"train": (files.train.contract.path.name,), "score": (files.score.scores.name,)}
    for stage in _STAGES:
        folder.check_outputs(stage, read_here.get(stage, ()))
    record = folder.record("train")
    if record is None:
        raise PipelineError(
            f"{folder.root}: no trained network; run `camray train` first, or name the run that trained it"
        )
    films = read_ingested(folder)
    scores = None
    if folder.is_current("score") and files.score.scores.is_file():
        scores = with_formulas(pd.read_csv(files.score.scores))
    records = {stage: folder.record(stage) for stage in _STAGES}
    return CardFacts(
        name=settings.name,
        contract=files.train.contract.read(),
        data=_data_facts(films, settings),
        training=_training(settings, record["figures"]),
        scores=() if scores is None or scores.empty else tuple(headline_rows(scores)),
        intervals=bootstrap_of(settings.score).title,
        groups=() if scores is None else tuple(group_lines(scores)),
        shortcuts=films.audit_warnings if settings.ingest.audit else None,
        promises=_promises(folder),
        versions={
            stage: str(each["code_version"]) for stage, each in records.items() if each and "code_version" in each
        },
        weights_sha256=str(record["outputs"][files.train.weights.name]),
    )


def _promises(folder: RunFolder) -> list[str]:
    """Say what is promised of each finding; nothing where the run has no boxes of these maps."""
    file = artifacts_of(folder).localize.thresholds
    if not folder.is_current("localize") or not file.is_file():
        return []
    thresholds = file.read()
    silent = [f"{label}: not judged on any film; {why}." for label, why in thresholds.not_judged.items()]
    told = [each for each in thresholds.promises if each.label not in thresholds.not_judged]
    promised = [f"{each.label}: {words}." for each in told if (words := promise_words(each))]
    return [*promised, *silent, *_foreign(thresholds.films)]


def _foreign(films: FilmRange | None) -> list[str]:
    """Say which films are not judged at all."""
    if films is None or films.reason:
        return []
    return [
        "Nothing is judged on films of other views or widths than the training films, nor on films whose appearance "
        f"is unlike theirs: {percent(films.share)} of films like the {films.validation} validation films it was set on."
    ]


def _data_facts(films: IngestedFilms, settings: Settings) -> DataFacts:
    manifest = load_manifest(settings.data.manifest)
    groups = films.groups if films.files.groups.is_file() else pd.DataFrame({"site": [], "maker": []})
    return DataFacts(
        name=manifest.name,
        title=manifest.title,
        licence=manifest.licence,
        splits={str(split): _split_facts(films, split) for split in Split},
        views=_counted(films.images["view"]),
        modalities=_counted(films.images["modality"]),
        refusals=_counted(films.files.refusals.read()["reason"]) if films.files.refusals.is_file() else {},
        sites=_different(groups["site"]),
        makers=_different(groups["maker"]),
        readers=_different(_marks(films)["reader"]),
        uncertain=int((films.labels["value"] == "uncertain").sum()),
        is_official=settings.ingest.split == "official",
    )


def _marks(films: IngestedFilms) -> pd.DataFrame:
    return films.annotations if films.files.annotations.is_file() else pd.DataFrame({"image_id": [], "reader": []})


def _split_facts(films: IngestedFilms, split: Split) -> SplitFacts:
    images = films.split(split)
    labels = films.labels[films.labels["image_id"].isin(images["image_id"])]
    known = labels[labels["value"].isin([_PRESENT, _ABSENT])]
    by_label = {label: known.loc[known["label"] == label, "value"] for label in films.contract.labels}
    counts = {label: (int((values == _PRESENT).sum()), len(values)) for label, values in by_label.items()}
    boxed = int(images["image_id"].isin(set(_marks(films)["image_id"])).sum())
    return SplitFacts(len(images), int(images["patient_key"].nunique()), boxed, counts)


def _counted(column: "pd.Series[str]") -> dict[str, int]:
    return {str(name): int(count) for name, count in column.fillna("").value_counts().sort_index().items()}


def _different(column: "pd.Series[str]") -> int:
    return int(column[column.fillna("") != ""].nunique())


def _training(settings: Settings, figures: Mapping[str, object]) -> list[str]:
    """Say how the network was trained, by settings that matter to who judges it."""
    train = settings.train
    lines = [
        f"{figures.get('epochs', train.max_epochs)} epochs of batches of {train.batch_size}, {train.choose} weights"
    ]
    if train.pretext.epochs:
        on = f" on {figures['pretext_films']} films" if "pretext_films" in figures else ""
        lines.append(f"before that, {train.pretext.epochs} epoch(s) of the pretext{on}")
    if train.outside_penalty:
        lines.append(f"evidence outside the chest penalized with weight {train.outside_penalty:g}")
    if settings.refine.teacher is not None:
        lines.append(f"self-training with confident boxes of the run {settings.refine.teacher.name}, none annotated")
    if train.balance:
        lines.append(f"labels balanced by {', '.join(train.balance)}")
    return lines
