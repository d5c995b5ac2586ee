"""Models in MLflow's registry, or of its runs: addresses resolved to one version, and its files obtained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camray.adapters.tracking.store import import_mlflow, pointed_at, quiet_calls, sqlite_path
from camray.domain.errors import SettingsError, UnreachableError
from camray.domain.suggestions import did_you_mean
from camray.domain.uris import MODELS, RUNS, without_secrets

LATEST = "latest"
_TIMEOUTS = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "120"}
_FORMS = f"{MODELS}NAME@ALIAS, {MODELS}NAME/VERSION, {MODELS}NAME/{LATEST} or {RUNS}RUN_ID/model"
_TRANSIENT = {401, 403, 408, 425, 429}


@dataclass(frozen=True)
class StoredModel:
    """One version of a model, which never changes.

    Parameters
    ----------
    uri : str
        Its address with the version.
    identity : str
        Different for every model ever stored, also where a name was deleted and taken again.
    """

    uri: str
    identity: str


def find_model(address: str, store: str) -> StoredModel:
    """Ask the store which version an address means now.

    Parameters
    ----------
    address : str
        ``models:/name@alias``, ``models:/name/1``, ``models:/name/latest`` or ``runs:/run_id/model``.
    store : str
        URI of the tracking store.

    Raises
    ------
    SettingsError
        If the address has another form, the store does not exist, or has no such model.
    UnreachableError
        If the store does not answer.
    """
    path = sqlite_path(store)
    if path is not None and not path.is_file():
        raise SettingsError(
            f"{address}: there is no MLflow store at {path}; name the store in MLFLOW_TRACKING_URI, or start from the "
            "folder that has runs/"
        )
    with _answers_of(address, store) as mlflow:
        client = mlflow.MlflowClient(store, registry_uri=store)
        if address.startswith(RUNS):
            run_id, _, name = address.removeprefix(RUNS).partition("/")
            if not run_id or not name:
                raise SettingsError(f"{address}: expected {_FORMS}")
            client.get_run(run_id)
            return StoredModel(address, f"{store} {address}")
        found = _version(client, address)
        uri = f"{MODELS}{found.name}/{found.version}"
        return StoredModel(uri, f"{store} {uri} {found.creation_timestamp} {found.source}")


def _version(client: Any, address: str) -> Any:
    name, at, alias = address.removeprefix(MODELS).partition("@")
    if at and name and alias:
        return client.get_model_version_by_alias(name, alias)
    name, _, version = name.partition("/")
    if not name or not (version.isdecimal() or version == LATEST) or at:
        raise SettingsError(f"{address}: expected {_FORMS}")
    if version == LATEST:
        client.get_registered_model(name)
        quoted = name.replace("'", "''")
        return max(client.search_model_versions(f"name = '{quoted}'"), key=lambda each: int(each.version))
    return client.get_model_version(name, version)


def download_model(model: StoredModel, store: str, folder: Path) -> Path:
    """Write the files of a model into a folder.

    Returns
    -------
    Path
        Where they are: the folder, or one in it.

    Raises
    ------
    SettingsError
        If the store has no files of it.
    UnreachableError
        If the store does not answer.
    """
    with _answers_of(model.uri, store) as mlflow, pointed_at(mlflow, store):
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=model.uri, dst_path=str(folder)))


@contextmanager
def _answers_of(address: str, store: str) -> Iterator[Any]:
    """Give MLflow, and turn its errors into those of camray."""
    mlflow = import_mlflow()
    shown = without_secrets(store)
    try:
        with quiet_calls(_TIMEOUTS):
            yield mlflow
    except mlflow.exceptions.MlflowException as error:
        status = int(error.get_http_status_code())
        if 400 <= status < 500 and status not in _TRANSIENT:
            reason = without_secrets(str(error.message).splitlines()[0])
            near = _known(mlflow, address, store)
            raise SettingsError(f"{address}: not in the MLflow store {shown}: {reason}; {near}") from error
        raise UnreachableError(_away(address, shown)) from error
    except OSError as error:  # of the transport, or of the store's folders
        raise UnreachableError(_away(address, shown)) from error


def _away(address: str, store: str) -> str:
    return f"{address}: the MLflow store {store} does not answer; check MLFLOW_TRACKING_URI, and that the server runs"


def _known(mlflow: Any, address: str, store: str) -> str:
    """Name the models that the store has."""
    try:
        with quiet_calls():
            models = mlflow.MlflowClient(store, registry_uri=store).search_registered_models(max_results=100)
    except (mlflow.exceptions.MlflowException, OSError):
        return f"expected {_FORMS}"
    names = [str(each.name) for each in models]
    if not names:
        return "it has no registered model; `camray run` and `camray export` register one (track.register_model)"
    asked = address.removeprefix(MODELS).partition("@")[0].partition("/")[0]
    if asked in names:
        (model,) = (each for each in models if each.name == asked)
        return f"of '{asked}' it has the aliases: {', '.join(sorted(model.aliases)) or 'none'}"
    return did_you_mean(asked, names, "it has")
