"""A stored plan with one byte changed: read as it was written, or refused."""

from contextlib import suppress
from pathlib import Path

import pytest

from camray.core.planning.facts import Plan, Reason
from camray.domain.errors import PipelineError
from camray.io.plan import PlannedFrom, read_plan, write_plan

PLAN = Plan({"train": {"max_epochs": 8}}, (Reason(("train.max_epochs",), "few films"),), ("a note",), 2.5)
PLANNED = PlannedFrom("digest", PLAN)


def test_a_plan_is_read_as_it_was_written_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, PLANNED)
    assert read_plan(path) == PLANNED
    written = path.read_bytes()
    for position, byte in enumerate(written):
        path.write_bytes(written[:position] + bytes([byte ^ 1]) + written[position + 1 :])
        with suppress(PipelineError):
            assert read_plan(path) == PLANNED


def test_a_changed_number_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    write_plan(path, PLANNED)
    path.write_bytes(path.read_bytes().replace(b'"max_epochs": 8', b'"max_epochs": 9'))
    with pytest.raises(PipelineError, match="plans anew"):
        read_plan(path)
