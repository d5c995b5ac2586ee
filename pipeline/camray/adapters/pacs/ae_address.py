"""Application entities by their addresses."""

from dataclasses import dataclass

from camray.domain.errors import SettingsError


@dataclass(frozen=True)
class Peer:
    """An application entity: ``AET@host:port``, and what we call ourselves."""

    aet: str
    host: str
    port: int
    calling_aet: str = "CAMRAY"

    def __str__(self) -> str:
        """Return the address as it is given."""
        return f"{self.aet}@{self.host}:{self.port}"


def parse_peer(address: str, calling_aet: str = "CAMRAY") -> Peer:
    """Read ``AET@host:port``.

    Raises
    ------
    SettingsError
        If it is something else.

    Examples
    --------
    >>> parse_peer("ORTHANC@127.0.0.1:4242")
    Peer(aet='ORTHANC', host='127.0.0.1', port=4242, calling_aet='CAMRAY')
    """
    aet, at, place = address.partition("@")
    host, colon, port = place.rpartition(":")
    titles = (aet, calling_aet)
    if not (at and colon and host and port.isdecimal() and 0 < int(port) < 2**16):
        raise SettingsError(f"'{address}' is no DICOM address; expected AET@host:port")
    if not all(0 < len(title) <= 16 and title.isascii() and "\\" not in title for title in titles):
        raise SettingsError(f"'{address}': application entity titles have 1 to 16 characters")
    return Peer(aet, host, int(port), calling_aet)
