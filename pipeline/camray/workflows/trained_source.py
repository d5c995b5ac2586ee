"""Where a trained network comes from: a run, a model package, or a model in MLflow, which is obtained."""

import os
from pathlib import Path

from camray.adapters.tracking.store import TRACKING_VARIABLE, store_uri
from camray.adapters.user_cache import user_cache
from camray.domain.uris import is_model_address
from camray.io.registered_models import local_model
from camray.io.run_lookup import check_is_run

_RUNS = Path("runs")


def trained_folder(source: str | Path) -> Path:
    """Return the folder of a run or of a package, or that of a model from MLflow.

    Parameters
    ----------
    source : str or Path
        ``runs/<name>``, a model package, or an address: ``models:/name@alias``, ``models:/name/1``,
        ``runs:/run_id/model``. The store is that of ``MLFLOW_TRACKING_URI``, else the one in ``runs/``.

    Raises
    ------
    SettingsError
        If there is none.
    UnreachableError
        If the store does not answer.
    """
    if is_model_address(str(source)):
        store = store_uri(os.environ.get(TRACKING_VARIABLE) or None, _RUNS)
        return local_model(str(source), store, user_cache() / "camray" / "models")
    check_is_run(Path(source), or_package=True)
    return Path(source)
