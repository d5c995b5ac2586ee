"""Decisions of tools that name films by their files: those files' names become image ids again."""

from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath

import pandas as pd

from camray.domain.reader_decisions import DecisionsRead


def by_image_id(read: DecisionsRead, images: pd.DataFrame) -> DecisionsRead:
    """Return decisions whose films have the run's names; a name that fits no film, or several, is kept.

    Parameters
    ----------
    read : DecisionsRead
        As a tool wrote them: films are named by image id, by path below the folder of the films, or by file name with
        or without its ending.
    images : DataFrame
        Columns ``image_id`` and ``source``.
    """
    ids = {image_id: image_id for image_id in images["image_id"]}
    names = _unique_names(images)
    known = {**names, **ids}
    return replace(
        read,
        decisions=tuple(replace(each, image_id=known.get(each.image_id, each.image_id)) for each in read.decisions),
        readings=tuple(replace(each, image_id=known.get(each.image_id, each.image_id)) for each in read.readings),
    )


def _unique_names(images: pd.DataFrame) -> dict[str, str]:
    pairs = [
        (name, str(image_id))
        for image_id, source in zip(images["image_id"], images["source"], strict=True)
        for name in _names_of(PurePosixPath(str(source)))
    ]
    counts = Counter(name for name, _ in pairs)
    return {name: image_id for name, image_id in pairs if counts[name] == 1}


def _names_of(source: PurePosixPath) -> set[str]:
    return {str(source), str(source.with_suffix("")), source.name, source.stem}
