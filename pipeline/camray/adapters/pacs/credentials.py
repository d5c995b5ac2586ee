"""How to get in: certificates by file, secrets by environment, never on the command line."""

import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from camray.domain.errors import SettingsError

USER, PASSWORD, TOKEN = "CAMRAY_PACS_USER", "CAMRAY_PACS_PASSWORD", "CAMRAY_PACS_TOKEN"


@dataclass(frozen=True)
class Access:
    """Certificates and secrets.

    Parameters
    ----------
    ca_file : Path or None
        Certificates of the authorities to trust; None trusts the system's.
    cert_file, key_file : Path or None
        Own certificate and key, PEM.
    is_tls : bool
        DIMSE: encrypt. (DICOMweb goes by its address.)
    user, password, token : str
        Empty where there are none. Left out of ``repr``.
    timeout_s : float
        Of one network operation.
    """

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    is_tls: bool = False
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    timeout_s: float = 60.0

    @property
    def has_secret(self) -> bool:
        """Tell whether something would be sent that nobody else may read."""
        return bool(self.user or self.token)

    def check_address(self, url: str) -> None:
        """Refuse to send a secret in the clear.

        Raises
        ------
        SettingsError
            If the address is none, or plain HTTP to another machine.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{without_secret(url)}: no DICOMweb address; expected http(s)://HOST[:PORT]/PATH")
        if parts.username or parts.password:
            raise SettingsError(f"{without_secret(url)}: holds a user or password; set {USER} and {PASSWORD} instead")
        if parts.scheme == "http" and self.has_secret and not _is_here(parts.hostname):
            raise SettingsError(f"{url}: credentials would go there unencrypted; use https")

    def tls_context(self) -> ssl.SSLContext:
        """Make the context of an encrypted connection.

        Raises
        ------
        SettingsError
            If a certificate cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            if self.cert_file is not None:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"certificates cannot be used: {type(error).__name__}; expected PEM files") from None
        return context


def access_from(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None, is_tls: bool, timeout_s: float
) -> Access:
    """Join files from the command line with secrets from the environment.

    Raises
    ------
    SettingsError
        If a file does not exist, or a password has no user.
    """
    for path in (ca_file, cert_file, key_file):
        if path is not None and not path.is_file():
            raise SettingsError(f"{path}: no such certificate file")
    user, password, token = (os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN))
    if password and not user:
        raise SettingsError(f"{PASSWORD} is set and {USER} is not")
    return Access(ca_file, cert_file, key_file, is_tls, user, password, token, timeout_s)


def without_secret(url: str) -> str:
    """Return an address as it may be shown and kept: without user, password and query."""
    parts = urlsplit(url)
    if not parts.hostname:
        return "the address"
    host = parts.hostname + (f":{parts.port}" if parts.port else "")
    return f"{parts.scheme}://{host}{parts.path}".rstrip("/")


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
