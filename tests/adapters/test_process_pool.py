import errno
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from camray.adapters.process_pool import count_workers, map_processes
from camray.domain.errors import ImageError, InputRefusedError, PipelineError, PixelError
from camray.domain.records import RefusalReason


def double_or_fail(item: int, folder: Path | None = None) -> int:
    """Double a number; some numbers refuse, abort, hang, stop once or raise."""
    if item == 7:
        raise PixelError(RefusalReason.BLANK, "seven")
    if item == 11:
        os.abort()
    if item == 13:
        os._exit(1)  # as a codec's exit() does
    if item == 17:
        raise KeyError("a bug")
    if item == 19:
        time.sleep(60)
    if item == 23 and folder is not None and not (folder / "once").exists():
        (folder / "once").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item * 2


def threads_of(_: int) -> tuple[str | None, int]:
    return os.environ.get("OMP_NUM_THREADS"), os.getpid()


def ends_itself(item: int) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(os.getpid(), number)
    return item


def big(item: int) -> bytes:
    return bytes([item % 256]) * 300_000  # far beyond a pipe's buffer


def living(session: int) -> list[str]:
    """Processes of a session that are more than an entry nobody has reaped."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.name())
        except (psutil.Error, ProcessLookupError):
            continue
    return found


def test_one_worker_is_a_process_of_its_own() -> None:
    pids = {outcome.value[1] for outcome in map_processes(threads_of, [1, 2], workers=1) if outcome.value}
    assert len(pids - {os.getpid()}) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_order_is_kept_and_refusals_are_outcomes(workers: int) -> None:
    outcomes = list(map_processes(double_or_fail, range(3, 10), workers, chunk=2))
    assert [outcome.item for outcome in outcomes] == list(range(3, 10))
    assert [outcome.value for outcome in outcomes] == [6, 8, 10, 12, None, 16, 18]
    error = outcomes[4].error
    assert isinstance(error, ImageError)
    assert (error.reason, error.message) == (RefusalReason.BLANK, "seven")


def test_no_items() -> None:
    assert list(map_processes(double_or_fail, [], workers=2)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_crashes_cost_only_their_own_items(workers: int) -> None:
    outcomes = list(map_processes(double_or_fail, [1, 11, 2, 3, 13, 11, 4, 5], workers, chunk=3))
    assert [outcome.value for outcome in outcomes] == [2, None, 4, 6, None, None, 8, 10]
    reasons = [outcome.error.reason for outcome in outcomes if outcome.error]
    assert reasons == [RefusalReason.UNREADABLE_PIXELS] * 3


def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    outcomes = list(map_processes(partial(double_or_fail, folder=tmp_path), [1, 23, 2], workers=2, chunk=3))
    assert [outcome.value for outcome in outcomes] == [2, 46, 4]


def dies_within_its_answer(item: int, folder: Path) -> int:
    if item == 2 and not (folder / "once").exists():
        (folder / "once").touch()
        os.write(sys._getframe(2).f_locals["connection"].fileno(), struct.pack("!i", 100) + b"cut")
        os._exit(1)
    return item


def test_a_worker_that_dies_within_its_answer_costs_nothing(tmp_path: Path) -> None:
    outcomes = list(map_processes(partial(dies_within_its_answer, folder=tmp_path), [1, 2, 3], workers=1))
    assert [outcome.value for outcome in outcomes] == [1, 2, 3]
    assert (tmp_path / "once").exists()


def test_an_item_that_hangs_is_given_up() -> None:
    outcomes = list(map_processes(double_or_fail, [1, 19, 2], workers=2, chunk=1, timeout_s=1))
    assert [outcome.value for outcome in outcomes] == [2, None, 4]
    assert outcomes[1].error is not None


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bug_stops_everything(workers: int) -> None:
    with pytest.raises((PipelineError, KeyError)):
        list(map_processes(double_or_fail, [1, 17, 2], workers))


def fails_as(error: str, item: int) -> int:
    raise {"disk": OSError(errno.ENOSPC, "No space left on device"), "films": InputRefusedError("none")}[error]


def test_a_full_disk_in_a_worker_is_the_error_of_a_full_disk_here() -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        list(map_processes(partial(fails_as, "disk"), [1], workers=1))
    assert caught.value.errno == errno.ENOSPC
    with pytest.raises(InputRefusedError, match="none"):
        list(map_processes(partial(fails_as, "films"), [1], workers=1))


def test_input_is_read_only_as_far_as_needed() -> None:
    taken = []

    def endless() -> Iterator[int]:
        item = 100
        while True:
            taken.append(item)
            yield item
            item += 1

    results = map_processes(double_or_fail, endless(), workers=2, chunk=4)
    assert [next(results).item for _ in range(50)] == list(range(100, 150))
    results.close()
    assert len(taken) <= 50 + 2 * 4 * 4 + 4


def test_workers_have_one_thread_and_our_environment_is_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    outcomes = list(map_processes(threads_of, range(8), workers=2, chunk=1))
    found = [outcome.value for outcome in outcomes if outcome.value]
    assert {threads for threads, _ in found} == {"1"}
    assert os.getpid() not in {pid for _, pid in found}
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_large_answers_pass() -> None:
    outcomes = list(map_processes(big, range(20), workers=2, chunk=5))
    assert all(outcome.value == big(item) for item, outcome in enumerate(outcomes))


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        map_processes(double_or_fail, [1], workers=0)


def test_zero_means_one_worker_a_core() -> None:
    assert count_workers(0) == len(os.sched_getaffinity(0))
    assert count_workers(3) == 3


def test_the_start_of_a_worker_is_no_time_of_its_item() -> None:
    outcomes = list(map_processes(double_or_fail, [1, 2], workers=1, timeout_s=0.05))  # imports take far longer
    assert [outcome.value for outcome in outcomes] == [2, 4]


def test_a_request_to_end_is_not_for_the_workers() -> None:
    outcomes = map_processes(ends_itself, [1, 2], workers=1, chunk=1)
    assert [outcome.value for outcome in outcomes] == [1, 2]


def test_workers_end_although_their_results_are_never_taken(tmp_path: Path) -> None:
    script = tmp_path / "left.py"
    script.write_text(
        "import time\n"
        "from camray.adapters.process_pool import map_processes\n"
        "if __name__ == '__main__':\n"
        "    outcomes = map_processes(time.sleep, [0.0] + [60.0] * 4, 2, chunk=1)\n"
        "    next(outcomes)\n"
        "    raise SystemExit(3)\n"
    )
    assert subprocess.run([sys.executable, str(script)], timeout=50, check=False).returncode == 3


def test_interrupt_ends_cleanly_and_leaves_no_process(tmp_path: Path) -> None:
    script = tmp_path / "long.py"
    script.write_text(
        "import signal, time\n"
        "from camray.adapters.process_pool import map_processes\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it\n"
        "    for outcome in map_processes(time.sleep, [0.0] * 4 + [30.0] * 4, 2, chunk=1):\n"
        "        print('begun', flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            os.killpg(process.pid, signal.SIGINT)  # as a terminal's Ctrl-C: to all of them
            _, errors = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode != 0
    assert errors.count("Traceback") == 1  # ours; the workers keep still
    deadline = time.monotonic() + 10
    while (left := living(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
