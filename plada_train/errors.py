"""The error of the training stages."""

from __future__ import annotations

from plada_codec.errors import PladaError


class BadInput(PladaError):
    """What a stage was given cannot be used: the message says what, and what to do."""
