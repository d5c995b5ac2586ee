import numpy as np
import pytest

from camray.domain.errors import DicomError
from camray.domain.films import FilmHeader, FilmPolicy, GreyScale, LookupTable, VoiWindow, check_aspect
from camray.domain.records import RefusalReason

POLICY = FilmPolicy(modalities=("CR", "DX"), body_parts=("CHEST", ""), views=("PA", "AP", ""))


def header(modality: str = "DX", body_part: str = "CHEST", view: str = "PA") -> FilmHeader:
    return FilmHeader("1.2.3", modality=modality, body_part=body_part, view=view)


@pytest.mark.parametrize(
    ("grey", "voi"),
    [
        (GreyScale(), "none"),
        (GreyScale(windows=(VoiWindow(1.0, float("nan")),)), "none"),
        (GreyScale(windows=(VoiWindow(100.0, 50.0),)), "window"),
        (
            GreyScale(windows=(VoiWindow(100.0, 50.0),), voi_luts=(LookupTable(0, np.arange(3, dtype=np.uint16), 8),)),
            "table",
        ),
    ],
)
def test_which_voi_transform_a_header_has(grey: GreyScale, voi: str) -> None:
    assert grey.voi == voi


@pytest.mark.parametrize("body_part", ["CHEST", "CHEST PA", "PORT_CHEST", ""])
def test_policy_lets_wanted_films_in(body_part: str) -> None:
    POLICY.check(header(body_part=body_part))


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (header(modality="CT"), RefusalReason.WRONG_MODALITY),
        (header(modality=""), RefusalReason.WRONG_MODALITY),
        (header(body_part="HIP"), RefusalReason.WRONG_BODY_PART),
        (header(body_part="CHESTNUT"), RefusalReason.WRONG_BODY_PART),
        (header(body_part="HIP "), RefusalReason.WRONG_BODY_PART),  # the empty word of a split is no unknown
        (header(view="LL"), RefusalReason.WRONG_VIEW),
        (header(modality="CT", view="LL"), RefusalReason.WRONG_MODALITY),
    ],
)
def test_policy_names_what_is_unwanted(found: FilmHeader, reason: RefusalReason) -> None:
    with pytest.raises(DicomError) as refused:
        POLICY.check(found)
    assert refused.value.reason == reason


def test_unknown_values_are_refused_where_the_empty_word_is_not_listed() -> None:
    with pytest.raises(DicomError) as refused:
        FilmPolicy(views=("PA",)).check(header(view=""))
    assert refused.value.reason == RefusalReason.WRONG_VIEW


def test_empty_policy_lets_everything_in() -> None:
    FilmPolicy().check(header("US", "HIP", "LL"))


def test_free_text_in_a_code_field_is_not_repeated() -> None:
    with pytest.raises(DicomError) as refused:
        POLICY.check(header(body_part="CHESTOF CANARY^YELLOW 1970"))
    assert "CANARY" not in refused.value.message


def test_header_does_not_print_identifiers() -> None:
    assert "CANARY" not in repr(FilmHeader("1.2.3", patient_id="CANARY-7", study_uid="CANARY"))


@pytest.mark.parametrize(
    ("window", "is_valid"),
    [
        (VoiWindow(0, 1), True),
        (VoiWindow(0, 0.5), False),
        (VoiWindow(0, 0.5, "LINEAR_EXACT"), True),
        (VoiWindow(0, 0, "SIGMOID"), False),
        (VoiWindow(0, -5), False),
        (VoiWindow(float("nan"), 100), False),
        (VoiWindow(0, float("inf")), False),
    ],
)
def test_windows_are_valid_as_the_standard_says(window: VoiWindow, is_valid: bool) -> None:
    assert window.is_valid is is_valid


@pytest.mark.parametrize(
    ("photometric", "shape", "is_inverted"),
    [
        ("MONOCHROME1", "", True),
        ("MONOCHROME1", "INVERSE", True),  # said twice, done once
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", "", False),
    ],
)
def test_inversion(photometric: str, shape: str, is_inverted: bool) -> None:
    assert GreyScale(photometric=photometric, presentation_lut_shape=shape).is_inverted is is_inverted


@pytest.mark.parametrize("shape", [(64, 641), (641, 64), (100, 100, 11.0, 1.0), (100, 100, 1.0, 11.0)])
def test_a_strip_is_refused(shape: tuple[float, ...]) -> None:
    with pytest.raises(DicomError) as refused:
        check_aspect(*shape)  # type: ignore[arg-type]
    assert refused.value.reason == RefusalReason.TOO_SMALL


@pytest.mark.parametrize("shape", [(64, 640), (640, 64), (100, 900, 10.0, 1.0), (100, 900, None, 0.1)])
def test_a_narrow_film_is_no_strip(shape: tuple[float, ...]) -> None:
    check_aspect(*shape)  # type: ignore[arg-type]
