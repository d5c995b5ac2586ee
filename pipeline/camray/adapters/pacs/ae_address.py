"""Addresses of DICOM application entities."""

from dataclasses import dataclass

from camray.domain.errors import SettingsError


@dataclass(frozen=True)
class AEAddress:
    """An application entity, ``AET@host:port``, and the title under which camray calls it."""

    aet: str
    host: str
    port: int
    calling_aet: str = "CAMRAY"

    def __str__(self) -> str:
        """Return ``AET@host:port``."""
        return f"{self.aet}@{self.host}:{self.port}"


@dataclass(frozen=True)
class ListenAddress:
    """Where camray receives the objects of a C-MOVE, ``[AET@][ADDRESS:]PORT``.

    Parameters
    ----------
    port : int
        Of this machine; the PACS must know it.
    host : str or None
        Address of this machine to bind; None binds the interface that the PACS is reached by.
    calling_aet : str or None
        Title that the PACS must call with; None accepts any.
    """

    port: int
    host: str | None = None
    calling_aet: str | None = None


def parse_listen_address(address: str) -> ListenAddress:
    """Parse ``[AET@][ADDRESS:]PORT``.

    Raises
    ------
    SettingsError
        If the text has another form, or the title is not a legal application entity title.

    Examples
    --------
    >>> parse_listen_address("11113")
    ListenAddress(port=11113, host=None, calling_aet=None)
    >>> parse_listen_address("ORTHANC@10.0.0.5:11113")
    ListenAddress(port=11113, host='10.0.0.5', calling_aet='ORTHANC')
    """
    title, at, endpoint = address.rpartition("@")
    host, colon, port = endpoint.rpartition(":")
    if not _is_port(port) or bool(colon) != bool(host):
        raise SettingsError(
            f"--listen '{address}' is not an address; expected [AET@][ADDRESS:]PORT, for instance 11113 or "
            "PACS@10.0.0.5:11113"
        )
    if at:
        _check_title(address, title)
    return ListenAddress(int(port), host or None, title or None)


def parse_ae_address(address: str, calling_aet: str = "CAMRAY") -> AEAddress:
    """Parse ``AET@host:port``.

    Raises
    ------
    SettingsError
        If the text has another form, or a title is not a legal application entity title.

    Examples
    --------
    >>> parse_ae_address("ORTHANC@127.0.0.1:4242")
    AEAddress(aet='ORTHANC', host='127.0.0.1', port=4242, calling_aet='CAMRAY')
    """
    aet, at, endpoint = address.partition("@")
    host, colon, port = endpoint.rpartition(":")
    if not (at and colon and host and _is_port(port)):
        raise SettingsError(f"'{address}' is not a DICOM address; expected AET@host:port, for instance PACS@host:11112")
    for title in (aet, calling_aet):
        _check_title(address, title)
    return AEAddress(aet, host, int(port), calling_aet)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 2**16


def _check_title(address: str, title: str) -> None:
    if not (0 < len(title) <= 16 and title.isascii() and "\\" not in title):
        raise SettingsError(
            f"'{address}': '{title}' is not an application entity title; expected 1 to 16 ASCII characters "
            "without a backslash"
        )
