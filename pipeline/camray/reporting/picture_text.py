"""Text in pictures, in any script that an installed font has."""

from functools import lru_cache
from itertools import groupby

from PIL import ImageDraw, ImageFont

from camray.reporting.fonts import base_path, letter_fonts

Rgb = tuple[int, int, int]
OUTLINE_RGB: Rgb = (0, 0, 0)
_ELLIPSIS = "..."


def text_width(text: str, size_px: int) -> int:
    """Return the width of a text, px."""
    return round(sum(_font(path, size_px).getlength(part) for path, part in _runs(text)))


def draw_text(
    pen: ImageDraw.ImageDraw, left_top: tuple[int, int], text: str, rgb: Rgb, size_px: int, outline_px: int = 0
) -> None:
    """Draw a line of text; its letters take `size_px` rows below `left_top`, descenders included."""
    x, baseline = float(left_top[0]), left_top[1] + round(0.8 * size_px)
    for path, part in _runs(text):
        face = _font(path, size_px)
        at = (x, baseline)
        pen.text(at, part, rgb, face, anchor="ls", stroke_width=outline_px, stroke_fill=OUTLINE_RGB)
        x += face.getlength(part)


def shortened(text: str, ending: str, size_px: int, width: int) -> str:
    """Return a text and its ending, the text cut where both together are too wide; the ending stays whole."""
    if text_width(text + ending, size_px) <= width:
        return text + ending
    while text and text_width(text + _ELLIPSIS + ending, size_px) > width:
        text = text[:-1]
    return text.rstrip() + _ELLIPSIS + ending


def fitted_text(text: str, sizes: tuple[int, int], width: int) -> tuple[str, int]:
    """Return the text and the largest font size that fits; text too long for the smaller size is cut."""
    for size in range(sizes[0], sizes[1], -1):
        if text_width(text, size) <= width:
            return text, size
    return shortened(text, "", sizes[1], width), sizes[1]


def wrapped(text: str, size_px: int, width: int) -> list[str]:
    """Return the lines of a text: broken at blanks, and within a word that is too wide for one line."""
    lines = [""]
    for word in text.split():
        whole = f"{lines[-1]} {word}".lstrip()
        if text_width(whole, size_px) <= width:
            lines[-1] = whole
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, size_px) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def _runs(text: str) -> list[tuple[str, str]]:
    """Return the parts of a text that one font file draws, with the file."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    fonts = {letter: (letter_fonts(letter) or {}).get(letter, base_path()) for letter in set(printable)}
    return [(path, "".join(part)) for path, part in groupby(printable, key=lambda letter: fonts[letter])]


@lru_cache(maxsize=64)
def _font(path: str, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(path, size_px)
