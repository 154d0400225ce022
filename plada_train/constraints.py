"""Constraints of the fields of dataclasses: ranges of numbers, and the form of texts.

pydantic checks JSON files by them (`plada_train.json_files`), and click checks options by them
(`plada_train.cli.fields`). Neither is imported here, so that a command's help comes without pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from plada_codec.limits import MAX_CLASSES, MAX_VARINT

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


@dataclass(frozen=True)
class Range:
    """Numbers of at least `minimum` and at most `maximum`, or above `above` and below `below`."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        limits = {"ge": self.minimum, "le": self.maximum, "gt": self.above, "lt": self.below}
        return {**handler(kind), **{name: limit for name, limit in limits.items() if limit is not None}}


@dataclass(frozen=True)
class Pattern:
    """Texts in which a regular expression is found."""

    regex: str

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return {**handler(kind), "pattern": self.regex}


#: A whole number from 0, or from 1; the number of classes C.
Count = Annotated[int, Range(0, MAX_VARINT)]
Positive = Annotated[int, Range(1, MAX_VARINT)]
NumClasses = Annotated[int, Range(1, MAX_CLASSES)]
#: A share such as an accuracy; a share that is neither nothing nor all.
Share = Annotated[float, Range(0, 1)]
ProperShare = Annotated[float, Range(above=0, below=1)]
Seconds = Annotated[float, Range(0)]
#: SHA-256 in hexadecimal; empty where it is not known.
Digest = Annotated[str, Pattern("^[0-9a-f]*$")]
