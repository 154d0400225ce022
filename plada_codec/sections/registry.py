"""The registry of optional sections: the types of spec section 8 that this codec reads and writes, row by row."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.sections.base import SectionCodec
from plada_codec.sections.class_names import ClassNames
from plada_codec.sections.soft_labels import SoftLabels
from plada_codec.sections.weights import Weights


@dataclass(frozen=True)
class SectionType:
    """A row of the registry: a type of optional section.

    Attributes:
        code: type of the section in the payload; from 80 hexadecimal on, as decoders may skip it.
        name: name in the specification and in reports.
        field: attribute of Payload, and argument of its constructor, that holds the value; None is "no section".
        codec: how the value is checked, written and read.
        description: the content in a few words, for reports.
        needs: parts of the payload without which the bytes cannot be read: "positions", "labels". Decoders that read
            sections side by side with the streams may report an error of the section only when they have these.
    """

    code: int
    name: str
    field: str
    codec: SectionCodec
    description: str
    needs: tuple[str, ...] = ()


#: Spec section 8, in ascending order of the codes.
SECTIONS = (
    SectionType(0x81, "class-names", "class_names", ClassNames(), "the names of the classes"),
    SectionType(
        0x82,
        "soft-labels",
        "soft_labels",
        SoftLabels(),
        "the distribution of the teacher's probabilities in each class",
        needs=("labels",),
    ),
    SectionType(0x83, "weights", "weights", Weights(), "how much each kept image counts", needs=("positions",)),
)


def section_of(code: int) -> SectionType | None:
    """The section type with this code in a payload, or None if this codec skips such sections."""
    return next((section for section in SECTIONS if section.code == code), None)
