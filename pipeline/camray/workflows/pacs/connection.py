"""Connections to a PACS, by either protocol."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from camray.adapters.pacs.ae_address import parse_ae_address, parse_listen_address
from camray.adapters.pacs.credentials import Credentials
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.adapters.pacs.dimse import Dimse
from camray.domain.errors import SettingsError


def open_peer(
    protocol: str,
    address: str,
    credentials: Credentials,
    files: Sequence[Path] = (),
    calling_aet: str = "CAMRAY",
    listen: str | None = None,
) -> AbstractContextManager[Any]:
    """Open a PACS as a destination or a source.

    Parameters
    ----------
    protocol : {'dicomweb', 'dimse'}
        Protocol.
    address : str
        URL, or ``AET@host:port``.
    credentials : Credentials
        Certificates, secrets and timeout.
    files : sequence of Path
        Objects that will be sent.
    calling_aet : str
        Application entity title of camray (DIMSE).
    listen : str or None
        Fetch by C-MOVE to this port of this machine, ``[AET@][ADDRESS:]PORT`` (DIMSE); None fetches by C-GET.

    Raises
    ------
    SettingsError
        If there is no such protocol, or the address is invalid.
    """
    if protocol == "dicomweb":
        if listen is not None:
            raise SettingsError("--listen is for C-MOVE; use it with dimse AET@host:port, not with dicomweb")
        return DicomWeb(address, credentials)
    if protocol == "dimse":
        listening = None if listen is None else parse_listen_address(listen)
        return Dimse(parse_ae_address(address, calling_aet), credentials, files, listening)
    raise SettingsError(f"'{protocol}' is not a protocol; expected dicomweb URL, or dimse AET@host:port")
