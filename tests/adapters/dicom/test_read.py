import logging
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import Dataset, FileDataset, dcmread, uid
from pydicom.data import get_testdata_file
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from camray.adapters.dicom.read.image import read_dicom
from camray.domain.errors import ImageError, PixelError
from camray.domain.films import FilmPolicy, VoiWindow
from camray.domain.records import RefusalReason as Reason
from tests.film_factory import FilmRecipe, film_dataset, lut_item

Write = Callable[..., Path]
LOSSLESS = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
)


def refusal(path: Path, policy: FilmPolicy | None = None) -> ImageError:
    with pytest.raises(ImageError) as refused:
        read_dicom(path, policy)
    return refused.value


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: uid.UID(syntax).name)
@pytest.mark.parametrize("is_signed", [False, True])
def test_lossless_encodings_give_the_stored_values(write_film: Write, syntax: str, is_signed: bool) -> None:
    recipe = FilmRecipe(syntax=syntax, is_signed=is_signed)
    film = read_dicom(write_film(recipe), None)
    np.testing.assert_array_equal(film.values, recipe.stored)
    assert film.header.transfer_syntax == syntax
    assert film.values.dtype.isnative


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("allocated", "stored"), [(8, 8), (8, 6), (16, 10), (16, 12), (16, 16), (32, 20)])
@pytest.mark.parametrize("is_signed", [False, True])
def test_bit_layouts(write_film: Write, photometric: str, allocated: int, stored: int, is_signed: bool) -> None:
    recipe = FilmRecipe(
        photometric=photometric, bits_allocated=allocated, bits_stored=stored, is_signed=is_signed, rows=101, cols=77
    )
    film = read_dicom(write_film(recipe), None)
    np.testing.assert_array_equal(film.values, recipe.stored)  # inversion is not the reader's
    assert (film.grey.photometric, film.grey.bits_stored, film.grey.is_signed) == (photometric, stored, is_signed)


@pytest.mark.parametrize("syntax", [uid.ExplicitVRLittleEndian, uid.RLELossless])
@pytest.mark.parametrize("is_signed", [False, True])
def test_unused_bits_are_masked_on_both_sides(write_film: Write, syntax: str, is_signed: bool) -> None:
    recipe = FilmRecipe(bits_stored=10, high_bit=12, dirt=0b1110_0000_0000_0101, syntax=syntax, is_signed=is_signed)
    np.testing.assert_array_equal(read_dicom(write_film(recipe), None).values, recipe.stored)


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_moved_high_bit_inside_a_codec_is_refused(write_film: Write, syntax: str) -> None:
    path = write_film(FilmRecipe(syntax=syntax))
    ds = dcmread(path)
    ds.HighBit = 13
    ds.save_as(path)
    assert refusal(path).reason == Reason.UNSUPPORTED_BITS


@pytest.mark.parametrize("elements", [{"BitsStored": 17}, {"HighBit": 16}, {"HighBit": 10}, {"BitsAllocated": 12}])
def test_impossible_bits_are_refused(write_film: Write, elements: dict[str, int]) -> None:
    assert refusal(write_film(FilmRecipe(), **elements)).reason == Reason.UNSUPPORTED_BITS


def test_eight_bit_words_in_big_endian(tmp_path: Path) -> None:
    recipe = FilmRecipe(bits_allocated=8, bits_stored=8, rows=65, cols=65)  # an odd number of pixels
    ds = film_dataset(recipe)
    ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
    ds.file_meta.TransferSyntaxUID = uid.ExplicitVRBigEndian
    ds.save_as(tmp_path / "film.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(read_dicom(tmp_path / "film.dcm", None).values, recipe.stored)


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("MR_small_RLE.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
        ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
        ("JPGExtended.dcm", "JPEG-lossy.dcm"),  # 12 bit: SimpleITK's turn
    ],
)
def test_published_files_equal_their_twins(name: str, twin: str) -> None:
    first, second = (read_dicom(Path(str(get_testdata_file(file))), None) for file in (name, twin))
    np.testing.assert_array_equal(first.values, second.values)


def test_twelve_bit_jpeg_is_neither_inverted_nor_rescaled(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    source = Path(str(get_testdata_file("JPGExtended.dcm")))
    ds = dcmread(source)
    ds.PhotometricInterpretation, ds.RescaleSlope, ds.RescaleIntercept = "MONOCHROME1", "2", "-7"
    ds.save_as(tmp_path / "film.dcm")
    plain, turned = read_dicom(source, None), read_dicom(tmp_path / "film.dcm", None)
    np.testing.assert_array_equal(turned.values, plain.values)
    assert int(plain.values.max()) > 255
    assert capfd.readouterr().err == ""  # libjpeg complains on file descriptor 2


def test_j2k_that_says_unsigned_in_a_signed_header() -> None:
    values = read_dicom(Path(str(get_testdata_file("J2K_pixelrep_mismatch.dcm"))), None).values
    assert int(values.min()) == -2000  # the published value of its corners


def test_header_goes_through_the_allow_list(write_film: Write) -> None:
    path = write_film(FilmRecipe(), PixelSpacing=["0.2", "0.1"], Manufacturer="Maker", BurnedInAnnotation="NO")
    header = read_dicom(path, None).header
    assert (header.image_id, header.patient_id) == ("1.2.826.0.1.3680043.8.498.1", "CANARY-7")
    assert (header.modality, header.body_part, header.view, header.laterality) == ("DX", "CHEST", "PA", "U")
    assert (header.sex, header.age_years, header.rows, header.cols) == ("F", 45, 96, 80)
    assert (header.row_spacing_mm, header.col_spacing_mm, header.spacing_source) == (0.2, 0.1, "pixel")
    assert (header.manufacturer, header.burned_in, header.lossy) == ("Maker", "NO", False)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"ImagerPixelSpacing": ["0.3", "0.2"]}, (0.3, 0.2, "imager")),
        ({"PixelSpacing": ["0", "0"], "ImagerPixelSpacing": ["0.3", "0.2"]}, (0.3, 0.2, "imager")),
        ({"PixelAspectRatio": ["3", "2"]}, (3.0, 2.0, "aspect")),
        ({"NominalScannedPixelSpacing": ["0.1", "0.1"]}, (0.1, 0.1, "nominal")),
        ({"PixelSpacing": ["0.1", "5"]}, (None, None, "none")),
        ({}, (None, None, "none")),
    ],
)
def test_spacing(write_film: Write, elements: dict[str, Any], expected: tuple[Any, ...]) -> None:
    header = read_dicom(write_film(FilmRecipe(spacing_mm=None), **elements), None).header
    assert (header.row_spacing_mm, header.col_spacing_mm, header.spacing_source) == expected


def view_code(value: str) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "SCT", "x"
    return Sequence([item])


@pytest.mark.parametrize(
    ("elements", "view"),
    [
        ({"ViewPosition": "ap"}, "AP"),
        ({"ViewPosition": "XX"}, ""),
        ({"ViewPosition": "", "ViewCodeSequence": view_code("272479007")}, "PA"),
        ({"ViewPosition": "", "ViewCodeSequence": view_code("399198007")}, "RL"),
        ({"ViewPosition": "", "PatientPosition": "AP"}, "AP"),
        ({"ViewPosition": "", "PatientPosition": "HFS"}, ""),
        ({"ViewPosition": "LL", "PatientPosition": "AP"}, "LL"),
    ],
)
def test_view(write_film: Write, elements: dict[str, Any], view: str) -> None:
    assert read_dicom(write_film(FilmRecipe(), **elements), None).header.view == view


@pytest.mark.parametrize(("text", "years"), [("006M", 0.5), ("014D", 14 / 365.25), ("051", 51), ("", None)])
def test_age(write_film: Write, text: str, years: float | None) -> None:
    assert read_dicom(write_film(FilmRecipe(), PatientAge=text), None).header.age_years == years


def test_windows_keep_their_order_and_function(write_film: Write) -> None:
    elements = {"WindowCenter": ["40", "50"], "WindowWidth": ["400", "0"], "VOILUTFunction": "SIGMOID"}
    grey = read_dicom(write_film(FilmRecipe(), **elements), None).grey
    assert grey.windows == (VoiWindow(40, 400, "SIGMOID"), VoiWindow(50, 0, "SIGMOID"))


def test_window_without_a_width_is_invalid(write_film: Write) -> None:
    grey = read_dicom(write_film(FilmRecipe(), WindowCenter=["40", "50"], WindowWidth=""), None).grey
    assert not any(window.is_valid for window in grey.windows)


def test_lookup_tables(write_film: Write) -> None:
    path = write_film(
        FilmRecipe(is_signed=True),
        ModalityLUTSequence=lut_item(-2048, list(range(4096)), 12, is_signed=True),
        VOILUTSequence=lut_item(0, [0, 4095, 100], 12),
    )
    grey = read_dicom(path, None).grey
    assert grey.modality_lut is not None
    assert (grey.modality_lut.first_mapped, grey.modality_lut.bits, grey.modality_lut.entries.size) == (-2048, 12, 4096)
    assert grey.voi_luts[0].entries.tolist() == [0, 4095, 100]


def test_lookup_table_of_65536_entries_and_of_packed_bytes(write_film: Write) -> None:
    packed = Dataset()
    packed.add_new("LUTDescriptor", "US", [4, 0, 8])
    packed.add_new("LUTData", "OW", bytes([1, 2, 3, 255]))
    path = write_film(
        FilmRecipe(),
        ModalityLUTSequence=lut_item(0, list(range(65536)), 16),
        VOILUTSequence=Sequence([packed]),
    )
    grey = read_dicom(path, None).grey
    assert grey.modality_lut is not None
    assert grey.modality_lut.entries[[0, -1]].tolist() == [0, 65535]
    assert grey.voi_luts[0].entries.tolist() == [1, 2, 3, 255]


def test_unusable_modality_lut_is_refused_and_voi_lut_left_out(write_film: Write) -> None:
    short = lut_item(0, [1, 2, 3], 12)
    short[0].LUTDescriptor = [4096, 0, 12]
    assert read_dicom(write_film(FilmRecipe(), VOILUTSequence=short), None).grey.voi_luts == ()
    assert refusal(write_film(FilmRecipe(), ModalityLUTSequence=short)).reason == Reason.UNREADABLE_HEADER


@pytest.mark.parametrize(
    ("is_signed", "ends", "padding"),
    [
        (True, {"US": 63536, "SS": -1990}, (-2000, -1990)),  # the first under the wrong representation
        (True, {"US": 0x8000}, (-0x8000, -0x8000)),  # the lowest signed value, as many films have it
        (True, {"US": 0x7FFF}, (0x7FFF, 0x7FFF)),  # the highest
        (False, {"SS": -1}, (0xFFFF, 0xFFFF)),
        (False, {"SS": 0}, (0, 0)),
        (False, {"US": 0x8000}, (0x8000, 0x8000)),
    ],
)
def test_padding_takes_the_pixels_sign(
    write_film: Write, is_signed: bool, ends: dict[str, int], padding: tuple[int, int]
) -> None:
    path = write_film(FilmRecipe(is_signed=is_signed, bits_stored=16))
    ds = dcmread(path)
    for keyword, (representation, value) in zip(
        ("PixelPaddingValue", "PixelPaddingRangeLimit"), ends.items(), strict=False
    ):
        ds.add_new(keyword, representation, value)
    ds.save_as(path)
    assert read_dicom(path, None).grey.padding == padding


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"NumberOfFrames": 2}, Reason.MULTI_FRAME),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, Reason.COLOUR),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, Reason.COLOUR),
        ({"PhotometricInterpretation": None}, Reason.UNREADABLE_HEADER),
        ({"Rows": 63}, Reason.TOO_SMALL),
        ({"Rows": 65535, "Columns": 65535}, Reason.UNREADABLE_PIXELS),
        ({"Rows": 97}, Reason.TRUNCATED),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, Reason.UNREADABLE_PIXELS),  # twice the bytes
        ({"Rows": 95}, Reason.UNREADABLE_PIXELS),  # cut
        ({"Columns": 79}, Reason.UNREADABLE_PIXELS),  # sheared
        ({"Rows": None, "Columns": None, "PixelData": None}, Reason.NO_PIXELS),
        ({"PixelData": None}, Reason.NO_PIXELS),
        ({"PixelData": b""}, Reason.NO_PIXELS),
        ({"PixelData": None, "FloatPixelData": b"\0" * 4 * 96 * 80}, Reason.UNSUPPORTED_BITS),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, Reason.NOT_ORIGINAL),
    ],
)
def test_refusals(write_film: Write, elements: dict[str, Any], reason: Reason) -> None:
    assert refusal(write_film(FilmRecipe(), **elements)).reason == reason


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.RLELossless]
)
@pytest.mark.parametrize(
    "changed", [{"Rows": 95}, {"Columns": 79}, {"Rows": 97, "Columns": 79}, {"Rows": 80, "Columns": 64}]
)
def test_wrong_rows_or_columns_shear_or_cut_no_film(write_film: Write, syntax: str, changed: dict[str, int]) -> None:
    """96 x 80 px were stored; a header that says less would shift every row, or cut the lowest ones."""
    path = write_film(FilmRecipe(syntax=syntax))
    ds = pydicom.dcmread(path)
    for keyword, value in changed.items():
        setattr(ds, keyword, value)
    ds.save_as(path)
    with pytest.raises(PixelError) as caught:
        read_dicom(path, None)
    assert caught.value.reason is Reason.UNREADABLE_PIXELS


def test_policy_is_asked_before_the_form(write_film: Write) -> None:
    policy = FilmPolicy(modalities=("DX",), body_parts=("CHEST",), views=("AP", "PA"))
    assert refusal(write_film(FilmRecipe(), Modality="US", NumberOfFrames=9), policy).reason == Reason.WRONG_MODALITY
    assert refusal(write_film(FilmRecipe(), BodyPartExamined="HIP"), policy).reason == Reason.WRONG_BODY_PART
    assert refusal(write_film(FilmRecipe(), ViewPosition="LL"), policy).reason == Reason.WRONG_VIEW
    assert read_dicom(write_film(FilmRecipe()), policy).values.shape == (96, 80)


def test_dicomdir_is_no_film() -> None:
    for name in ("DICOMDIR", "DICOMDIR-empty.dcm"):
        assert refusal(Path(str(get_testdata_file(name)))).reason == Reason.NOT_ORIGINAL


@pytest.mark.parametrize("is_implicit", [True, False])
def test_film_without_preamble_and_meta(tmp_path: Path, is_implicit: bool) -> None:
    recipe = FilmRecipe()
    ds = film_dataset(recipe)
    del ds.file_meta
    ds.save_as(tmp_path / "film", implicit_vr=is_implicit, little_endian=True)
    film = read_dicom(tmp_path / "film", None)
    np.testing.assert_array_equal(film.values, recipe.stored)


def test_film_without_an_id_is_named_after_its_file(write_film: Write) -> None:
    path = write_film(FilmRecipe(), name="chest-7.dcm")
    ds = dcmread(path)
    del ds.SOPInstanceUID
    ds.save_as(path)
    assert read_dicom(path, None).header.image_id == "chest-7"


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: uid.UID(syntax).name)
def test_cut_films_are_truncated_wherever_they_are_cut(write_film: Write, syntax: str) -> None:
    path = write_film(FilmRecipe(syntax=syntax, rows=128, cols=128))
    whole = path.read_bytes()
    allowed = {Reason.TRUNCATED, Reason.NOT_DICOM, Reason.UNREADABLE_HEADER, Reason.NO_PIXELS}
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        assert refusal(path).reason in allowed
    path.write_bytes(whole[: len(whole) * 95 // 100])
    assert refusal(path).reason == Reason.TRUNCATED


def test_codestream_without_its_end_is_truncated(write_film: Write) -> None:
    path = write_film(FilmRecipe(syntax=uid.JPEG2000Lossless))
    ds = dcmread(path)
    data = bytearray(ds.PixelData)
    end = data.rfind(b"\xff\xd9")
    data[end : end + 2] = b"\0\0"
    ds.PixelData = bytes(data)
    ds.save_as(path)
    assert refusal(path).reason == Reason.TRUNCATED


@pytest.mark.parametrize("syntax", [uid.JPEGLSLossless, uid.JPEG2000Lossless])
def test_codestream_of_another_shape_is_refused(write_film: Write, syntax: str) -> None:
    path = write_film(FilmRecipe(syntax=syntax, rows=96, cols=80))
    ds = dcmread(path)
    ds.Rows, ds.Columns = 80, 96  # as many pixels, in another order
    ds.save_as(path)
    assert refusal(path).reason == Reason.UNREADABLE_PIXELS


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [(4, 29, Reason.UNREADABLE_PIXELS), (9, 3, Reason.COLOUR)],  # a codec crashed on 29 bits
)
def test_codestream_of_other_bits_or_samples_is_refused(
    write_film: Write, place: int, value: int, reason: Reason
) -> None:
    path = write_film(FilmRecipe(syntax=uid.JPEGLSLossless))
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"\xff\xf7\x00\x0b") + place] = value  # start of frame: bits, rows, columns, samples
    path.write_bytes(bytes(raw))
    assert refusal(path).reason == reason


@pytest.mark.parametrize("stated", [uid.MPEG2MPML, "1.2.840.113619.5.2"])
def test_syntaxes_nobody_decodes_are_refused(write_film: Write, stated: str) -> None:
    path = write_film(FilmRecipe(syntax=uid.JPEGLSLossless))
    ds = dcmread(path)
    ds.file_meta.TransferSyntaxUID = uid.UID(stated)
    ds.save_as(path, implicit_vr=False, little_endian=True)
    assert refusal(path).reason == Reason.UNREADABLE_PIXELS


def test_compressed_pixels_under_a_native_syntax_are_refused(write_film: Write) -> None:
    path = write_film(FilmRecipe(syntax=uid.JPEGLSLossless))
    raw = path.read_bytes().replace(uid.JPEGLSLossless.encode(), b"1.2.840.10008.1.2.1\0\0\0")
    path.write_bytes(raw)
    assert refusal(path).reason == Reason.UNREADABLE_PIXELS


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian]
)
@pytest.mark.parametrize("extra", [1, 2, 7, 160])
def test_native_pixels_beyond_the_last_row_are_refused(write_film: Write, syntax: str, extra: int) -> None:
    recipe = FilmRecipe(syntax=syntax)
    path = write_film(recipe)
    ds = dcmread(path)
    ds.PixelData = ds.PixelData + bytes(extra + extra % 2)
    ds.save_as(path)
    assert refusal(path).reason == Reason.UNREADABLE_PIXELS


def test_the_padding_byte_of_an_odd_length_is_no_pixel(write_film: Write) -> None:
    recipe = FilmRecipe(rows=65, cols=65, bits_allocated=8, bits_stored=8)
    assert len(recipe.cells) == 65 * 65 + 1
    np.testing.assert_array_equal(read_dicom(write_film(recipe), None).values, recipe.stored)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: uid.UID(syntax).name)
@pytest.mark.parametrize("sides", [(64, 80), (96, 64), (64, 64)])
def test_damaged_dicom_rowscols_small(write_film: Write, syntax: str, sides: tuple[int, int]) -> None:
    path = write_film(FilmRecipe(syntax=syntax))  # 96 x 80 px
    ds = dcmread(path)
    ds.Rows, ds.Columns = sides
    ds.save_as(path)
    assert refusal(path).reason == Reason.UNREADABLE_PIXELS


@pytest.mark.parametrize("name", ["s13", "s15", "s21"])
def test_damaged_dicom_rowscols_small_as_found(cases: Path, name: str) -> None:
    folder = cases / "damaged_dicom"
    assert refusal(folder / f"{name}_009_rowscols_small.dcm").reason == Reason.UNREADABLE_PIXELS
    assert read_dicom(folder / f"{name}_000_SEED.dcm", None).values.shape[0] == 96


@pytest.mark.parametrize("is_implicit", [True, False])
def test_decimal_comma_is_a_decimal_point(tmp_path: Path, is_implicit: bool) -> None:
    ds = film_dataset(FilmRecipe())
    for keyword, value in {
        "WindowCenter": b"1500,5\\40",
        "WindowWidth": b"1000,0\\80 ",
        "PixelSpacing": b"0,2\\0,143 ",
        "RescaleSlope": b"2,5",
        "RescaleIntercept": b"-1,5e1 ",
    }.items():
        tag = Tag(keyword)
        ds[tag] = RawDataElement(tag, "DS", len(value), value, 0, is_implicit, True)
    del ds.file_meta
    ds.save_as(tmp_path / "film", implicit_vr=is_implicit, little_endian=True)
    film = read_dicom(tmp_path / "film", None)
    assert film.grey.windows == (VoiWindow(1500.5, 1000), VoiWindow(40, 80))
    assert (film.grey.slope, film.grey.intercept) == (2.5, -15)
    assert (film.header.row_spacing_mm, film.header.col_spacing_mm) == (0.2, 0.143)


@pytest.mark.parametrize("text", ["1.500,5", "0,143,0,143", "1;5"])
def test_other_separators_are_not_guessed(write_film: Write, text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write_film(FilmRecipe(), WindowWidth="1000")
        ds = dcmread(path)
        ds.add_new("WindowCenter", "LO", text)
        ds.save_as(path)
    assert not any(window.is_valid for window in read_dicom(path, None).grey.windows)


def test_decimal_comma_as_found(cases: Path) -> None:
    comma, dot = (read_dicom(cases / "decimal_comma" / f"{name}.dcm", None) for name in ("comma", "dot"))
    assert comma.grey.windows == dot.grey.windows == (VoiWindow(1500.5, 1000),)
    assert (comma.header.row_spacing_mm, comma.header.col_spacing_mm) == (0.143, 0.143)


def test_malformed_values_are_taken_as_absent(write_film: Write) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = write_film(FilmRecipe(spacing_mm=None))
        ds = dcmread(path)
        assert isinstance(ds, FileDataset)
        for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "PixelSpacing", "PatientAge"):
            ds.add_new(keyword, "LO", "CANARY^YELLOW")
        ds.save_as(path)
    film = read_dicom(path, None)
    assert not any(window.is_valid for window in film.grey.windows)
    assert (film.grey.slope, film.header.spacing_source, film.header.age_years) == (1.0, "none", None)


def test_nothing_of_the_header_is_said_aloud(
    write_film: Write, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_film(FilmRecipe(syntax=uid.JPEG2000Lossless))
    raw = path.read_bytes()
    spoilt = raw[:-4000] + bytes(4000 - 2) + b"\xff\xd9"
    path.write_bytes(spoilt.replace(b"DX", b"\xff\xfe").replace(b"045Y", b"CANA"))
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        message = refusal(path).message
    streams = capfd.readouterr()
    assert "CANA" not in message + caplog.text + streams.out + streams.err
    assert caught == []
    assert logging.getLogger("pydicom").propagate


def test_file_name_and_link_do_not_matter(write_film: Write, tmp_path: Path) -> None:
    recipe = FilmRecipe()
    path = write_film(recipe)
    shutil.copy(path, tmp_path / "no-extension")
    (tmp_path / "link").symlink_to(path)
    for name in ("no-extension", "link"):
        np.testing.assert_array_equal(read_dicom(tmp_path / name, None).values, recipe.stored)


def test_text_in_place_of_a_transfer_syntax_is_not_repeated(write_film: Write) -> None:
    path = write_film(FilmRecipe())
    syntax = f"{dcmread(path).file_meta.TransferSyntaxUID}".encode()
    typed = b"1.2.Canary^Yellow".ljust(len(syntax), b"^")
    assert path.read_bytes().count(syntax + b"\0") == 1
    path.write_bytes(path.read_bytes().replace(syntax + b"\0", typed + b"\0"))
    assert "Canary" not in refusal(path).message
