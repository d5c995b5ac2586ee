"""The comparison as one self-contained page: the table, sortable by its heads, and the same film under every method."""

import html
import io
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from camray.core.metrics.model_comparison import BASELINE_NETWORK
from camray.core.metrics.summary import BASELINE_NAMES
from camray.domain.geometry import Box
from camray.domain.records import ThresholdSource
from camray.reporting.overlays import heat01_of, tinted

THUMB_PX = 96
_JPEG_QUALITY = 85
_BOX_RGB = (90, 220, 255)
_COLUMNS = {  # head on the page: column, digits
    "map": ("map", 0),
    "AUROC": ("auroc", 2),
    "top-1 class error": ("top1_classification_error", 2),
    "top-1 loc. error": ("top1_localization_error", 2),
    "top-5 class error": ("top5_classification_error", 2),
    "top-5 loc. error": ("top5_localization_error", 2),
    "hit rate": ("hit_rate", 2),
    **{f"IoU ≥ 0.{tenth}": (f"iou_accuracy_0.{tenth}", 2) for tenth in range(1, 8)},
    "mean IoU": ("mean_iou", 2),
    "films": ("films", 0),
    "boxed labels": ("boxed_labels", 0),
    "seconds a film": ("seconds_a_film", 4),
    "deletion": ("deletion_auc", 3),
    "insertion": ("insertion_auc", 3),
    "avg. drop": ("average_drop", 2),
    "avg. increase": ("average_increase", 2),
    "rank, head random": ("rank_head", 2),
    "rank, all random": ("rank_all", 2),
    "noise": ("noise_max", 2),
    "sanity films": ("sanity_films", 0),
}
_INTERVALS = ("auroc", "hit_rate", "iou_accuracy_0.3", "iou_accuracy_0.5", "mean_iou")
_STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:1.5em;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:12px}
th,td{padding:2px 7px;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th{position:sticky;top:0;background:#f3f3f3;cursor:pointer;white-space:normal;vertical-align:bottom}
th:nth-child(-n+4),td:nth-child(-n+4){text-align:left}
tr.baseline td{background:#fbf6e9} tr.fixed{color:#666} .hide-fixed tr.fixed{display:none}
.wide{overflow:auto;max-height:85vh} .strip{margin:.4em 0 1.2em} .strip img{display:block;width:100%}
.strip div{display:grid;font-size:9px;text-align:center;overflow-wrap:anywhere} p,ul{max-width:60em}
"""
_SCRIPT = """
const table=document.querySelector('table');
table.querySelectorAll('th').forEach((head,at)=>head.addEventListener('click',()=>{
 const down=head.dataset.down!=='1';head.dataset.down=down?'1':'0';
 const body=table.tBodies[0],key=row=>row.cells[at].dataset.value??row.cells[at].textContent;
 [...body.rows].sort((a,b)=>{const x=key(a),y=key(b);
  if(x===''||y==='')return (x==='')-(y==='');
  const n=Number(x)-Number(y);return (Number.isNaN(n)?x.localeCompare(y):n)*(down?-1:1);
 }).forEach(row=>body.append(row));}));
document.querySelector('#fixed').addEventListener('change',e=>table.classList.toggle('hide-fixed',!e.target.checked));
"""
_NOTES = (
    "Each row is one network, pool and method. <b>validation</b>: the box threshold was chosen on validation boxes. "
    "<b>fixed</b>: 20 % of the map's maximum, no boxes used. No network saw a box.",
    "<b>Errors</b> (lower is better) are over the test films with at least one true label. Among the k labels of "
    "highest logit, classification is right if one is present, localization if the box of a present one overlaps its "
    "annotation with IoU ≥ 0.5. On films with one true label these are ILSVRC's and the CAM paper's. With as many "
    "labels as k, classification is right by construction. Baselines name labels by how common they are in training.",
    "<b>Hit rate, IoU accuracy, mean IoU</b> are means over labels on annotated films, with 95 % intervals by patient "
    "(hold the pointer over a number). Dear methods are scored on fewer films: compare rows of equal <i>films</i>.",
    "<b>Sanity</b>: deletion (lower is better) and insertion (higher is better) are areas under the probability; rank "
    "correlation with the map of a network whose head, or all of whose layers, are random should be near 0; noise is "
    "the largest relative change of the map under small noise.",
)


@dataclass(frozen=True)
class Strip:
    """One film under every method of a network.

    Parameters
    ----------
    title : str
        Network, pool and label.
    names : tuple of str
        The film, then the methods, left to right.
    jpeg : bytes
        Thumbs side by side.
    """

    title: str
    names: tuple[str, ...]
    jpeg: bytes


def draw_strip(
    grey: NDArray[np.float32], heats: Mapping[str, NDArray[np.floating]], boxes: Sequence[Box], title: str
) -> Strip:
    """Draw a film, and again under each map's positive part.

    Parameters
    ----------
    grey : ndarray of shape (H, W), float32
        Model grid, 0-1.
    heats : mapping of str to ndarray of shape (h, w)
        Raw maps, feature grids.
    boxes : sequence of Box
        Annotated ones, model grid, px.
    title : str
    """
    size = (THUMB_PX, THUMB_PX)
    film = np.asarray(Image.fromarray(grey.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
    film = np.clip(film, 0.0, 1.0)
    page = Image.new("RGB", (THUMB_PX * (1 + len(heats)), THUMB_PX))
    empty = np.zeros((1, 1), np.float32)
    for number, heat in enumerate([empty, *heats.values()]):
        heat01 = np.asarray(Image.fromarray(heat01_of(heat)).resize(size, Image.Resampling.BILINEAR))
        thumb = Image.fromarray(tinted(film, np.clip(heat01, 0.0, 1.0)))
        pen = ImageDraw.Draw(thumb)
        for box in boxes:
            x0, x1 = (round(x * THUMB_PX / grey.shape[1]) for x in (box.x0, box.x1))
            y0, y1 = (round(y * THUMB_PX / grey.shape[0]) for y in (box.y0, box.y1))
            pen.rectangle((x0, y0, max(x1 - 1, x0), max(y1 - 1, y0)), outline=_BOX_RGB)
        page.paste(thumb, (number * THUMB_PX, 0))
    stream = io.BytesIO()
    page.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return Strip(title, ("film", *heats), stream.getvalue())


def compare_page(name: str, table: pd.DataFrame, strips: Sequence[Strip]) -> str:
    """Return the page as HTML; nothing in it is loaded from elsewhere.

    Parameters
    ----------
    name : str
        Of the experiment.
    table : DataFrame
        `camray.core.metrics.model_comparison.COMPARE_COLUMNS`.
    strips : sequence of Strip
    """
    heads = ["network", "pool", "method", "threshold", *_COLUMNS, "note"]
    rows = "\n".join(_row(row) for row in table.to_dict("records"))
    shown = "\n".join(_strip(strip) for strip in strips)
    title = f"{html.escape(name)}: networks, pools and explanation methods"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>"
        f"<body><h1>{title}</h1>{''.join(f'<p>{note}</p>' for note in _NOTES)}"
        '<p><label><input type="checkbox" id="fixed"> also rows of fixed thresholds</label>; click a head to sort</p>'
        f'<div class="wide"><table class="hide-fixed"><thead><tr>{"".join(f"<th>{h}</th>" for h in heads)}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div><h2>The same film under every method</h2>"
        f"<p>Positive part of the maps, each by its own maximum; frames are annotations.</p>{shown}"
        f"<p>AI, not verified. No medical device.</p><script>{_SCRIPT}</script></body></html>"
    )


def _row(row: Mapping[Any, Any]) -> str:
    is_baseline = row["network"] == BASELINE_NETWORK
    is_fixed = row["threshold_source"] == ThresholdSource.FIXED.value and not is_baseline
    method = BASELINE_NAMES.get(str(row["method"]), str(row["method"]))
    cells = [f"<td>{html.escape(str(text))}</td>" for text in (row["network"], row["pool"], method)]
    cells.append(f"<td>{html.escape(str(row['threshold_source']))}</td>")
    cells += [_cell(row, column, digits) for column, digits in _COLUMNS.values()]
    cells.append(f"<td>{html.escape(str(row['reason']))}</td>")
    kind = "baseline" if is_baseline else "fixed" if is_fixed else ""
    return f'<tr class="{kind}">{"".join(cells)}</tr>'


def _cell(row: Mapping[Any, Any], column: str, digits: int) -> str:
    value = row[column]
    if isinstance(value, str):
        return f"<td>{html.escape(value)}</td>"
    number = float(value)
    if not np.isfinite(number) or (digits == 0 and number == 0):
        return '<td data-value=""></td>'
    tip = ""
    if column in _INTERVALS:
        low, high = (float(row[f"{column}_{end}"]) for end in ("low", "high"))
        tip = f' title="{low:.2f}–{high:.2f}"' if np.isfinite(low) else ""
    return f'<td data-value="{number:.6g}"{tip}>{number:.{digits}f}</td>'


def _strip(strip: Strip) -> str:
    names = "".join(f"<span>{html.escape(name)}</span>" for name in strip.names)
    columns = f"grid-template-columns:repeat({len(strip.names)},1fr)"
    picture = b64encode(strip.jpeg).decode()
    return (
        f'<div class="strip"><b>{html.escape(strip.title)}</b><img alt="{html.escape(strip.title)}" '
        f'src="data:image/jpeg;base64,{picture}"><div style="{columns}">{names}</div></div>'
    )
