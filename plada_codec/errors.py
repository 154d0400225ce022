"""The errors of the codec: one base class, six kinds (spec section 10).

Every error says what is wrong in one line, at which byte offset of the payload (where there is one), and
which rule of the specification it enforces. Rules are the names in the table of section 10.
"""

from __future__ import annotations


class PladaError(ValueError):
    """Base of all errors that plada raises on purpose.

    Attributes:
        rule: name of the rule of the specification that was broken (section 10), or of the API's
            contract for :class:`InvalidPayload`.
        offset: byte offset in the payload, or None where no bytes are involved.
    """

    rule: str
    offset: int | None

    def __init__(self, message: str, *, rule: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.offset = offset

    @property
    def kind(self) -> str:
        """Name of the kind of error, as in the specification: the class's name."""
        return type(self).__name__

    def __str__(self) -> str:
        where = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.args[0]} [{self.rule}{where}]"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args[0], self.rule, self.offset)


class Truncated(PladaError):
    """The payload, or one of its streams, ends before it is complete."""


class Corrupt(PladaError):
    """The bytes are not what the format allows: damaged, or written by a faulty encoder."""


class Unsupported(PladaError):
    """A version, coding or critical section that this decoder does not know."""


class LimitExceeded(PladaError):
    """The payload claims more than the decoder's limits allow (spec section 9)."""


class ReferenceMismatch(PladaError):
    """The payload is for another reference set, or does not say for which."""


class InvalidPayload(PladaError):
    """What was to be encoded is not a payload, or not one that the named coding can express."""


class FileError(PladaError):
    """A file that cannot be read or written, or whose content is not what its format says."""


class SourceError(PladaError):
    """A source of images that is missing, damaged or ambiguous, or an image of it that cannot be read."""


class LinkError(PladaError):
    """A link, or a quantity, that there is not, that makes no sense or that is missing (spec/link-budget.md, 1.4)."""


class InputError(PladaError):
    """What a stage of training was given cannot be used: the message says what, and what to do."""


class PladaWarning(UserWarning):
    """What was asked for is done, but perhaps not as it was meant; commands say it in one line."""


class MissingClasses(PladaWarning):
    """There are classes that nothing can be learnt of."""


def first_line(error: Exception) -> str:
    """What another library's error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]


def _rebuild(kind: type[PladaError], message: str, rule: str, offset: int | None) -> PladaError:
    return kind(message, rule=rule, offset=offset)
