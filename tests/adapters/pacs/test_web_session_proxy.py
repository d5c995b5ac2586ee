"""Proxies and passwords that the environment names: none gets what is meant for this machine, and errors name them."""

from pathlib import Path
from urllib.request import getproxies_environment

import pytest
import requests

from camray.adapters.pacs.credentials import Credentials
from camray.adapters.pacs.dicomweb import DicomWeb
from camray.commands.user_environment import prepare_environment
from camray.domain.delivery import FilmQuery
from camray.domain.errors import AuthenticationError, PeerError, RequestRefusedError, UnreachableError
from tests.workflows.pacs.web_service import QuietHandler, serving

SEEN: list[str | None] = []  # the Authorization header of each request


class _Answer(QuietHandler):
    status, body = 407, b"<html>"

    def do_GET(self) -> None:
        SEEN.append(self.headers.get("Authorization"))
        self.answer(self.status, self.body, "text/html")


@pytest.fixture(autouse=True)
def _no_proxies_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no", *getproxies_environment()):
        for variable in (f"{name}_proxy", f"{name}_PROXY".upper()):
            monkeypatch.setenv(variable, "")


def _search(url: str, credentials: Credentials | None = None) -> None:
    with DicomWeb(url, credentials or Credentials(timeout_s=10)) as web:
        list(web.find(FilmQuery(modalities=("DX",))))


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
@pytest.mark.parametrize("excepted", ["", "pacs.example"])
def test_requests_to_this_machine_go_to_no_proxy(monkeypatch: pytest.MonkeyPatch, variable: str, excepted: str) -> None:
    monkeypatch.setenv(variable, "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", excepted)
    prepare_environment()
    for host in ("localhost:8042", "127.0.0.1", "127.1.2.3:80", "[::1]:8042", excepted):
        assert not host or requests.utils.should_bypass_proxies(f"http://{host}/dicom-web", None), host
    assert not requests.utils.should_bypass_proxies("http://other.example/dicom-web", None)


@pytest.mark.parametrize(
    ("status", "kind"), [(407, AuthenticationError), (403, AuthenticationError), (400, RequestRefusedError)]
)
def test_what_a_proxy_answers_names_the_proxy_and_not_its_password(
    monkeypatch: pytest.MonkeyPatch, status: int, kind: type[PeerError]
) -> None:
    monkeypatch.setattr(_Answer, "status", status)
    with serving(_Answer) as address:
        monkeypatch.setenv("http_proxy", address.replace("//", "//me:cret@"))
        with pytest.raises(kind, match=rf"HTTP {status}.*HTTP_PROXY.*NO_PROXY") as refused:
            _search("http://pacs.example/dicom-web")
    assert "cret" not in str(refused.value)


@pytest.mark.parametrize("proxy", ["http://me:cret@127.0.0.1:9", "http://me:#cret@x:1", "socks5://me:cret@127.0.0.1:9"])
def test_an_unusable_proxy_is_named(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(UnreachableError, match=r"HTTPS_PROXY.*NO_PROXY") as failed:
        _search("https://pacs.example/dicom-web")
    assert "cret" not in str(failed.value)


def test_a_password_of_the_home_folder_does_not_replace_a_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password cret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    SEEN.clear()
    with serving(_Answer) as address:
        for credentials in (Credentials(token="t"), Credentials()):
            with pytest.raises(AuthenticationError, match=r"407\)$"):  # no proxy: none is named
                _search(address, credentials)
    assert SEEN == ["Bearer t", None]
