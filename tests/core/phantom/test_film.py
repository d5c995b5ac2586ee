import numpy as np
import pytest

from camray.core.phantom.film import PhantomFilm, render_film
from camray.core.phantom.findings import CARDIOMEGALY, FINDINGS
from camray.domain.geometry import Box, box_from_mask, iou

ROWS = 64


@pytest.fixture(scope="module")
def films() -> list[PhantomFilm]:
    return [render_film(3, index, ROWS) for index in range(260)]


def fractions(film: PhantomFilm, finding: str) -> list[Box]:
    """Boxes of a finding in fractions of the film."""
    rows, cols = film.image.shape
    boxes = [box_from_mask(mask) for mask in film.masks.get(finding, ())]
    return [Box(b.x0 / cols, b.y0 / rows, b.x1 / cols, b.y1 / rows) for b in boxes if b is not None]


def test_equal_arguments_give_equal_bytes(films: list[PhantomFilm]) -> None:
    again = render_film(3, 41, ROWS)  # alone and out of turn
    assert again.image.tobytes() == films[41].image.tobytes()
    assert again.meta == films[41].meta
    for finding, masks in films[41].masks.items():
        assert all((a == b).all() for a, b in zip(again.masks[finding], masks, strict=True))


def test_seed_and_index_both_matter(films: list[PhantomFilm]) -> None:
    assert render_film(4, 0, ROWS).image.tobytes() != films[0].image.tobytes() != films[1].image.tobytes()


@pytest.mark.parametrize(("seed", "index", "rows"), [(-1, 0, 96), (0, -1, 96), (0, 0, 63)])
def test_arguments_out_of_range_are_refused(seed: int, index: int, rows: int) -> None:
    with pytest.raises(ValueError, match="need seed"):
        render_film(seed, index, rows)


def test_greys_fill_the_declared_scale(films: list[PhantomFilm]) -> None:
    for film in films:
        assert film.image.dtype == np.float32
        assert film.image.min() >= 0
        assert film.image.max() <= 1
        assert film.image.std() > 0.05


def test_films_come_in_every_format(films: list[PhantomFilm]) -> None:
    shapes = [film.image.shape for film in films]
    assert any(rows > cols for rows, cols in shapes)
    assert any(rows < cols for rows, cols in shapes)
    skewed = [film for film in films if abs(film.meta.row_spacing_mm / film.meta.col_spacing_mm - 1) > 0.1]
    assert 5 < len(skewed) < 60
    for film in films:
        tall = film.image.shape[0] * film.meta.row_spacing_mm
        assert min(abs(tall - known) for known in (300, 350, 400, 430)) < 1e-6


def test_masks_name_findings_in_order_and_are_never_empty(films: list[PhantomFilm]) -> None:
    for film in films:
        assert list(film.masks) == [finding for finding in FINDINGS if finding in film.masks]
        assert all(mask.any() and mask.shape == film.image.shape for masks in film.masks.values() for mask in masks)
    assert 0.26 < np.mean([not film.masks for film in films]) < 0.42


def test_the_right_lung_lies_left_in_the_picture(films: list[PhantomFilm]) -> None:
    for film in films:
        right, left = (np.nonzero(film.lung_masks[name])[1].mean() for name in ("lung_right", "lung_left"))
        assert right < left


def test_healthy_lungs_are_darker_than_what_lies_between_them(films: list[PhantomFilm]) -> None:
    for film in [film for film in films if not film.masks]:
        lung = film.lung_masks["lung_right"] | film.lung_masks["lung_left"]
        row = int(np.argmax(lung.sum(axis=1)))
        columns = np.flatnonzero(lung[row])
        gap = int(np.argmax(np.diff(columns)))
        between = slice(columns[gap] + 1, columns[gap + 1])
        assert film.image[row, between].mean() > film.image[row][lung[row]].mean() + 0.05


def test_thirteen_films_show_ten_patients(films: list[PhantomFilm]) -> None:
    assert [film.meta.patient for film in films[:14]] == [0, 1, 2, 2, 3, 4, 5, 6, 6, 7, 8, 9, 9, 10]
    for film in films:
        twins = [other.meta for other in films if other.meta.patient == film.meta.patient]
        assert len({(meta.sex, meta.age_years) for meta in twins}) == 1


@pytest.mark.parametrize("finding", FINDINGS)
def test_no_fixed_place_finds_a_finding(films: list[PhantomFilm], finding: str) -> None:
    # an enlarged heart fills a sixth of the film and always lies between the lungs: a fixed place does best there
    most_hits, most_boxes = (0.75, 0.7) if finding == CARDIOMEGALY else (0.45, 0.3)
    boxes = [found for film in films if (found := fractions(film, finding))]
    assert len(boxes) > 50
    at = (np.arange(50) + 0.5) / 50
    best = max(np.mean([any(b.contains_xy(x, y) for b in found) for found in boxes]) for x in at for y in at)
    assert best < most_hits
    mean = Box(*np.mean([b.as_tuple() for found in boxes for b in found], axis=0))
    assert np.mean([max(iou(mean, b) for b in found) >= 0.3 for found in boxes]) < most_boxes


@pytest.mark.parametrize("finding", FINDINGS)
def test_brightness_does_not_give_a_finding_away(films: list[PhantomFilm], finding: str) -> None:
    present = np.array([finding in film.masks for film in films])
    means = np.array([film.image.mean() for film in films])
    brighter = (means[present][:, None] > means[~present][None, :]).mean()  # the AUC of the mean grey
    assert 0.35 < brighter < 0.65
