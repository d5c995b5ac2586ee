"""The error tree: one class for each thing that a caller would do differently.

::

    PipelineError                 the stage stops; exit code 1 unless said otherwise
    ├── SettingsError             a settings file, an override or an option is invalid     (exit code 2)
    ├── ManifestError             a data manifest or a label table is invalid              (exit code 2)
    ├── ImageError                one film cannot be used: refused and counted, the others continue (alone: exit code 3)
    │   ├── DicomError            because of its header
    │   └── PixelError            because of its pixels
    ├── AnnotationError           boxes or masks contradict the films                      (exit code 2)
    ├── CheckpointError           weights or a model contract do not fit
    ├── ExportError               a result cannot be written in the requested form
    ├── InputRefusedError         no usable input remains                                  (exit code 3)
    ├── DriftError            predictions have drifted, and the command was to fail then    (exit code 6)
    ├── IncompleteError           a stage could not finish, or another process holds the run's lock: run again to resume
    │                                                                                      (exit code 4)
    └── PeerError                 a PACS does not do what was requested                    (exit code 5)
        ├── UnreachableError      no connection, or no complete answer: run again to resume (exit code 4)
        ├── AuthenticationError   credentials, certificates or titles are rejected: the whole transfer ends
        └── RequestRefusedError   one request is refused: counted, the others continue
"""

from camray.domain.records import RefusalReason


class PipelineError(Exception):
    """Anything that camray itself reports; the message says what, where, what was expected, and what to do."""

    exit_code = 1


class SettingsError(PipelineError):
    """A settings file, a command line override or an option is invalid."""

    exit_code = 2


class ManifestError(PipelineError):
    """A data manifest, label table or box table is invalid."""

    exit_code = 2


class ImageError(PipelineError):
    """One film cannot be used. It is refused with a reason; the others continue.

    Parameters
    ----------
    reason : RefusalReason
        From the closed list.
    message : str
        What was read and what was expected. Never contains a patient identifier.
    """

    exit_code = 3

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type["ImageError"], tuple[RefusalReason, str]]:
        """Let the error be pickled between processes."""
        return type(self), (self.reason, self.message)


class DicomError(ImageError):
    """The header makes the film unusable."""


class PixelError(ImageError):
    """The pixels make the film unusable."""


class AnnotationError(PipelineError):
    """Annotations contradict the films they belong to."""

    exit_code = 2


class CheckpointError(PipelineError):
    """Weights or a model contract do not fit the network or the data."""


class ExportError(PipelineError):
    """A result cannot be written in the requested form."""


class InputRefusedError(PipelineError):
    """Every input was refused, or too little of it is usable."""

    exit_code = 3


class DriftError(PipelineError):
    """Predictions have drifted as far as the caller wants to hear of."""

    exit_code = 6


class IncompleteError(PipelineError):
    """A stage could not finish, or another process holds the run's lock; run the same command again to resume."""

    exit_code = 4


class PeerError(PipelineError):
    """A PACS does not do what was requested."""

    exit_code = 5


class UnreachableError(PeerError):
    """No connection, or no complete answer: whether an object arrived is unknown. Run the same command again."""

    exit_code = 4


class AuthenticationError(PeerError):
    """Either side rejects the other: credentials, certificates or application entity titles. Ends a whole transfer."""


class RequestRefusedError(PeerError):
    """The PACS refuses one request. Counted; the other requests of a transfer continue.

    Parameters
    ----------
    message : str
        What was refused.
    status : int or None
        HTTP status of the answer, if there is one.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
