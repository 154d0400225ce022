"""The registry of coders: the ways to turn the integers of a layout into bytes (spec section 5).

A coding is a layout under a coder, such as `gaps-zstd`; a section names its coder alone.
"""

from __future__ import annotations

from typing import NamedTuple

#: Spec section 9, from the least able receiver to the most able.
DECODER_CLASSES = ("core", "zstd", "full")
#: How much work an encoder does: `small` looks for the fewest bytes; `fast` avoids slow codings.
PROFILES = ("small", "fast")


class Coder(NamedTuple):
    """A row of the registry: a way to turn integers into bytes.

    Attributes:
        code: its number in the header of a section (spec section 8).
        name: the last part of the names of its codings.
        decoder_class: the least able receiver that reads it (spec section 9).
        is_slow: whether the profile `fast` leaves it out.
    """

    code: int
    name: str
    decoder_class: str
    is_slow: bool = False

    def readable_by(self, decoder_class: str) -> bool:
        """Whether a receiver of class `decoder_class` can read this coder."""
        return DECODER_CLASSES.index(self.decoder_class) <= DECODER_CLASSES.index(decoder_class)


PLAIN = Coder(0, "plain", "core")
HUFFMAN = Coder(1, "huffman", "core")
ZSTD = Coder(2, "zstd", "zstd")
MODELLED = Coder(3, "modelled", "full", is_slow=True)

#: Spec sections 8 and 9.
CODERS = (PLAIN, HUFFMAN, ZSTD, MODELLED)


def coder_of(code: int) -> Coder | None:
    """The coder with this code in the header of a section, or None if there is none."""
    return next((coder for coder in CODERS if coder.code == code), None)
