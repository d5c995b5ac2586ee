"""The files for Kubernetes: the jobs of a run in order, failures, what every pod has, and the schemas of objects."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from camray.adapters.settings.loading import load_settings

ROOT = Path(__file__).resolve().parents[2]
FILES = ROOT / "deploy" / "kubernetes"
STAND_IN = Path(__file__).with_name("kubectl_stand_in.py")
FORMATS_PYTHON = Path(os.environ.get("CAMRAY_FORMATS_PYTHON", ".venv-formats/bin/python"))
PROGRAM = """#!/bin/bash
echo "$(basename "$0") $*" >> "$STAND_IN/calls"
[[ -z ${FAILS:-} || " $* " != *" $FAILS "* ]]
"""
EXAMPLE = {
    "{NAME}": "camray-x",
    "{PARTS}": "4",
    "{COMMAND}": '["camray", "run"]',
    "{IMAGE}": "camray",
    "{GPUS}": "1",
    "{CPUS}": "8",
    "{MEMORY}": "16Gi",
}


def _executable(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    _executable(tmp_path / "bin" / "kubectl", f"#!{sys.executable}\n{STAND_IN.read_text(encoding='utf-8')}")
    for name in ("camray", "torchrun"):
        _executable(tmp_path / "bin" / name, PROGRAM)
    return tmp_path


def _run(cluster: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    sizes = {"INGEST_PARTS": "2", "EXPLAIN_PARTS": "2", "LOCALIZE_PARTS": "1", "GPUS": "0", "WAIT_SECONDS": "0"}
    path = f"{cluster / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [str(FILES / "run.sh"), *words],
        env={**os.environ, "PATH": path, "STAND_IN": str(cluster), **sizes, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def _jobs(cluster: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (cluster / "jobs.jsonl").read_text(encoding="utf-8").splitlines()]


def _calls(cluster: Path) -> list[str]:
    return (cluster / "calls").read_text(encoding="utf-8").splitlines()


def test_a_run_is_one_job_after_another(cluster: Path) -> None:
    ended = _run(cluster, "tb_hemithorax", "export.formats=[csv, sr]")
    assert (ended.returncode, ended.stderr) == (0, "")
    changed = "/settings/tb_hemithorax.yaml export.formats=[csv, sr]"
    assert _calls(cluster) == [
        f"camray ingest {changed} --part 1/2",
        f"camray ingest {changed} --part 2/2",
        f"camray ingest {changed}",
        f"camray train {changed}",
        f"camray explain {changed} --part 1/2",
        f"camray explain {changed} --part 2/2",
        f"camray explain {changed}",
        f"camray localize {changed}",
        f"camray run {changed}",
    ]
    stages = ("ingest-parts", "ingest", "train", "explain-parts", "explain", "localize-parts", "rest")
    names = [each["job"]["metadata"]["name"] for each in _jobs(cluster)]
    assert names == [f"camray-tb-hemithorax-{stage}" for stage in stages]


def test_gpus_are_for_training_and_maps(cluster: Path) -> None:
    assert _run(cluster, "rsna", GPUS="4", IMAGE="registry.example/camray:1").returncode == 0
    assert "torchrun --nproc-per-node=4 -m camray train /settings/rsna.yaml" in _calls(cluster)
    containers = [each["job"]["spec"]["template"]["spec"]["containers"][0] for each in _jobs(cluster)]
    assert [each["resources"]["limits"]["nvidia.com/gpu"] for each in containers] == [0, 0, 4, 1, 1, 0, 0]
    assert {each["image"] for each in containers} == {"registry.example/camray:1"}


def test_the_merge_comes_after_a_failed_part_and_nothing_after_a_failed_training(cluster: Path) -> None:
    ended = _run(cluster, "rsna", FAILS="1/2")
    assert ended.returncode == 0
    assert "camray-rsna-ingest-parts: failed; look at: kubectl" in ended.stderr
    (cluster / "calls").unlink()
    assert _run(cluster, "rsna", FAILS="train").returncode == 1
    assert _calls(cluster)[-1] == "camray train /settings/rsna.yaml"


def test_any_word_is_passed_on(cluster: Path) -> None:
    word = 'data.root="/films/a & b \\1"'
    assert _run(cluster, "rsna", word).returncode == 0
    assert f"camray ingest /settings/rsna.yaml {word} --part 2/2" in _calls(cluster)


def test_an_experiment_that_is_missing_is_said_and_a_cluster_that_refuses_ends_it(cluster: Path) -> None:
    ended = _run(cluster)
    assert (ended.returncode, ended.stderr) == (2, "usage: run.sh EXPERIMENT [SETTING=VALUE ...]\n")
    _executable(cluster / "bin" / "kubectl", "#!/bin/bash\nexit 1\n")
    assert _run(cluster, "rsna").returncode == 1


def test_the_script_passes_shellcheck() -> None:
    checker = Path(sys.executable).with_name("shellcheck")
    ended = subprocess.run([str(checker), str(FILES / "run.sh")], capture_output=True, text=True, check=False)
    assert ended.stdout == ""


def _job() -> str:
    text = (FILES / "job.yaml").read_text(encoding="utf-8")
    for name, value in EXAMPLE.items():
        text = text.replace(name, value)
    return text


def _objects() -> Iterator[dict[str, Any]]:
    yield yaml.safe_load(_job())
    base = FILES / "base"
    for name in yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]:
        yield from yaml.safe_load_all((base / name).read_text(encoding="utf-8"))


def _pods() -> list[dict[str, Any]]:
    jobs = {each["kind"]: each for each in _objects()}
    return [jobs["Job"]["spec"]["template"]["spec"], jobs["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]]


def test_no_pod_may_more_than_it_needs() -> None:
    for pod in _pods():
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsUser"] == 1000  # the user of docker/Dockerfile
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        films = next(each for each in container["volumeMounts"] if each["name"] == "films")
        assert films["readOnly"] is True


def test_every_volume_is_there() -> None:
    claims = {each["metadata"]["name"] for each in _objects() if each["kind"] == "PersistentVolumeClaim"}
    for pod in _pods():
        volumes = {each["name"]: each for each in pod["volumes"]}
        assert {each["name"] for each in pod["containers"][0]["volumeMounts"]} == set(volumes)
        used = {
            each["persistentVolumeClaim"]["claimName"] for each in volumes.values() if "persistentVolumeClaim" in each
        }
        assert used == claims
    assert yaml.safe_load((FILES / "base" / "account.yaml").read_text(encoding="utf-8"))["metadata"]["name"] == "camray"


def test_the_example_of_an_experiment_is_one() -> None:
    overlay = FILES / "overlay-example"
    (generator,) = yaml.safe_load((overlay / "kustomization.yaml").read_text(encoding="utf-8"))["configMapGenerator"]
    for name in generator["files"]:
        assert load_settings(overlay / name).data.root.is_relative_to("/films")


@pytest.mark.formats
@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_objects_fit_the_schemas_of_kubernetes(tmp_path: Path, version: str) -> None:
    path = tmp_path / "objects.yaml"
    objects = list(_objects())
    if kubectl := shutil.which("kubectl"):  # with the changes of the example
        rendered = subprocess.run(
            [kubectl, "kustomize", str(FILES / "overlay-example")], capture_output=True, text=True, check=True
        )
        objects += yaml.safe_load_all(rendered.stdout)
    path.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
    validator = FORMATS_PYTHON.with_name("kubernetes-validate")
    words = [str(validator), "--strict", "--kubernetes-version", version, str(path)]
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count(" passed ") == len(objects)
