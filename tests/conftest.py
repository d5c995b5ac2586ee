"""Fixtures for all tests: generated films (see `tests.film_factory`) and the folder of the real ones."""

import gc
import os
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Any

import numpy as np
import pytest
from coverage import Coverage
from pydicom import uid
from xdist import is_xdist_controller

import camray
from camray.adapters.tracking.store import make_store, store_uri
from tests.film_factory import FilmRecipe, film_dataset
from tests.signal_handlers import kept_signal_handlers

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CASES = REAL_DATA.parent / "cases"


FIRST = (
    "end_to_end/test_review_back.py",
    "faults",
    "end_to_end",
    "workflows",
    "stages",
    "adapters/tracking",
    "core/training",
    "core/networks",
)
TRACED = ("domain", "core", "io", "stages")  # tests of the inner floors, whose coverage `make test` measures
TRACES_ALL = "CAMRAY_COVERAGE"  # environment variable of `make coverage`
LIBRARIES = ("torch", "monai.networks.nets", "scipy.stats", "skimage.metrics", "sklearn.linear_model")


def _place(item: pytest.Item) -> Path:
    return item.path.relative_to(Path(__file__).parent)


def _rank(item: pytest.Item) -> int:
    place = _place(item).as_posix()
    return next((rank for rank, first in enumerate(FIRST) if place.startswith(first)), len(FIRST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the dearest folders, that no process waits for another at the end; skip what needs absent films."""
    items.sort(key=_rank)
    if REAL_DATA.is_dir():
        return
    for item in items:
        if item.get_closest_marker("realdata"):
            item.add_marker(pytest.mark.skip(reason="real films are not at ../shared/data"))


@contextmanager
def _untraced() -> Iterator[None]:
    stopped = []
    while (measured := Coverage.current()) is not None:  # a process of xdist has two
        measured.stop()
        stopped.append(measured)
    try:
        yield
    finally:
        for measured in reversed(stopped):
            measured.start()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Measure coverage in imports of the inner floors only, not of libraries and tests: it halves their speed."""
    if TRACES_ALL in os.environ or Coverage.current() is None or is_xdist_controller(session):
        return (yield)
    with _untraced():
        for name in LIBRARIES:
            import_module(name)
    for found in walk_packages(camray.__path__, "camray."):
        if found.name.split(".")[1] in TRACED:
            import_module(found.name)
    with _untraced():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure coverage in tests of the inner floors only: it takes Python 3.11 half of its speed."""
    is_inner = _place(item).parts[0] in TRACED or item.get_closest_marker("traced") is not None
    is_inner &= item.get_closest_marker("untraced") is None
    if TRACES_ALL in os.environ or is_inner:
        return (yield)
    with _untraced():
        return (yield)


def pytest_collection_finish() -> None:
    """Spare the collector what lives to the end: the modules of all tests, which take seconds to search."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let plugins find all objects again: Hypothesis, imported late, looks for those that refer to another."""
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _own_signal_handlers() -> Iterator[None]:
    with kept_signal_handlers():
        yield


@pytest.fixture
def real_data() -> Path:
    """Folder of the real films."""
    return REAL_DATA


@pytest.fixture
def cases() -> Path:
    """Folder of small inputs with the right answer, one folder per kind; the test is skipped where it is not."""
    if not CASES.is_dir():
        pytest.skip("example inputs are not at ../shared/cases")
    return CASES


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A tracking store made once, to be copied: its tables take seconds."""
    folder = tmp_path_factory.mktemp("store")
    make_store(store_uri(None, folder))
    from mlflow.store.db import utils

    with pytest.MonkeyPatch.context() as patch:  # reads all of MLflow's migrations whenever a store is opened
        patch.setattr(utils, "_get_latest_schema_revision", cache(utils._get_latest_schema_revision))
        yield folder / "mlflow.db"


@pytest.fixture
def write_film(tmp_path: Path) -> Callable[..., Path]:
    """Return a writer: ``write_film(recipe, name="film.dcm", **elements) -> Path``."""

    def write(recipe: FilmRecipe, name: str = "film.dcm", **elements: Any) -> Path:
        path = tmp_path / name
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # malformed values are wanted
            ds = film_dataset(recipe, **elements)
        syntax = uid.UID(recipe.syntax)
        if syntax.is_compressed and syntax != uid.DeflatedExplicitVRLittleEndian:
            options = {"encoding_plugin": "pylibjpeg"} if syntax in uid.JPEG2000TransferSyntaxes else {}
            ds.compress(syntax, generate_instance_uid=False, **options)
        elif syntax == uid.ExplicitVRBigEndian:
            ds.file_meta.TransferSyntaxUID = syntax
            ds.PixelData = np.frombuffer(ds.PixelData, "<u2").astype(">u2").tobytes()
        ds.file_meta.TransferSyntaxUID = syntax
        ds.save_as(path, enforce_file_format=True)
        return path

    return write
