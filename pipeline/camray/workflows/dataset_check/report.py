"""The report on a data set: counts, what stops an ingest, and what is only odd."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camray.adapters.datasets.manifest import Manifest

MAX_LISTED = 5


@dataclass
class DataCheck:
    """Report on a data set.

    Parameters
    ----------
    name : str
        Name of the data manifest.
    root : Path
        Folder of the data set.
    counts : dict
        Films, headers and pixels read, table rows, labels, boxes, splits; keys in the order of the check.
    wrong : list of str
        What would stop an ingest or make its result wrong.
    notes : list of str
        What is missing or odd, but stops no ingest.
    """

    name: str
    root: Path
    counts: dict[str, Any] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def compare_with_published(self, manifest: Manifest, quantity: str, count: int) -> None:
        """Note a count that differs from the published one, if the manifest has one."""
        published = {str(key): value for key, value in manifest.expected.items()}.get(quantity)
        if published is not None and published != count:
            self.notes.append(f"{quantity.replace('_', ' ')}: {count:,} here, {published:,} published")

    @property
    def exit_code(self) -> int:
        """0 if it can be ingested, 2 if it cannot as it is, 3 if there is no usable film."""
        return 2 if self.wrong and self.counts.get("films") else 3 if not self.counts.get("films") else 0

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        return {
            "manifest": self.name,
            "root": str(self.root),
            "fits": not self.wrong,
            "counts": self.counts,
            "wrong": self.wrong,
            "notes": self.notes,
        }
