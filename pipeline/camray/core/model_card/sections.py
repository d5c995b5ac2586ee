"""The model card as sections of lines and tables: every text is made from the facts of the run."""

from collections.abc import Mapping
from dataclasses import dataclass

from camray.core.metrics.group_summary import MEASURES, GroupNumber, overall_lines, weaker_texts
from camray.core.metrics.statistics import MEAN_LABEL
from camray.core.metrics.summary import HeadlineRow, baseline_text, number_text
from camray.core.model_card.facts import CardFacts, DataFacts
from camray.core.model_card.limits import limits_of
from camray.domain.contract import NetworkSpec

_NONE = "–"
_SHOWN_SHORTCUTS = 8
_SHOWN_GROUPS = 8
_SCORE_HEAD = (
    "split",
    "finding",
    "AUROC",
    "best trivial feature",
    "boxed films",
    "hit rate",
    "best trivial map",
    "IoU ≥ 0.3",
    "best trivial box",
    "without boxes",
)


@dataclass(frozen=True)
class CardTable:
    """A head, and rows as long as it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class CardSection:
    """A title, lines below it, and a table or none."""

    title: str
    lines: tuple[str, ...]
    table: CardTable | None = None


def card_sections(facts: CardFacts) -> list[CardSection]:
    """Write the sections of a model card.

    Parameters
    ----------
    facts : CardFacts
        Of the run that trained the network.

    Returns
    -------
    list of CardSection
        In the order of the card; plain texts that are not escaped.
    """
    return [
        CardSection("Intended use", _use(facts)),
        CardSection("Data", _sources(facts.data), _split_table(facts.data)),
        CardSection("Labels", _labelling(facts), _label_table(facts)),
        CardSection("Network", _network(facts)),
        CardSection("Initial weights", _start(facts.contract.starting_weights)),
        CardSection("Scores", _score_notes(facts), _score_table(facts)),
        CardSection("Reported, not reported, not judged", _promises(facts)),
        CardSection("Groups of patients and films", _group_notes(facts), _group_table(facts)),
        CardSection("Limits", tuple(limits_of(facts.scores, facts.contract.labels))),
        CardSection("Shortcuts", _shortcuts(facts)),
        CardSection("Versions and digests", _versions(facts)),
    ]


def _use(facts: CardFacts) -> tuple[str, ...]:
    return (
        f"Marks {', '.join(facts.contract.labels)} on chest radiographs like those below: a probability for each "
        "finding, and boxes made from heat maps.",
        "For research, and as a hint to a radiologist who reads the film. Not a medical device; not for films that "
        "nobody reads.",
        "Boxes show where the network found evidence. They are not outlines of lesions.",
    )


def _sources(data: DataFacts) -> tuple[str, ...]:
    known = {"sites": data.sites, "manufacturers": data.makers}
    counted = ", ".join(f"{what} {count}" for what, count in known.items() if count)
    return (
        f"Data set: {data.name} ({data.title}). Licence: {data.licence}.",
        f"Views: {_counts(data.views)}. Modalities: {_counts(data.modalities)}.",
        f"Known sources: {counted or 'none named'}.",
        f"Splits: {'as published' if data.is_official else 'at random by patient'}; no patient is in two of them.",
        f"Refused files: {_counts(data.refusals)}.",
    )


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or 'not named'} {count:,}" for name, count in counts.items()) or "none"


def _split_table(data: DataFacts) -> CardTable:
    rows = ((name, *map(str, (part.films, part.patients, part.boxed_films))) for name, part in data.splits.items())
    return CardTable(("split", "films", "patients", "films with boxes"), tuple(rows))


def _labelling(facts: CardFacts) -> tuple[str, ...]:
    data = facts.data
    readers = f"{data.readers} reader(s)" if data.readers else "readers who are not named"
    boxed = sum(part.boxed_films for part in data.splits.values())
    return (
        "Training used image-level labels of the data set's tables alone, and no box.",
        f"{data.uncertain:,} entries are uncertain; they count as unknown. The table counts present of known entries.",
        f"Boxes on {boxed:,} films by {readers}: those of the validation split may choose thresholds, those of the "
        "scored splits score."
        if boxed
        else "No film has a box.",
    )


def _label_table(facts: CardFacts) -> CardTable:
    splits = facts.data.splits
    rows = [
        (label, *("{} of {}".format(*part.labels.get(label, (0, 0))) for part in splits.values()))
        for label in facts.contract.labels
    ]
    return CardTable(("finding", *splits), tuple(rows))


def _network(facts: CardFacts) -> tuple[str, ...]:
    contract, spec = facts.contract, facts.contract.network
    return (
        f"{_architecture(spec)}; {contract.feature_rows} x {contract.feature_cols} feature cells.",
        f"Input: one grey channel of {contract.rows} x {contract.cols} px, {contract.fit}, {contract.bits} bits "
        f"({contract.grey_scale}).",
        f"Training: {'; '.join(facts.training)}.",
    )


def _architecture(spec: NetworkSpec) -> str:
    parts = [spec.backbone, f"pool {spec.pool}", f"stride {spec.stride}", f"head {spec.head}"]
    parts += [f"fusion {spec.fusion}"] * (spec.fusion != "none")
    parts += [f"{spec.members} networks, averaged"] * (spec.members > 1)
    return ", ".join(parts)


def _start(starting_weights: str) -> tuple[str, ...]:
    if not starting_weights:
        return ("Random, drawn from the seed.",)
    if "package" in starting_weights:
        return (f"{starting_weights}.", "The licence is the package's; that of the pictures is to be checked.")
    return (
        f"A local file: {starting_weights}.",
        "Its licence is not known to camray: check at the source whether use and redistribution are permitted.",
    )


def _score_notes(facts: CardFacts) -> tuple[str, ...]:
    if not facts.scores:
        return ("The run has no scores.",)
    return (
        f"Numbers in brackets: {facts.intervals}. Each number stands beside the best trivial baseline, which does not "
        "look for lesions.",
        "Without boxes: IoU ≥ 0.3 where image labels alone, or fixed rules, choose the threshold.",
    )


def _score_table(facts: CardFacts) -> CardTable | None:
    return CardTable(_SCORE_HEAD, tuple(map(_score_row, facts.scores))) if facts.scores else None


def _score_row(row: HeadlineRow) -> tuple[str, ...]:
    hit, iou = row.hit_rate, row.iou_accuracy
    is_mean = row.label == MEAN_LABEL
    return (
        row.split,
        "mean of findings" if is_mean else row.label,
        row.auroc.text() if row.auroc else _NONE,
        baseline_text(row.auroc_probe),
        _NONE if is_mean or hit.ours is None else str(hit.ours.n),
        hit.ours.text() if hit.ours else _NONE,
        baseline_text(hit.baseline),
        iou.ours.text() if iou.ours else _NONE,
        baseline_text(iou.baseline),
        row.without_boxes.text() if row.without_boxes else number_text(None),
    )


def _promises(facts: CardFacts) -> tuple[str, ...]:
    if not facts.promises:
        return ("Nothing is promised: each finding is reported from one cutoff on.",)
    return (
        "A film between the two cutoffs of a finding is not judged. Sensitivity: share of the films with the finding "
        "on which it is reported or not judged. PPV: share of the reported that show it, at the prevalence of the "
        "validation films. Both hold for films like those.",
        *facts.promises,
    )


def _group_notes(facts: CardFacts) -> tuple[str, ...]:
    if not facts.groups:
        return ("Not compared: the run has no scores, or no column of its films has several groups.",)
    weaker = weaker_texts(facts.groups)
    shown = [f"Weaker than all other films: {text}." for text in weaker[:_SHOWN_GROUPS]]
    more = [f"And {len(weaker) - _SHOWN_GROUPS} more in the score report."] if len(weaker) > _SHOWN_GROUPS else []
    none = ["No group is shown to be weaker than all other films."] if not weaker else []
    about = "the mean of findings" if overall_lines(facts.groups)[0].label == MEAN_LABEL else facts.groups[0].label
    return (
        *shown,
        *more,
        *none,
        f"The table has {about}, with the difference to all other films; intervals of differences hold for all of a "
        "split at once. Groups are not matched, and small ones would have to be much weaker to be noticed.",
    )


def _group_table(facts: CardFacts) -> CardTable | None:
    lines = overall_lines(facts.groups)
    titles = [title for title in MEASURES.values() if any(line.by_title([title])[0] for line in lines)]
    rows = [(line.split, line.group, *(_group_text(number) for number in line.by_title(titles))) for line in lines]
    return CardTable(("split", "group", *titles), tuple(rows)) if rows else None


def _group_text(number: GroupNumber | None) -> str:
    if number is None:
        return _NONE
    if not number.value.is_defined:
        return "too few"
    return "; ".join(filter(None, (f"{number.value.value:.2f}", number.difference_text)))


def _shortcuts(facts: CardFacts) -> tuple[str, ...]:
    if facts.shortcuts is None:
        return ("Not looked for: the films were ingested without an audit.",)
    if not facts.shortcuts:
        return ("The audit found none among the features that it probes.",)
    more = len(facts.shortcuts) - _SHOWN_SHORTCUTS
    rest = (f"And {more} more, which the audit lists.",) if more > 0 else ()
    return (*facts.shortcuts[:_SHOWN_SHORTCUTS], *rest)


def _versions(facts: CardFacts) -> tuple[str, ...]:
    stages = ", ".join(f"{stage} {version}" for stage, version in facts.versions.items())
    return (
        f"camray by stage: {stages}. Seed: {facts.contract.seed}.",
        f"Again: camray run runs/{facts.name}; the run's folder has its settings.",
        f"Weights: sha256 {facts.weights_sha256}. Training data: digest {facts.contract.data_digest}.",
    )
