"""Lines of progress where stderr is no terminal."""

import pytest

from camray.adapters import progress as module
from camray.adapters.progress import progress, progress_line, remaining


class _Clock:
    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


def _lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float) -> list[str]:
    monkeypatch.setattr(module, "time", _Clock(seconds))
    monkeypatch.setattr(module._LastLine, "at", 0.0)
    assert list(progress(range(10), 10, "reading films")) == list(range(10))
    return capsys.readouterr().err.splitlines()


def test_a_line_a_minute_says_how_much_is_done_and_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = _lines(monkeypatch, capsys, 25.0)
    # items end 50, 75, 100 s ... after the start at 25 s; the line's own reading of the clock adds a step
    assert lines[0] == "progress  reading films: 2 of 10, 0.0/s, 3 min left"
    assert 3 <= len(lines) < 10


def test_short_work_writes_no_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _lines(monkeypatch, capsys, 0.5) == []


def test_a_line_of_its_own_delays_the_next(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "time", _Clock(25.0))
    monkeypatch.setattr(module._LastLine, "at", 0.0)
    for number in progress(range(6), 6, "epoch"):
        progress_line("train", f"epoch {number}")
    assert capsys.readouterr().err.splitlines() == [f"train     epoch {number}" for number in range(6)]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s left"), (89, "89 s left"), (90, "2 min left"), (3600, "60 min left")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert remaining(seconds) == words
