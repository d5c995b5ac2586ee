"""The scripts for SLURM: their jobs in order, failures, preemption, and a whole run with the bytes of one process."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from camray.commands.app import app

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "deploy" / "slurm"
STAND_IN = Path(__file__).with_name("slurm_stand_in.py")
SITE = """
export CAMRAY_RUNS={folder}/runs CAMRAY_KEY_FILE={folder}/key
LOGS={folder}/logs
export PATH={folder}/bin:{path}
SITE=() CPU_JOB=() GPU_JOB=() TRAIN_JOB=(--nodes={nodes})
TRAIN_PROCESSES=1 INGEST_PARTS=2 EXPLAIN_PARTS=2 LOCALIZE_PARTS=2 MOST_REQUEUES=3
"""
# a camray that writes down how it was called; the name of a stage in FAILS or WAITS fails, or waits for SIGTERM once
PROGRAM = """#!/bin/bash
echo "$(basename "$0") $*" >> "$STAND_IN/calls"
echo "at work"
if [[ -n ${FAILS:-} && " $* " == *" $FAILS "* ]]; then exit 1; fi
if [[ -n ${ALWAYS_INCOMPLETE:-} && " $* " == *" $ALWAYS_INCOMPLETE "* ]]; then exit 4; fi
if [[ -n ${WAITS:-} && " $* " == *" $WAITS "* && ! -e $STAND_IN/waited ]]; then
    touch "$STAND_IN/waited"
    trap 'exit 4' TERM
    for _ in {1..300}; do sleep 0.1; done
fi
"""


def _executable(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def _cluster(folder: Path, nodes: int = 1, programs: tuple[str, ...] = ("camray", "torchrun")) -> Path:
    """Make a site's copy of the scripts and the programs that they call; return its folder."""
    shutil.copytree(SCRIPTS, folder / "slurm")
    (folder / "bin").mkdir()
    for name in ("sbatch", "srun", "scancel", "scontrol", "squeue"):
        _executable(folder / "bin" / name, f"#!{sys.executable}\n{STAND_IN.read_text(encoding='utf-8')}")
    for name in programs:
        _executable(folder / "bin" / name, PROGRAM)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (folder / "slurm" / "site.sh").open("a", encoding="utf-8") as site:
        site.write(SITE.format(folder=folder, path=path, nodes=nodes))
    return folder


def _submit(
    cluster: Path, *words: str, script: str = "submit.sh", **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(cluster / "slurm" / script), *words],
        env={**os.environ, "STAND_IN": str(cluster), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )


def _jobs(cluster: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cluster / "jobs.jsonl").read_text(encoding="utf-8").splitlines()]


def _calls(cluster: Path) -> list[str]:
    return (cluster / "calls").read_text(encoding="utf-8").splitlines()


def test_a_run_is_a_chain_of_jobs(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    ended = _submit(cluster, "rsna.yaml", "train.max_epochs=2")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [(job["name"], job["needs"]) for job in _jobs(cluster)] == [
        ("camray-ingest-parts", ""),
        ("camray-ingest", "afterany:1"),
        ("camray-train", "afterok:2"),
        ("camray-explain-parts", "afterok:3"),
        ("camray-explain", "afterany:4"),
        ("camray-localize-parts", "afterok:5"),
        ("camray-rest", "afterany:6"),
    ]
    assert {job["state"] for job in _jobs(cluster)} == {"COMPLETED"}
    assert {job["options"]["kill-on-invalid-dep"] for job in _jobs(cluster)} == {"yes"}
    changed = "rsna.yaml train.max_epochs=2"
    address = "--master-addr=localhost --master-port=20003 -m camray train"
    assert _calls(cluster) == [
        f"camray settings {changed}",
        f"camray ingest {changed} --part 1/2",
        f"camray ingest {changed} --part 2/2",
        f"camray ingest {changed}",
        f"torchrun --nnodes=1 --node-rank=0 --nproc-per-node=1 {address} {changed}",
        f"camray explain {changed} --part 1/2",
        f"camray explain {changed} --part 2/2",
        f"camray explain {changed}",
        f"camray localize {changed} --part 1/2",
        f"camray localize {changed} --part 2/2",
        f"camray run {changed}",
    ]


def test_training_starts_once_on_each_node(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path, nodes=2)
    _submit(cluster, "rsna.yaml")
    ranks = [call.split()[1:3] for call in _calls(cluster) if call.startswith("torchrun")]
    assert sorted(ranks) == [["--nnodes=2", "--node-rank=0"], ["--nnodes=2", "--node-rank=1"]]


def test_new_films_are_predicted_in_parts(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    assert _submit(cluster, "runs/rsna", "films", "out", "--formats", "csv", script="predict.sh").returncode == 0
    given = "camray predict runs/rsna films --out out --formats csv"
    assert _calls(cluster) == [
        *(f"{given} --until ingest{part}" for part in (" --part 1/2", " --part 2/2", "")),
        *(f"{given} --until explain{part}" for part in (" --part 1/2", " --part 2/2", "")),
        *(f"{given} --until localize{part}" for part in (" --part 1/2", " --part 2/2")),
        given,
    ]


@pytest.mark.parametrize("script", ["submit.sh", "predict.sh"])
def test_words_that_are_missing_are_said(tmp_path: Path, script: str) -> None:
    ended = _submit(_cluster(tmp_path), script=script)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"usage: {script} ")


def test_a_wrong_setting_submits_nothing(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    assert _submit(cluster, "rsna.yaml", FAILS="settings").returncode == 1
    assert not (cluster / "jobs.jsonl").exists()


def test_a_failed_training_leaves_nothing_behind_it_in_the_queue(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    _submit(cluster, "rsna.yaml", FAILS="train")
    states = {job["name"].removeprefix("camray-"): (job["state"], job["codes"]) for job in _jobs(cluster)}
    assert states["train"] == ("FAILED", [1])  # once: a fault is no reason to try again
    assert {name for name, (state, _) in states.items() if state == "CANCELLED"} == {
        "explain-parts",
        "explain",
        "localize-parts",
        "rest",
    }


def test_the_merge_comes_after_a_failed_part(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    _submit(cluster, "rsna.yaml", FAILS="2/2")
    states = {job["name"]: job["state"] for job in _jobs(cluster)}
    assert states["camray-ingest-parts"] == states["camray-explain-parts"] == "FAILED"
    assert states["camray-ingest"] == states["camray-rest"] == "COMPLETED"


def test_a_preempted_part_goes_back_to_the_queue(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    _submit(cluster, "rsna.yaml", WAITS="explain", STAND_IN_STOPS="camray-explain-parts=at work")
    assert {job["state"] for job in _jobs(cluster)} == {"COMPLETED"}
    parts = [call for call in _calls(cluster) if call.startswith("camray explain") and "--part 1/2" in call]
    assert len(parts) == 2
    assert "requeued" in (cluster / "logs" / "camray-explain-parts-4_1.log").read_text(encoding="utf-8")


def test_a_job_is_not_requeued_without_end(tmp_path: Path) -> None:
    cluster = _cluster(tmp_path)
    _submit(cluster, "rsna.yaml", ALWAYS_INCOMPLETE="train")
    assert len([call for call in _calls(cluster) if call.startswith("torchrun")]) == 1 + 3
    assert "MOST_REQUEUES in site.sh" in (cluster / "logs" / "camray-train-3_.log").read_text(encoding="utf-8")


def test_scripts_pass_shellcheck() -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    files = sorted(str(path) for path in SCRIPTS.iterdir())
    assert len(files) == 9
    ended = subprocess.run(
        [str(checker), "--external-sources", "--source-path=SCRIPTDIR", *files],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout + ended.stderr == ""


TINY = [
    "name=tiny",
    "data.generate.films=24",
    "data.generate.rows=96",
    "ingest.rows=64",
    "ingest.cols=64",
    "ingest.workers=1",
    "ingest.shard_films=4",
    "train.max_epochs=2",
    "train.batch_size=8",
    "train.pretext.epochs=1",
    "localize.report=cutoff",
    "score.bootstrap=10",
    "score.pictures=false",
    "export.max_overlays=2",
    "export.formats=[csv,coco]",
    "track.enabled=false",
    "device=cpu",
]


def _digests(run: Path) -> dict[str, str]:
    """Digests of what the stages wrote, but for their records, which have times."""
    files = (path for stage in ("train", "explain", "localize", "score") for path in (run / stage).rglob("*"))
    kept = (path for path in files if path.suffix in (".npy", ".parquet", ".csv", ".safetensors"))
    return {
        str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(kept)
        if path.name != "epochs.parquet"
    }


@pytest.mark.slow
def test_a_preempted_run_on_a_cluster_has_the_bytes_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = _cluster(tmp_path, programs=())
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    words = ["phantom", *TINY]
    monkeypatch.setenv("CAMRAY_KEY_FILE", str(tmp_path / "key"))
    alone = CliRunner().invoke(app, ["run", *words, "--runs", str(tmp_path / "alone")])
    assert alone.exit_code == 0, alone.output
    generated = CliRunner().invoke(app, ["generate", *words, "--runs", str(tmp_path / "runs")])
    assert generated.exit_code == 0, generated.output
    ended = _submit(cluster, *words, STAND_IN_STOPS="camray-explain-parts=run  ,camray-train=run  ")
    assert ended.returncode == 0, ended.stderr
    logs = "\n".join(path.read_text(encoding="utf-8") for path in sorted((cluster / "logs").iterdir()))
    assert {job["state"] for job in _jobs(cluster)} == {"COMPLETED"}, logs
    assert logs.count("requeued") >= 2
    expected = _digests(tmp_path / "alone" / "tiny")
    assert len(expected) > 10
    assert _digests(tmp_path / "runs" / "tiny") == expected
