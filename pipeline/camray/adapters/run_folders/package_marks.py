"""What distinguishes a model package from a run folder, whose layout it has."""

from pathlib import Path

PACKAGE_FILE = "package.json"  # its manifest
CHECKS_FOLDER = "checks"  # by it a package is recognized that has lost its manifest


def is_package(root: Path) -> bool:
    """Return whether a folder is a model package, be it one without its manifest."""
    return (root / PACKAGE_FILE).is_file() or (root / CHECKS_FOLDER).is_dir()
