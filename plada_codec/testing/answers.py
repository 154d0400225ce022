"""The right answers to a payload: more than one if the specification leaves a choice to decoders.

- A decoder may skip ancillary sections, and then reports nothing about them (section 8).
- A decoder that reads streams side by side may report the error of a later one (section 9).
- Zstandard libraries differ about some damaged frames. A decoder may refuse such a frame, or accept it with the content
  that was sent (section 5.3).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from plada_codec.api import decode
from plada_codec.codings.coders import MODELLED, PLAIN, ZSTD, coder_of
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, Coding, coding_named, coding_of
from plada_codec.container import ALL_PLAIN, build_container, parse_container
from plada_codec.errors import PladaError
from plada_codec.interop import csv
from plada_codec.limits import Limits
from plada_codec.payload import Payload
from plada_codec.reader import varint_bytes
from plada_codec.sections.registry import SectionType, section_of

#: Stand-ins for broken streams have at most this many images. For payloads that claim more, one answer is accepted.
_MAX_STAND_IN = 1 << 20
_ZSTD_FRAME = "Corrupt zstd-frame"
#: Section 5.3: checked before a frame is decompressed, so that libraries cannot differ.
_BEFORE_DECOMPRESSION = {"Corrupt zstd-size", "LimitExceeded limit-stream-bytes", "LimitExceeded limit-class-names"}
#: RFC 8878, section 3.1.1: the content checksum at the end of a frame.
_CHECKSUM_BYTES = 4
#: Section 5.5: all possible errors of a modelled stream of labels or codes. They depend on the positions.
_MODELLED = {"Truncated stream-end", "Corrupt stream-length"}


@dataclass(frozen=True)
class Answers:
    """The right answers to a payload or a stream of frames.

    Attributes:
        outputs: SHA-256 of each allowed output.
        errors: "KIND RULE" of each allowed error.
    """

    outputs: frozenset[str] = frozenset()
    errors: frozenset[str] = frozenset()


def sha256_of(output: bytes) -> str:
    """SHA-256 of an output in hexadecimal, as in `Answers`."""
    return hashlib.sha256(output).hexdigest()


def _as_csv(payload: Payload) -> bytes:
    rows = io.BytesIO()
    csv.write(payload, rows)
    return rows.getvalue()


def right_answers(
    blob: bytes, limits: Limits = Limits(), expected_digest: bytes | None = None, sent: bytes | None = None
) -> Answers:
    """The right answers to `blob`. `sent` is the payload before damage (None: it was not damaged)."""

    def answer(payload: bytes) -> Answers:
        try:
            return Answers(outputs=frozenset([sha256_of(_as_csv(decode(payload, limits, expected_digest)))]))
        except PladaError as error:
            return Answers(errors=frozenset([f"{error.kind} {error.rule}"]))

    first = answer(blob)
    try:
        parts = _Parts(blob)
    except PladaError:
        return first
    as_sent = parts if sent is None else _Parts(sent)
    if first.outputs and parts.streams == as_sent.streams:
        return first
    if not parts.are_small or answer(parts.build(parts.any_index, parts.any_labels)).errors:
        return first  # an error of steps 1 to 7, which leave no choice

    errors = set(first.errors)

    def readable(name: str, build: Callable[[_Stream], bytes]) -> _Stream | None:
        """The stream of this name, or its sent frame, if a decoder may read it. Its errors are added to `errors`."""
        stream, frame = parts.streams[name], as_sent.streams.get(name)
        found = answer(build(stream)).errors
        errors.update(found)
        if stream.coder == ZSTD.name and (frame is None or stream.data != frame.data):
            if _ZSTD_FRAME in found:
                if frame is not None and stream.data[-_CHECKSUM_BYTES:] == frame.data[-_CHECKSUM_BYTES:]:
                    stream = replace(stream, data=frame.data)
                    found = answer(build(stream)).errors
                    errors.update(found)
            elif not found & _BEFORE_DECOMPRESSION:
                errors.add(_ZSTD_FRAME)
        return None if found else stream

    index = readable("index", lambda stream: parts.build(stream, parts.any_labels))
    labels = readable("labels", lambda stream: parts.build(index or parts.any_index, stream))
    outputs = answer(parts.build(index, labels)).outputs if index and labels else frozenset()
    for name, section in parts.section_types.items():
        if labels or "labels" not in section.needs:
            readable(name, partial(parts.build, index or parts.any_index, labels or parts.any_labels, name))
    with_positions = [name for name, section in parts.section_types.items() if "positions" in section.needs]
    if not index and any(parts.coder_of(name) == MODELLED.name for name in ("labels", *with_positions)):
        errors |= _MODELLED
    return Answers(outputs, frozenset(errors))


@dataclass(frozen=True)
class _Stream:
    """A stream or section: the code of its coding or coder, the name of its coder, and its bytes."""

    code: int
    coder: str
    data: bytes


class _Parts:
    """The parts of a payload, to be combined with other streams.

    Attributes:
        streams: the streams "index" and "labels", and the sections that decoders read, by name.
        section_types: the types of these sections by name.
    """

    def __init__(self, blob: bytes) -> None:
        self._parsed = parsed = parse_container(memoryview(blob))

        def stream(code: int, coder: str, offset: int, size: int) -> _Stream:
            return _Stream(code, coder, blob[offset : offset + size])

        def coded(coding: Coding, extent: tuple[int, int]) -> _Stream:
            return stream(coding.code, coding.coder.name, *extent)

        self.streams = {
            "index": coded(parsed.index_coding, parsed.index_stream),
            "labels": coded(parsed.label_coding, parsed.label_stream),
        }
        self.section_types: dict[str, SectionType] = {}
        for section in parsed.sections:
            type_, coder = section_of(section.type), coder_of(section.coder)
            if type_ is not None:
                self.section_types[type_.name] = type_
                name = "" if coder is None else coder.name
                self.streams[type_.name] = stream(section.coder, name, section.offset, section.size)

    def coder_of(self, name: str) -> str | None:
        """The coder of a stream or section; None if the payload does not have it."""
        return self.streams[name].coder if name in self.streams else None

    @property
    def are_small(self) -> bool:
        """Whether the payload is small enough for stand-ins."""
        return max(self._parsed.kept, 0 if self._has_all else self._parsed.num_coded) <= _MAX_STAND_IN

    @property
    def any_index(self) -> _Stream:
        """An index stream without an error: it codes the images at one end of the universe."""
        if self._has_all:
            return self.streams["index"]
        coded = self._parsed.num_coded
        before = self._parsed.kept if self._parsed.complement else 0
        data = varint_bytes(before) + varint_bytes(coded - 1) if coded else b""
        return _Stream(coding_named(INDEX_CODINGS, "runs-plain").code, PLAIN.name, data)

    @property
    def any_labels(self) -> _Stream:
        """A label stream without an error: every image has class 0."""
        code = coding_named(LABEL_CODINGS, "constant-plain").code
        return _Stream(code, PLAIN.name, varint_bytes(0) if self._parsed.kept else b"")

    def build(
        self, index: _Stream, labels: _Stream, section: str | None = None, section_stream: _Stream | None = None
    ) -> bytes:
        """The payload with these streams, and at most one section."""
        sections = []
        if section is not None and section_stream is not None:
            sections.append((self.section_types[section].code, section_stream.code, section_stream.data))
        return build_container(
            index_coding=coding_of(INDEX_CODINGS, index.code, 0),
            label_coding=coding_of(LABEL_CODINGS, labels.code, 0),
            reference_size=self._parsed.reference_size,
            num_classes=self._parsed.num_classes,
            universe=self._parsed.universe,
            complement=self._parsed.complement,
            kept=self._parsed.kept,
            reference_digest=self._parsed.reference_digest,
            class_check=self._parsed.class_check,
            sections=sections,
            index_stream=index.data,
            label_stream=labels.data,
        )

    @property
    def _has_all(self) -> bool:
        return self._parsed.index_coding.code == ALL_PLAIN
