"""What a person is told at the end of a run: the headline scores, and CSV twins of the tables on request."""

from typing import Any

import pandas as pd

from pipeline.adapters.runs import RunFolder
from pipeline.core.scoring.headline import headline


def headline_rows(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the headline table of a scored run, row by row; empty where nothing was scored."""
    path = folder.root / "score" / "scores.csv"
    if folder.record("score") is None or not path.is_file():
        return []
    return [{str(key): value for key, value in row.items()} for row in headline(pd.read_csv(path)).to_dict("records")]


def write_csv_twins(folder: RunFolder) -> None:
    """Write every table of the run as ``csv/<stage>-<table>.csv``."""
    target = folder.root / "csv"
    target.mkdir(exist_ok=True)
    for path in sorted(folder.root.glob("*/*.parquet")):
        pd.read_parquet(path).to_csv(target / f"{path.parent.name}-{path.stem}.csv", index=False)
