"""The folder of a review page: what a second build replaces, removes and leaves."""

import json
from pathlib import Path

import pytest

from camray.adapters.review.page_folder import FILES, write_page
from camray.domain.errors import ExportError


def test_a_second_build_removes_the_files_of_the_first_and_no_others(tmp_path: Path) -> None:
    size = write_page(tmp_path, [("data/a.js", b"one"), ("data/b.js", b"two"), ("index.html", b"page")])
    (tmp_path / "data" / "notes.txt").write_text("mine")
    assert size == 10
    write_page(tmp_path, [("data/b.js", b"new"), ("index.html", b"page")])
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"b.js", "notes.txt"}
    assert (tmp_path / "data" / "b.js").read_bytes() == b"new"
    assert json.loads((tmp_path / FILES).read_text()) == ["data/b.js", "index.html"]


def test_a_build_that_stops_leaves_no_page_to_open(tmp_path: Path) -> None:
    write_page(tmp_path, [("index.html", b"page")])

    def files() -> object:
        yield "data/a.js", b"one"
        raise ExportError("stopped")

    with pytest.raises(ExportError, match="stopped"):
        write_page(tmp_path, files())  # type: ignore[arg-type]
    assert not (tmp_path / "index.html").exists()


@pytest.mark.parametrize("content", ['["../kept.txt", "a.js"]', "{}", "not JSON"])
def test_a_list_of_files_never_removes_what_is_outside(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "review"
    folder.mkdir()
    (tmp_path / "kept.txt").write_text("mine")
    (folder / FILES).write_text(content)
    write_page(folder, [("index.html", b"page")])
    assert (tmp_path / "kept.txt").read_text() == "mine"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(ExportError, match=r"data/a\.js: cannot be written \(.+\); free space or choose another folder"):
        write_page(tmp_path, [("data/a.js", b"one")])
