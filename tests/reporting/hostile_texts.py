"""A text that would be markup, script or template code if a page did not escape it."""

from html.parser import HTMLParser

TEXT = "<img src=x onerror=alert(1)> </script><script>alert(1)</script> {{ 7 * 7 }}{% raw %} \"'><b>&amp;"


class _Page(HTMLParser):
    """What a browser makes of a page: attributes of its elements, its texts, its scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str | None]] = []
        self.text, self.scripts, self._is_script = "", [], False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        self._is_script = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts.append(data)
        else:
            self.text += data


def assert_escaped(page: str) -> None:
    """Fail where `TEXT` became markup, script or template code, and where it is not shown as it is."""
    seen = _Page(page)
    assert TEXT in seen.text
    assert [value for name, value in seen.attributes if name.startswith("on") or value == "x"] == []
    assert not any("alert" in script for script in seen.scripts)
