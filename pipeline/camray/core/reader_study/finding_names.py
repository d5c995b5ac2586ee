"""Names of a run's findings as reports may state them: text, code, alias, or camray's own identifier."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from camray.domain.labels import Finding
from camray.domain.reader_decisions import ReportMark

# what an exported comment adds to a finding's name: "0.91, right upper zone (AI, not verified)", or "reported (AI, ..."
_SUMMARY = re.compile(
    r"\s+([01]\.\d\d|(not )?reported)(, (right|left) (upper|middle|lower) zone)?(\s+\(AI, not verified\).*)?$"
)
_OWN_IDENTIFIER = re.compile(r"^camray (.+) \d+$")
_Word = TypeVar("_Word")


class FindingNames:
    """The run's findings by all that a report may call them."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.labels = tuple(finding.name for finding in findings)
        coded = [(finding.code, finding.name) for finding in findings if finding.code is not None]
        self._codes = _unique(((code.value, code.scheme), name) for code, name in coded)
        meant = [(_plain(code.meaning), name) for code, name in coded]
        self._words = _unique(
            [*meant, *((_plain(alias), finding.name) for finding in findings for alias in finding.aliases)]
        )
        for name in self.labels:  # a finding's own name is always its own; codes hold 64 letters of it
            self._words |= {_plain(name[:64]): name, _plain(name): name}

    def label(self, mark: ReportMark) -> tuple[str | None, list[str]]:
        """Return the finding that a mark names, if any, and the words that do not name it."""
        named, rest = [], []
        for word in mark.texts:
            label = self._words.get(_plain(_SUMMARY.sub("", word)))
            if label is None:
                rest.append(word)
            else:
                named.append(label)
        named += [self._codes[code] for code in mark.codes if code in self._codes]
        own = _OWN_IDENTIFIER.match(mark.identifier)
        if own is not None and _plain(own.group(1)) in self._words:
            named.append(self._words[_plain(own.group(1))])
        return (named[0] if named else None), rest


def _unique(pairs: Iterable[tuple[_Word, str]]) -> dict[_Word, str]:
    """Return the words and codes that denote a single finding."""
    names_of: dict[_Word, set[str]] = {}
    for word, name in pairs:
        names_of.setdefault(word, set()).add(name)
    return {word: next(iter(names)) for word, names in names_of.items() if len(names) == 1}


def _plain(word: str) -> str:
    return " ".join(word.casefold().split())
