"""Counts of an import of decisions, for the terminal, the summary and the tracker."""

from collections.abc import Sequence

from camray.domain.reader_decisions import Decision, Problem, Reading


def import_counts(
    decisions: Sequence[Decision], readings: Sequence[Reading], problems: Sequence[Problem]
) -> dict[str, int]:
    """Count readers, films, decisions by verdict and by what was shown, finished readings and problems."""
    verdicts: dict[str, int] = {}
    for decision in decisions:
        if decision.verdict is not None:
            verdicts[f"verdict_{decision.verdict}"] = verdicts.get(f"verdict_{decision.verdict}", 0) + 1
    return {
        "readers": len({decision.reader for decision in decisions}),
        "films": len({decision.image_id for decision in decisions}),
        "decisions": len(decisions),
        "readings_finished": sum(reading.is_finished for reading in readings),
        **dict(sorted(verdicts.items())),
        **_shown_counts(decisions),
        "problems": len(problems),
    }


def _shown_counts(decisions: Sequence[Decision]) -> dict[str, int]:
    """Count the decisions made with the AI's result, and with annotations, shown, hidden, and where that is unknown."""
    words = {True: "shown", False: "hidden", None: "unknown"}
    counts = {f"{what}_{word}": 0 for what in ("ai", "annotations") for word in words.values()}
    for decision in decisions:
        counts[f"ai_{words[decision.shown.ai]}"] += 1
        counts[f"annotations_{words[decision.shown.annotations]}"] += 1
    return counts
