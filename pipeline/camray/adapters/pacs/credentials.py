"""Certificates, passwords and tokens for a PACS: certificates from files, secrets from environment variables only."""

import ipaddress
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from camray.domain.errors import SettingsError

USER, PASSWORD, TOKEN = "CAMRAY_PACS_USER", "CAMRAY_PACS_PASSWORD", "CAMRAY_PACS_TOKEN"


@dataclass(frozen=True)
class Credentials:
    """Certificates, secrets and the network timeout.

    Parameters
    ----------
    ca_file : Path or None
        Certificates of the trusted authorities, PEM; None trusts the system's.
    cert_file, key_file : Path or None
        Client certificate and its key, PEM.
    is_tls : bool
        Use TLS for DIMSE. (For DICOMweb the URL decides.)
    user, password, token : str
        Empty if not set. Not part of ``repr``.
    timeout_s : float
        For one network operation.
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
        """Whether a user name or a token would be sent."""
        return bool(self.user or self.token)

    def check_url(self, url: str) -> None:
        """Check that a URL may be used with these credentials.

        Raises
        ------
        SettingsError
            If the URL is invalid, contains a secret itself, or would receive one unencrypted on another machine.
        """
        if "@" in url:
            raise SettingsError(
                f"{redacted_url(url)}: the URL contains a user or password; set the environment variables {USER} and "
                f"{PASSWORD} instead"
            )
        try:
            parts = urlsplit(url)
            is_valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # no number as port, or half an IPv6 address
            is_valid = False
        if not is_valid:
            raise SettingsError(f"{redacted_url(url)}: not a DICOMweb URL; expected http(s)://HOST[:PORT]/PATH")
        if parts.query or parts.fragment:
            raise SettingsError(
                f"{redacted_url(url)}: the URL contains a query or fragment; remove what follows the path, and set the "
                f"environment variable {TOKEN} to a token"
            )
        if parts.scheme == "http" and self.has_secret and not _is_loopback(str(parts.hostname)):
            raise SettingsError(f"{redacted_url(url)}: credentials would be sent unencrypted; use an https URL")

    def tls_context(self) -> ssl.SSLContext:
        """Create the context of an encrypted connection.

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
            raise unusable_certificate(error) from None
        return context


def load_credentials(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None, is_tls: bool, timeout_s: float
) -> Credentials:
    """Combine certificate files from the command line with secrets from the environment.

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
        raise SettingsError(f"{PASSWORD} is set and {USER} is not; set both")
    return Credentials(ca_file, cert_file, key_file, is_tls, user, password, token, timeout_s)


def redacted_url(url: str) -> str:
    """Return a URL without user, password and query, as it may be displayed and stored."""
    scheme, separator, rest = url.partition("://")
    try:
        parts = urlsplit(f"{scheme}{separator}{rest.rpartition('@')[2]}")  # a password may contain a slash
        port = parts.port
    except ValueError:
        return "the URL"
    if not parts.hostname:
        return "the URL"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}".rstrip("/")


def unusable_certificate(error: Exception) -> SettingsError:
    """Return the error for certificate files that the TLS library refuses."""
    return SettingsError(f"certificates cannot be used: {type(error).__name__}; expected PEM files")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
