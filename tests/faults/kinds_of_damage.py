"""The kinds: name to outcome and function; at least 25, see `tests.faults.damaged_films` for the tools."""

import random
import struct
from collections.abc import Callable
from dataclasses import replace

from pydicom import uid
from pydicom.sequence import Sequence

from tests.faults.damaged_films import (
    BOMB,
    COMPRESSED,
    NATIVE,
    Film,
    Outcome,
    deflated,
    flipped,
    nested,
    pixels_at,
    spliced,
    with_stream,
    with_value,
    written,
)

Make = Callable[[Film, random.Random], bytes]
KINDS: dict[str, tuple[Outcome, Make]] = {}
UNTIDY = {
    "StudyDate": ("2024.01.02", "yesterday", "99999999"),
    "StudyTime": ("10:11:12", "25", "x" * 40),
    "PatientAge": ("062", "99999Y", "old"),
    "AccessionNumber": ("12345678901234567890", "\\", "\x1b$B"),
    "PatientName": ("^^^^^^^^", "=\\x", "x" * 300),
    "StationName": ("=cmd|' /C calc'!A0", "<script>", "\t"),
    "SpecificCharacterSet": ("ISO 2022 IR 999", "UTF-9", "\\\\"),
}


def kind(outcome: Outcome) -> Callable[[Make], Make]:
    """Register a kind under its function's name."""

    def register(make: Make) -> Make:
        KINDS[make.__name__.replace("_", " ")] = outcome, make
        return make

    return register


@kind("same")
def every_encoding(film: Film, dice: random.Random) -> bytes:
    return film.file(dice.choice((*NATIVE, *COMPRESSED, uid.DeflatedExplicitVRLittleEndian)))


@kind("same")
def junk_in_the_preamble(film: Film, dice: random.Random) -> bytes:
    return spliced(film.file(), 0, dice.choice((b"II*\0", b"MM\0*", b"%PDF", b"\x89PNG")) + dice.randbytes(124))


@kind("same")
def no_preamble(film: Film, dice: random.Random) -> bytes:
    data = film.file(uid.ImplicitVRLittleEndian)
    return data[144 + struct.unpack("<I", data[140:144])[0] :]


@kind("same")
def private_elements(film: Film, dice: random.Random) -> bytes:
    ds = film.dataset()
    block = ds.private_block(dice.randrange(0x0009, 0x7FDF, 2), "JUNK", create=True)
    for element in range(dice.randint(1, 8)):
        block.add_new(element, dice.choice(("OB", "UN")), dice.randbytes(2 * dice.randrange(4000)))
    return written(ds)


@kind("same")
def untidy_texts(film: Film, dice: random.Random) -> bytes:
    keywords = dice.sample(sorted(UNTIDY), 3)
    return film.file(**{keyword: dice.choice(UNTIDY[keyword]) for keyword in keywords})


@kind("same")
def trailing_padding(film: Film, dice: random.Random) -> bytes:
    data = film.file()
    length = 2 * dice.randint(1, 500)
    return data + b"\xfc\xff\xfc\xffOB\0\0" + struct.pack("<I", length) + b"\0" * length


@kind("same")
def dirt_in_unused_bits(film: Film, dice: random.Random) -> bytes:
    bits = film.recipe.bits_stored
    recipe = replace(film.recipe, dirt=dice.randrange(1, 1 << (16 - bits)) << bits)
    return written(film.dataset(recipe))


@kind("same")
def useless_window(film: Film, dice: random.Random) -> bytes:
    centre, width = dice.choice(((1e9, 1), (-1e9, 1), (0, 0), ("nan", "nan"), (2000, 0.001), (5, -7)))
    return film.file(WindowCenter=centre, WindowWidth=width)


@kind("same")
def unusable_rescale(film: Film, dice: random.Random) -> bytes:
    slope, intercept = dice.choice((("nan", 0), (0, 0), (1, "inf"), ("x", "y"), (1e300, 1e300)))
    data = film.file(RescaleSlope=1, RescaleIntercept=0)
    for tag, value in ((b"\x28\0\x53\x10DS", slope), (b"\x28\0\x52\x10DS", intercept)):
        text = str(value).encode() + b" " * (len(str(value)) % 2)
        data = with_value(data, data.index(tag) + 6, text)
    return data


@kind("same")
def bytes_in_place_of_words(film: Film, dice: random.Random) -> bytes:
    data = film.file()
    return spliced(data, pixels_at(data) + 4, b"OB")


@kind("same")
def deep_sequence(film: Film, dice: random.Random) -> bytes:
    return film.file(ProcedureCodeSequence=nested(dice.randint(2, 60)))


@kind("noticed")
def bottomless_sequence(film: Film, dice: random.Random) -> bytes:
    data, depth = film.file(), dice.randint(500, 5000)
    open_item = b"\x40\0\x68\xa1SQ\0\0\xff\xff\xff\xff\xfe\xff\0\xe0\xff\xff\xff\xff"
    return spliced(data, pixels_at(data), open_item * depth, 0)


@kind("noticed")
def cut(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice((*NATIVE, *COMPRESSED)))
    return data[: dice.randrange(len(data))]


@kind("noticed")
def cut_in_the_header(film: Film, dice: random.Random) -> bytes:
    data = film.file()
    return data[: dice.randrange(132, pixels_at(data))]


@kind("noticed")
def deflated_and_cut(film: Film, dice: random.Random) -> bytes:
    return deflated(film, lambda stream: stream[: dice.randrange(len(stream) - 8)])


@kind("any")
def deflated_and_flipped(film: Film, dice: random.Random) -> bytes:
    return deflated(film, lambda stream: flipped(stream, dice, 0, len(stream)))


@kind("noticed")
def deflated_bomb(film: Film, dice: random.Random) -> bytes:
    element = b"\x09\0\x10\0LO\4\0JUNK\x09\0\0\x10OB\0\0" + struct.pack("<I", BOMB)
    return deflated(film, bytes, lambda body: body[: pixels_at(body)] + element + bytes(BOMB) + body[pixels_at(body) :])


@kind("refused")
def sheared(film: Film, dice: random.Random) -> bytes:
    """The header's shape needs less than the pixels that follow."""
    rows, cols = dice.choice(((95, 80), (96, 79), (80, 80), (60, 80), (96, 50)))
    syntax = dice.choice((*NATIVE, uid.DeflatedExplicitVRLittleEndian))
    return written(film.dataset(Rows=rows, Columns=cols), syntax)


@kind("refused")
def too_few_pixels(film: Film, dice: random.Random) -> bytes:
    rows, cols = dice.choice(((97, 80), (96, 81), (960, 80), (65535, 65535)))
    return written(film.dataset(Rows=rows, Columns=cols), dice.choice(NATIVE))


@kind("refused")
def other_shape_in_the_codestream(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice(COMPRESSED))
    rows = data.index(b"\x28\0\x10\0US\2\0") + 8
    return spliced(data, rows, struct.pack("<H", dice.choice((95, 60, 97, 200))))


@kind("noticed")
def codestream_cut(film: Film, dice: random.Random) -> bytes:
    syntax = dice.choice(COMPRESSED)
    return with_stream(film, syntax, lambda stream: stream[: dice.randrange(64, len(stream) - 4)])


@kind("any")
def codestream_flipped(film: Film, dice: random.Random) -> bytes:
    return with_stream(film, dice.choice(COMPRESSED), lambda stream: flipped(stream, dice, 0, len(stream), 3))


@kind("noticed")
def run_length_offsets(film: Film, dice: random.Random) -> bytes:
    return with_stream(film, uid.RLELossless, lambda stream: flipped(stream, dice, 0, 64, 3))


@kind("noticed")
def fragment_lengths(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice(COMPRESSED))
    item = data.index(b"\xfe\xff\x00\xe0", pixels_at(data) + 20)
    return spliced(data, item + 4, struct.pack("<I", dice.choice((0, 2, 1 << 20, 0xFFFFFFFE, 0xFFFFFFFF))))


@kind("refused")
def colour(film: Film, dice: random.Random) -> bytes:
    photometric = dice.choice(("RGB", "YBR_FULL", "PALETTE COLOR", "HSV", "MONOCHROME3"))
    return film.file(PhotometricInterpretation=photometric)


@kind("noticed")
def many_frames(film: Film, dice: random.Random) -> bytes:
    return film.file(NumberOfFrames=dice.choice((0, 2, 3, 10**9, -1)))


@kind("any")
def other_bit_layout(film: Film, dice: random.Random) -> bytes:
    return film.file(
        BitsAllocated=dice.choice((1, 8, 12, 16, 32, 64, 65535)),
        BitsStored=dice.choice((0, 1, 7, 12, 16, 17, 65535)),
        HighBit=dice.choice((0, 7, 11, 15, 16, 65535)),
    )


@kind("any")
def header_flipped(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice((*NATIVE, *COMPRESSED)))
    end = data.rfind(PIXELS[data.rfind(PIXELS[0]) < 0])
    return flipped(data, dice, 128, max(end, 129))


@kind("any")
def any_byte_flipped(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice((*NATIVE, *COMPRESSED)))
    return flipped(data, dice, 0, len(data), 64)


@kind("any")
def other_value_representation(film: Film, dice: random.Random) -> bytes:
    data = film.file()
    tag = dice.choice((b"\x08\0\x60\0", b"\x10\0\x20\0", b"\x28\0\x10\0", b"\x28\0\x00\1", PIXELS[0]))
    return spliced(data, data.index(tag) + 4, dice.choice((b"UN", b"SQ", b"OW", b"zz", b"\0\0", b"FD", b"AT")))


@kind("any")
def other_element_length(film: Film, dice: random.Random) -> bytes:
    data = film.file()
    tag = dice.choice((b"\x08\0\x60\0", b"\x10\0\x20\0", b"\x28\0\x10\0", b"\x28\0\x04\0"))
    return spliced(data, data.index(tag) + 6, struct.pack("<H", dice.choice((0, 1, 3, 255, 32767, 65535))))


@kind("any")
def another_transfer_syntax_is_stated(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice((*NATIVE, *COMPRESSED)))
    at = data.index(b"\x02\0\x10\0UI") + 6
    stated = dice.choice((*NATIVE, *COMPRESSED, uid.JPEGBaseline8Bit, "1.2.3", "", "1.2.840.10008.1.2.4.100")).encode()
    return with_value(data, at, stated + b"\0" * (len(stated) % 2))


@kind("any")
def blocks_swapped(film: Film, dice: random.Random) -> bytes:
    data, size = bytearray(film.file(dice.choice((*NATIVE, *COMPRESSED)))), 256
    a, b = (dice.randrange(len(data) // size) * size for _ in range(2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]
    return bytes(data)


@kind("any")
def block_of_zeros(film: Film, dice: random.Random) -> bytes:
    data = film.file(dice.choice((*NATIVE, *COMPRESSED)))
    return spliced(data, dice.randrange(len(data) - 256), bytes(dice.choice((16, 64, 256))))


@kind("any")
def an_element_twice(film: Film, dice: random.Random) -> bytes:
    data = film.file()
    tag = data.index(dice.choice((b"\x28\0\x10\0US", b"\x28\0\x11\0US", b"\x28\0\x00\1US")))
    return spliced(data, tag, data[tag : tag + 10], 0)


@kind("any")
def required_element_missing(film: Film, dice: random.Random) -> bytes:
    keywords = (
        "Rows",
        "Columns",
        "BitsAllocated",
        "BitsStored",
        "HighBit",
        "PixelRepresentation",
        "SOPClassUID",
        "PhotometricInterpretation",
        "SamplesPerPixel",
        "Modality",
        "StudyInstanceUID",
    )
    return film.file(**dict.fromkeys(dice.sample(keywords, 2)))


@kind("refused")
def lookup_table_without_a_table(film: Film, dice: random.Random) -> bytes:
    return film.file(ModalityLUTSequence=Sequence([film.dataset()]))


@kind("refused")
def not_a_film(film: Film, dice: random.Random) -> bytes:
    magic = dice.choice((b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"PK\3\4", bytes(128) + b"DICM"))
    return magic + dice.randbytes(dice.randrange(4000))


PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # tag of Pixel Data, little and big endian
