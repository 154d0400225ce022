"""The error and the warnings of the training stages, and what other libraries' errors come to in them."""

from __future__ import annotations

from plada_codec.errors import PladaError, PladaWarning


class BadInput(PladaError):
    """What a stage was given cannot be used: the message says what, and what to do."""


class MissingClasses(PladaWarning):
    """There are classes that nothing can be learnt of."""


def first_line(error: Exception) -> str:
    """What another library's error says, in one line."""
    return (str(error) or type(error).__name__).splitlines()[0]
