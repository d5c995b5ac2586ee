"""Encrypted delivery with a user's name, to a listener of the test's own."""

import datetime
import gc
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from camray.adapters.pacs.ae_address import parse_ae_address
from camray.adapters.pacs.credentials import Credentials, load_credentials
from camray.adapters.pacs.dimse import Dimse
from camray.domain.errors import AuthenticationError, UnreachableError
from tests.workflows.pacs.orthanc import free_port
from tests.workflows.pacs.test_send import make_objects

pytestmark = [
    pytest.mark.server,
    # pynetdicom leaves the socket of a broken association to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(place, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return cert_file, key_file


@dataclass
class Listener:
    port: int
    cert_file: Path
    stored: list[str] = field(default_factory=list)
    users: list[tuple[bytes, bytes]] = field(default_factory=list)


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let sockets that pynetdicom left be closed, and complained of, while the test may ignore it."""
    yield
    gc.collect()


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    import ssl

    from pynetdicom import AE, evt
    from pynetdicom.sop_class import ComprehensiveSRStorage

    cert_file, key_file = make_certificate(tmp_path)
    found = Listener(free_port(), cert_file)

    def store(event: Any) -> int:
        found.stored.append(str(event.request.AffectedSOPInstanceUID))
        return 0

    def who(event: Any) -> tuple[bool, None]:
        found.users.append((event.primary_field, event.secondary_field))
        return (event.primary_field, event.secondary_field) == (b"me", b"open sesame"), None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    ae = AE(ae_title="PACS")
    ae.add_supported_context(ComprehensiveSRStorage)
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_USER_ID, who)]
    server = ae.start_server(("127.0.0.1", found.port), block=False, evt_handlers=handlers, ssl_context=context)
    try:
        yield found
    finally:
        server.shutdown()


def _send(listener: Listener, credentials: Credentials, folder: Path) -> bool:
    (path,) = make_objects(folder / "objects", 1)
    with Dimse(parse_ae_address(f"PACS@127.0.0.1:{listener.port}"), credentials, [path]) as peer:
        return peer.send(path).is_accepted


def test_an_object_goes_encrypted_with_the_users_name(
    listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMRAY_PACS_USER", "me")
    monkeypatch.setenv("CAMRAY_PACS_PASSWORD", "open sesame")
    credentials = load_credentials(listener.cert_file, None, None, True, 10.0)
    assert _send(listener, credentials, tmp_path)
    assert (listener.stored, listener.users) == (["1.2.3.0"], [(b"me", b"open sesame")])


def test_a_wrong_password_or_no_trust_gets_nothing_through(listener: Listener, tmp_path: Path) -> None:
    wrong = Credentials(ca_file=listener.cert_file, is_tls=True, user="me", password="guess", timeout_s=10)
    with pytest.raises(AuthenticationError, match="CAMRAY_PACS_PASSWORD"):
        _send(listener, wrong, tmp_path)
    with pytest.raises(UnreachableError):  # its certificate is signed by nobody that the system trusts
        _send(listener, Credentials(is_tls=True, timeout_s=10), tmp_path)
    with pytest.raises(UnreachableError):
        _send(listener, Credentials(timeout_s=3), tmp_path)
    assert listener.stored == []
