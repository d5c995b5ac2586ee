"""Reads a report's tables back: what a person sees, cell by cell."""

from html.parser import HTMLParser


class PageTables(HTMLParser):
    """Tables of a page: title, and rows of cell texts, header rows first."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tables: list[tuple[str, list[list[str]]]] = []
        self._text: list[str] | None = None
        self._title = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append(("", []))
        elif tag == "tr":
            self.tables[-1][1].append([])
        elif tag in ("td", "th", "caption"):
            self._text = []
        elif tag == "span" and self._text is not None:
            self._text.append("|")

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self.tables[-1] = ("".join(self._text or []), self.tables[-1][1])
        elif tag in ("td", "th"):
            self.tables[-1][1][-1].append("".join(self._text or []))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)
