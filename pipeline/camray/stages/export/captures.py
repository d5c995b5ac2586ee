"""Captures: the picture of one film with heat maps and boxes, for its DICOM objects."""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from camray.adapters.dicom.write.common_attributes import code_of
from camray.core.imaging.grayscale import to_unit_scale
from camray.domain.film_results import UNVERIFIED, FilmResult, FindingResult
from camray.domain.films import StoredFilm
from camray.io.explained_run import ExplainedRun
from camray.reporting.captured_film import CapturedFilm, CapturedFinding, colours_for, edge_markers
from camray.reporting.fonts import drawable_name
from camray.reporting.overlays import heat01_of
from camray.reporting.secondary_capture import display_shape, draw_capture, heat_on_film


def draw_picture(
    run: ExplainedRun, result: FilmResult, source: Dataset, stored: StoredFilm, longest_px: int
) -> NDArray[np.uint8]:
    """Draw the capture of one film.

    Parameters
    ----------
    run : ExplainedRun
        The run.
    result : FilmResult
        What is stated of the film.
    source : Dataset
        The film's header, from `read_source`: orientation, side, view and study date.
    stored : StoredFilm
        Stored values and grey scale.
    longest_px : int
        Limit of the film's sides on the picture.
    """
    film = run.films.film(result.image_id)
    shape = display_shape(film.shape_native, film.native_aspect, longest_px)
    colours = colours_for([each.name for each in result.findings], [each.name for each in result.reported])
    findings = [
        CapturedFinding(
            name=drawable_name(finding.name, code_of(finding.finding)),
            score=finding.certainty,
            note=_note(finding),
            rgb=colours[finding.name],
            heat01=heat01,
            boxes=tuple(scored.box for scored in finding.boxes),
        )
        for finding, heat01 in zip(result.reported, heat_maps(run, result, shape), strict=True)
    ]
    captured = CapturedFilm(
        pixels=to_unit_scale(stored.values, stored.grey),
        markers=edge_markers(source.PatientOrientation, source.get("ImageLaterality", "")),
        lines=((() if findings else ("No finding reported",)) + caption(result, source)),
        col_spacing_mm=film.col_spacing_mm,
    )
    return draw_capture(captured, findings, shape)


def _note(finding: FindingResult) -> str:
    """Return what the legend adds to a finding: the warning, and why there is no box or no probability."""
    why = [] if finding.boxes else ["the map holds no localization"]
    if finding.probability is None:
        why.append(f"no probability: {finding.no_probability}")
    return f"({UNVERIFIED})" + (f": {'; '.join(why)}" if why else "")


def heat_maps(run: ExplainedRun, result: FilmResult, shape: tuple[int, int]) -> list[NDArray[np.float32]]:
    """Return the maps of the reported findings on a grid of `shape` that covers the film, each 0-1."""
    film = run.films.film(result.image_id)
    maps = []
    for finding in result.reported:
        threshold = run.default_thresholds[finding.name]
        raw = run.heat(threshold.method, threshold.label, result.image_id)
        smooth = threshold.recipe.smooth
        maps.append(
            heat01_of(heat_on_film(raw, film.transform, run.grid.shape_model, film.shape_native, shape, smooth))
        )
    return maps


def caption(result: FilmResult, source: Dataset) -> tuple[str, ...]:
    """Return lines on film and model: view, side and study date if the header has them, and no identifier."""
    date = str(source.StudyDate or "")
    parts = (
        f"View {source.ViewPosition}" if source.get("ViewPosition") else "",
        f"side {source.ImageLaterality}" if source.get("ImageLaterality") else "",
        f"study of {date[:4]}-{date[4:6]}-{date[6:]}" if date else "",
    )
    algorithm = result.algorithm
    model = f"camray {algorithm.version}, model {algorithm.name} ({algorithm.model_digest[:12]}), {algorithm.method}"
    film = ", ".join(filter(None, parts))
    return (film, model) if film else (model,)
