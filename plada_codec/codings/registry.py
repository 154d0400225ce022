"""The table of codings: spec sections 5.1 and 5.2, row by row."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.codings.base import Codec
from plada_codec.codings.bitmap import Bitmap
from plada_codec.codings.classes import Classes, ClassIntegers
from plada_codec.codings.classes_huffman import ClassesHuffman
from plada_codec.codings.classes_modelled import ClassesModelled
from plada_codec.codings.constant import Constant
from plada_codec.codings.every_image import All
from plada_codec.codings.gaps import Gaps
from plada_codec.codings.gaps_huffman import GapsHuffman
from plada_codec.codings.gaps_modelled import GapsModelled
from plada_codec.codings.runs import Runs
from plada_codec.codings.zstd import Zstd
from plada_codec.errors import InvalidArgument, Unsupported

#: Spec section 9, from the least able receiver to the most able.
DECODER_CLASSES = ("core", "zstd", "full")


@dataclass(frozen=True)
class Coding:
    """A row of the table: code on the wire, name, least decoder class, implementation."""

    code: int
    name: str
    decoder_class: str
    codec: Codec

    @property
    def is_modelled(self) -> bool:
        """Whether the coder is `modelled`: the smallest, and the slowest."""
        return self.name.endswith("-modelled")

    def readable_by(self, decoder_class: str) -> bool:
        """Whether a receiver of `decoder_class` can read this coding."""
        return DECODER_CLASSES.index(self.decoder_class) <= DECODER_CLASSES.index(decoder_class)


#: Spec section 5.1.
INDEX_CODINGS = (
    Coding(0, "all-plain", "core", All()),
    Coding(1, "bitmap-plain", "core", Bitmap()),
    Coding(2, "bitmap-zstd", "zstd", Zstd(Bitmap())),
    Coding(3, "gaps-plain", "core", Gaps()),
    Coding(4, "gaps-huffman", "core", GapsHuffman()),
    Coding(5, "gaps-zstd", "zstd", Zstd(Gaps())),
    Coding(6, "gaps-modelled", "full", GapsModelled()),
    Coding(7, "runs-plain", "core", Runs()),
    Coding(8, "runs-zstd", "zstd", Zstd(Runs())),
)

#: Spec section 5.2.
LABEL_CODINGS = (
    Coding(0, "constant-plain", "core", Constant()),
    Coding(1, "classes-plain", "core", Classes()),
    Coding(2, "classes-huffman", "core", ClassesHuffman()),
    Coding(3, "classes-zstd", "zstd", Zstd(ClassIntegers())),
    Coding(4, "classes-modelled", "full", ClassesModelled()),
)


def coding_of(table: tuple[Coding, ...], code: int, offset: int) -> Coding:
    """The coding of a code on the wire; Unsupported if the table has none."""
    for coding in table:
        if coding.code == code:
            return coding
    stream = "index" if table is INDEX_CODINGS else "label"
    raise Unsupported(f"{stream} coding {code} is not known to this decoder", rule="coding", offset=offset)


def coding_named(table: tuple[Coding, ...], name: str) -> Coding:
    """The coding of a name; InvalidArgument if the table has none."""
    for coding in table:
        if coding.name == name:
            return coding
    names = ", ".join(coding.name for coding in table)
    raise InvalidArgument(f"no coding is named {name!r}; there are: auto, {names}", rule="coding")
