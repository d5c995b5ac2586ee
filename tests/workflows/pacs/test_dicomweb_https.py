"""DICOMweb over HTTPS: who is trusted, who is not, and what the message says to do."""

import datetime
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from camray.adapters.pacs.credentials import Credentials, load_credentials
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.domain.delivery import FilmQuery, ObjectKey
from camray.domain.errors import AuthenticationError, SettingsError
from tests.workflows.pacs.web_service import QuietHandler

KEY = ObjectKey("1.2.3", "1.2.3.4", "1.2.3.4.5")
Pair = tuple[Path, Path]


def _name(words: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, words)])


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, words: str) -> None:
        self.folder, self._name, self._key = folder, _name(words), ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{words}.pem"
        self.file.write_bytes(self._signed(self._name, self._key, is_authority=True))

    def certificate(self, words: str, host: str = "127.0.0.1", days: int = 1) -> Pair:
        """Return files of a certificate for one address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        cert_file, key_file = self.folder / f"{words}.cert.pem", self.folder / f"{words}.key.pem"
        cert_file.write_bytes(self._signed(_name(words), key, host=host, days=days))
        form = serialization.PrivateFormat.PKCS8
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        return cert_file, key_file

    def _signed(
        self, name: x509.Name, key: Any, *, is_authority: bool = False, host: str = "127.0.0.1", days: int = 1
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if is_authority:
            builder = builder.add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
        else:
            place = x509.IPAddress(ipaddress.ip_address(host))
            builder = builder.add_extension(x509.SubjectAlternativeName([place]), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class _Qido(QuietHandler):
    """Lists one object, whatever the request."""

    def do_GET(self) -> None:
        self.answer(200, b'[{"00080018": {"vr": "UI", "Value": ["1.2.3.4.5"]}}]')


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        return  # connections that are refused break off


def _serve(pair: Pair, clients: Path | None = None) -> tuple[_Server, str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    server = _Server(("127.0.0.1", 0), _Qido)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server, f"https://127.0.0.1:{server.server_address[1]}/dicom-web"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"), "hospital")


@pytest.fixture
def url(authority: Authority) -> Iterator[str]:
    server, address = _serve(authority.certificate("pacs"))
    yield address
    server.shutdown()
    server.server_close()


def _has(url: str, credentials: Credentials) -> bool:
    with DicomWeb(url, credentials) as service:
        return service.has(KEY)


def test_the_authority_that_is_named_is_trusted(
    authority: Authority, url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    credentials = load_credentials(authority.file, None, None, False, 10.0)
    assert _has(url, credentials)
    other = Authority(tmp_path, "other")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other.file))  # what is said counts, not the environment
    assert _has(url, credentials)


@pytest.mark.parametrize("named", [True, False])
def test_another_authority_is_not_and_the_message_says_what_to_do(url: str, named: bool, tmp_path: Path) -> None:
    ca_file = Authority(tmp_path, "other").file if named else None
    with pytest.raises(AuthenticationError, match="name the authority's certificate with --ca-file"):
        _has(url, Credentials(ca_file=ca_file, timeout_s=10))


@pytest.mark.parametrize(
    ("host", "days", "words"), [("127.0.0.2", 1, "for another name"), ("127.0.0.1", -2, "out of date")]
)
def test_a_certificate_for_another_name_or_time_is_refused(
    authority: Authority, host: str, days: int, words: str
) -> None:
    server, address = _serve(authority.certificate(f"wrong{days}", host, days))
    try:
        with pytest.raises(AuthenticationError, match=words):
            _has(address, Credentials(ca_file=authority.file, timeout_s=10))
    finally:
        server.shutdown()
        server.server_close()


def test_a_service_that_wants_our_certificate_gets_it(authority: Authority) -> None:
    server, address = _serve(authority.certificate("strict"), clients=authority.file)
    cert_file, key_file = authority.certificate("camray")
    try:
        assert _has(address, load_credentials(authority.file, cert_file, key_file, False, 10.0))
        with (
            pytest.raises(AuthenticationError, match="--cert-file"),
            DicomWeb(address, Credentials(ca_file=authority.file, timeout_s=10)) as service,
        ):
            list(service.find(FilmQuery()))
    finally:
        server.shutdown()
        server.server_close()


def test_files_that_are_no_certificates_are_told(url: str, tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate", encoding="utf-8")
    with pytest.raises(SettingsError, match="certificate"):
        _has(url, Credentials(ca_file=broken, timeout_s=10))
    with pytest.raises(SettingsError, match="no such certificate file"):
        load_credentials(tmp_path / "none.pem", None, None, False, 10.0)
