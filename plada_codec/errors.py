"""Errors of plada: a base class, one class for each kind of cause, and the rules that only the API has.

Every error says in one line what is wrong, at which byte offset of the payload (where there is one), and which rule was
broken. The rules of a format stand in the tables of its specification (`spec/plada-format-1.md` section 10,
`spec/plada-frames-1.md` section 10, `spec/link-budget.md` section 1.4, `spec/reference-digest.md` section 2.6,
`spec/reference-images.md` section 6). The rules that only the API has stand in `API_RULES`, and on the page
`docs/reference/errors.md`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple


class PladaError(ValueError):
    """Base of all errors that plada raises on purpose.

    Attributes:
        rule: name of the rule that was broken: one of a specification, or of `API_RULES`.
        offset: byte offset in the payload, or None where no bytes are involved.
    """

    rule: str
    offset: int | None

    def __init__(self, message: str, *, rule: str, offset: int | None = None) -> None:
        super().__init__(printable(message))
        self.rule = rule
        self.offset = offset

    @property
    def kind(self) -> str:
        """Name of the kind of error, as in the specifications: the name of the class."""
        return type(self).__name__

    def __str__(self) -> str:
        where = "" if self.offset is None else f" at byte {self.offset}"
        return f"{self.args[0]} [{self.rule}{where}]"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args[0], self.rule, self.offset)


# Kinds of the formats: decoders and receivers report them.


class Truncated(PladaError):
    """The payload, one of its streams, or the input of a receiver ends before it is complete."""


class Corrupt(PladaError):
    """The bytes are not what the format allows: they are damaged, or a faulty encoder wrote them."""


class Unsupported(PladaError):
    """The payload uses a version, a coding or a critical section that this decoder does not know."""


class LimitExceeded(PladaError):
    """The payload or object claims more than the limits allow, or the encoder would exceed them."""


class ReferenceMismatch(PladaError):
    """The payload is for another reference set, or does not name one."""


class ClassMismatch(PladaError):
    """The payload is for other classes, or for the same classes in another order."""


class InvalidPayload(PladaError):
    """A value is not a valid payload, the named coding or format cannot express it, or objects are ambiguous."""


# Kinds of the API: no bytes of a payload break their rules.


class InvalidArgument(PladaError):
    """An argument of a function is outside its range, unknown, of the wrong type, or missing although it is needed."""


class Unavailable(PladaError):
    """A package of an extra is missing or broken, or the operating system lacks something."""


class FileError(PladaError):
    """A file cannot be read or written, its content is not what its format says, or it belongs to something else."""


class SourceError(PladaError):
    """A source of images is missing, damaged or ambiguous, or one of its images cannot be read."""


class LinkError(PladaError):
    """A link is unknown, its profile is wrong, or it cannot do the delivery (spec/link-budget.md, section 1.4)."""


class InputError(PladaError):
    """A stage of training cannot use its input; the message says why, and what to do."""


class PladaWarning(UserWarning):
    """The work is done, but perhaps not as the user meant. The command line prints one line, equal ones once."""


class MissingClasses(PladaWarning):
    """Some classes have no image to learn from."""


class FilesPassedOver(PladaWarning):
    """A source of images has files that do not count as images, or folders that are perhaps not classes."""


#: End of the messages about two reference sets that should be the same.
FIND_DIFFERENCES = "to find the images that differ, compare the outputs of 'plada reference list' for both sets"


class ApiRule(NamedTuple):
    """A rule of the API that no specification has.

    Attributes:
        name: `PladaError.rule` of the errors.
        kind: their class.
        broken_by: the cause, in a few words.
    """

    name: str
    kind: type[PladaError]
    broken_by: str


#: Rules of the API that no specification has, by kind, then name. `docs/reference/errors.md` is this table.
API_RULES = (
    ApiRule("class-check", ClassMismatch, "class names that do not have the class check of the payload"),
    ApiRule("class-names", ClassMismatch, "class names that are not those of the payload"),
    ApiRule("class-check", InvalidPayload, "a class check that is not 2 bytes, or beside class names"),
    ApiRule("class-names", InvalidPayload, "not C names, or an empty one, one twice, or one with a control character"),
    ApiRule("classes", InvalidPayload, "a number of classes C outside 1 .. 65,536"),
    ApiRule("coding", InvalidPayload, "a payload that the named coding cannot express"),
    ApiRule("format", InvalidPayload, "a name of an image that the format cannot hold"),
    ApiRule("indices", InvalidPayload, "indices that are not strictly increasing integers below N"),
    ApiRule("labels", InvalidPayload, "labels that are not integers below C"),
    ApiRule("lengths", InvalidPayload, "not as many labels as indices"),
    ApiRule("reference-digest", InvalidPayload, "a digest that is not 8, 10, .. 32 bytes, or none"),
    ApiRule("reference-size", InvalidPayload, "a number of images N outside 1 .. 2^63 - 1"),
    ApiRule("soft-labels", InvalidPayload, "codes of another shape, or above 63, or a row of zeros"),
    ApiRule("universe", InvalidPayload, "a universe of the wrong type, or an index that is not in it"),
    ApiRule("universe-offset", InvalidPayload, "an offset outside 0 .. N - 1"),
    ApiRule("universe-stride", InvalidPayload, "a stride outside 1 .. N"),
    ApiRule("weights", InvalidPayload, "not as many codes as indices, or one above 15"),
    ApiRule("buffer", InvalidArgument, "an argument that is no contiguous buffer of bytes"),
    ApiRule("classes", InvalidArgument, "a file that does not say C, read without C"),
    ApiRule("coding", InvalidArgument, "an unknown name of a coding, or a coding beyond the decoder class"),
    ApiRule("columns", InvalidArgument, "a table of which it is not clear which columns to read, or no table"),
    ApiRule("dataset", InvalidArgument, "a dataset without a length, or a dict of several"),
    ApiRule("decoder", InvalidArgument, "a command of a decoder that cannot be run"),
    ApiRule("decoder-class", InvalidArgument, "an unknown decoder class"),
    ApiRule("format", InvalidArgument, "an unknown file format, or a stream without one"),
    ApiRule("payload", InvalidArgument, "an argument that is no Payload"),
    ApiRule("profile", InvalidArgument, "an unknown profile"),
    ApiRule("reference", InvalidArgument, "an expected digest that is not 8 .. 32 bytes"),
    ApiRule("reference-digest", InvalidArgument, "a digest that is not hexadecimal"),
    ApiRule("reference-size", InvalidArgument, "a file that does not say N, read without N"),
    ApiRule("shard", InvalidArgument, "a shard of less than one image"),
    ApiRule("soft-labels", InvalidArgument, "concentrations that have no code"),
    ApiRule("stream", InvalidArgument, "an argument that is no binary stream, such as one of text or a closed one"),
    ApiRule("weights", InvalidArgument, "weights that have no code"),
    ApiRule("system", Unavailable, "an operating system that is not POSIX"),
    ApiRule("truncated-images", Unavailable, "Pillow is told to complete images that are cut off"),
    ApiRule("class-name", FileError, "a label that is no name of a class, or may be the name of another one"),
    ApiRule("image-name", FileError, "a name that no image of the reference set has, or several have"),
    ApiRule("vectors", FileError, "an installation without the test vectors"),
    ApiRule("logits", SourceError, "an image for which the teacher's logits are not finite"),
    ApiRule("target", SourceError, "an image of a target whose label is missing or no class of the task"),
    ApiRule("alpha", InputError, "an exponent of the quotas outside its range"),
    ApiRule("batch", InputError, "more processes than images in a batch"),
    ApiRule("checkpoint", InputError, "a file that is no checkpoint, or one of another training"),
    ApiRule("class-names", InputError, "classes without names, where names are to be sent"),
    ApiRule("device", InputError, "a device that cannot be used"),
    ApiRule("format", InputError, "a model that cannot be exported in this format"),
    ApiRule("held-out", InputError, "images that cannot be held out, or are trained on too"),
    ApiRule("keep", InputError, "a keep rate outside 0 .. 1, or none, or two sizes of a selection"),
    ApiRule("kept", InputError, "a number of kept images that is not possible"),
    ApiRule("link", InputError, "a link or a time in which not one byte fits"),
    ApiRule("loss", InputError, "a training that diverged"),
    ApiRule("max-bytes", InputError, "fewer bytes than the smallest payload"),
    ApiRule("model", InputError, "a model that timm does not have, or that cannot be trained like this"),
    ApiRule("output", InputError, "an output folder of another run"),
    ApiRule("plan", InputError, "a folder of another plan, or a plan beside a selection"),
    ApiRule("processes", InputError, "a command under torchrun that cannot use it"),
    ApiRule("reference", InputError, "a reference set that is missing or another one"),
    ApiRule("report", InputError, "a folder that holds no run, or a damaged one"),
    ApiRule("reserved", InputError, "a reserved share outside 0 .. 1"),
    ApiRule("rule", InputError, "options of two selection rules, of one that is not chosen, or outside their range"),
    ApiRule("score", InputError, "an unknown score, or one that is not known for all images"),
    ApiRule("scores", InputError, "scores of another reference set, task or teacher"),
    ApiRule("scores-damaged", InputError, "a damaged file of scores"),
    ApiRule("scores-unfinished", InputError, "a missing file of scores"),
    ApiRule("size", InputError, "an image size that the check for leakage cannot use"),
    ApiRule("soft-labels", InputError, "more classes than soft labels can be sent for"),
    ApiRule("target", InputError, "images of one class, or of classes that the task does not have"),
    ApiRule("targets", InputError, "training on soft labels that the payload does not have"),
    ApiRule("tau", InputError, "a temperature of the weights that is not above 0"),
    ApiRule("torch", InputError, "a failure of PyTorch, such as too little memory"),
    ApiRule("universe", InputError, "an offset and a stride that do not fit the reference set"),
    ApiRule("weights", InputError, "pretrained weights that are missing, damaged or of another model"),
    ApiRule("workers", InputError, "a worker of the planner that ended too early"),
)


def printable(text: str) -> str:
    """A text in one line, without characters that change other text on a terminal: those are escaped.

    Names of files and classes may hold control characters, overrides of the writing direction, lone surrogates.
    """
    return "".join(ch if ch.isprintable() else ascii(ch)[1:-1] for ch in text)


def first_line(error: Exception) -> str:
    """The first line of another library's error message; the name of its class if there is no message."""
    try:
        lines = str(error).splitlines()
    except Exception:  # of an exception class that somebody else wrote
        lines = []
    return next(filter(None, map(str.strip, lines)), type(error).__name__)


def reason_of(error: OSError) -> str:
    """The reason of the operating system, or of the library that raised the error without one."""
    return error.strerror or first_line(error)


@contextmanager
def file_errors(what: str) -> Iterator[None]:
    """Turn any error of a library that reads a file into a FileError: `what`, and the library's reason.

    Libraries raise all kinds of errors for damaged bytes, even KeyError and UnicodeDecodeError: hence Exception.
    """
    try:
        yield
    except PladaError:
        raise
    except Exception as error:
        raise FileError(f"{what}: {first_line(error)}", rule="file") from None


def check_type(value: object, kind: type, name: str, rule: str) -> None:
    """Raise InvalidArgument (rule `rule`) if the argument `name` is not of type `kind`."""
    if not isinstance(value, kind):
        raise InvalidArgument(f"{name} must be of type {kind.__name__}, not {type(value).__name__}", rule=rule)


def _rebuild(kind: type[PladaError], message: str, rule: str, offset: int | None) -> PladaError:
    return kind(message, rule=rule, offset=offset)
