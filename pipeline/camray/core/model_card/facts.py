"""Facts of a trained network that its model card states. Counts only: no film, patient or reader is named."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from camray.core.metrics.group_summary import GroupLine
from camray.core.metrics.summary import HeadlineRow
from camray.domain.contract import ModelContract


@dataclass(frozen=True)
class SplitFacts:
    """Films of one split: how many, of how many patients, with boxes; and per label (present, known)."""

    films: int
    patients: int
    boxed_films: int
    labels: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class DataFacts:
    """Where films and labels come from.

    Parameters
    ----------
    name, title, licence : str
        Of the data manifest.
    splits : mapping of str to SplitFacts
        In the order train, validation, test.
    views, modalities, refusals : mapping of str to int
        Films by view and modality, refused files by reason.
    sites, makers, readers : int
        How many different ones are known; 0: unknown.
    uncertain : int
        Label entries that are uncertain, and not used.
    is_official : bool
        The splits are published ones.
    """

    name: str
    title: str
    licence: str
    splits: Mapping[str, SplitFacts]
    views: Mapping[str, int]
    modalities: Mapping[str, int]
    refusals: Mapping[str, int]
    sites: int
    makers: int
    readers: int
    uncertain: int
    is_official: bool


@dataclass(frozen=True)
class CardFacts:
    """Everything that a model card is made from.

    Parameters
    ----------
    name : str
        Of the experiment.
    contract : ModelContract
        Labels, input and architecture.
    data : DataFacts
        Films and labels.
    training : sequence of str
        How it was trained, as settings with their values.
    scores : sequence of HeadlineRow
        Empty without scores.
    intervals : str
        What the intervals are.
    groups : sequence of GroupLine
        Scores by group of films; empty where none are known.
    shortcuts : sequence of str, or None
        Warnings and suggestions of the ingest audit; None: no audit was made.
    promises : sequence of str
        What reporting promises of each finding, or why nothing.
    versions : mapping of str to str
        Version of camray by stage.
    weights_sha256 : str
        Digest of the weights.
    """

    name: str
    contract: ModelContract
    data: DataFacts
    training: Sequence[str]
    scores: Sequence[HeadlineRow] = ()
    intervals: str = ""
    groups: Sequence[GroupLine] = ()
    shortcuts: Sequence[str] | None = None
    promises: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    weights_sha256: str = ""
