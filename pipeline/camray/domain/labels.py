"""Findings and their codes."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Code:
    """A coded concept: value, coding scheme designator (``SCT``, ``RADLEX``, ``DCM``) and meaning."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True)
class Finding:
    """One label of a data set.

    Parameters
    ----------
    name : str
        As in all tables.
    code : Code or None
        Needed only for DICOM objects.
    any_of : tuple of str
        Names of the findings this one is derived from: present if any is present, absent if all are absent, and no
        information otherwise. Empty for a finding of the label table. Boxes are derived likewise.
    localizable : bool
        False for labels such as "No finding" that can have no box.
    """

    name: str
    code: Code | None = None
    any_of: tuple[str, ...] = ()
    localizable: bool = True
    aliases: tuple[str, ...] = field(default=())


def names_of(findings: tuple[Finding, ...]) -> tuple[str, ...]:
    """Return the label names in their fixed order."""
    return tuple(finding.name for finding in findings)
