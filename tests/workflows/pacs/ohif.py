"""The OHIF viewer on loopback, in front of an Orthanc server, and a reader who opens, edits and saves reports in it."""

import json
import mimetypes
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

VERSION = "3.13.2"
VIEWER = Path(__file__).parents[3] / ".ohif" / "package" / "dist"  # unpacked by `make test-server`
TIMEOUT_S = 90.0
_KEPT = ("Content-Type", "Accept", "Host")
_CONFIG = {
    "routerBasename": None,
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "showErrorDetails": "always",
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "test",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "test",
            "configuration": {
                "name": "test",
                "friendlyName": "Orthanc",
                "wadoUriRoot": "/dicom-web",
                "qidoRoot": "/dicom-web",
                "wadoRoot": "/dicom-web",
                "imageRendering": "wadors",
                "thumbnailRendering": "wadors",
                "enableStudyLazyLoad": True,
                "supportsWildcard": True,
                "omitQuotationForMultipartRequest": True,
            },
        }
    ],
}


def is_unpacked() -> bool:
    return (VIEWER / "index.html").is_file()


@contextmanager
def serving(orthanc_port: int) -> Iterator[str]:
    """Serve the viewer, with Orthanc's DICOMweb below the same origin; yields its address."""
    handler = type("Handler", (_Handler,), {"orthanc_port": orthanc_port})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    orthanc_port = 0
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/dicom-web"):
            self._forward()
        elif self.path == "/app-config.js":
            self._answer(200, "text/javascript", f"window.config = {json.dumps(_CONFIG)};".encode())
        else:
            self._send_file(self.path.split("?")[0].lstrip("/"))

    def do_POST(self) -> None:
        self._forward()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output quiet."""

    def _send_file(self, name: str) -> None:
        path = (VIEWER / name).resolve()
        if not (path.is_file() and path.is_relative_to(VIEWER.resolve())):
            path = VIEWER / "index.html"  # the viewer's own routes
        self._answer(200, mimetypes.guess_type(path.name)[0] or "application/octet-stream", path.read_bytes())

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
        headers = {name: self.headers[name] for name in _KEPT if self.headers[name]}
        url = f"http://127.0.0.1:{self.orthanc_port}{self.path}"
        request = urllib.request.Request(url, data=body, headers=headers, method=self.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                self._answer(answer.status, answer.headers["Content-Type"] or "", answer.read())
        except urllib.error.HTTPError as error:
            with error:
                self._answer(error.code, error.headers["Content-Type"] or "", error.read())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)
