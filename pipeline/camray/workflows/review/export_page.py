"""Review page of a run: a folder that radiologists open in a browser, from the disk.

Reads   ``ingest/`` (films, labels, annotations), ``explain/`` (maps), ``localize/`` (boxes, thresholds); the films
Writes  ``review/``
Run     ``camray review runs/phantom``
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from camray.adapters.progress import progress
from camray.adapters.review.page_folder import write_page
from camray.adapters.run_folders.digests import digest_of
from camray.adapters.run_folders.finished_outputs import file_digest
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.domain.errors import PipelineError, SettingsError
from camray.io.artifacts import artifacts_of
from camray.io.explained_run import open_explained_run
from camray.reporting.review_page.page import PictureFormat, review_page_files
from camray.reporting.review_page.records import PageFilm
from camray.workflows.review.display_images import display_film_of, draw_films
from camray.workflows.review.page_films import ReviewedFilms
from camray.workflows.review.page_run import page_run_of

DISPLAY_PX = 1024


@dataclass(frozen=True)
class BuiltPage:
    """Result of an export: the page, its films, how many of them only at model resolution, and its size."""

    index: Path
    films: int
    coarse: int
    size_bytes: int


def build(
    settings: Settings,
    folder: RunFolder,
    *,
    splits: Sequence[str] = (),
    annotations: bool = True,
    display_px: int = DISPLAY_PX,
    picture: PictureFormat = "png",
) -> BuiltPage:
    """Build the review page of a finished run.

    Parameters
    ----------
    settings : Settings
        The run's own.
    folder : RunFolder
        The run; `folder.trained` where its network is another run's and uses prior maps.
    splits : sequence of str
        Splits to show; those of ``export.splits`` by default.
    annotations : bool
        Put the annotations on the page. Leave them out where readers must not find them.
    display_px : int
        Longest side of a film's picture.
    picture : {'png', 'webp'}
        Format of the pictures.

    Raises
    ------
    PipelineError
        If a stage has not happened.
    SettingsError
        If no film is left to show.
    """
    digest, run = run_digest(folder), open_explained_run(folder)
    films = ReviewedFilms(run, settings.localize.report, with_annotations=annotations)
    page_run = page_run_of(run, settings, digest, has_annotations=films.has_annotations)
    splits = splits or settings.export.splits
    image_ids = [str(image_id) for image_id in run.explained["image_id"][run.explained["split"].isin(splits)]]
    if not image_ids:
        existing = ", ".join(sorted(set(run.explained["split"])))
        raise SettingsError(f"{folder.root}: no explained film is of split {', '.join(splits)}; there are: {existing}")
    drawn = draw_films(settings, folder, display_px, [display_film_of(run, image_id) for image_id in image_ids])
    pictures = progress(zip(image_ids, drawn, strict=True), len(image_ids), "drawing films")
    coarse: list[str] = []

    def page_films() -> Iterator[PageFilm]:
        for image_id, (grey, note) in pictures:
            if note:
                coarse.append(image_id)
            yield films.page_film(image_id, grey, note)

    files = artifacts_of(folder).review
    size = write_page(files.folder, review_page_files(page_run, image_ids, page_films(), picture))
    return BuiltPage(files.index, len(image_ids), len(coarse), size)


def run_digest(folder: RunFolder) -> str:
    """Digest what decisions refer to: the run's boxes and thresholds, and the findings' order."""
    files = artifacts_of(folder).localize
    paths = (files.predictions.path, files.thresholds.path)
    for path in paths:
        if not path.is_file():
            raise PipelineError(f"{path}: no boxes; run the localize stage first")
    return digest_of([file_digest(path) for path in paths])[:16]
