"""Sample of annotated films that a comparison explains, with an ``ingest`` folder of its own.

Reads   ``ingest/`` of the shared inputs
Writes  ``ingest/`` of a run that holds all training films, and of the other splits the chosen films alone
"""

import shutil
from collections.abc import Mapping

import numpy as np
import pandas as pd

from camray.adapters.run_folders.linked_folders import link_tree
from camray.adapters.run_folders.run_folder import RunFolder
from camray.domain.errors import InputRefusedError
from camray.domain.records import Counts, Split, StageResult
from camray.io.artifacts import artifacts_of

_CLOSING = ("settings", "settings_digest", "inputs", "code_version")


def choose_films(images: pd.DataFrame, annotations: pd.DataFrame, split: str, count: int, seed: int) -> list[str]:
    """Choose annotated films of a split, spread over the labels.

    Parameters
    ----------
    images, annotations : DataFrame
        `IMAGE_COLUMNS`, `ANNOTATION_COLUMNS`.
    split : str
    count : int
        At most.
    seed : int
        Same seed, same films; the first of fewer films are the first of more.

    Returns
    -------
    list of str
        ``image_id``, in the order of their choice: labels by turns, each the next of its films at random that is not
        chosen yet, so that a rare label is as well represented as its films allow.
    """
    of_split = set(images.loc[images["split"] == split, "image_id"])
    known = annotations[annotations["image_id"].isin(of_split)]
    generator = np.random.default_rng(seed)
    waiting = {
        label: list(generator.permutation(sorted(known.loc[known["label"] == label, "image_id"].unique())))
        for label in sorted(known["label"].unique())
    }
    sampled: dict[str, None] = {}
    while len(sampled) < count and any(waiting.values()):
        for films in waiting.values():
            while films and films[0] in sampled:
                films.pop(0)
            if films and len(sampled) < count:
                sampled[str(films.pop(0))] = None
    return list(sampled)


def write_sample(inputs: RunFolder, sample: RunFolder, films: Mapping[str, int], seed: int) -> None:
    """Write the ``ingest`` folder of a sample, once.

    Parameters
    ----------
    inputs : RunFolder
        Its ``ingest`` is done.
    sample : RunFolder
        Run of the sample; a sample that is up to date is kept.
    films : mapping of str to int
        Films at most by split, validation and test; training films are all kept.
    seed : int
        Of the choice.

    Raises
    ------
    InputRefusedError
        If a split has no annotated film.
    """
    sample_settings = {"films": dict(films), "seed": seed}
    record, digest = inputs.record("ingest") or {}, inputs.output_digest("ingest")
    existing = sample.record("ingest")
    if existing is not None and (existing.get("sample"), existing.get("of")) == (sample_settings, digest):
        return
    source, target = artifacts_of(inputs).ingest, artifacts_of(sample).ingest
    shutil.rmtree(target.folder, ignore_errors=True)
    images, annotations = source.images.read(), source.annotations.read()
    kept = set(images.loc[images["split"] == Split.TRAIN.value, "image_id"])
    for split, count in films.items():
        sampled = choose_films(images, annotations, split, count, seed)
        if not sampled:
            raise InputRefusedError(
                f"no film of the split '{split}' is annotated; there is nothing to compare boxes with"
            )
        kept |= set(sampled)
    link_tree(source.store_folder, target.store_folder)
    target.contract.write(source.contract.read())
    if source.ignored.is_file():
        target.ignored.write(source.ignored.read())
    tables = [(target.images, images), (target.labels, source.labels.read()), (target.annotations, annotations)]
    if source.groups.is_file():  # not of films ingested by earlier versions
        tables.append((target.groups, source.groups.read()))
    for file, table in tables:
        file.write(table[table["image_id"].isin(kept)])
    claim = {key: record[key] for key in _CLOSING if key in record} | {"sample": sample_settings, "of": digest}
    sample.finish("ingest", claim, StageResult(Counts(len(kept), len(kept))))


def share(first: RunFolder, other: RunFolder, stage: str) -> None:
    """Link the files of one run's stage into another run, unless they are the same already."""
    if other.record(stage) is not None and other.output_digest(stage) == first.output_digest(stage):
        return
    shutil.rmtree(other.root / stage, ignore_errors=True)
    unfinished = other.root / f"{stage}.tmp"
    link_tree(first.root / stage, unfinished)
    unfinished.replace(other.root / stage)
