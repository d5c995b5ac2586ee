"""Stands in for a trained network: one box a film."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd


def load_fake(run_root: Path) -> Callable[[Any], pd.DataFrame]:
    contract = run_root / "train" / "contract.json"
    label = json.loads(contract.read_text(encoding="utf-8"))["labels"][0]

    def predict(films: Any) -> pd.DataFrame:
        names = list(films["path"]) if isinstance(films, pd.DataFrame) else [str(n) for n in range(len(films))]
        corners = {"x0": 0.0, "y0": 0.0, "x1": 1.0, "y1": 1.0}
        return pd.DataFrame(
            [{"image_id": n, "label": label, "probability": 0.5, **corners, "score": 1.0} for n in names]
        )

    return predict
