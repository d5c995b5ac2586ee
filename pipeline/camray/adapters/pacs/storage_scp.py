"""Storage provider that receives the objects of a C-MOVE; it accepts only the object that was requested."""

import socket
import ssl
from collections.abc import Sequence
from typing import Any

from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, evt

from camray.adapters.pacs.ae_address import AEAddress, ListenAddress
from camray.adapters.pacs.association import NOT_AUTHORIZED
from camray.adapters.pacs.credentials import Credentials, unusable_certificate
from camray.adapters.pacs.requested_object import RequestedObject
from camray.domain.errors import SettingsError

_SYNTAXES = [str(syntax) for syntax in AllTransferSyntaxes]


class Listener:
    """A storage provider on a port of this machine.

    Parameters
    ----------
    peer : AEAddress
        The other side. Its `calling_aet` is the title of the listener: associations that call another are rejected.
    address : ListenAddress
        Port, interface and calling title. By default only the interface that the other side is reached by.
    credentials : Credentials
        With `is_tls`, incoming connections are encrypted with `cert_file`.
    sop_classes : sequence of str
        SOP Class UIDs to accept.

    Raises
    ------
    SettingsError
        If the address cannot be used, or `is_tls` is set without a certificate.
    OSError
        If the other side's host is unknown, or there is no route to it.
    """

    def __init__(
        self, peer: AEAddress, address: ListenAddress, credentials: Credentials, sop_classes: Sequence[str]
    ) -> None:
        self._requested: RequestedObject | None = None
        entity = AE(ae_title=peer.calling_aet)
        entity.require_called_aet = True
        entity.require_calling_aet = [address.calling_aet] if address.calling_aet else []
        for sop_class in sop_classes:
            entity.add_supported_context(sop_class, _SYNTAXES)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store)]
        context, host = _tls_context(credentials), address.host or local_address(peer.host, peer.port)
        try:
            self._server = entity.start_server(
                (host, address.port), block=False, evt_handlers=handlers, ssl_context=context
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen at port {address.port} of {host} ({type(error).__name__}); expected an address of this "
                "machine and a free port; choose another with --listen"
            ) from None

    def expect(self, requested: RequestedObject | None) -> None:
        """Accept this object from now on, and no other; None accepts nothing."""
        self._requested = requested

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:  # it is None only for a blocking server
            self._server.shutdown()

    def _store(self, event: Any) -> int:
        return NOT_AUTHORIZED if self._requested is None else self._requested.store(event)


def local_address(host: str, port: int) -> str:
    """Return the address of this machine's interface that another machine is reached by.

    Raises
    ------
    OSError
        If the host is unknown or there is no route to it.
    """
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as probe:
        probe.connect(address)  # of a datagram socket: nothing is sent
        return str(probe.getsockname()[0])


def _tls_context(credentials: Credentials) -> ssl.SSLContext | None:
    if not credentials.is_tls:
        return None
    if credentials.cert_file is None:
        raise SettingsError(
            "--listen with --tls needs a certificate of this machine; name it with --cert-file, its key with --key-file"
        )
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(credentials.cert_file, credentials.key_file)
    except (OSError, ssl.SSLError) as error:
        raise unusable_certificate(error) from None
    return context
