"""The functions `encode`, `decode` and `inspect`: payloads to bytes and back (spec sections 3 to 10).

payload -- encode: choose codings, write streams, build container --> bytes
bytes -- parse container, check limits and identity, read streams --> payload
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec import container
from plada_codec.codings.base import CodingContext, Stream
from plada_codec.codings.choose_coding import candidate_codings, read_values, write_smallest
from plada_codec.codings.coders import DECODER_CLASSES, PROFILES, coder_of
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, Coding
from plada_codec.container import ALL_PLAIN, Container
from plada_codec.errors import FIND_DIFFERENCES, InvalidArgument, LimitExceeded, ReferenceMismatch, check_type
from plada_codec.limits import MAX_DIGEST_BYTES, MIN_DIGEST_BYTES, Limits
from plada_codec.payload import Payload
from plada_codec.reader import bytes_of, view_of
from plada_codec.sections.base import SectionContext
from plada_codec.sections.registry import SECTIONS, section_of
from plada_codec.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from plada_codec.codings.base import Integers


def encode(
    payload: Payload,
    profile: str = "small",
    decoder_class: str = "full",
    index_coding: str = "auto",
    label_coding: str = "auto",
    *,
    limits: Limits = Limits(),
) -> bytes:
    """Encode a payload.

    Args:
        payload: the payload to encode.
        profile: "small" tries every coding and keeps the smallest (above 131,072 images, it skips codings that a
            quick try shows to be larger). "fast" computes the sizes of plain and huffman streams without writing
            them, tries zstd at a fast level only, and leaves out the modelled codings.
        decoder_class: decoder class of the least able receiver: "core", "zstd" or "full" (spec section 9).
        index_coding: "auto", or a name of spec section 5.1 such as "gaps-zstd".
        label_coding: "auto", or a name of spec section 5.2 such as "classes-huffman".
        limits: resource limits of the receivers' decoders.

    Returns:
        The bytes of the payload: deterministic for one release of plada and of zstandard.

    Raises:
        InvalidArgument: for an unknown name, a coding beyond `decoder_class`, or an argument of another type.
        InvalidPayload: if the named coding cannot express this payload.
        LimitExceeded: if a decoder with these limits would refuse the payload, or `index_coding` names a bitmap that
            exceeds `max_stream_bytes`.
    """
    check_type(payload, Payload, "payload", "payload")
    check_type(limits, Limits, "limits", "limits")
    if profile not in PROFILES:
        raise InvalidArgument(f"no profile is named {profile!r}; there are: {', '.join(PROFILES)}", rule="profile")
    if decoder_class not in DECODER_CLASSES:
        raise InvalidArgument(
            f"no decoder class is named {decoder_class!r}; there are: {', '.join(DECODER_CLASSES)}",
            rule="decoder-class",
        )
    thorough = profile == "small"
    _check_limits(payload.reference_size, payload.num_classes, payload.kept, limits, {})
    positions = payload.positions

    candidates = candidate_codings(INDEX_CODINGS, index_coding, decoder_class, thorough)
    index, index_stream, complement = _write_index(candidates, positions, payload.universe_size, limits, thorough)
    candidates = candidate_codings(LABEL_CODINGS, label_coding, decoder_class, thorough)
    coding_context = CodingContext(payload.num_classes, limits, positions)
    label, label_stream = write_smallest(candidates, payload.labels, coding_context, thorough)
    context = SectionContext(payload.num_classes, positions, payload.labels, limits)
    values = payload.sections
    sections = [
        (section.code, *section.codec.encode(values[section.field], context, decoder_class, thorough=thorough))
        for section in SECTIONS
        if section.field in values
    ]
    return container.build_container(
        index_coding=index,
        label_coding=label,
        reference_size=payload.reference_size,
        num_classes=payload.num_classes,
        universe=payload.universe,
        complement=complement,
        kept=payload.kept,
        reference_digest=payload.reference_digest,
        class_check=payload.class_check,
        sections=sections,
        index_stream=index_stream,
        label_stream=label_stream,
    )


def _write_index(
    candidates: list[Coding], positions: NDArray[np.int64], universe_size: int, limits: Limits, thorough: bool
) -> tuple[Coding, bytes, bool]:
    """Coding and bytes of the index stream, and whether it codes the complement (spec section 4)."""
    kept = len(positions)
    if kept in (0, universe_size) and candidates[0].code == ALL_PLAIN:
        return candidates[0], b"", kept == 0
    trials = []
    for complement in _complements(kept, universe_size, thorough):
        coded = _complement(positions, universe_size) if complement else positions
        _check_coded(len(coded), limits, None)
        context = CodingContext(universe_size, limits)
        trials.append((*write_smallest(candidates, coded, context, thorough), complement))
    return min(trials, key=lambda trial: len(trial[1]))


def decode(blob: Buffer, limits: Limits = Limits(), expected_digest: bytes | None = None) -> Payload:
    """Decode and validate a payload.

    Args:
        blob: the bytes of a payload, in any contiguous buffer: bytes, bytearray, memoryview, numpy, mmap.
        limits: resource limits: the most that the decoder allocates and loops over.
        expected_digest: the digest of the receiver's own reference set, or its first bytes (8 .. 32).

    Raises:
        Truncated, Corrupt, Unsupported, LimitExceeded, ReferenceMismatch: as spec section 10 says. No bytes
            cause another error.
        InvalidArgument: if `blob` is not a contiguous buffer, `limits` are no Limits, or `expected_digest` is not
            8 .. 32 bytes.
    """
    check_type(limits, Limits, "limits", "limits")
    view = view_of(blob)
    parsed = container.parse_container(view)
    offsets = {extent.name: extent.offset for extent in parsed.extents}
    _check_limits(parsed.reference_size, parsed.num_classes, parsed.kept, limits, offsets)
    if parsed.index_coding.code != ALL_PLAIN:
        _check_coded(parsed.num_coded, limits, offsets["kept"])
    if expected_digest is not None:
        _check_reference(parsed, expected_digest, offsets.get("digest"))

    positions = _read_index(view, parsed, limits)
    coding_context = CodingContext(parsed.num_classes, limits, positions)
    label_stream = _stream(view, *parsed.label_stream)
    labels = read_values(parsed.label_coding, label_stream, parsed.kept, coding_context, np.int32)
    context = SectionContext(parsed.num_classes, positions, labels, limits)
    sections = {}
    for found in parsed.sections:
        section = section_of(found.type)
        if section is not None:
            stream = _stream(view, found.offset, found.size)
            sections[section.field] = section.codec.decode(stream, found.coder, context)
    if parsed.universe != Universe():
        positions *= parsed.universe.stride
        positions += parsed.universe.offset
    return Payload._owning(
        positions,
        labels,
        parsed.reference_size,
        parsed.num_classes,
        parsed.reference_digest,
        parsed.universe,
        parsed.class_check,
        sections,
    )


def _read_index(view: memoryview, parsed: Container, limits: Limits) -> Integers:
    """Positions of the kept images in the universe (int64 [k]), in an array of their own."""
    if parsed.index_coding.code == ALL_PLAIN:
        return np.arange(parsed.kept, dtype=np.int64)
    context = CodingContext(parsed.universe_size, limits)
    stream = _stream(view, *parsed.index_stream)
    positions = read_values(parsed.index_coding, stream, parsed.num_coded, context, np.int64)
    return _complement(positions, parsed.universe_size) if parsed.complement else positions


def expect_encodings(payloads: int, kept: int, num_classes: int) -> None:
    """Announce encodings that will follow, so that kernels are compiled before the first one.

    The encodings may be of this process or of later ones. Without this call, a kernel is compiled in the middle of the
    work, as soon as that pays. The bytes of payloads do not depend on it.

    Args:
        payloads: approximate number of payloads.
        kept: approximate number of kept images of each payload.
        num_classes: number of classes C.
    """
    from plada_codec.codings import classes_modelled, gaps_modelled

    gaps_modelled.expect_positions(payloads * kept)
    classes_modelled.expect_labels(payloads * kept, num_classes)


@dataclass(frozen=True)
class SectionInfo:
    """A stream or section as `inspect` reports it: type, coding or coder, size in bytes."""

    type: str
    coding: str
    bytes: int


@dataclass(frozen=True)
class Inspection:
    """Header and sections of a payload; sizes in bytes."""

    format_version: int
    reference_size: int
    reference_digest: bytes
    num_classes: int
    class_check: bytes
    class_names: tuple[str, ...] | None
    kept: int
    universe: Universe
    complement: bool
    decoder_class: str
    sections: tuple[SectionInfo, ...]
    payload_bytes: int
    extents: tuple[container.Extent, ...]

    @property
    def overhead_bytes(self) -> int:
        """Bytes of everything but the index stream and the label stream (spec section 3)."""
        return self.payload_bytes - sum(s.bytes for s in self.sections if s.type in ("index", "labels"))

    @property
    def bits_per_kept(self) -> float | None:
        """Bits of the whole payload for each kept image; None if none is kept."""
        return 8 * self.payload_bytes / self.kept if self.kept else None

    @property
    def bits_per_class(self) -> float:
        """Bits of the whole payload for each class."""
        return 8 * self.payload_bytes / self.num_classes

    def as_dict(self) -> dict[str, Any]:
        """The fields as `plada inspect --json` prints them."""
        return {
            "format_version": self.format_version,
            "reference_size": self.reference_size,
            "reference_digest": self.reference_digest.hex(),
            "num_classes": self.num_classes,
            "class_check": self.class_check.hex(),
            "class_names": self.class_names,
            "kept": self.kept,
            "universe": {
                "offset": self.universe.offset,
                "stride": self.universe.stride,
                "size": self.universe.size(self.reference_size),
            },
            "complement": self.complement,
            "decoder_class": self.decoder_class,
            "sections": [vars(section) for section in self.sections],
            "payload_bytes": self.payload_bytes,
            "overhead_bytes": self.overhead_bytes,
            "bits_per_kept": self.bits_per_kept,
            "bits_per_class": self.bits_per_class,
        }


def inspect(blob: Buffer, limits: Limits = Limits()) -> Inspection:
    """Read header, class names and the sizes of all else: steps 1 to 5 of spec section 10, checksum included.

    No stream is decoded but that of the class names.

    Args:
        blob: as in `decode`.
        limits: resource limits, for the class names.

    Raises:
        Truncated, Corrupt, Unsupported, LimitExceeded: as `decode` would.
        InvalidArgument: if `blob` is not a contiguous buffer, or `limits` are no Limits.
    """
    check_type(limits, Limits, "limits", "limits")
    view = view_of(blob)
    parsed = container.parse_container(view)
    decoder_classes = [parsed.index_coding.coder.decoder_class, parsed.label_coding.coder.decoder_class]
    sections = [
        SectionInfo("index", parsed.index_coding.name, parsed.index_stream[1]),
        SectionInfo("labels", parsed.label_coding.name, parsed.label_stream[1]),
    ]
    nothing = np.empty(0, np.int64)
    context = SectionContext(parsed.num_classes, nothing, nothing.astype(np.int32), limits)
    class_names = None
    for found in parsed.sections:
        section, coder = section_of(found.type), coder_of(found.coder)
        if section is not None and coder is not None:
            decoder_classes.append(coder.decoder_class)
        if section is not None and section.field == "class_names":
            class_names = section.codec.decode(_stream(view, found.offset, found.size), found.coder, context)
        sections.append(
            SectionInfo(
                f"ancillary {found.type:02x}" if section is None else section.name,
                str(found.coder) if coder is None else coder.name,
                found.size,
            )
        )
    return Inspection(
        format_version=container.FORMAT_VERSION,
        reference_size=parsed.reference_size,
        reference_digest=parsed.reference_digest,
        num_classes=parsed.num_classes,
        class_check=parsed.class_check,
        class_names=class_names,
        kept=parsed.kept,
        universe=parsed.universe,
        complement=parsed.complement,
        decoder_class=max(decoder_classes, key=DECODER_CLASSES.index),
        sections=tuple(sections),
        payload_bytes=len(view),
        extents=parsed.extents,
    )


def _complement(positions: Integers, universe_size: int) -> Integers:
    is_left = np.ones(universe_size, np.bool_)
    is_left[positions] = False
    return np.flatnonzero(is_left)


def _complements(kept: int, universe_size: int, thorough: bool) -> tuple[bool, ...]:
    """Whether to code the complement: yes if it is smaller; both if thorough and the sizes are close."""
    dropped = universe_size - kept
    if thorough and max(kept, dropped) <= 2 * min(kept, dropped):
        return kept > dropped, kept <= dropped
    return (kept > dropped,)


def _stream(view: memoryview, offset: int, size: int) -> Stream:
    return Stream(np.frombuffer(view[offset : offset + size], np.uint8), offset)


def _check_limits(reference_size: int, num_classes: int, kept: int, limits: Limits, offsets: dict[str, int]) -> None:
    for name, value, limit in (
        ("reference size", reference_size, "max_reference_size"),
        ("classes", num_classes, "max_classes"),
        ("kept", kept, "max_kept"),
    ):
        allowed = getattr(limits, limit)
        if value > allowed:
            rule = limit.replace("max_", "limit-").replace("_", "-")
            message = f"{name} is {value}, but the limit {limit} is {allowed}"
            raise LimitExceeded(message, rule=rule, offset=offsets.get(name))


def _check_coded(coded: int, limits: Limits, offset: int | None) -> None:
    if coded > limits.max_kept:
        message = f"the index stream codes {coded} images, but the limit max_kept is {limits.max_kept}"
        raise LimitExceeded(message, rule="limit-kept", offset=offset)


def _check_reference(parsed: Container, expected: bytes, offset: int | None) -> None:
    expected = bytes_of(expected, "expected_digest")
    if not MIN_DIGEST_BYTES <= len(expected) <= MAX_DIGEST_BYTES:
        raise InvalidArgument(
            f"the expected reference digest has {len(expected)} bytes, "
            f"but must have {MIN_DIGEST_BYTES} .. {MAX_DIGEST_BYTES}",
            rule="reference",
        )
    digest = parsed.reference_digest
    common = min(len(digest), len(expected))
    if not digest:
        raise ReferenceMismatch("the payload does not name its reference set", rule="reference")
    if digest[:common] != expected[:common]:
        message = f"the payload is for the reference set {digest.hex()}, not for {expected.hex()}: {FIND_DIFFERENCES}"
        raise ReferenceMismatch(message, rule="reference", offset=offset)
