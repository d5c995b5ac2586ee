"""Which findings a plan trains, and what it says of the others."""

from dataclasses import dataclass

from camray.core.planning.facts import DataFacts, LabelFacts

LEAST_FILMS = 5  # films that show a finding, and films without it, to train on it
FEW_POSITIVES = 50
LISTED = 4


@dataclass(frozen=True)
class TrainedFindings:
    """Findings of a plan.

    Parameters
    ----------
    kept, left_out : tuple of LabelFacts
        To train on, and not to.
    warnings : tuple of str
        One sentence per kind of lack.
    refusal : str
        Why none can be trained; empty otherwise.
    """

    kept: tuple[LabelFacts, ...]
    left_out: tuple[LabelFacts, ...]
    warnings: tuple[str, ...]
    refusal: str = ""


def choose_findings(data: DataFacts) -> TrainedFindings:
    """Leave out findings that nothing can be learnt of, unless none would be left."""
    if not data.labels:
        what = "no table says which films show a finding: films are read and audited, nothing can be trained"
        return TrainedFindings((), (), (what,))
    if all(label.is_one_class for label in data.labels):
        each = "; ".join(_one_class(label) for label in data.labels[:LISTED])
        more = f"; and {len(data.labels) - LISTED} more" if len(data.labels) > LISTED else ""
        return TrainedFindings(
            data.labels,
            (),
            (),
            f"no finding can be trained: {each}{more}; expected films with and without a finding; add films, or zeros "
            "to the label table; `camray ingest` reads and audits the films as they are",
        )
    learnable = tuple(label for label in data.labels if min(label.present, label.absent) >= LEAST_FILMS)
    if not learnable:
        kept = tuple(label for label in data.labels if not label.is_one_class)
        what = f"{_counted(kept)}: fewer than {LEAST_FILMS} films with or without it are too few to learn from"
        return TrainedFindings(kept, _others(data, kept), (what, *map(_one_class, _others(data, kept))))
    return TrainedFindings(learnable, _others(data, learnable), _warnings(data, learnable))


def _warnings(data: DataFacts, learnable: tuple[LabelFacts, ...]) -> tuple[str, ...]:
    warnings = [
        f"{_one_class(label)}: it is left out"
        if label.is_one_class
        else f"{label.name}: {label.present} films with it and {label.absent} without are too few: it is left out"
        for label in _others(data, learnable)
    ]
    few = tuple(label for label in learnable if label.present < FEW_POSITIVES)
    if few:
        what = f"{_counted(few)}: fewer than {FEW_POSITIVES} films show it; expect weak maps and wide intervals"
        warnings.append(what)
    return tuple(warnings)


def _others(data: DataFacts, kept: tuple[LabelFacts, ...]) -> tuple[LabelFacts, ...]:
    return tuple(label for label in data.labels if label not in kept)


def _one_class(label: LabelFacts) -> str:
    if label.present:
        return f"{label.name} is present on all {label.present} films that say anything of it"
    if label.absent:
        return f"{label.name} is absent on all {label.absent} films that say anything of it"
    return f"no film says anything of {label.name}"


def _counted(labels: tuple[LabelFacts, ...]) -> str:
    more = f" and {len(labels) - LISTED} more" if len(labels) > LISTED else ""
    return ", ".join(f"{label.name} ({label.present})" for label in labels[:LISTED]) + more
