"""What commands that run stages print: counts of each stage, scores, findings and paths."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from camray.commands.arguments import console

WIDE_COLUMNS = 130
NARROW_OMITS = {"boxed films", "hit", "box", "without boxes", "few-shot", "its few-shot"}
LONGEST_INLINE_TEXT = 40  # characters of a stage's text beside its numbers; a longer one gets a line of its own
SHOWN_FINDINGS = 3
NAME_COLUMNS, FINDING_COLUMNS = 60, 14


def print_stage(report: Any) -> None:
    """Print a stage's counts and figures."""
    record = report.record
    if report.skipped:
        console.print(f"[dim]{record['stage']:<9} up to date, skipped[/dim]")
        return
    counts = record["counts"]
    texts = {name: value for name, value in record["figures"].items() if isinstance(value, str)}
    notes = {name: text for name, text in texts.items() if name.startswith("note") or len(text) > LONGEST_INLINE_TEXT}
    figures = ", ".join(f"{name} {_short(value)}" for name, value in record["figures"].items() if name not in notes)
    again = " (resumed)" if report.resumed else ""
    refused = f", [yellow]{counts['refused']} refused[/yellow]" if counts["refused"] else ""
    console.print(
        f"[bold]{record['stage']:<9}[/bold] {counts['done']} of {counts['in']} done{refused} "
        f"in {record['seconds']:.1f} s{again}" + (f"\n          [dim]{escape(figures)}[/dim]" if figures else "")
    )
    for name, text in notes.items():
        about = "" if name.startswith("note") else f"{name}: "
        console.print(f"[yellow]note[/yellow]      {escape(about + text)}", highlight=False, soft_wrap=True)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def print_scores(rows: list[dict[str, Any]], intervals: str) -> None:
    """Print the headline table; a narrow terminal omits columns that the summary page has."""
    out = Console()
    omitted = set() if out.width >= WIDE_COLUMNS else NARROW_OMITS
    columns = [column for column in rows[0] if column not in omitted]
    looks = ", few-shot does" if "few-shot" in columns else ""
    title = f"Scores ({intervals}; baselines do not look at the film{looks})"
    table = Table(title=title, padding=(0, 0))
    for column in columns:
        table.add_column(column)
    for row in rows:
        table.add_row(*[escape(str(row[column]).replace(" (", "\n(", 1)) for column in columns])
    out.print(table)


def print_findings(findings: Any) -> None:
    """Print the films with the highest probabilities; on a narrow terminal the first findings of each."""
    out = Console()
    many = len(findings.rows) < findings.films
    table = Table(
        title="Probabilities"
        + (f" ({len(findings.rows)} of {findings.films} films, highest probability first)" if many else ""),
        padding=(0, 1),
    )
    is_wide = out.width >= NAME_COLUMNS + FINDING_COLUMNS * len(findings.labels)
    for column in ("film", *(findings.labels if is_wide else ("findings",)), "boxes"):
        table.add_column(escape(column), overflow="fold")
    for row in findings.rows:
        ranked = sorted(findings.labels, key=lambda label: _rank(row, label))
        if is_wide:
            cells = [_certainty(row, label) for label in findings.labels]
        else:
            cells = [", ".join(f"{label} {_certainty(row, label)}" for label in ranked[:SHOWN_FINDINGS])]
        film = f"{row['file']}\n{row['image_id']}"
        table.add_row(escape(film), *map(escape, cells), "" if row["boxes"] is None else str(row["boxes"]))
    out.print(table)


def _rank(row: dict[str, Any], label: str) -> tuple[float, bool]:
    """Return what findings are sorted by: probability, highest first; without one, reported ones first, at the end."""
    probability = row["probabilities"][label]
    return (1.0 if probability is None else -probability), label not in row["reported"]


def _certainty(row: dict[str, Any], label: str) -> str:
    from camray.domain.film_results import certainty_text

    is_judged = label not in row["not_judged"]
    return certainty_text(row["probabilities"][label], is_reported=label in row["reported"], is_judged=is_judged)


def print_paths(root: Path) -> None:
    """Print the paths of a run's results that exist."""
    from camray.io.artifacts import RunArtifacts

    run = RunArtifacts(root)
    for what, path in (
        ("audit", run.ingest.audit_page),
        ("report", run.score.report_page),
        ("findings", run.localize.predictions.path),
        ("boxes", run.export.boxes),
        ("overlays", run.export.overlays),
        ("dicom", run.export.dicom),
        ("tables", run.csv_tables),
        ("refused", run.ingest.refusals.path),
    ):
        if path.exists():
            console.print(f"{what:<9} {escape(str(path))}")
