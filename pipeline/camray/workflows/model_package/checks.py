"""The films that check a model package, and what a package answers on them."""

import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

import pandas as pd
import torch

from camray.adapters.run_folders.digests import code_version
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.films import GenerateSettings, IngestSettings
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.io.artifacts import artifacts_of
from camray.io.model_package import CheckFiles, PackageFiles
from camray.stages.generate.stage import make_film
from camray.workflows.predict import settings_for
from camray.workflows.run import run

FILMS = GenerateSettings(films=8, rows=512, seed=20261129)
FILM_NUMBERS = (0, 1, 2)
_LIBRARIES = ("torch", "numpy", "scipy", "pydicom", "safetensors")
_CPU_FACTS = Path("/proc/cpuinfo")


def draw_check_films(files: CheckFiles) -> None:
    """Draw the films that check a package."""
    for number in FILM_NUMBERS:
        make_film(files, FILMS, number)
    shutil.rmtree(files.unfinished)


def answers(package: Path) -> pd.DataFrame:
    """Apply a package to its films as ``camray predict`` does, on the CPU.

    Parameters
    ----------
    package : Path
        Root of the package.

    Returns
    -------
    DataFrame
        `PREDICTION_COLUMNS`: probabilities, boxes and peaks, native px.
    """
    with tempfile.TemporaryDirectory(prefix="camray-checks-") as root:
        folder = RunFolder(Path(root) / "answers", trained=package)
        settings = _of_checks(settings_for(package, PackageFiles(package).checks.films, None, None))
        for _ in run(settings, folder, NullTracker(), until="localize"):
            pass
        return artifacts_of(folder).localize.predictions.read()


def _of_checks(settings: Settings) -> Settings:
    """Return settings that accept the generated films, whatever films the run accepted."""
    accepted = IngestSettings()
    rules = {name: getattr(accepted, name) for name in ("modalities", "body_parts", "views")}
    ingest = settings.ingest.model_copy(update={**rules, "workers": 1, "audit": False})
    return settings.model_copy(update={"device": "cpu", "ingest": ingest})


def this_build() -> dict[str, str]:
    """Return what answers depend on in their last digits: code, libraries, processor and threads."""
    return {
        "camray": code_version(),
        **{name: metadata.version(name) for name in _LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": str(torch.get_num_threads()),
    }


def _processor() -> str:
    lines = _CPU_FACTS.read_text(encoding="utf-8").splitlines() if _CPU_FACTS.is_file() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor())
