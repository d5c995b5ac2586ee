"""Suppressed warnings of highdicom and pydicom: they quote header values, such as an odd patient name."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Drop the warnings and log lines of highdicom and pydicom in this context; also a decorator."""
    loggers = [logging.getLogger(name) for name in ("highdicom", "pydicom")]
    before = [logger.disabled for logger in loggers]
    children = [logging.getLogger(name) for name in ("highdicom.base", "highdicom.valuerep", "highdicom.content")]
    levels = [child.level for child in children]
    for logger in loggers:
        logger.disabled = True
    for child in children:
        child.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, was in zip(loggers, before, strict=True):
            logger.disabled = was
        for child, level in zip(children, levels, strict=True):
            child.setLevel(level)
