"""The gallery of explanation methods: one static page beside its pictures."""

from collections.abc import Sequence
from dataclasses import dataclass

from camray.reporting.page_rendering import render


@dataclass(frozen=True)
class GalleryRow:
    """One method: its name and equation, its picture's file (stem), peaks that hit, and the mean IoU of its boxes."""

    title: str
    note: str
    file: str
    hits: int
    mean_iou: float


def gallery_page(rows: Sequence[GalleryRow], findings: Sequence[str], pictures: str, backbone: str) -> str:
    """Lay the gallery out.

    Parameters
    ----------
    rows : sequence of GalleryRow
        One per method.
    findings : sequence of str
        In the order of the films.
    pictures : str
        Folder of the pictures, relative to the page.
    backbone : str
        Of the network that is explained.

    Returns
    -------
    str
        HTML that needs nothing but its pictures.
    """
    return render("method_gallery.html.j2", rows=rows, findings=findings, pictures=pictures, backbone=backbone)
