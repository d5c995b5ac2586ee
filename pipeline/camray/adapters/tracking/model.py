"""The registered MLflow model: films in, boxes out. No pickle: it consists of plain files and of this code."""

import base64
import binascii
import importlib
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from camray.adapters.tracking.store import import_mlflow
from camray.domain.errors import SettingsError

FOLDER_VARIABLE = "CAMRAY_SERVED_FOLDER"
CONTENT = "content"  # column of the contents of files
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
    returns a callable from films (a table or list of paths, a list of files' contents, or an array of films) to a table
    of boxes.
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
            films = films_of_request(model_input)
            if os.environ.get(_SERVING):
                _check_served(films)
            return without_missing_numbers(self._predictor(films))

    return FilmModel()


def films_of_request(films: Any) -> Any:
    """Return the contents of files, where a request has a column of them; any other input as it is.

    Parameters
    ----------
    films : Any
        A table, or a mapping of column names to values, whose only column is ``content``: of each film the bytes of its
        file (DICOM, PNG, JPEG), or these in base64.

    Returns
    -------
    Any
        List of bytes, or `films`.

    Raises
    ------
    SettingsError
        If there are other columns beside it, or a content is neither bytes nor base64.
    """
    if not isinstance(films, pd.DataFrame | Mapping) or CONTENT not in films:
        return films
    if len(films.keys()) > 1:
        others = ", ".join(str(name) for name in films if name != CONTENT)
        raise SettingsError(f"films: columns {others} beside '{CONTENT}'; expected '{CONTENT}' alone")
    values = films[CONTENT]
    entries = [values] if isinstance(values, str | bytes) else list(values)
    return [_decoded(entry, number) for number, entry in enumerate(entries)]


def _decoded(entry: Any, number: int) -> bytes:
    if isinstance(entry, bytes):
        return entry
    try:
        return base64.b64decode("".join(entry.split()), validate=True)
    except (AttributeError, ValueError, binascii.Error):
        raise SettingsError(
            f"films: '{CONTENT}' of film {number} is no base64; expected the bytes of a DICOM, PNG or JPEG file in it"
        ) from None


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
            f"the bytes of files as base64 in a column '{CONTENT}', or nested lists of grey values, or have it set"
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
    """Return the signature: a table with a column ``content`` or ``path`` in, a table of boxes out."""
    import_mlflow()
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    signature = ModelSignature(
        inputs=Schema([ColSpec("string", name, required=False) for name in (CONTENT, "path")]),
        outputs=Schema([ColSpec(kind, name) for name, kind in OUTPUT_COLUMNS.items()]),
    )
    # the model checks its input itself: MLflow's check of table columns would refuse an array of films
    signature._is_signature_from_type_hint = True
    return signature


def input_example() -> pd.DataFrame:
    """Return a table as `signature` describes it: a film's content is base64 of its file."""
    return pd.DataFrame({CONTENT: [base64.b64encode(b"bytes of a DICOM, PNG or JPEG file").decode()]})
