"""A cluster of one machine: what deploy/slurm calls of SLURM, each job done at once, one after the other.

It is installed as ``sbatch``, ``srun``, ``scancel``, ``scontrol`` and ``squeue``. The folder ``STAND_IN`` has
its record of jobs, ``jobs.jsonl``. ``STAND_IN_STOPS`` names jobs that get SIGTERM in their first turn, once their log
contains a text: ``camray-explain-parts=part 1``.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(os.environ["STAND_IN"])
RECORD, REQUEUED, PROCESSES = HOME / "jobs.jsonl", HOME / "requeued", HOME / "processes"


def sbatch(words: list[str]) -> int:
    """Do a job, or each task of its array, and print its number."""
    options, rest = _options(words)
    script = Path(rest[0])
    of_script = re.findall(r"^#SBATCH (--\S+)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    options = {**_options(of_script)[0], **options}
    number = len(_records()) + 1
    needs = options.get("dependency", "")
    state = "CANCELLED" if not _may_start(needs) else "COMPLETED"
    codes: list[int] = []
    for task in _tasks(options.get("array", "")) if state == "COMPLETED" else []:
        codes.append(_turns(number, task, rest, options))
    state = "FAILED" if any(codes) else state
    record = {"job": number, "name": options["job-name"], "needs": needs, "state": state, "codes": codes, "words": rest}
    with RECORD.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**record, "options": options}) + "\n")
    sys.stdout.write(f"{number};cluster\n" if "parsable" in options else f"Submitted batch job {number}\n")
    return 0


def srun(words: list[str]) -> int:
    """Start a command once on each node, and pass signals on to it, as srun does."""
    _, rest = _options(words)
    n_nodes = int(os.environ["SLURM_NNODES"])
    running = [subprocess.Popen(rest, env={**os.environ, "SLURM_NODEID": str(node)}) for node in range(n_nodes)]
    PROCESSES.write_text(" ".join(str(each.pid) for each in running), encoding="utf-8")
    signal.signal(signal.SIGTERM, lambda *_: [each.kill() for each in running])  # as srun does
    return max(each.wait() for each in running)


def scancel(words: list[str]) -> int:
    """Send a signal to the processes of a job's step."""
    assert words == ["--signal=TERM", os.environ["SLURM_JOB_ID"]]
    for process in PROCESSES.read_text(encoding="utf-8").split():
        os.kill(int(process), signal.SIGTERM)
    return 0


def scontrol(words: list[str]) -> int:
    """List a job's nodes, or put it back into the queue."""
    if words[:2] == ["show", "hostnames"]:
        sys.stdout.write("localhost\n" * int(os.environ["SLURM_NNODES"]))
        return 0
    assert words == ["requeue", os.environ["SLURM_JOB_ID"]]
    REQUEUED.touch()
    return 0


def squeue(words: list[str]) -> int:
    """Say that the job that asks is running."""
    assert f"--jobs={os.environ['SLURM_JOB_ID']}" in words
    sys.stdout.write("RUNNING\n")
    return 0


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Split options of the form ``--name=value`` from what follows them."""
    n = next((i for i, word in enumerate(words) if not word.startswith("--")), len(words))
    pairs = (word[2:].partition("=") for word in words[:n])
    return {name: value for name, _, value in pairs}, words[n:]


def _records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()] if RECORD.exists() else []


def _may_start(needs: str) -> bool:
    kind, _, number = needs.partition(":")
    if not kind:
        return True
    state = _records()[int(number) - 1]["state"]
    return state == "COMPLETED" if kind == "afterok" else state in ("COMPLETED", "FAILED")


def _tasks(array: str) -> list[str]:
    first, _, last = array.partition("-")
    return [str(task) for task in range(int(first), int(last) + 1)] if array else [""]


def _turns(number: int, task: str, rest: list[str], options: dict[str, str]) -> int:
    """Do one task, again as long as it asks for it; return the exit code of its last turn."""
    log = Path(options["output"].replace("%x", options["job-name"]).replace("%j", f"{number}_{task}"))
    stops = dict(each.split("=") for each in os.environ.get("STAND_IN_STOPS", "").split(",") if each)
    for turn in range(100):
        REQUEUED.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "SLURM_JOB_ID": str(number),
            "SLURM_ARRAY_TASK_ID": task,
            "SLURM_RESTART_COUNT": str(turn),
            "SLURM_NNODES": options.get("nodes", "1"),
            "SLURM_JOB_NODELIST": "n[1-2]",
            "CAMRAY_SLURM": re.search(r"CAMRAY_SLURM=([^,]+)", options["export"])[1],  # type: ignore[index]
        }
        with log.open("a", encoding="utf-8") as file:
            job = subprocess.Popen(["bash", *rest], env=environment, stdout=file, stderr=file)
            _stop(job, log, stops.get(options["job-name"], "") if turn == 0 else "")
            code = job.wait()
        if not REQUEUED.exists():
            return code
    raise AssertionError("requeued without end")


def _stop(job: "subprocess.Popen[bytes]", log: Path, text: str) -> None:
    """Send SIGTERM to the job's shell, which alone gets it (``--signal=B:TERM``), once its log contains a text."""
    while text and job.poll() is None:
        if text in log.read_text(encoding="utf-8"):
            job.terminate()
            return
        time.sleep(0.01)


if __name__ == "__main__":
    programs = {each.__name__: each for each in (sbatch, srun, scancel, scontrol, squeue)}
    program = programs[Path(sys.argv[0]).name]
    sys.exit(program(sys.argv[1:]))
