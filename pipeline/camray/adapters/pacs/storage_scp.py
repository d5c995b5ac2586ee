"""Storage provider that receives the objects of a C-MOVE; it accepts only the object that was requested."""

import io
import socket
import ssl
from collections.abc import Sequence
from typing import Any

from pydicom import dcmwrite
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, evt

from camray.adapters.pacs.credentials import Credentials, unusable_certificate
from camray.domain.errors import SettingsError

_SUCCESS, _NOT_AUTHORIZED = 0x0000, 0x0124
_SYNTAXES = [str(syntax) for syntax in AllTransferSyntaxes]


class Listener:
    """A storage provider on a port of this machine.

    Parameters
    ----------
    aet : str
        Its application entity title, which the other side must know; associations that call another are rejected.
    host : str
        Address of this machine, of the interface that the other side is reached by; see `local_address`.
    port : int
        Which the other side must know too.
    credentials : Credentials
        With `is_tls`, incoming connections are encrypted with `cert_file`.
    sop_classes : sequence of str
        SOP Class UIDs to accept.

    Raises
    ------
    SettingsError
        If the port is in use, or `is_tls` is set without a certificate.
    """

    def __init__(self, aet: str, host: str, port: int, credentials: Credentials, sop_classes: Sequence[str]) -> None:
        self._received: dict[str, bytes] = {}
        self._expected = ""
        entity = AE(ae_title=aet)
        entity.require_called_aet = True
        for sop_class in sop_classes:
            entity.add_supported_context(sop_class, _SYNTAXES)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._keep)]
        try:
            self._server = entity.start_server(
                (host, port), block=False, evt_handlers=handlers, ssl_context=_tls_context(credentials)
            )
        except OSError as error:
            raise SettingsError(
                f"cannot listen on port {port} of this machine ({type(error).__name__}); choose another with --listen"
            ) from None

    def expect(self, sop_instance_uid: str) -> None:
        """Accept this object from now on, and no other."""
        self._received, self._expected = {}, sop_instance_uid

    def received(self) -> bytes | None:
        """Return the file of the expected object, or None if it has not arrived."""
        return self._received.get(self._expected)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:  # it is None only for a blocking server
            self._server.shutdown()

    def _keep(self, event: Any) -> int:
        if not is_object(event, self._expected):
            return _NOT_AUTHORIZED
        self._received[self._expected] = file_bytes(event)
        return _SUCCESS


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


def is_object(event: Any, sop_instance_uid: str) -> bool:
    """Return whether a stored object is the requested one, by the request and by its own data set."""
    uids = (event.request.AffectedSOPInstanceUID, event.dataset.get("SOPInstanceUID"))
    return all(str(uid) == sop_instance_uid for uid in uids)


def file_bytes(event: Any) -> bytes:
    """Return a stored object as a DICOM file."""
    ds = event.dataset
    ds.file_meta = event.file_meta
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


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
