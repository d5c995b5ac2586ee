"""Results of films, as programs receive them: a refusal with its reason."""

from dataclasses import dataclass

from camray.domain.records import RefusalReason


@dataclass(frozen=True)
class RefusedFilm:
    """A film that cannot be used. It has no findings: nothing is known of it, which is not the same as nothing found.

    Parameters
    ----------
    image_id : str
        The file's stem; of arrays the film's number among the films given, from 0.
    reason : RefusalReason
        From the closed list.
    message : str
        What was read and what was expected.
    """

    image_id: str
    reason: RefusalReason
    message: str
