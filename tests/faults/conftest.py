"""The tiny run that the trials damage, and the table at the end: kind, tried, failed."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.faults.fault_table import PROPERTY, Tally, table
from tests.faults.tiny_run import make_tiny_run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of all trials, also of those that ran in other processes."""
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, [])]
    rows = [row for report in reports for name, rows in report.user_properties if name == PROPERTY for row in rows]
    if rows:
        terminalreporter.section("faults")
        for line in table([(str(kind), int(tried), int(failed)) for kind, tried, failed in rows]):
            terminalreporter.write_line(line)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Report what a test tallied, and fail it if something failed."""
    counted = pyfuncitem.funcargs.get("faults")
    if not isinstance(counted, Tally):
        return (yield)
    try:
        result = yield
    finally:
        pyfuncitem.user_properties.append((PROPERTY, counted.rows()))
    counted.check()
    return result


@pytest.fixture
def faults() -> Tally:
    """Count trials by kind; a failure fails the test when it ends."""
    return Tally()


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of one finished run, undisturbed; copy it before anything is done to it."""
    return make_tiny_run(tmp_path_factory.mktemp("undisturbed"))
