"""Tallies of faults by kind, and the table of them that ends a test session."""

import os
from dataclasses import dataclass, field

import pytest

PROPERTY = "faults"
SHARE = float(os.environ.get("CAMRAY_FAULTS_SHARE", "1"))
SEED = int(os.environ.get("CAMRAY_FAULTS_SEED", "1"))
SHOWN = 12
# of the modules with many trials; commands are bounded by their own CPU time, however busy the machine is
FULL = [pytest.mark.faults, pytest.mark.timeout(7200)]


def shared(count: int) -> int:
    """Return the share of a full number that this session tries, at least 1."""
    return max(1, round(count * SHARE))


@dataclass
class Tally:
    """What one test tried: kind to number tried and the failures."""

    tried: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[str]] = field(default_factory=dict)

    def count(self, kind: str, failure: str = "") -> None:
        """Count one trial; an empty text is a success."""
        self.tried[kind] = self.tried.get(kind, 0) + 1
        if failure:
            self.failures.setdefault(kind, []).append(failure)

    def rows(self) -> list[tuple[str, int, int]]:
        """Return kind, tried, failed."""
        return [(kind, tried, len(self.failures.get(kind, []))) for kind, tried in self.tried.items()]

    def check(self) -> None:
        """Fail if anything failed, with some examples of each kind."""
        lines = [f"{kind}: {text}" for kind, texts in self.failures.items() for text in texts[:3]]
        if lines:
            pytest.fail("\n".join(lines[: 3 * SHOWN]), pytrace=False)


def table(rows: list[tuple[str, int, int]]) -> list[str]:
    """Return the lines of the table: kind, tried, failed."""
    width = max(len(kind) for kind, _, _ in rows)
    lines = [f"{'kind':<{width}}  tried  failed"]
    lines += [f"{kind:<{width}}  {tried:>5}  {failed:>6}" for kind, tried, failed in rows]
    tried, failed = (sum(row[column] for row in rows) for column in (1, 2))
    return [*lines, f"{'all':<{width}}  {tried:>5}  {failed:>6}"]
