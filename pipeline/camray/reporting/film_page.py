"""Report page of one film as PDF: patient, picture, findings, model."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from numpy.typing import NDArray

from camray.domain.film_results import UNVERIFIED, FilmResult, FindingResult
from camray.domain.geometry import Box
from camray.domain.labels import Code
from camray.reporting.fonts import FAMILY, drawable_name, families_for

PAGE_INCHES = (8.27, 11.69)  # A4
_PICTURE_AREA = (0.08, 0.42, 0.84, 0.46)  # left, bottom, width, height; fractions of the page
_ROWS, _STEP = 16, 0.0165  # number of lines below the picture, and their distance
NO_PROBABILITY = "none"
_COLUMNS = (
    (0.08, "Finding"),
    (0.38, "Probability"),
    (0.48, "Cutoff"),
    (0.55, "Reported"),
    (0.64, "Boxes (x0, y0, x1, y1) px"),
)


def film_page(
    result: FilmResult, patient_and_study: Sequence[str], codes: Mapping[str, Code], picture: NDArray[np.uint8]
) -> bytes:
    """Draw the report page of one film.

    Parameters
    ----------
    result : FilmResult
        Findings of the film.
    patient_and_study : sequence of str
        Lines that name both, as the film's header does.
    codes : mapping of str to Code
        Code of each finding by its name.
    picture : ndarray of shape (H, W, 3), uint8
        The film with heat map and boxes; contains no identifier beyond what is burned into the film.

    Returns
    -------
    bytes
        PDF, equal for equal arguments and fonts.
    """
    title = f"camray findings ({UNVERIFIED})"
    # Type 3 fonts: matplotlib embeds East Asian OpenType fonts as TrueType, which they are not
    with mpl.rc_context({"pdf.fonttype": 3, "font.family": FAMILY, "font.size": 9}):
        page = Figure(figsize=PAGE_INCHES)
        FigureCanvasPdf(page)
        _write(page, 0.08, 0.945, f"camray findings: {UNVERIFIED}", fontsize=16, weight="bold")
        for row, line in enumerate((*patient_and_study, f"Film {result.image_id}")):
            _write(page, 0.08, 0.926 - 0.0125 * row, line, fontsize=7)
        axes = page.add_axes(_PICTURE_AREA)
        axes.imshow(picture, interpolation="none")
        axes.set_axis_off()
        _write_findings(page, result, codes)
        _write_footer(page, result)
        out = io.BytesIO()
        metadata = {"CreationDate": None, "Producer": "camray", "Creator": "camray", "Title": title}
        page.savefig(out, format="pdf", dpi=150, metadata=metadata)
    return out.getvalue()


def _write_findings(page: Figure, result: FilmResult, codes: Mapping[str, Code]) -> None:
    top = 0.385
    for x, name in _COLUMNS:
        _write(page, x, top, name, weight="bold")
    findings = [*result.reported, *(finding for finding in result.findings if not finding.is_reported)]
    listed = findings if len(findings) <= _ROWS else findings[: _ROWS - 1]
    for row, finding in enumerate(listed, start=1):
        for (x, _), cell in zip(_COLUMNS, _cells(finding, codes[finding.name]), strict=True):
            _write(page, x, top - _STEP * row, cell, fontsize=7)
    rows = len(listed)
    if len(findings) > len(listed):
        n_reported = sum(finding.is_reported for finding in findings[rows:])
        line = f"and {len(findings) - rows} more findings, {n_reported} of them reported: see the structured report"
        rows += 1
        _write(page, _COLUMNS[0][0], top - _STEP * rows, line, fontsize=7, weight="bold")
    if not result.reported:
        _write(page, 0.08, top - _STEP * (rows + 2), f"No finding reported ({UNVERIFIED}).", weight="bold")


def _cells(finding: FindingResult, code: Code) -> tuple[str, ...]:
    return (
        f"{_shortened(drawable_name(finding.name, code), 36 - len(code.value))} ({code.value})",
        NO_PROBABILITY if finding.probability is None else f"{finding.probability:.3f}",
        NO_PROBABILITY if finding.cutoff is None else f"{finding.cutoff:.3f}",
        "not judged" if finding.not_judged else "yes" if finding.is_reported else "no",
        _boxes_text([scored.box for scored in finding.boxes]),
    )


def _write(page: Figure, x: float, y: float, text: str, **style: Any) -> None:
    families = families_for(text)
    if families is None:  # empty boxes would say less
        text, families = "".join(letter if families_for(letter) else "?" for letter in text), [FAMILY]
    page.text(x, y, text, parse_math=False, family=families, **style)  # a dollar sign in a name is a dollar sign


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: max(length - 3, 1)] + "..."


def _boxes_text(boxes: Sequence[Box]) -> str:
    """Return the corners of the best box and the number of boxes: two boxes would reach over the paper's edge."""
    if not boxes:
        return ""
    corners = "(" + ", ".join(f"{side:.1f}" for side in boxes[0].as_tuple()) + ")"
    return corners if len(boxes) == 1 else f"{corners}, first of {len(boxes)}"


def _without_probability(result: FilmResult) -> list[str]:
    """Return a line that says why findings have no probability."""
    findings = [finding for finding in result.findings if finding.probability is None]
    if not findings:
        return []
    more = f" (and {len(findings) - 1} more findings: see the structured report)" if len(findings) > 1 else ""
    name = _shortened(findings[0].name, 24)
    return [f"No probability of {name}: {findings[0].no_probability}{more}"]


def _write_footer(page: Figure, result: FilmResult) -> None:
    algorithm = result.algorithm
    lines = (
        f"{UNVERIFIED}: computed by software, not read by a radiologist. Trained on image-level labels.",
        f"camray {algorithm.version}, model {algorithm.name}, explanation method {algorithm.method}",
        f"model sha256 {algorithm.model_digest}",
        f"thresholds sha256 {algorithm.threshold_digest}",
        *_without_probability(result),
    )
    for row, line in enumerate(lines):
        _write(page, 0.08, 0.075 - 0.0145 * row, line, fontsize=7)
