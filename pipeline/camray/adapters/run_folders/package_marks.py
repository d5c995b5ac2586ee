"""What distinguishes a model package from a run folder, whose layout it has."""

from pathlib import Path

PACKAGE_FILE = "package.json"  # its manifest
_OF_MLFLOW = "MLmodel"  # two folders above the files of a registered model
CHECKS_FOLDER = "checks"  # by it a package is recognized that has lost its manifest


def is_package(root: Path) -> bool:
    """Return whether a folder is a model package, be it one without its manifest."""
    return (root / PACKAGE_FILE).is_file() or (root / CHECKS_FOLDER).is_dir()


def lacks_films(root: Path) -> bool:
    """Return whether a trained network has come without the films of its run: as a package, or from MLflow."""
    return is_package(root) or (len(root.parents) > 1 and (root.parents[1] / _OF_MLFLOW).is_file())
