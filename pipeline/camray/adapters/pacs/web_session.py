"""HTTP sessions with a DICOMweb service: certificates, secrets, and the warnings of answers."""

import re
from typing import Any

import requests

from camray.adapters.pacs.credentials import Credentials

_REMAINING = re.compile(r"additional results|exceeded", re.IGNORECASE)  # Warning 299, PS3.18 section 8.3.4.4


class WebSession(requests.Session):
    """A session that trusts the authorities of `verify`, whatever REQUESTS_CA_BUNDLE says.

    `has_more` is whether the last answer warned that there are more results, `is_web_page` whether it was HTML.
    """

    has_more = False
    is_web_page = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request and note the warning and the kind of its answer."""
        self.has_more = self.is_web_page = False
        response = super().send(request, **options)
        warning = response.headers.get("Warning", "")
        self.has_more = "299" in warning and _REMAINING.search(warning) is not None
        self.is_web_page = response.headers.get("Content-Type", "").lower().startswith("text/html")
        return response

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> dict[str, Any]:
        """Keep `verify`; requests would prefer the bundle of the environment."""
        settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
        if self.verify is not True:
            settings["verify"] = self.verify
        return dict(settings)


def open_session(credentials: Credentials) -> WebSession:
    """Return a session with the certificates and secrets of a connection.

    Raises
    ------
    SettingsError
        If a certificate file cannot be used.
    """
    if credentials.ca_file is not None or credentials.cert_file is not None:
        credentials.tls_context()  # reports unusable certificate files before the first request
    session = WebSession()
    session.auth = no_netrc
    session.verify = str(credentials.ca_file) if credentials.ca_file is not None else True
    if credentials.cert_file is not None:
        cert, key = str(credentials.cert_file), credentials.key_file
        session.cert = cert if key is None else (cert, str(key))
    if credentials.token:
        session.headers["Authorization"] = f"Bearer {credentials.token}"
    elif credentials.user:
        session.auth = (credentials.user, credentials.password)
    return session


def no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Leave a request as it is; without an `auth`, requests would send a password from ``~/.netrc``, not the token."""
    return request


def proxy_advice(url: str) -> str:
    """Return what to check where the environment names a proxy for this URL, empty where it names none."""
    if requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) is None:
        return ""
    name = f"{url.partition(':')[0].upper()}_PROXY"
    return f"; the request goes to the proxy that {name} or ALL_PROXY names: correct it, or add this host to NO_PROXY"


def tls_advice(message: str) -> str:
    """Return the fault of an encrypted connection and its remedy; the library's own message is not repeated."""
    lower = message.lower()
    if "hostname" in lower or "ip address mismatch" in lower:
        return "its certificate is for another name; use the host name in the certificate"
    if "expired" in lower or "not yet valid" in lower:
        return "its certificate is out of date; ask its owner for a new one, and check this machine's clock"
    if "certificate_required" in lower or "certificate required" in lower or "handshake failure" in lower:
        return "it requires a client certificate; name one with --cert-file and --key-file"
    if "certificate verify failed" in lower:
        return "its certificate is signed by no trusted authority; name the authority's certificate with --ca-file"
    return "no encrypted connection; check host and port, --ca-file, --cert-file and --key-file"
