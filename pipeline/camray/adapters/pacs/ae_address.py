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
    if not (at and colon and host and port.isdecimal() and 0 < int(port) < 2**16):
        raise SettingsError(f"'{address}' is not a DICOM address; expected AET@host:port, for instance PACS@host:11112")
    for title in (aet, calling_aet):
        if not (0 < len(title) <= 16 and title.isascii() and "\\" not in title):
            raise SettingsError(
                f"'{address}': '{title}' is not an application entity title; expected 1 to 16 ASCII characters "
                "without a backslash"
            )
    return AEAddress(aet, host, int(port), calling_aet)
