"""A cluster of one machine: what deploy/kubernetes/run.sh calls of kubectl, each job done at once.

The folder ``STAND_IN`` has its record of jobs, ``jobs.jsonl``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml

RECORD = Path(os.environ["STAND_IN"]) / "jobs.jsonl"


def create() -> None:
    """Do a job: its command once for each index."""
    job = yaml.safe_load(sys.stdin)
    command = job["spec"]["template"]["spec"]["containers"][0]["command"]
    codes = [
        subprocess.run(command, env={**os.environ, "JOB_COMPLETION_INDEX": str(index)}, check=False).returncode
        for index in range(job["spec"]["completions"])
    ]
    with RECORD.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"job": job, "codes": codes}) + "\n")


def get(name: str) -> None:
    """Print how a job ended."""
    records = [json.loads(line) for line in RECORD.read_text(encoding="utf-8").splitlines()]
    codes = next(each["codes"] for each in reversed(records) if each["job"]["metadata"]["name"] == name)
    sys.stdout.write("FailureTarget Failed" if any(codes) else "SuccessCriteriaMet Complete")


if __name__ == "__main__":
    assert sys.argv[1:3] == ["--namespace", "camray"]
    if sys.argv[3] == "create":
        create()
    elif sys.argv[3] == "get":
        get(sys.argv[5])
    else:
        assert sys.argv[3:5] == ["delete", "job"]
