"""The registry of codings: spec sections 5.1 and 5.2, row by row."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.codings.base import Codec
from plada_codec.codings.bitmap import Bitmap
from plada_codec.codings.classes import Classes, ClassIntegers
from plada_codec.codings.classes_huffman import ClassesHuffman
from plada_codec.codings.classes_modelled import ClassesModelled
from plada_codec.codings.coders import HUFFMAN, MODELLED, PLAIN, ZSTD, Coder
from plada_codec.codings.constant import Constant
from plada_codec.codings.every_image import EveryImage
from plada_codec.codings.gaps import Gaps
from plada_codec.codings.gaps_huffman import GapsHuffman
from plada_codec.codings.gaps_modelled import GapsModelled
from plada_codec.codings.runs import Runs
from plada_codec.codings.zstd import Zstd
from plada_codec.errors import InvalidArgument, Unsupported


@dataclass(frozen=True)
class Coding:
    """A row of the registry: a coding's number in the header, its layout, its coder, and its implementation."""

    code: int
    layout: str
    coder: Coder
    codec: Codec

    @property
    def name(self) -> str:
        """Name in the specification, in reports and in options, such as `gaps-zstd`."""
        return f"{self.layout}-{self.coder.name}"


#: Spec section 5.1.
INDEX_CODINGS = (
    Coding(0, "all", PLAIN, EveryImage()),
    Coding(1, "bitmap", PLAIN, Bitmap()),
    Coding(2, "bitmap", ZSTD, Zstd(Bitmap())),
    Coding(3, "gaps", PLAIN, Gaps()),
    Coding(4, "gaps", HUFFMAN, GapsHuffman()),
    Coding(5, "gaps", ZSTD, Zstd(Gaps())),
    Coding(6, "gaps", MODELLED, GapsModelled()),
    Coding(7, "runs", PLAIN, Runs()),
    Coding(8, "runs", ZSTD, Zstd(Runs())),
)

#: Spec section 5.2.
LABEL_CODINGS = (
    Coding(0, "constant", PLAIN, Constant()),
    Coding(1, "classes", PLAIN, Classes()),
    Coding(2, "classes", HUFFMAN, ClassesHuffman()),
    Coding(3, "classes", ZSTD, Zstd(ClassIntegers())),
    Coding(4, "classes", MODELLED, ClassesModelled()),
)


def coding_of(codings: tuple[Coding, ...], code: int, offset: int) -> Coding:
    """The coding with this code in the header. Raises Unsupported if there is none."""
    for coding in codings:
        if coding.code == code:
            return coding
    stream = "index" if codings is INDEX_CODINGS else "label"
    raise Unsupported(f"{stream} coding {code} is not known to this decoder", rule="coding", offset=offset)


def coding_named(codings: tuple[Coding, ...], name: str) -> Coding:
    """The coding with this name. Raises InvalidArgument if there is none."""
    for coding in codings:
        if coding.name == name:
            return coding
    names = ", ".join(coding.name for coding in codings)
    raise InvalidArgument(f"no coding is named {name!r}; there are: auto, {names}", rule="coding")
