"""The ingest audit as one self-contained page: shortcut probes, labels, films, refusals and faults of the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from camray.reporting.page_rendering import render
from camray.reporting.shortcut_audit_charts import grey_chart, probe_chart

MAX_DOUBTFUL = 50
_LABEL_STATES = {"present": "present", "absent": "absent", "uncertain": "uncertain", "no_information": "no information"}
_QUANTILES = ("min", "p05", "median", "p95", "max")


@dataclass(frozen=True)
class _AuditCell:
    """A cell's text; numbers are aligned to the right."""

    text: str
    is_number: bool = False


@dataclass(frozen=True)
class _AuditRow:
    """Cells of a row, and whether the row is highlighted."""

    cells: tuple[_AuditCell, ...]
    is_warning: bool = False


@dataclass(frozen=True)
class _Table:
    """Names of the columns, and the rows."""

    head: tuple[str, ...]
    rows: tuple[_AuditRow, ...]


def audit_page(
    audit: Mapping[str, Any], values: NDArray[np.int8], histograms: NDArray[np.float32], thumbnails: NDArray[np.float32]
) -> str:
    """Lay the audit out.

    Parameters
    ----------
    audit : mapping
        The content of ``audit.json``.
    values : ndarray of shape (films, labels), int8
        1 present, 0 absent; columns as in ``audit["label_names"]``. Without columns there is no chart of grey levels.
    histograms : ndarray of shape (films, 32), float32
        Grey-level histograms.
    thumbnails : ndarray of shape (films, 64), float32
        8 x 8 thumbnails.

    Returns
    -------
    str
        HTML without any reference to another file.
    """
    doubtful = audit["doubtful"]
    return render(
        "shortcut_audit.html.j2",
        **{name: audit[name] for name in ("manifest", "films", "patients", "refused", "inputs")},
        warnings=audit["warnings"],
        suggestions=audit["suggestions"],
        probes=_probe_table(audit["probes"]),
        probe_chart=probe_chart(audit["probes"]),
        one_class=audit["one_class"],
        doubtful=[f"{film['image_id']}: {film['why']}" for film in doubtful[:MAX_DOUBTFUL]],
        doubtful_count=len(doubtful),
        labels=_label_table(audit["labels"]),
        films_by=[_count_table(name, counts) for name, counts in audit["films_by"].items()],
        spread=_spread_table(audit["spread"]),
        grey_chart=grey_chart(audit["label_names"], values, histograms, thumbnails),
        refusals=_count_table("reason", audit["refusals"]),
        faults=[_fault_text(fault) for fault in audit["table_faults"]],
    )


def _fault_text(fault: Mapping[str, Any]) -> str:
    more = ", ..." if fault["count"] > len(fault["lines"]) else ""
    lines = f" (line {', '.join(map(str, fault['lines']))}{more})" if fault["lines"] else ""
    return f"{fault['table']}: {fault['what']}: {fault['count']}{lines}"


def _row(values: Sequence[object], is_warning: bool = False) -> _AuditRow:
    return _AuditRow(tuple(_AuditCell(str(value), isinstance(value, int | float)) for value in values), is_warning)


def _probe_table(probes: Sequence[Mapping[str, Any]]) -> _Table:
    head = ("label", "from", "AUC", "films", "present", "not measured")
    return _Table(head, tuple(_probe_row(probe) for probe in probes))


def _probe_row(probe: Mapping[str, Any]) -> _AuditRow:
    auc = _AuditCell("–") if probe["auc"] is None else _AuditCell(f"{probe['auc']:.3f}", is_number=True)
    names, counts = _row([probe["label"], probe["features"]]), _row([probe["n"], probe["n_present"], probe["skipped"]])
    return _AuditRow((*names.cells, auc, *counts.cells), bool(probe["warning"]))


def _label_table(by_split: Mapping[str, Mapping[str, Mapping[str, int]]]) -> _Table:
    rows = [
        _row((split, label, *(counts[state] for state in _LABEL_STATES)))
        for split, labels in by_split.items()
        for label, counts in labels.items()
    ]
    return _Table(("split", "label", *_LABEL_STATES.values()), tuple(rows))


def _count_table(name: str, counts: Mapping[str, int]) -> _Table:
    return _Table((name, "films"), tuple(_row(pair) for pair in counts.items()))


def _spread_table(spread: Mapping[str, Mapping[str, float]]) -> _Table:
    rows = [
        _row((name, int(each["n"]), *(round(each[key], 4) if key in each else "–" for key in _QUANTILES)))
        for name, each in spread.items()
    ]
    return _Table(("quantity", "films", *_QUANTILES), tuple(rows))
