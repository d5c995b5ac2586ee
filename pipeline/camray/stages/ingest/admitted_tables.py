"""Tables of labels, annotations and regions to ignore of the admitted films, and a digest of all of them."""

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from camray.adapters.datasets.box_table import IGNORE
from camray.core.shortcuts.features import MOST_YEARS, border_and_contrast
from camray.domain.records import ACQUISITION_COLUMNS, ANNOTATION_COLUMNS, CORNERS, GROUP_COLUMNS, LABEL_COLUMNS
from camray.io.artifacts import IngestFiles
from camray.stages.ingest.admission import Admitted

_OLDEST = 90  # years; a higher age tells who it is
_VALUE_NAMES = np.array(["0", "1", "uncertain"], dtype=object)  # positions are the codes of a label matrix


def write_label_tables(files: IngestFiles, admitted: Admitted, *, is_training: bool) -> None:
    """Write labels, annotations and regions to ignore; of films that train also what labels can be balanced by."""
    files.labels.write(label_rows(admitted))
    files.annotations.write(annotation_rows(admitted))
    if is_training:
        files.groups.write(group_rows(admitted))
    if len(admitted.ignored):
        files.ignored.write(ignored_rows(admitted))


def label_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the labels table: film by film, findings in order, nothing where there is no information."""
    film, label = np.nonzero(admitted.values >= 0)
    names = np.array([finding.name for finding in admitted.findings], dtype=object)
    return pd.DataFrame(
        {
            "image_id": admitted.films["image_id"].to_numpy(dtype=object)[film],
            "label": names[label] if len(names) else np.array([], dtype=object),
            "value": _VALUE_NAMES[admitted.values[film, label]],
        },
        columns=list(LABEL_COLUMNS),
    )


def group_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the groups table: what training can balance labels by. Ages that cannot be are missing."""
    films = admitted.films
    years = films["age_years"].where(films["age_years"] < MOST_YEARS)
    return films.assign(age_years=(years // 1).clip(upper=_OLDEST))[list(GROUP_COLUMNS)]


def acquisition_rows(admitted: Admitted, statistics: NDArray[np.float32], key_fingerprint: str) -> pd.DataFrame:
    """Return the acquisition table: how each film was made and looks; no identifiers.

    Parameters
    ----------
    admitted : Admitted
        Films that are kept.
    statistics : ndarray of shape (films, 384), float32
        Histogram, thumbnail and tiles of each.
    key_fingerprint : str
        Of the key that manufacturers are hashed with.
    """
    border, contrast = border_and_contrast(statistics)
    films = admitted.films
    return films.assign(
        maker_key=key_fingerprint,
        is_doubtful=(films["doubt"] != "").to_numpy(dtype=bool),
        border_mean=border,
        local_contrast=contrast,
    )[list(ACQUISITION_COLUMNS)]


def annotation_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the annotations table: film by film, findings in order, boxes as the table lists them."""
    return _mark_rows(admitted, admitted.boxes)


def ignored_rows(admitted: Admitted) -> pd.DataFrame:
    """Return the regions to ignore, in the form of the annotations table, with the kind ``ignore``."""
    return _mark_rows(admitted, admitted.ignored).assign(kind=IGNORE)


def _mark_rows(admitted: Admitted, marks: pd.DataFrame) -> pd.DataFrame:
    boxes = marks.sort_values(["film", "label"], kind="stable")
    names = np.array([finding.name for finding in admitted.findings], dtype=object)
    film, label = boxes["film"].to_numpy(np.int64), boxes["label"].to_numpy(np.int64)
    table = pd.DataFrame(
        {
            "image_id": admitted.films["image_id"].to_numpy(dtype=object)[film],
            "label": names[label] if len(names) else np.array([], dtype=object),
            "reader": boxes["reader"].to_numpy(dtype=object),
            "kind": np.where(boxes["rle"] == "", "box", "mask"),
            "rle": boxes["rle"].to_numpy(dtype=object),
        }
    )
    for corner in CORNERS:
        table[corner] = boxes[corner].to_numpy(np.float64)
    return table[list(ANNOTATION_COLUMNS)]


def data_digest(admitted: Admitted) -> str:
    """Digest what a network could learn from: films, splits, labels and boxes; independent of the site's key."""
    total = hashlib.sha256()
    for column in ("image_id", "pixel_sha256", "split"):
        total.update("\n".join(admitted.films[column].astype(str)).encode() + b"\0")
    total.update("\n".join(finding.name for finding in admitted.findings).encode() + b"\0")
    total.update(np.ascontiguousarray(admitted.values).tobytes())
    total.update(annotation_rows(admitted).to_csv(index=False).encode())
    if len(admitted.ignored):
        total.update(ignored_rows(admitted).to_csv(index=False).encode())
    return total.hexdigest()
