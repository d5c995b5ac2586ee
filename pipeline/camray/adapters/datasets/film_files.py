"""The film files of a data set, and the entries of its folder that are not read."""

import fnmatch
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from camray.domain.records import RefusalReason
from camray.domain.system_folders import is_of_system

_Identity = tuple[int, int]  # device and inode


@dataclass(frozen=True)
class UnreadEntry:
    """An entry that may be or hold a film and cannot be read.

    Parameters
    ----------
    source : str
        Path relative to the root, with ``/``.
    reason : RefusalReason
        Why it is not read.
    message : str
        The reason in a sentence.
    """

    source: str
    reason: RefusalReason
    message: str


@dataclass(frozen=True)
class FilmFiles:
    """Every entry under the root of a data set, in one of three places.

    Parameters
    ----------
    sources : list of str
        Files to read as films: sorted paths relative to the root, with ``/``.
    unread : list of UnreadEntry
        Dead links, special files, and folders that cannot be entered, sorted.
    ignored : mapping of str to int
        Number of entries that are no films: ``hidden``, ``dicomdir``, ``tables``, ``other_files`` (which the data
        manifest does not name), ``linked_again`` (links to folders that are read already).
    """

    sources: list[str]
    unread: list[UnreadEntry] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)


def list_films(root: Path, include: Sequence[str], exclude: Sequence[str], not_films: set[Path]) -> FilmFiles:
    """List the files to read as films; linked folders are entered, each folder once.

    Parameters
    ----------
    root : Path
        Folder of the data set.
    include, exclude : sequence of str
        Globs relative to the root.
    not_films : set of Path
        Tables and lists: files, or folders of files.
    """
    tables = {_identity(path.stat()) for path in not_films if path.exists()}
    is_included, is_excluded = _matcher(include), _matcher(exclude)
    may_hold_films = _folder_matcher(include)
    films = FilmFiles([])
    for entry in _walk(root):
        if entry.is_folder:
            if not entry.is_hidden and may_hold_films(entry.path):
                films.unread.append(UnreadEntry(entry.path, RefusalReason.UNREADABLE_FOLDER, entry.fault))
            else:
                films.ignored["hidden" if entry.is_hidden else "other_files"] += 1
        elif (kind := _ignored_kind(entry, tables)) is not None:
            films.ignored[kind] += 1
        elif not is_included(entry.path) or is_excluded(entry.path):
            films.ignored["other_files"] += 1
        elif entry.fault:
            films.unread.append(UnreadEntry(entry.path, RefusalReason.NOT_A_FILE, entry.fault))
        else:
            films.sources.append(entry.path)
    films.sources.sort()
    films.unread.sort(key=lambda entry: entry.source)
    return films


def films_of_names(
    names: Iterable[str], include: Sequence[str], exclude: Sequence[str], tables: Collection[str]
) -> FilmFiles:
    """Choose the films among the names of objects, by the rules of `list_films`; `tables` are no films."""
    is_included, is_excluded = _matcher(include), _matcher(exclude)
    films = FilmFiles([])
    for name in sorted(names):
        kind = _ignored_kind(_Entry(name), set()) or ("tables" if name in tables else None)
        if kind is None and (not is_included(name) or is_excluded(name)):
            kind = "other_files"
        if kind is None:
            films.sources.append(name)
        else:
            films.ignored[kind] += 1
    return films


@dataclass(frozen=True)
class _Entry:
    """A file, or a folder that is not entered; `identities` are its own and those of its folders below the root."""

    path: str
    identities: tuple[_Identity, ...] = ()
    is_folder: bool = False
    is_linked_again: bool = False
    fault: str = ""  # why it cannot be read

    @property
    def is_hidden(self) -> bool:
        return any(part.startswith(".") for part in self.path.split("/"))


def _ignored_kind(entry: _Entry, tables: set[_Identity]) -> str | None:
    if entry.is_hidden:
        return "hidden"
    if entry.is_linked_again:
        return "linked_again"
    if PurePosixPath(entry.path).name.upper() == "DICOMDIR":
        return "dicomdir"
    return "tables" if tables.intersection(entry.identities) else None


@dataclass(frozen=True)
class _Folder:
    path: str  # relative to the root; empty for the root itself
    parents: tuple[_Identity, ...] = ()  # folders between the root and this one


def _walk(root: Path) -> Iterator[_Entry]:
    """Yield every file below the root, and the folders that are not entered; real folders first, then linked ones."""
    above = {_identity(folder.stat()) for folder in root.resolve().parents}
    entered: set[_Identity] = set()
    folders, linked = [_Folder("")], deque[_Folder]()
    while folders or linked:
        is_link = not folders
        folder = folders.pop() if folders else linked.popleft()
        try:
            identity = _identity((root / folder.path).stat())
            if identity in entered:
                yield _Entry(folder.path, is_linked_again=True)
            elif identity in above:
                yield _Entry(folder.path, is_folder=True, fault="a link to a folder above the root is not entered")
            elif is_link and is_of_system((root / folder.path).resolve()):
                yield _Entry(folder.path, is_folder=True, fault="a link into /proc, /sys or /dev is not entered")
            else:
                entered.add(identity)
                inside = (*folder.parents, identity) if folder.path else ()
                yield from _inside(root, _Folder(folder.path, inside), folders, linked)
        except OSError as error:
            what = f"the folder cannot be read: {error.strerror or type(error).__name__}; change its permissions"
            yield _Entry(folder.path or ".", is_folder=True, fault=what)


def _inside(root: Path, folder: _Folder, folders: list[_Folder], linked: deque[_Folder]) -> Iterator[_Entry]:
    """Yield the files of one folder, and add its folders to the lists."""
    with os.scandir(root / folder.path) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        path = f"{folder.path}/{entry.name}" if folder.path else entry.name
        try:
            status = entry.stat()
        except OSError as error:
            yield _Entry(path, fault=_fault_without_status(entry.is_symlink(), error))
            continue
        if stat.S_ISDIR(status.st_mode):
            (linked if entry.is_symlink() else folders).append(_Folder(path, folder.parents))
        else:
            fault = "" if stat.S_ISREG(status.st_mode) else "neither a file nor a folder (pipe, socket or device)"
            if entry.is_symlink() and is_of_system((root / path).resolve()):
                fault = "a link into /proc, /sys or /dev"
            yield _Entry(path, (*folder.parents, _identity(status)), fault=fault)


def _fault_without_status(is_link: bool, error: OSError) -> str:
    return "a link to nothing" if is_link else f"cannot be read: {error.strerror or type(error).__name__}"


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of paths against globs, ``**`` for any number of folders."""
    split = [pattern.removeprefix("./").split("/") for pattern in patterns]
    return lambda path: any(_matches(path.split("/"), parts) for parts in split)


def _matches(path: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern or not path:
        return not pattern and not path
    if pattern[0] == "**" and len(pattern) > 1:
        return any(_matches(path[start:], pattern[1:]) for start in range(len(path)))
    return fnmatch.fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])


def _folder_matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return a test of whether a folder may hold files that match, by the folders that the patterns spell out."""
    stems = [list(_literal_folders(pattern)) for pattern in patterns]

    def test(path: str) -> bool:
        parts = [] if path == "." else path.split("/")
        return any(all(a == b for a, b in zip(parts, stem, strict=False)) for stem in stems)

    return test


def _literal_folders(pattern: str) -> Iterator[str]:
    for folder in pattern.removeprefix("./").split("/")[:-1]:
        if any(sign in folder for sign in "*?["):
            return
        yield folder
