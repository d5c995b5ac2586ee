"""Copies of folders that share their bytes with the original, where the file system has links."""

import os
import shutil
from pathlib import Path


def link_tree(source: Path, target: Path) -> None:
    """Copy a folder as links to the same bytes, or copy the bytes where links are not supported; replaces `target`."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
