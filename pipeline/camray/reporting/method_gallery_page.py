"""The gallery of explanation methods as one static page beside its pictures. Everything from outside is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;
background:#18181c;color:#eee}img{max-width:100%;height:auto;display:block}h2{margin:1.6rem 0 .2rem;font-size:1.1rem}
p{margin:.2rem 0 .5rem;color:#bbb}a{color:#7cc7ff}nav a{margin-right:.8rem;display:inline-block}b{color:#eee}"""


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
        A method each.
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
    links = "".join(f'<a href="#{quote(row.file)}">{escape(row.title)}</a>' for row in rows)
    named = ", ".join(map(escape, findings))
    parts = [
        "<h1>Every explanation method on the same films</h1>",
        f"<p>Generated films that the network ({escape(backbone)}, trained on image-level labels of other films) never "
        f"saw, one a finding: {named}. <b>Green</b>: outline of the finding as it was drawn. <b>Cyan</b>: box at "
        "20 % of the map's maximum, hottest region, no box used to choose it. Each map is tinted by its own maximum; "
        "methods that explain pixels are drawn pixel by pixel, and boxed on the feature grid. Five films rank nothing: "
        "see <code>camray compare</code> for figures with intervals.</p>",
        f"<nav>{links}</nav>",
        _section("films", "The films", "", pictures, f"Films with {named}, findings outlined"),
    ]
    for row in rows:
        said = (
            f"{row.note}. Peak inside the finding on {row.hits} of {len(findings)} films, mean IoU {row.mean_iou:.2f}."
        )
        parts.append(_section(row.file, row.title, said, pictures, f"{row.title} of {named}"))
    climbed = (
        "The picture that each label's logit likes best: gradient ascent from mid-grey with jitter, blur and total "
        "variation (Simonyan et al., 2013)."
    )
    parts.append(_section("labels", "Class visualization", climbed, pictures, "A picture of each label"))
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
    head += f"<title>Explanation methods</title><style>{_STYLE}</style>"
    made = "<p>Made by <code>camray gallery</code>. Generated films; AI, not verified.</p>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}{made}</body></html>\n'


def _section(file: str, title: str, said: str, pictures: str, alt: str) -> str:
    source = quote(f"{pictures}/{file}.webp")
    return (
        f'<section id="{quote(file)}"><h2>{escape(title)}</h2><p>{escape(said)}</p>'
        f'<img src="{source}" alt="{escape(alt)}" loading="lazy"></section>\n'
    )
