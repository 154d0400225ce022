"""The container of format 1 (spec section 3): header, sections, two streams, checksum.

`construct` declares what has a fixed size; varints and lengths go through the bounded reader. `parse_container`
takes steps 1 to 5 of the order of checks in spec section 10. Nothing here decodes a stream.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from construct import BitStruct, Bytes, Flag, Int8ul, Int32ul, Nibble, Struct

from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, Coding, coding_of
from plada_codec.errors import Corrupt, Truncated, Unsupported
from plada_codec.limits import CLASS_CHECK_BYTES, DIGEST_BYTES_STEP, MAX_CLASSES, MIN_DIGEST_BYTES
from plada_codec.reader import Reader, varint_bytes, wrapping_of
from plada_codec.universe import Universe

#: Spec section 3.1.
SIGNATURE = b"\x8fPL"
FORMAT_VERSION = 1
#: Spec section 8: types below this one are critical.
FIRST_ANCILLARY_TYPE = 0x80
#: Spec section 8: types are bytes, and strictly ascending.
MAX_SECTIONS = 256
#: Spec section 6.1: the code of `all-plain`, with which k, index length and index stream are absent.
ALL_PLAIN = 0

#: Spec section 3.1: the first bytes of a payload; after them, the prelude that all payloads have; and the last bytes.
Opening = Struct("signature" / Bytes(len(SIGNATURE)), "version" / Int8ul)
Prelude = Struct(
    "flags"
    / BitStruct(
        "sections" / Flag, "complement" / Flag, "universe" / Flag, "class_check" / Flag, "digest_code" / Nibble
    ),
    "codings" / BitStruct("index" / Nibble, "labels" / Nibble),
)
Checksum = Int32ul

_CHECKSUM_BYTES: int = Checksum.sizeof()
#: Spec section 3.2: the low four bits of the flags; 0 is no digest, 1 .. 13 are 8, 10, .. 32 bytes.
_DIGEST_CODE_MASK, _MAX_DIGEST_CODE = 0x0F, 13
#: Spec section 8.1: the section that excludes a class check.
_CLASS_NAMES_TYPE = 0x81


@dataclass(frozen=True)
class Extent:
    """A field and its place in the payload: `inspect --hex` prints one line for each."""

    name: str
    offset: int
    size: int
    value: str


@dataclass(frozen=True)
class Section:
    """An optional section (spec section 8); its bytes are `payload[offset:offset + size]`."""

    type: int
    coder: int
    offset: int
    size: int


@dataclass(frozen=True)
class Container:
    """The header, the sections and the places of the streams of a payload, checked as far as no stream must be decoded.

    Attributes:
        index_stream: offset and size of the index stream in the payload.
        label_stream: offset and size of the label stream.
        extents: all fields in file order, without holes.
    """

    index_coding: Coding
    label_coding: Coding
    reference_size: int
    num_classes: int
    universe: Universe
    complement: bool
    kept: int
    reference_digest: bytes
    class_check: bytes
    sections: tuple[Section, ...]
    index_stream: tuple[int, int]
    label_stream: tuple[int, int]
    extents: tuple[Extent, ...]

    @property
    def universe_size(self) -> int:
        """Number of images M of the universe (spec section 4)."""
        return self.universe.size(self.reference_size)

    @property
    def num_coded(self) -> int:
        """Number d of coded positions: of the kept images, or of the others if `complement` (spec section 4)."""
        if self.index_coding.code == ALL_PLAIN:
            return self.universe_size
        return self.universe_size - self.kept if self.complement else self.kept


def build_container(
    *,
    index_coding: Coding,
    label_coding: Coding,
    reference_size: int,
    num_classes: int,
    universe: Universe,
    complement: bool,
    kept: int,
    reference_digest: bytes,
    class_check: bytes,
    sections: list[tuple[int, int, bytes]],
    index_stream: bytes,
    label_stream: bytes,
) -> bytes:
    """The bytes of a payload (spec section 3). `sections` are (type, coder, bytes). Frozen by format 1."""
    has_universe = universe != Universe()
    with_index = index_coding.code != ALL_PLAIN
    parts = [
        Opening.build({"signature": SIGNATURE, "version": FORMAT_VERSION}),
        Prelude.build(
            {
                "flags": {
                    "sections": bool(sections),
                    "complement": complement,
                    "universe": has_universe,
                    "class_check": bool(class_check),
                    "digest_code": _digest_code(len(reference_digest)),
                },
                "codings": {"index": index_coding.code, "labels": label_coding.code},
            }
        ),
        varint_bytes(reference_size),
        varint_bytes(num_classes),
    ]
    if has_universe:
        parts += [varint_bytes(universe.offset), varint_bytes(universe.stride)]
    if with_index:
        parts.append(varint_bytes(kept))
    parts += [reference_digest, class_check]
    if with_index:
        parts.append(varint_bytes(len(index_stream)))
    if sections:
        parts.append(varint_bytes(len(sections)))
        for type_, coder, data in sorted(sections):
            parts += [bytes([type_, coder]), varint_bytes(len(data)), data]
    parts += [index_stream, label_stream]
    body = b"".join(parts)
    return body + bytes(Checksum.build(zlib.crc32(body)))


def _digest_code(size: int) -> int:
    """The code of a digest of `size` bytes, or of none (spec section 3.2)."""
    return (size - MIN_DIGEST_BYTES) // DIGEST_BYTES_STEP + 1 if size else 0


def _digest_bytes(code: int) -> int:
    """The size of a digest with this code (spec section 3.2)."""
    return MIN_DIGEST_BYTES + DIGEST_BYTES_STEP * (code - 1) if code else 0


class _FieldReader:
    """Reads fields, and notes the offset and size of each."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.extents: list[Extent] = []

    def note(self, name: str, start: int, value: object) -> None:
        self.extents.append(Extent(name, start, self.reader.position - start, str(value)))

    def varint(self, name: str) -> int:
        start = self.reader.position
        value = self.reader.varint(name)
        self.note(name, start, value)
        return value

    def take(self, size: int, name: str, value: str | None = None) -> tuple[int, int]:
        """Offset and size of the next `size` bytes."""
        start = self.reader.position
        data = self.reader.take(size, name)
        self.note(name, start, f"{size} bytes" if value is None else value or bytes(data).hex())
        return start, size

    def start_of(self, name: str) -> int:
        return next(extent.offset for extent in self.extents if extent.name == name)


class _Fields(NamedTuple):
    """The fields of a payload, not yet checked. `kept` is None if the field is absent."""

    has_sections: bool
    complement: bool
    has_universe: bool
    index_code: int
    label_code: int
    reference_size: int
    num_classes: int
    universe: Universe
    kept: int | None
    digest: tuple[int, int]
    class_check: tuple[int, int]
    sections: tuple[Section, ...]
    index_stream: tuple[int, int]
    label_stream: tuple[int, int]


def parse_container(data: memoryview) -> Container:
    """Split a payload into its parts: steps 1 to 5 of spec section 10.

    Raises:
        Truncated, Corrupt, Unsupported: with the rule of the first step that fails.
    """
    _check_opening(data)
    reader = _FieldReader(Reader(data, Opening.sizeof(), len(data) - _CHECKSUM_BYTES, "header"))
    fields = _read_fields(reader)
    _check_checksum(data, reader)
    return _checked(fields, data, reader)


def _check_opening(data: memoryview) -> None:
    """Steps 1 and 2: signature and version."""
    if bytes(data[: len(SIGNATURE)]) != SIGNATURE[: len(data)]:
        looks = wrapping_of(data) or "it does not begin with 8f 50 4c"
        raise Corrupt(f"not a PLADA payload: {looks}", rule="signature", offset=0)
    if len(data) < Opening.sizeof():
        raise Truncated(f"only {len(data)} bytes of a payload", rule="header", offset=len(data))
    version = Opening.parse(bytes(data[: Opening.sizeof()])).version
    if version != FORMAT_VERSION:
        raise Unsupported(
            f"format version {version}, but this decoder reads version {FORMAT_VERSION}",
            rule="version",
            offset=len(SIGNATURE),
        )


def _read_fields(fields: _FieldReader) -> _Fields:
    """Step 3: all fields in file order, up to the end of the label stream."""
    reader, opening = fields.reader, fields.reader.position
    fields.extents += [
        Extent("signature", 0, len(SIGNATURE), "PLADA payload"),
        Extent("version", len(SIGNATURE), 1, str(FORMAT_VERSION)),
    ]
    flag_byte = reader.u8("flags")
    digest_code = flag_byte & _DIGEST_CODE_MASK
    if digest_code > _MAX_DIGEST_CODE:
        raise Corrupt(f"digest code {digest_code} is not 0 .. {_MAX_DIGEST_CODE}", rule="digest-length", offset=opening)
    coding_byte = reader.u8("codings")
    prelude = Prelude.parse(bytes([flag_byte, coding_byte]))
    flags, codings = prelude.flags, prelude.codings
    named = ("sections", "complement", "universe", "class_check")
    names = [name.replace("_", " ") for name in named if flags[name]]
    digest_bytes = _digest_bytes(digest_code)
    coding_names = f"{_name_of(INDEX_CODINGS, codings.index)}, {_name_of(LABEL_CODINGS, codings.labels)}"
    fields.extents += [
        Extent("flags", opening, 1, ", ".join([*names, f"digest of {digest_bytes} bytes"])),
        Extent("codings", opening + 1, 1, coding_names),
    ]
    reference_size = fields.varint("reference size")
    num_classes = fields.varint("classes")
    universe = Universe(fields.varint("offset"), fields.varint("stride")) if flags.universe else Universe()
    with_index = codings.index != ALL_PLAIN
    kept = fields.varint("kept") if with_index else None
    digest = fields.take(digest_bytes, "digest", "") if digest_bytes else (reader.position, 0)
    class_check = fields.take(CLASS_CHECK_BYTES, "class check", "") if flags.class_check else (reader.position, 0)
    index_bytes = fields.varint("index length") if with_index else 0
    sections = _read_sections(fields) if flags.sections else ()
    index_stream = fields.take(index_bytes, "index stream") if with_index else (reader.position, 0)
    label_stream = fields.take(reader.end - reader.position, "label stream")
    return _Fields(
        has_sections=bool(flags.sections),
        complement=bool(flags.complement),
        has_universe=bool(flags.universe),
        index_code=codings.index,
        label_code=codings.labels,
        reference_size=reference_size,
        num_classes=num_classes,
        universe=universe,
        kept=kept,
        digest=digest,
        class_check=class_check,
        sections=sections,
        index_stream=index_stream,
        label_stream=label_stream,
    )


def _check_checksum(data: memoryview, fields: _FieldReader) -> None:
    """Step 4."""
    reader = fields.reader
    reader.end = len(data)
    stored = Checksum.parse(bytes(reader.take(_CHECKSUM_BYTES, "checksum")))
    fields.note("checksum", reader.end - _CHECKSUM_BYTES, f"{stored:08x}")
    if zlib.crc32(data[:-_CHECKSUM_BYTES]) != stored:
        raise Corrupt(
            "the checksum does not match: the payload is damaged, cut short or has bytes added",
            rule="checksum",
            offset=len(data) - _CHECKSUM_BYTES,
        )


def _checked(fields: _Fields, data: memoryview, reader: _FieldReader) -> Container:
    """Step 5: the values of the fields."""
    coding_offset = reader.start_of("codings")
    index_coding = coding_of(INDEX_CODINGS, fields.index_code, coding_offset)
    label_coding = coding_of(LABEL_CODINGS, fields.label_code, coding_offset)
    if fields.reference_size == 0:
        raise Corrupt(
            "the reference set has no images", rule="reference-size", offset=reader.start_of("reference size")
        )
    if not 1 <= fields.num_classes <= MAX_CLASSES:
        raise Corrupt(
            f"{fields.num_classes} classes, but must be 1 .. {MAX_CLASSES}",
            rule="classes",
            offset=reader.start_of("classes"),
        )
    if fields.has_universe:
        _check_universe(fields.universe, fields.reference_size, reader.start_of("offset"))
    universe_size, kept = fields.universe.size(fields.reference_size), fields.kept
    if kept is None:
        kept = 0 if fields.complement else universe_size
    elif kept > universe_size:
        raise Corrupt(
            f"{kept} images kept of a universe of {universe_size}", rule="kept", offset=reader.start_of("kept")
        )
    _check_sections(fields.sections, fields.has_sections, reader)
    _check_class_check(fields)

    def bytes_at(extent: tuple[int, int]) -> bytes:
        start, size = extent
        return bytes(data[start : start + size])

    return Container(
        index_coding=index_coding,
        label_coding=label_coding,
        reference_size=fields.reference_size,
        num_classes=fields.num_classes,
        universe=fields.universe,
        complement=fields.complement,
        kept=kept,
        reference_digest=bytes_at(fields.digest),
        class_check=bytes_at(fields.class_check),
        sections=fields.sections,
        index_stream=fields.index_stream,
        label_stream=fields.label_stream,
        extents=tuple(reader.extents),
    )


def _name_of(table: tuple[Coding, ...], code: int) -> str:
    return next((coding.name for coding in table if coding.code == code), f"unknown coding {code}")


def _read_sections(fields: _FieldReader) -> tuple[Section, ...]:
    sections: list[Section] = []
    for _ in range(fields.varint("section count")):
        start = fields.reader.position
        type_, coder = fields.reader.u8("section type"), fields.reader.u8("section coder")
        size = fields.reader.varint("section length")
        if len(sections) > MAX_SECTIONS:
            fields.reader.take(size, "section")  # the first ones cannot all be in order: no need to keep more
            continue
        fields.note(f"section {type_:02x}", start, f"coder {coder}, {size} bytes")
        offset, _ = fields.take(size, f"section {type_:02x} bytes")
        sections.append(Section(type_, coder, offset, size))
    return tuple(sections)


def _check_universe(universe: Universe, reference_size: int, offset: int) -> None:
    inside = universe.offset < reference_size and 1 <= universe.stride <= reference_size
    if not inside or universe == Universe():
        raise Corrupt(
            f"offset {universe.offset} and stride {universe.stride} are no universe of {reference_size} images"
            if not inside
            else "offset 0 and stride 1 must be left out",
            rule="universe",
            offset=offset,
        )


def _check_sections(sections: tuple[Section, ...], flagged: bool, fields: _FieldReader) -> None:
    types = [section.type for section in sections]
    if flagged and (not types or any(after <= before for before, after in pairwise(types))):
        raise Corrupt(
            "section types are not strictly ascending" if types else "the list of sections is empty",
            rule="section-order",
            offset=fields.start_of("section count"),
        )
    for section in sections:
        if section.type < FIRST_ANCILLARY_TYPE:
            raise Unsupported(
                f"critical section of unknown type {section.type:02x}", rule="section-critical", offset=section.offset
            )


def _check_class_check(fields: _Fields) -> None:
    start, size = fields.class_check
    if size and any(section.type == _CLASS_NAMES_TYPE for section in fields.sections):
        raise Corrupt("a payload with class names must not have a class check", rule="class-check", offset=start)
