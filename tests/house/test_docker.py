"""The container files agree with one another and with the tree; no engine is needed."""

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_services_depend_on_services_that_are_there() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    assert set(services) == {"database", "storage", "bucket", "mlflow", "camray"}
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] != "service_healthy" or "healthcheck" in services[needed]


def test_only_mlflow_has_a_port_and_on_this_machine_alone() -> None:
    services = yaml.safe_load(COMPOSE)["services"]
    assert {name for name, service in services.items() if "ports" in service} == {"mlflow"}
    assert services["mlflow"]["ports"] == ["${CAMRAY_MLFLOW_BIND:-127.0.0.1}:5000:5000"]


def test_every_variable_stands_in_the_example() -> None:
    example = (ROOT / "docker" / "example.env").read_text(encoding="utf-8")
    named = set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert named == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert not re.search(r"^\w*PASSWORD=.+", example, re.MULTILINE), "a password must be chosen, not copied"


def test_the_image_copies_what_is_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for line in re.findall(r"^COPY (.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in ignored
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", DOCKERFILE, re.MULTILINE))
    assert {s["build"]["target"] for s in yaml.safe_load(COMPOSE)["services"].values() if "build" in s} <= targets


def test_the_user_who_is_not_root_owns_the_folder_of_the_runs() -> None:
    image = DOCKERFILE[DOCKERFILE.index("FROM base AS camray") :]
    made, user, folder = (
        image.index(line) for line in ("--owner camray --group camray /data", "USER camray", "WORKDIR /data")
    )
    assert made < user < folder
    for name in ("CAMRAY_RUNS", "CAMRAY_KEY_FILE"):
        assert re.search(rf"{name}=/data/", image)


def test_the_entry_point_and_the_torch_that_is_pinned_are_there() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (entry,) = re.findall(r'^ENTRYPOINT \["(\w+)"\]$', DOCKERFILE, re.MULTILINE)
    assert f'{entry} = "camray.cli:main"' in project
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    (pinned,) = re.findall(r"^torch==(\S+)$", constraints, re.MULTILINE)
    assert "+" not in pinned, "a local build would be found on one index alone"
