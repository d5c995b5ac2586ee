"""Every entry of a folder is a film, unread or ignored; linked folders are entered once."""

import os
import socket
from pathlib import Path

import pytest

from camray.adapters.datasets.film_files import FilmFiles, list_films


def _touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def _list(root: Path, *include: str, tables: tuple[str, ...] = ()) -> FilmFiles:
    return list_films(root, include or ("**/*",), (), {root / name for name in tables})


def _unread(films: FilmFiles) -> dict[str, str]:
    return {entry.source: str(entry.reason) for entry in films.unread}


def test_symlinked_folder(tmp_path: Path) -> None:
    root = tmp_path / "root"
    _touch(root, "f0.png", "real/f1.png")
    _touch(tmp_path, "elsewhere/f2.png", "elsewhere/deep/f3.png", "beside.png")
    (root / "more").symlink_to(tmp_path / "elsewhere")
    (root / "a_again").symlink_to(root / "real")
    (root / "real" / "loop").symlink_to(root)
    (root / "up").symlink_to(tmp_path)
    films = _list(root)
    assert films.sources == ["f0.png", "more/deep/f3.png", "more/f2.png", "real/f1.png"]
    assert _unread(films) == {"up": "unreadable_folder"}
    assert films.ignored == {"linked_again": 2}


def test_special_files_and_hidden_ones_have_a_place(tmp_path: Path) -> None:
    _touch(tmp_path, "f0.png", ".hidden", ".cache/f1.png", "DICOMDIR", "labels.csv", "xml/f0.xml", "sub/.DS_Store")
    (tmp_path / "dead").symlink_to("nowhere")
    (tmp_path / "itself").symlink_to("itself")
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "socket"))
        films = _list(tmp_path, tables=("labels.csv", "xml"))
    assert films.sources == ["f0.png"]
    assert _unread(films) == dict.fromkeys(("dead", "itself", "pipe", "socket"), "not_a_file")
    assert films.ignored == {"hidden": 3, "dicomdir": 1, "tables": 2}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc on this system")
def test_links_into_folders_of_the_system_are_named_and_not_entered(tmp_path: Path) -> None:
    root, films_elsewhere = tmp_path / "root", tmp_path / "films"
    _touch(tmp_path, "root/f0.png", "films/f1.png")
    for name, target in (
        ("p", "/proc"),
        ("own", "/proc/self"),
        ("sub/s", "/sys/kernel"),
        ("d", "/dev"),
        (".h", "/sys"),
    ):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(target)
    (root / "stat.png").symlink_to("/proc/self/stat")
    (root / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(root / ".pipe")
    open_there = os.open(films_elsewhere, os.O_RDONLY)
    (root / "more").symlink_to(f"/proc/self/fd/{open_there}")  # leads out of /proc again
    films = _list(root)
    os.close(open_there)
    assert films.sources == ["f0.png", "more/f1.png"]
    folders = dict.fromkeys(("p", "own", "sub/s", "d"), "unreadable_folder")
    assert _unread(films) == folders | dict.fromkeys(("stat.png", "zero.png"), "not_a_file")
    assert {entry.message for entry in films.unread if entry.source in folders} == {
        "a link into /proc, /sys or /dev is not entered"
    }
    assert films.ignored == {"hidden": 2}


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _touch(tmp_path, "f0.png", "locked/f1.png", ".trash/f2.png")
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name in {"locked", ".trash"}:
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    films = _list(tmp_path)
    assert films.sources == ["f0.png"]
    assert [(entry.source, entry.message) for entry in films.unread] == [
        ("locked", "the folder cannot be read: Permission denied; change its permissions")
    ]
    assert films.ignored == {"hidden": 1}
    assert not _list(tmp_path, "imgs/*.png").unread, "no film that the pattern names can be there"


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**/*", ["a/b/c.png", "a/d.png", "e.png"]),
        ("a/*", ["a/d.png"]),
        ("a*/**/*.png", ["a/b/c.png", "a/d.png"]),
        ("**/b/*", ["a/b/c.png"]),
        ("?.png", ["e.png"]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, expected: list[str]) -> None:
    _touch(tmp_path, "a/b/c.png", "a/d.png", "e.png", "a/b/.x")
    films = _list(tmp_path, pattern)
    assert films.sources == expected
    assert len(films.sources) + sum(films.ignored.values()) == 4
