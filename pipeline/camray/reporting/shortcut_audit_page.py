"""The audit as one self-contained HTML page: tables, and pictures inlined. Everything from outside is escaped."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

MAX_PICTURED_LABELS = 6
MAX_DOUBTFUL = 50
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
td,th{padding:.15rem .7rem;border-bottom:1px solid #ddd;text-align:left}
td.n{text-align:right;font-variant-numeric:tabular-nums}.warn{background:#fff1d6}img{max-width:100%}
.box{border-left:4px solid #c77700;background:#fff8ea;padding:.4rem 1rem}
.fine{border-color:#2b7a3d;background:#eef7f0}"""


def audit_page(
    found: Mapping[str, Any], values: NDArray[np.int8], histograms: NDArray[np.float32], thumbnails: NDArray[np.float32]
) -> str:
    """Lay the audit out for people.

    Parameters
    ----------
    found : mapping
        What ``audit.json`` holds.
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent; columns as in ``found["label_names"]``. None: no pictures of greys.
    histograms : ndarray of shape (films, 32), float32
        Grey-level histograms.
    thumbnails : ndarray of shape (films, 64), float32
        8 x 8 thumbnails.

    Returns
    -------
    str
        HTML without any reference to another file.
    """
    labels = list(found["label_names"])
    parts = [
        f"<h1>Ingest audit: {escape(str(found['manifest']))}</h1>",
        f"<p>{found['films']} films of {found['patients']} patients; {found['refused']} of {found['inputs']} inputs "
        "refused.</p>",
        _notes(found["warnings"], "Shortcuts", "No shortcut found where it could be measured."),
        "<h2>Shortcut probes</h2><p>Cross-validated AUC of a logistic regression that never sees a lesion; no patient "
        "is in two folds.</p>",
        _probe_table(found["probes"]),
        _picture(_probe_figure(found["probes"]), "AUC of each probe") if _measured(found["probes"]) else "",
        _notes(
            found["one_class"], "Labels of one class", "Every label is both present and absent among training films."
        )
        if found["probes"]
        else "",
        _notes(
            [f"{film['image_id']}: {film['why']}" for film in found["doubtful"][:MAX_DOUBTFUL]],
            f"{len(found['doubtful'])} film(s) that do not look like chest films; they are kept",
            "Every film looks like a chest film.",
        ),
        "<h2>Labels by split</h2>",
        _label_table(found["labels"]),
        "<h2>Films by</h2>",
        "".join(_count_table(name, counts) for name, counts in found["films_by"].items()),
        "<h2>Spread</h2>",
        _spread_table(found["spread"]),
        _grey_pictures(labels, values, histograms, thumbnails),
        "<h2>Refused</h2>",
        _count_table("reason", found["refusals"]) if found["refusals"] else "<p>Nothing.</p>",
        "<h2>Tables</h2>",
        _notes([_fault(fault) for fault in found["table_faults"]], "Faults that do not stop", "No faults."),
    ]
    body = "\n".join(part for part in parts if part)
    head = f'<meta charset="utf-8"><title>Ingest audit</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en">{head}{body}</html>\n'


def _notes(lines: Sequence[str], title: str, none: str) -> str:
    if not lines:
        return f'<p class="box fine">{escape(none)}</p>'
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<div class="box"><b>{escape(title)}</b><ul>{items}</ul></div>'


def _fault(fault: Mapping[str, Any]) -> str:
    lines = f" (line {', '.join(map(str, fault['lines']))}{', ...' if fault['count'] > len(fault['lines']) else ''})"
    return f"{fault['table']}: {fault['what']}: {fault['count']}{lines if fault['lines'] else ''}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]], warned: Sequence[bool] = ()) -> str:
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = []
    for place, row in enumerate(rows):
        cells = "".join(
            f'<td class="n">{cell}</td>' if isinstance(cell, int | float) else f"<td>{escape(str(cell))}</td>"
            for cell in row
        )
        lines.append(f"<tr{' class=warn' if place < len(warned) and warned[place] else ''}>{cells}</tr>")
    return f"<table><tr>{top}</tr>{''.join(lines)}</table>"


def _measured(probes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [probe for probe in probes if probe["auc"] is not None]


def _probe_table(probes: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            p["label"],
            p["features"],
            "-" if p["auc"] is None else round(p["auc"], 3),
            p["n"],
            p["n_present"],
            p["skipped"],
        )
        for p in probes
    ]
    return _table(
        ("label", "from", "AUC", "films", "present", "not measured"), rows, [bool(p["warning"]) for p in probes]
    )


def _label_table(by_split: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    kinds = ("present", "absent", "uncertain", "no_information")
    rows = [
        (split, label, *(counts[kind] for kind in kinds))
        for split, labels in by_split.items()
        for label, counts in labels.items()
    ]
    return _table(("split", "label", "present", "absent", "uncertain", "no information"), rows)


def _count_table(name: str, counts: Mapping[str, int]) -> str:
    return _table((name, "films"), [(value, count) for value, count in counts.items()])


def _spread_table(spread: Mapping[str, Mapping[str, float]]) -> str:
    names = ("min", "p05", "median", "p95", "max")
    rows = [(name, int(s["n"]), *(round(s[q], 4) if q in s else "-" for q in names)) for name, s in spread.items()]
    return _table(("quantity", "films", *names), rows)


def _probe_figure(probes: Sequence[Mapping[str, Any]]) -> Figure:
    told = _measured(probes)
    figure = Figure(figsize=(8, 0.6 + 0.24 * len(told)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(told))[::-1]
    axes.barh(places, [p["auc"] for p in told], color=["#c77700" if p["warning"] else "#4878a8" for p in told])
    axes.set_yticks(places, [_plain(f"{p['label']}: {p['features']}") for p in told], fontsize=8)
    axes.axvline(0.5, color="#888", lw=0.8)
    axes.set_xlim(0, 1)
    axes.set_xlabel("AUC")
    return figure


def _grey_pictures(
    labels: Sequence[str], values: NDArray[np.int8], histograms: NDArray[np.float32], thumbnails: NDArray[np.float32]
) -> str:
    kinds = [(label, values[:, i] == 1, values[:, i] == 0) for i, label in enumerate(labels[: values.shape[1]])]
    shown = [kind for kind in kinds if kind[1].any() and kind[2].any()][:MAX_PICTURED_LABELS]
    if not shown:
        return ""
    figure = Figure(figsize=(8, 2.0 * len(shown)), layout="constrained")
    grid = figure.subplots(len(shown), 2, squeeze=False, width_ratios=(3, 1))
    level = (np.arange(histograms.shape[1]) + 0.5) / histograms.shape[1]
    for (label, present, absent), (left, right) in zip(shown, grid, strict=True):
        left.plot(level, histograms[present].mean(0), label="present", color="#c77700")
        left.plot(level, histograms[absent].mean(0), label="absent", color="#4878a8")
        left.set_title(_plain(label), fontsize=9)
        left.legend(fontsize=7)
        difference = (thumbnails[present].mean(0) - thumbnails[absent].mean(0)).reshape(8, 8)
        right.imshow(difference, cmap="RdBu_r", vmin=-0.2, vmax=0.2)
        right.set_title("present - absent", fontsize=8)
        right.set_axis_off()
    return "<h2>Grey levels</h2>" + _picture(figure, "mean histograms, and differences of mean thumbnails")


def _plain(text: str) -> str:
    return text.replace("$", r"\$")  # matplotlib would read it as mathematics


def _picture(figure: Figure, alternative: str) -> str:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=100, metadata={"Software": None})
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img alt="{escape(alternative)}" src="data:image/png;base64,{data}">'
