"""The preparation of films: legal values, and there and back through JSON."""

from dataclasses import asdict

import pytest

from camray.domain.preparation import UNCHANGED, FilmPreparation, preparation_from_json


def test_there_and_back_and_older_files_change_nothing() -> None:
    given = FilmPreparation(mask_border=0.1, mask_markers=True, equalize=True)
    assert preparation_from_json(asdict(given)) == given
    assert preparation_from_json({}) == UNCHANGED
    assert UNCHANGED.is_identity
    assert not given.is_identity


@pytest.mark.parametrize("margin", [-0.1, 1.0])
def test_a_crop_has_a_margin_within_the_film(margin: float) -> None:
    with pytest.raises(ValueError, match="crop_margin"):
        FilmPreparation(crop_lungs=True, crop_margin=margin)


def test_only_what_looks_at_lungs_needs_them() -> None:
    assert FilmPreparation(mask_markers=True).needs_lungs
    assert FilmPreparation(crop_lungs=True).needs_lungs
    assert not FilmPreparation(mask_border=0.1, equalize=True).needs_lungs


@pytest.mark.parametrize("border", [-0.01, 0.3, float("nan")])
def test_a_border_that_leaves_no_film_is_refused(border: float) -> None:
    with pytest.raises(ValueError, match="mask_border"):
        FilmPreparation(mask_border=border)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValueError, match="newer version"):
        preparation_from_json({"mask_everything": True})
