"""The registered MLflow model: films in, boxes out. No pickle: it consists of plain files and of this code."""

import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.tracking.store import import_mlflow
from camray.domain.errors import SettingsError

FOLDER_VARIABLE = "CAMRAY_SERVED_FOLDER"
_SERVING = "_MLFLOW_IS_IN_SERVING_ENVIRONMENT"  # set by MLflow's scoring server
OUTPUT_COLUMNS = {
    "image_id": "string",
    "label": "string",
    "probability": "double",
    "x0": "double",
    "y0": "double",
    "x1": "double",
    "y1": "double",
    "score": "double",
    "logit": "double",
    "verdict": "string",
}


def film_model() -> Any:
    """Return a `mlflow.pyfunc.PythonModel` that calls the predictor of its configuration.

    The configuration's ``loader`` is ``module:function``; the function receives the folder of the model's files and
    returns a callable from films (a table or list of paths, or an array of films) to a table of boxes.
    """
    import_mlflow()
    from mlflow.pyfunc.model import PythonModel

    class FilmModel(PythonModel):
        def load_context(self, context: Any) -> None:
            module, _, function = context.model_config["loader"].partition(":")
            loader: Callable[[Path], Callable[[Any], pd.DataFrame]] = getattr(importlib.import_module(module), function)
            self._predictor = loader(Path(context.artifacts["run"]))

        # also a list or an array: from an exact annotation MLflow would derive a signature
        def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> Any:
            if os.environ.get(_SERVING):
                _check_served(model_input)
            return without_missing_numbers(self._predictor(model_input))

    return FilmModel()


def without_missing_numbers(boxes: pd.DataFrame) -> pd.DataFrame:
    """Return a table with None in place of NaN: JSON has no NaN, and MLflow's server would write one."""
    return boxes.astype(object).where(boxes.notna(), None) if boxes.isna().to_numpy().any() else boxes


def _check_served(films: Any) -> None:
    """Check that a client of a server names files only in the folder that the server's owner has opened for it.

    The answer is the same whether or not a file exists elsewhere.

    Raises
    ------
    SettingsError
        If it names another file.
    """
    table = films.to_numpy().ravel() if isinstance(films, pd.DataFrame | pd.Series) else films
    paths = [entry for entry in table if isinstance(entry, str | os.PathLike)] if isinstance(table, Iterable) else []
    folder = os.environ.get(FOLDER_VARIABLE)
    root = None if not folder else Path(folder).resolve()
    if any(root is None or not _is_below(Path(path), root) for path in paths):
        raise SettingsError(
            f"films: a server reads files only below the folder that {FOLDER_VARIABLE} names in its environment; send "
            "grey values as nested lists, or have the variable set"
        )


def _is_below(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, ValueError):  # a name that no file can have
        return False


def entry_source() -> str:
    """Return the Python file that MLflow executes to load the model."""
    return (
        '"""Passes the model to MLflow."""\n\n'
        "from mlflow.models import set_model\n\n"
        f"from {__name__} import film_model\n\n"
        "set_model(film_model())\n"
    )


def signature() -> Any:
    """Return the signature: a table with a column ``path`` in, a table of boxes out."""
    import_mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec("string", "path")]),
        outputs=Schema([ColSpec(kind, name) for name, kind in OUTPUT_COLUMNS.items()]),
    )
    # the model checks its input itself: MLflow's check of table columns would refuse an array of films
    signature._is_signature_from_type_hint = True
    return signature


def input_example() -> pd.DataFrame:
    """Return a table as `signature` describes it."""
    return pd.DataFrame({"path": ["film.dcm"]})
