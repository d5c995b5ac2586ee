"""The OHIF viewer on loopback, in front of an Orthanc server, and a reader who opens, edits and saves reports in it."""

import json
import mimetypes
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.chromium import CHROMIUM, DRIVER
from tests.workflows.pacs import web_service

VIEWER = Path(__file__).parents[3] / ".ohif" / "package" / "dist"  # unpacked by `make test-server`
TIMEOUT_S = 60.0
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


def is_installed() -> bool:
    return (VIEWER / "index.html").is_file() and bool(CHROMIUM and DRIVER)


@contextmanager
def serving(orthanc_port: int) -> Iterator[str]:
    """Serve the viewer, with Orthanc's DICOMweb below the same origin; yields its address."""
    handler = type("Handler", (_Handler,), {"orthanc_port": orthanc_port})
    with web_service.serving(handler) as address:
        yield address


class _Handler(web_service.QuietHandler):
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
        isolation = {"Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp"}
        self.answer(status, body, kind, isolation)


class Radiologist:
    """A reader at the viewer."""

    def __init__(self, browser: Any, address: str) -> None:
        self.browser, self.address = browser, address

    def open_report(self, study_uid: str) -> str:
        """Open a study and double-click its report; returns the text of the viewport that shows it."""
        self.browser.get(f"{self.address}/viewer?StudyInstanceUIDs={study_uid}")
        self._wait("the list of series", lambda: self._all("study-browser-thumbnail-no-image"))
        self._wait("the film", lambda: "W:" in self._viewport_text())
        self._wait("the report", self._is_report_opened)
        return self._viewport_text()

    def _is_report_opened(self) -> bool:
        """Double-click the report as long as the film is shown: the viewer drops clicks while it loads."""
        if any(text in self._viewport_text() for text in ("continue tracking", "Qualitative Evaluations")):
            return True
        for button in self._buttons("Skip all"):  # the tour on the first visit
            button.click()
        self._actions().double_click(self._all("study-browser-thumbnail-no-image")[0]).pause(3).perform()
        return False

    def hydrate(self) -> list[str]:
        """Take the report's boxes over as measurements; returns the text of each row of the panel."""
        self._wait("the question", lambda: self._buttons("Yes"))[0].click()
        self._wait("the film", lambda: self._rectangles())
        self._wait("the panel's button", lambda: self._all("trackedMeasurements-btn"))[0].click()
        # a box that is not measured yet, or reaches the film's edge, is missing from what the viewer saves
        self._wait("an area of each box", lambda: all("mm²" in text for text in self._rows()) and self._rows())
        return self._rows()

    def drag_corner(self, label: str, dx_px: int, dy_px: int) -> tuple[float, float]:
        """Drag the lower right corner of a label's first box by screen pixels; returns its place on the film."""
        x, y = self._wait("a corner at rest", lambda: self._resting_corner(label))
        canvas = self.browser.find_element("css selector", "canvas.cornerstone-canvas")
        left, top = x - canvas.rect["width"] / 2, y - canvas.rect["height"] / 2  # from its centre
        actions = self._actions().move_to_element_with_offset(canvas, round(left) - 9, round(top) - 9).pause(0.5)
        actions.move_to_element_with_offset(canvas, round(left), round(top)).pause(0.5).click_and_hold().pause(0.5)
        for step in range(5):
            actions.move_by_offset(*(way * (step + 1) // 5 - way * step // 5 for way in (dx_px, dy_px))).pause(0.2)
        actions.pause(0.5).release().perform()

        def is_dragged() -> bool:
            to_x, to_y = self._rectangle(label)["canvas"][3][:2]
            return abs(to_x - x - dx_px) < 1.5 and abs(to_y - y - dy_px) < 1.5

        self._wait("the corner where it was dragged to", is_dragged)
        time.sleep(1)  # the viewer measures the box anew
        return tuple(self._rectangle(label)["image"][3])

    def _resting_corner(self, label: str) -> list[float] | None:
        """Return the place on the screen of a lower right corner; None while the viewer still fits the film in."""
        before = self._rectangle(label)["canvas"][3][:2]
        time.sleep(1.5)
        return before if self._rectangle(label)["canvas"][3][:2] == before else None

    def save(self) -> None:
        """Create a report of the panel's measurements and send it to the PACS."""
        self._wait("the panel", lambda: self._buttons("Create SR"))[0].click()
        self._wait("the dialog", lambda: self._all("input-dialog-save-button"))[0].click()
        self._wait("the end of sending", lambda: not self._all("input-dialog-save-button"))

    def _rectangle(self, label: str) -> dict[str, Any]:
        return next(each for each in self._rectangles() if each["label"].startswith(label))

    def _rectangles(self) -> list[dict[str, Any]]:
        return list(self.browser.execute_script(_RECTANGLES))

    def _rows(self) -> list[str]:
        return self._texts('[data-cy^="measurement-table-row"]')

    def _viewport_text(self) -> str:
        return "\n".join(self._texts('[data-cy="viewport-pane"]'))

    def _texts(self, selector: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText)"
        return list(self.browser.execute_script(script, selector))

    def _all(self, name: str) -> list[Any]:
        return self._displayed("css selector", f'[data-cy="{name}"]')

    def _buttons(self, text: str) -> list[Any]:
        return self._displayed("xpath", f"//*[self::button or self::span][normalize-space()='{text}']")

    def _displayed(self, by: str, value: str) -> list[Any]:
        return [each for each in self.browser.find_elements(by, value) if each.is_displayed()]

    def _actions(self) -> Any:
        from selenium.webdriver.common.action_chains import ActionChains

        return ActionChains(self.browser)

    def _wait(self, what: str, condition: Callable[[], Any]) -> Any:
        from selenium.common.exceptions import StaleElementReferenceException

        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(StaleElementReferenceException):  # the page was drawn anew meanwhile
                if value := condition():
                    return value
            time.sleep(0.3)
        shown = f"{self._viewport_text()[:300]!r} {self._rows()}"
        raise AssertionError(f"the viewer does not show {what}; it shows: {shown}")


_RECTANGLES = """
const viewport = cornerstone.getRenderingEngines()[0]?.getViewports()[0];
return cornerstoneTools.annotation.state.getAllAnnotations()
  .filter(each => each.metadata.toolName === 'RectangleROI')
  .map(each => ({
    label: each.data.label,
    canvas: each.data.handles.points.map(point => viewport.worldToCanvas(point)),
    image: each.data.handles.points.map(point =>
      cornerstone.utilities.worldToImageCoords(each.metadata.referencedImageId, point)),
  }));
"""
