"""A run with boxes of every kind of recipe, ready to be reviewed."""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from camray.adapters.run_folders.atomic_files import write_json
from camray.adapters.run_folders.run_folder import RunFolder
from camray.adapters.settings.schema import Settings
from camray.adapters.tracking.interface import NullTracker
from camray.core.localization.box_recipes import BoxRecipe
from camray.core.probability.calibration import Kind, LabelCalibration
from camray.stages.localize import stage as localize
from tests.scored_run import FEATURE, make_run

RECIPES = {
    "Mass": BoxRecipe("max", 0.4),
    "Effusion": BoxRecipe("range", 0.6, smooth=0.7, dilate=1.25, region="evidence"),
    "Nodule": BoxRecipe("raw", 0.5, region="largest"),
    "Fibrosis": BoxRecipe("quantile", 0.9, smooth=1.0),
    "Hernia": BoxRecipe("otsu", 0.0, prior=0.5, dilate=0.8),
    "Edema": BoxRecipe("background", 0.5, dilate=1.4, background=-0.25),
}
LABELS = tuple(RECIPES)
UNCALIBRATED, SHIFT = "Edema", -0.5


def reviewed_settings(**localize_settings: object) -> Settings:
    return Settings.model_validate(
        {
            "name": "squares",
            "localize": {"zones": False, **localize_settings},
            "export": {"splits": ["test", "validation"]},
            "track": {"enabled": False},
        }
    )


def make_reviewed_run(root: Path, films: int = 30, **localize_settings: object) -> tuple[Settings, RunFolder]:
    """Write ``ingest``, ``explain`` and ``localize``; the recipes come from a trained run beside it."""
    settings = reviewed_settings(**localize_settings)
    make_run(root / "run", LABELS, films)
    trained = root / "trained"
    thresholds = [
        {
            "id": f"own/cam/{label}",
            "method": "cam",
            "label": label,
            "policy": "own",
            "source": "fixed",
            "value": recipe.level,
            "parameters": recipe.as_json(),
            "split": None,
            "criterion": "none",
            "n": 0,
        }
        for label, recipe in RECIPES.items()
    ]
    cutoffs = [{"label": label, "probability": 0.5, "split": None, "criterion": "", "n": 0} for label in LABELS]
    kinds: dict[str, Kind] = dict.fromkeys(LABELS, "shift") | {UNCALIBRATED: "none"}
    calibrations = [
        asdict(LabelCalibration(label, kind, shift=SHIFT, prevalence=0.5, reason="too few" if kind == "none" else ""))
        for label, kind in kinds.items()
    ]
    plain = {"thresholds": thresholds, "cutoffs": cutoffs, "notes": [], "calibrations": calibrations}
    write_json(trained / "localize" / "thresholds.json", plain)
    (trained / "explain").mkdir()
    prior = np.random.default_rng(5).random((len(LABELS), *FEATURE)).astype(np.float32)
    np.save(trained / "explain" / "prior-cam.npy", prior)
    folder = RunFolder(root / "run", trained=trained)
    localize.run(settings, folder, NullTracker())
    write_json(folder.root / "settings.json", settings.model_dump(mode="json"))
    return settings, folder
