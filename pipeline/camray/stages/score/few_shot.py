"""The few-shot baseline of a run: whether it can be trained, and its results on the scored splits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from camray.adapters.settings.schema import Settings
from camray.core.localization.box_thresholds import BoxThreshold
from camray.core.metrics.localization.few_shot import MIN_PATIENTS
from camray.core.training.device import choose_device
from camray.domain.records import Split
from camray.io.artifacts import artifacts_of
from camray.io.split_films import SplitFilms
from camray.io.trained_model import load_trained
from camray.stages.score.few_shot_maps import FewShotOnSplit, few_shot_on
from camray.stages.score.few_shot_training import train_few_shot, trainable_patients

_ABSENT = "no few-shot baseline"


@dataclass(frozen=True, eq=False)
class FewShotScores:
    """Results of the baseline.

    Parameters
    ----------
    by_split : mapping of str to FewShotOnSplit
        Splits with annotated films.
    thresholds : tuple of BoxThreshold
        Of its maps.
    films, boxes : int
        Validation films and boxes that it was trained on; a film with several labels counts once.
    missing : str
        One sentence on labels without it, and why; empty where all have it, or where it was not requested.
    """

    by_split: Mapping[str, FewShotOnSplit] = field(default_factory=dict)
    thresholds: tuple[BoxThreshold, ...] = ()
    films: int = 0
    boxes: int = 0
    missing: str = ""

    @property
    def notes(self) -> list[str]:
        """Sentences for the report."""
        notes = [f"The few-shot baseline was trained on {self.films} validation films with {self.boxes} boxes."]
        return (notes if self.thresholds else []) + ([f"N{self.missing[1:]}."] if self.missing else [])

    @property
    def figures(self) -> dict[str, int | str]:
        """Figures of the stage."""
        counts: dict[str, int | str] = {"few_shot_films": self.films, "few_shot_boxes": self.boxes}
        return (counts if self.thresholds else {}) | ({"note_few_shot": self.missing} if self.missing else {})


def score_few_shot(films: Mapping[str, SplitFilms], validation: SplitFilms | None, settings: Settings) -> FewShotScores:
    """Train the baseline on validation films and apply it to the scored ones.

    Parameters
    ----------
    films : mapping of str to SplitFilms
        Scored films by split; validation films themselves get no results.
    validation : SplitFilms or None
        Validation films of the run that owns the network.
    settings : Settings
        Of the run.
    """
    scored = {split: each for split, each in films.items() if split != Split.VALIDATION}
    wanted = (
        [label for label in next(iter(films.values())).items if any(len(each.items[label]) for each in scored.values())]
        if films
        else []
    )
    if not settings.score.few_shot or not wanted:
        return FewShotScores()
    if validation is None:
        return FewShotScores(missing=f"{_ABSENT}: no validation films were explained with this network")
    patients = {label: trainable_patients(validation, label) for label in wanted}
    labels = [label for label in wanted if patients[label] >= MIN_PATIENTS]
    missing = _missing({label: count for label, count in patients.items() if label not in labels})
    owner = validation.run.folder.model_run
    if labels and not artifacts_of(owner).train.weights.is_file():
        return FewShotScores(missing=f"{_ABSENT}: the weights of the network are not in the run that trained it")
    if not labels:
        return FewShotScores(missing=missing)
    network = load_trained(owner, choose_device(settings.device))
    trained = train_few_shot(validation, labels, network, settings)
    items = [validation.items[label] for label in labels]
    return FewShotScores(
        {split: few_shot_on(each, trained, network, settings) for split, each in scored.items()},
        trained.thresholds,
        len({image_id for each in items for image_id in each.image_ids}),
        sum(len(each.boxes) for each in items),
        missing,
    )


def _missing(patients: Mapping[str, int]) -> str:
    counts = ", ".join(f"{label} ({count})" for label, count in patients.items())
    reason = f"at least {MIN_PATIENTS} patients with boxes among the validation films are needed (number in brackets)"
    return f"{_ABSENT} for {counts}: {reason}" if patients else ""
