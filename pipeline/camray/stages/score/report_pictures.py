"""Pictures of one split: the charts and example films collected for the report, with their file names."""

from collections.abc import Sequence
from dataclasses import dataclass

from camray.core.metrics.localization.annotated_films import number_patients
from camray.reporting.score_report.page import SplitReport
from camray.reporting.score_report.probability_table import probability_table
from camray.reporting.score_report.promise_table import promise_table
from camray.stages.score.chart_selection import CURVES, draw_charts
from camray.stages.score.example_films import draw_examples
from camray.stages.score.label_scores import SplitScores
from camray.stages.score.protocol_inputs import ProtocolInputs

_EXAMPLE = "-finding-"


@dataclass(frozen=True)
class SplitPictures:
    """One split of the page, and the pictures as files of their own: name to PNG."""

    page: SplitReport
    files: dict[str, bytes]


def split_pictures(inputs: ProtocolInputs, scores: SplitScores, notes: Sequence[str]) -> SplitPictures:
    """Draw all pictures of one split; none if ``score.pictures`` is off. The page also gets notes on its baselines."""
    films, draw, thresholds = inputs.films, inputs.settings.pictures, inputs.run.thresholds
    charts = draw_charts(inputs, scores) if draw else {}
    examples = draw_examples(inputs) if draw else []
    annotated = {image_id for items in films.items.values() for image_id in items.image_ids}
    page = SplitReport(
        split=films.split,
        films=len(films.films),
        patients=len(set(number_patients(films.films).values())),
        annotated=len(annotated),
        scores=scores.table,
        charts={title: png for name, (title, png) in charts.items() if name.split("-")[0] not in CURVES},
        pictures=examples,
        curves={title: png for name, (title, png) in charts.items() if name.split("-")[0] in CURVES},
        protocols=inputs.settings.protocols,
        notes=notes,
        probabilities=probability_table(scores.table, thresholds.calibrations),
        promises=promise_table(scores.table, thresholds.promises, thresholds.not_judged),
    )
    files = {f"{films.split}-{name}.png": png for name, (_, png) in charts.items()}
    for film in examples:  # numbers, not names: the name of a label never becomes a path
        number = inputs.run.labels.index(film.label)
        files[f"{films.split}{_EXAMPLE}{number:02d}-{film.rank}.png"] = film.png
    return SplitPictures(page, files)


def is_chart(file_name: str) -> bool:
    """Return whether a picture is a chart, not an example film."""
    return _EXAMPLE not in file_name
