"""URIs with secrets: how they are recognized, and displayed without them."""

import re

_USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.\-]*)://(?P<info>(?:(?!://)\S)*)@", re.IGNORECASE)
_SECRET_PARAMETER = re.compile(
    r"([?&;#][^=&;\s]*(?:pass|pwd|secret|token|key|sig|auth|cred)[^=&;\s]*=)[^&;\s]+", re.IGNORECASE
)
_FILES = {"sqlite", "file"}
HIDDEN = "***"
MODELS, RUNS = "models:/", "runs:/"


def is_model_address(text: str) -> bool:
    """Return whether a text is the address of a model in MLflow.

    Examples
    --------
    >>> is_model_address("models:/phantom@candidate"), is_model_address("runs/phantom")
    (True, False)
    """
    return text.startswith((MODELS, RUNS))


def has_secret(uri: str) -> bool:
    """Return whether a URI contains a password or token.

    Examples
    --------
    >>> has_secret("http://me:pw@host"), has_secret("postgresql://me@host/db"), has_secret("sqlite:///a@b/mlflow.db")
    (True, False, False)
    """
    return without_secrets(uri) != uri


def without_secrets(text: str) -> str:
    """Return a text, such as an error message, with the secrets of all URIs in it hidden.

    Examples
    --------
    >>> without_secrets("cannot open postgresql://me:p/w@host/db?sslpassword=x&a=b")
    'cannot open postgresql://***@host/db?sslpassword=***&a=b'
    >>> without_secrets("http://me:p@ss@host/, sqlite:///a@b, http://me:pw@host")  # a password may contain @
    'http://***@host/, sqlite:///a@b, http://***@host'
    """
    return _SECRET_PARAMETER.sub(rf"\1{HIDDEN}", _USER_INFO.sub(_hidden, text))


def _hidden(match: re.Match[str]) -> str:
    scheme, info = match["scheme"], match["info"]
    is_harmless = scheme.partition("+")[0].lower() in _FILES or (":" not in info and not scheme.startswith("http"))
    return match[0] if is_harmless else f"{scheme}://{HIDDEN}@"
