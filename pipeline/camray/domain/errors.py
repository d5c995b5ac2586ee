"""The error tree: one class for each thing that a caller would do differently.

::

    PipelineError                 the stage stops; exit code 1 unless said otherwise
    ├── SettingsError             a settings file or an override is wrong            (exit code 2)
    ├── ManifestError             a data manifest or a label table is wrong          (exit code 2)
    ├── ImageError                one film cannot be used: refused, tallied, the rest goes on (alone: exit code 3)
    │   ├── DicomError            its header says so
    │   └── PixelError            its pixels say so
    ├── AnnotationError           boxes or masks contradict the films
    ├── CheckpointError           weights or a model contract do not fit
    ├── ExportError               a result cannot be written in the asked form
    ├── InputRefusedError         nothing usable was left of the input               (exit code 3)
    └── IncompleteError           a stage could not finish, or another process holds the run: run again (exit code 4)
"""

from camray.domain.records import RefusalReason


class PipelineError(Exception):
    """Anything that camray itself reports; the message says what, where, expected, and what to do."""

    exit_code = 1


class SettingsError(PipelineError):
    """A settings file or command line override is wrong."""

    exit_code = 2


class ManifestError(PipelineError):
    """A data manifest, label table or box table is wrong."""

    exit_code = 2


class ImageError(PipelineError):
    """One film cannot be used. It is refused with a reason; the others go on.

    Parameters
    ----------
    reason : RefusalReason
        From the closed list.
    message : str
        What was found and what was expected. Never holds a patient identifier.
    """

    exit_code = 3

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type["ImageError"], tuple[RefusalReason, str]]:
        """Let the error cross a process border."""
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
    """A result cannot be written in the form asked for."""


class InputRefusedError(PipelineError):
    """Every input was refused, or too little was left to go on."""

    exit_code = 3


class IncompleteError(PipelineError):
    """A stage could not finish, or another process is at work on the run; the same command, given again, goes on."""

    exit_code = 4
