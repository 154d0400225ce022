"""The error and the warnings of the training stages, and what other libraries' errors come to in them."""

from __future__ import annotations

from plada_codec.errors import PladaError


class BadInput(PladaError):
    """What a stage was given cannot be used: the message says what, and what to do."""


class PladaWarning(UserWarning):
    """What was given can be used, but perhaps not as it was meant; the command says it in one line."""


class MissingClasses(PladaWarning):
    """There are classes that nothing can be learnt of."""


def first_line(error: Exception) -> str:
    """What another library's error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
