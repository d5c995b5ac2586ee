"""Servers of DICOM associations that stop when they are told to."""

from socketserver import BaseServer

import pytest
from pynetdicom.transport import AssociationServer


@pytest.fixture(autouse=True)
def _servers_stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let them look every 10 ms whether to stop, not every half second."""

    def serve(server: AssociationServer) -> None:
        BaseServer.serve_forever(server, 0.01)

    monkeypatch.setattr(AssociationServer, "serve_forever", serve)
