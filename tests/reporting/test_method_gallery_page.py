"""The gallery page: every row has its picture, and nothing from outside is markup."""

import re

from camray.reporting.method_gallery_page import GalleryRow, gallery_page
from tests.reporting.hostile_texts import TEXT, assert_escaped


def test_every_method_has_its_note_figures_and_picture() -> None:
    rows = [GalleryRow("cam", "w < f & b", "cam", 3, 0.456), GalleryRow("<b>x", "note", "x y", 0, 0.0)]
    page = gallery_page(rows, ["Mass", "A&B"], "pictures/gallery", "resnet18")
    assert re.findall(r'src="([^"]+)"', page) == [
        "pictures/gallery/films.webp",
        "pictures/gallery/cam.webp",
        "pictures/gallery/x%20y.webp",
        "pictures/gallery/labels.webp",
    ]
    assert "w &lt; f &amp; b. Peak inside the finding on 3 of 2 films, mean IoU 0.46." in page
    assert "&lt;b&gt;x" in page
    assert "<b>x" not in page
    assert "Mass, A&amp;B" in page
    assert "://" not in page


def test_texts_from_outside_are_escaped() -> None:
    page = gallery_page([GalleryRow(TEXT, TEXT, TEXT, 1, 0.5)], [TEXT, TEXT], TEXT, TEXT)
    assert_escaped(page)
    assert "javascript:" not in gallery_page([GalleryRow("a", "b", "c", 1, 0.5)], ["d"], "javascript:alert(1)", "e")
