"""A listener of our own, which another side sends to when it is asked by C-MOVE. It takes what was asked for only."""

import io
import ssl
from collections.abc import Sequence
from typing import Any

from pydicom import dcmwrite
from pydicom.uid import AllTransferSyntaxes
from pynetdicom import AE, evt

from camray.adapters.pacs.credentials import Access
from camray.domain.errors import SettingsError

_SUCCESS, _NOT_AUTHORIZED = 0x0000, 0x0124
_SYNTAXES = [str(each) for each in AllTransferSyntaxes]


class Listener:
    """A storage provider on a port of this machine.

    Parameters
    ----------
    aet : str
        Its application entity title, which the other side must know.
    port : int
        Likewise; all interfaces.
    access : Access
        Where DIMSE is encrypted, so is what comes in, by the own certificate.
    sop_classes : sequence of str
        What it takes.

    Raises
    ------
    SettingsError
        If the port is taken, or encryption is asked for without an own certificate.
    """

    def __init__(self, aet: str, port: int, access: Access, sop_classes: Sequence[str]) -> None:
        self._received: dict[str, bytes] = {}
        self._awaited = ""
        entity = AE(ae_title=aet)
        for each in sop_classes:
            entity.add_supported_context(each, _SYNTAXES)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._keep)]
        try:
            self._server = entity.start_server(
                ("0.0.0.0", port), block=False, evt_handlers=handlers, ssl_context=_encrypted(access)
            )
        except OSError as error:
            raise SettingsError(
                f"port {port} of this machine cannot be listened on ({type(error).__name__}); is it taken?"
            ) from None

    def await_one(self, sop_instance_uid: str) -> None:
        """Take this object from now on, and no other."""
        self._received, self._awaited = {}, sop_instance_uid

    def taken(self) -> bytes | None:
        """Return the file of the awaited object, if it came."""
        return self._received.get(self._awaited)

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:  # only a blocking server is none
            self._server.shutdown()

    def _keep(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        if uid != self._awaited:
            return _NOT_AUTHORIZED
        self._received[uid] = file_bytes(event)
        return _SUCCESS


def file_bytes(event: Any) -> bytes:
    """Return a stored object as a DICOM file."""
    ds = event.dataset
    ds.file_meta = event.file_meta
    out = io.BytesIO()
    dcmwrite(out, ds, enforce_file_format=True)
    return out.getvalue()


def _encrypted(access: Access) -> ssl.SSLContext | None:
    if not access.is_tls:
        return None
    if access.cert_file is None:
        raise SettingsError("an encrypted listener needs an own certificate: --cert-file, and --key-file if apart")
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(access.cert_file, access.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"certificates cannot be used: {type(error).__name__}; expected PEM files") from None
    return context
