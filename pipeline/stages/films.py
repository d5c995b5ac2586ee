"""One file to one film: reader, grey scale and digest joined; no stage of its own.

Reads   a DICOM file, or a PNG or JPEG picture
"""

from pathlib import Path

from pipeline.domain.films import Film, FilmPolicy


def read_film(path: Path, policy: FilmPolicy | None) -> Film:
    """Read one file as a film.

    Parameters
    ----------
    path : Path
        DICOM (any extension, with or without preamble), PNG or JPEG.
    policy : FilmPolicy or None
        Which films are wanted; None lets everything in. Pictures have no header, so it does not concern them.

    Returns
    -------
    Film
        Grey values 0-1 on the native grid.

    Raises
    ------
    ImageError
        If the file is no usable film; the reason is from the closed list. Nothing else is raised for any content.
    """
    raise NotImplementedError
