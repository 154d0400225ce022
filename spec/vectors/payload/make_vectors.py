"""Makes the test vectors of PLADA format 1: `python spec/vectors/payload/make_vectors.py`.

A vector, once written, is frozen: this script adds vectors that are missing and never touches the bytes of one
that is there (another release of zstandard would write other bytes). It then writes index.json anew, from the
bytes as they are. Expected errors are stated here, by rule of spec section 10, and checked when they are made.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from plada_codec import Limits, Payload, PladaError, Universe, class_check, decode, encode, inspect
from plada_codec.codings import classes_modelled, gaps_modelled, modelled
from plada_codec.codings.base import CodingContext
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS
from plada_codec.codings.zstd import deflate
from plada_codec.container import parse_container
from plada_codec.reader import varint_bytes as varint
from plada_codec.testing.answers import right_answers

HERE = Path(__file__).parent
DIGEST = bytes.fromhex("0123456789abcdef")
#: Lists of up to this many images are written out in the index; longer ones are given by their hash.
MAX_LISTED = 16

FLAGS = {
    "index-coding": "shows one index coding",
    "label-coding": "shows one label coding",
    "empty": "no image is kept",
    "all": "every image of the universe is kept",
    "boundary-n": "a reference set at a boundary of integer widths, padding or varints",
    "boundary-c": "a number of classes at a boundary of integer widths",
    "complement": "the index stream codes the images that are not kept",
    "universe": "offset and stride are used",
    "digest": "a digest that is not of 8 bytes",
    "class-check": "concerns the class check",
    "section": "has a list of sections",
    "soft-labels": "concerns the section of soft labels",
    "weights": "concerns the section of weights",
    "ancillary": "an error in an ancillary section: a decoder that skips the section accepts the payload",
    "canonical": "a second way to say the same, which must be refused",
    "truncated": "ends too early",
    "trailing": "has bytes too many",
    "damage": "one bit of the header of the vector `header-intact` is flipped, the checksum is not corrected",
    "forged": "one bit of the header of the vector `header-intact` is flipped, and the checksum corrected",
    "bomb": "a few bytes that claim a great deal",
    "zstd": "concerns the frame inside a zstd stream",
    "modelled": "concerns the models and the range coder",
    "example": "a worked example of spec section 13",
}


@dataclass
class Vector:
    """One vector to make: its bytes, and the rule that a decoder reports (None: it is valid)."""

    id: str
    comment: str
    flags: list[str]
    blob: bytes
    rule: str | None = None
    limits: dict[str, int] = field(default_factory=dict)
    expected_digest: bytes | None = None


@dataclass
class Raw:
    """The fields of a payload as bytes, to be put together with as many mistakes as wanted."""

    signature: bytes = b"\x8fPL"
    version: int = 1
    flags: int = 0
    index_code: int = 3
    label_code: int = 1
    reference_size: bytes = varint(20)
    num_classes: bytes = varint(4)
    universe: bytes = b""
    kept: bytes = varint(3)
    digest: bytes = b""
    class_check: bytes = b""
    index_length: bytes | None = None
    sections: bytes = b""
    index: bytes = bytes([2, 0, 9])
    labels: bytes = bytes([0b00011000])
    trailing: bytes = b""

    def build(self) -> bytes:
        with_index = self.index_code != 0
        body = self.signature + bytes([self.version, self.flags, self.index_code << 4 | self.label_code])
        body += self.reference_size + self.num_classes + self.universe
        if with_index:
            body += self.kept
        body += self.digest + self.class_check
        if with_index:
            body += varint(len(self.index)) if self.index_length is None else self.index_length
        body += self.sections + (self.index if with_index else b"") + self.labels
        return body + zlib.crc32(body).to_bytes(4, "little") + self.trailing


#: Frames (without magic number) with a damaged block. libzstd 1.5.5 and 1.5.7 both read them, as different
#: contents, neither of which has the content checksum. Found among 60,000 damaged frames.
READ_DIFFERENTLY = (
    bytes.fromhex(
        "640a00550400a69021910655544433231212211d0020001d00e37a0bdbf63419ccd55c5292302bab79e49077cdb390380f4e0152"
        "655e2b0e5594d037b560970682fa6f260da421c400558cd32bd860bddd76240f65025f7bf36aa425d20c5b2272746e80e81130bb"
        "93d5594b189e77470f7493dcf6386752b1096a0c2fbc416cc5712f1c51d6aa7c7d48ce7a1d5b4d0079667ef8"
    ),
    bytes.fromhex(
        "6401008504001610230fc0d68c1e685b912f4ad588f69748331f001d001e00eb468874339e88188916a08f51002cabece17c8726"
        "20045933d3a3f491250363609247c37ba3784f07582684352c14cec2e98ceb3992004342e023912371f23a14aad50e692c669090"
        "938ae62aad3cdd548499fbe3e4b1f9c0015b39085d7b6a14d494df9a39fff4151ac22ad597d60d5a7aec1619240066102c9c"
    ),
)


def bits(text: str) -> bytes:
    """Bytes from ones and zeros (other characters are skipped), filled up with zeros."""
    digits = "".join(ch for ch in text if ch in "01")
    return int(digits.ljust(-(-len(digits) // 8) * 8, "0"), 2).to_bytes(-(-len(digits) // 8), "big")


def frame(content: bytes, *, write_checksum: bool = True, **options: Any) -> bytes:
    """A zstd stream with options that an encoder must not use."""
    return zstandard.ZstdCompressor(level=3, write_checksum=write_checksum, **options).compress(content)[4:]


def section(type_: int, coder: int, data: bytes) -> bytes:
    """One section of a list (spec section 8)."""
    return bytes([type_, coder]) + varint(len(data)) + data


def valid_vectors() -> Iterator[Vector]:
    six = Payload([2, 3, 4, 5, 12, 19], [1, 1, 1, 0, 3, 1], 20, 4, DIGEST)
    every = Payload(range(20), [i % 4 for i in range(20)], 20, 4, DIGEST)
    one = Payload([2, 3, 4, 5, 12, 19], [2] * 6, 20, 4, DIGEST)
    for coding in INDEX_CODINGS:
        payload = every if coding.name == "all-plain" else six
        blob = encode(payload, index_coding=coding.name, label_coding="classes-plain")
        yield Vector(f"index-{coding.name}", f"index coding {coding.name}", ["index-coding", "example"], blob)
    for coding in LABEL_CODINGS:
        payload = one if coding.name == "constant-plain" else six
        blob = encode(payload, index_coding="bitmap-plain", label_coding=coding.name)
        yield Vector(f"label-{coding.name}", f"label coding {coding.name}", ["label-coding", "example"], blob)

    random = np.random.default_rng(1)
    kept = np.unique(random.integers(0, 50_000, 3_000))
    labels = np.minimum(random.geometric(0.2, len(kept)) - 1, 299)
    many = Payload(kept, labels, 50_000, 300, DIGEST)
    for coding in INDEX_CODINGS[1:]:
        blob = encode(many, index_coding=coding.name, label_coding="classes-huffman")
        yield Vector(f"many-{coding.name}", f"some 3,000 of 50,000 images, {coding.name}", ["index-coding"], blob)
    for coding in LABEL_CODINGS[1:]:
        blob = encode(many, index_coding="gaps-huffman", label_coding=coding.name)
        yield Vector(f"many-{coding.name}", f"some 3,000 labels of 300 classes, {coding.name}", ["label-coding"], blob)

    for coding in INDEX_CODINGS[1:]:
        blob = encode(Payload([], [], 20, 4), index_coding=coding.name)
        yield Vector(f"empty-{coding.name}", "k = 0: empty streams in every coding", ["empty"], blob)
    for coding in LABEL_CODINGS:
        blob = encode(Payload([], [], 20, 4), label_coding=coding.name)
        yield Vector(
            f"empty-{coding.name}", "k = 0 as the complement of all-plain", ["empty", "complement", "example"], blob
        )
    for coding in INDEX_CODINGS[1:]:
        blob = encode(Payload(range(20), [1] * 20, 20, 4), index_coding=coding.name)
        flags = ["all", "complement"]
        yield Vector(f"all-as-{coding.name}", "k = N: the complement is empty, in every coding", flags, blob)

    for n in (1, 7, 8, 9, 127, 128, 255, 256, 257, 65_535, 65_536, 65_537, 2**32 - 1, 2**32, 2**32 + 1):
        ends = sorted({0, n // 2, n - 1})
        last = Payload([n - 1], [1], n, 2)
        some = Payload(ends, [i % 2 for i in range(len(ends))], n, 2)
        codings = [c for c in INDEX_CODINGS[1:] if n < 1 << 17 or not c.name.startswith("bitmap")]
        for coding in codings:
            blob = encode(some, index_coding=coding.name)
            yield Vector(f"n-{n}-{coding.name}", f"N = {n}: first, middle and last image", ["boundary-n"], blob)
        yield Vector(f"n-{n}-last", f"N = {n}: the last image only", ["boundary-n"], encode(last))
        yield Vector(f"n-{n}-none", f"N = {n}: k = 0", ["boundary-n", "empty"], encode(Payload([], [], n, 2)))
        if n < 1 << 17:
            everything = Payload(range(n), np.zeros(n, int), n, 2)
            yield Vector(f"n-{n}-all", f"N = {n}: k = N", ["boundary-n", "all"], encode(everything))
            blob = encode(Payload(range(n - 1), np.zeros(n - 1, int), n, 2))
            yield Vector(f"n-{n}-all-but-last", f"N = {n}: all but the last image", ["boundary-n", "complement"], blob)

    for c in (1, 2, 3, 255, 256, 257, 65_535, 65_536):
        labels = np.array([0, c - 1, c // 2, c - 1])
        payload = Payload([0, 1, 2, 3], labels, 10, c)
        for coding in LABEL_CODINGS[1:]:
            blob = encode(payload, index_coding="runs-plain", label_coding=coding.name)
            yield Vector(f"c-{c}-{coding.name}", f"C = {c}: first, middle and last class", ["boundary-c"], blob)
        blob = encode(Payload([3], [c - 1], 10, c), label_coding="constant-plain")
        yield Vector(f"c-{c}-constant-plain", f"C = {c}: the last class only", ["boundary-c"], blob)

    for width, gap in ((1, 255), (2, 256), (2, 65_535), (4, 65_536), (4, 2**32 - 1), (8, 2**32)):
        blob = encode(Payload([1, gap + 2], [0, 0], gap + 10, 1), index_coding="gaps-plain")
        yield Vector(f"gap-{gap}", f"a gap of {gap} takes {width} bytes", ["boundary-n"], blob)
    counts = [1, 1]
    while len(counts) < 28:
        counts.append(counts[-1] + counts[-2])
    labels = np.repeat(np.arange(28), np.minimum(counts, 2_000))
    lengths = [24, 24, *range(23, 0, -1)]
    yield Vector(
        "huffman-24-bits",
        "code lengths 24, 24, 23, 22, ... 1: the deepest code there can be",
        ["label-coding"],
        Raw(
            reference_size=varint(25),
            num_classes=varint(25),
            index_code=0,
            label_code=2,
            labels=_huffman_stream(lengths, list(range(25))),
        ).build(),
    )
    yield Vector(
        "huffman-one-symbol",
        "a table with one used symbol: its code has no bits",
        ["label-coding"],
        encode(Payload([1, 2, 9], [2, 2, 2], 20, 4), label_coding="classes-huffman"),
    )
    strided = Payload(range(3, 40_000, 10), [i % 7 % 2 for i in range(4_000)], 40_000, 2, DIGEST, Universe(3, 10))
    yield Vector(
        "universe-all", "every tenth image from the fourth on", ["universe", "all", "example"], encode(strided)
    )
    part = Payload([5, 8, 17], [0, 1, 0], 20, 2, DIGEST, Universe(2, 3))
    for coding in INDEX_CODINGS[1:]:
        blob = encode(part, index_coding=coding.name)
        yield Vector(f"universe-{coding.name}", "three of the images 2, 5, ... 17", ["universe"], blob)
    yield Vector(
        "universe-of-one",
        "offset N - 1, stride N",
        ["universe"],
        encode(Payload([19], [0], 20, 2, DIGEST, Universe(19, 20))),
    )
    most = Payload([i for i in range(300) if i not in (7, 8, 200)], [i % 3 for i in range(297)], 300, 3)
    for coding in INDEX_CODINGS[1:]:
        blob = encode(most, index_coding=coding.name)
        yield Vector(f"complement-{coding.name}", "all but three of 300 images", ["complement"], blob)
    for size in range(10, 33, 2):
        blob = encode(Payload([1], [0], 20, 2, bytes(range(size))))
        yield Vector(f"digest-{size}", f"a digest of {size} bytes", ["digest"], blob)
    yield Vector(
        "reference-as-expected",
        "the expected digest is longer than the one in the payload, and begins with it",
        ["digest"],
        encode(six),
        expected_digest=DIGEST + bytes(24),
    )
    three = ["cat", "große Katze", "犬"]
    names = Payload([1], [0], 20, 3, class_names=three)
    yield Vector("names-plain", "class names, plain", ["section", "example"], encode(names))
    decomposed = Payload([1], [0], 20, 3, class_names=["A\u030a", "e\u0301", "\ufb01"])
    yield Vector(
        "names-decomposed", "class names that are not in NFC stay as they are", ["section"], encode(decomposed)
    )
    checked = Payload([1], [0], 20, 3, DIGEST, class_check=class_check(three))
    yield Vector("class-check", "the class check of three names", ["class-check", "example"], encode(checked))
    for name, fields in (
        ("no-digest", {}),
        ("digest-32", {"reference_digest": bytes(range(32))}),
        ("universe", {"reference_digest": DIGEST, "universe": Universe(1, 3)}),
        ("sections", {"soft_labels": [[40, 0, 1]], "weights": [15]}),
        ("zero", {"class_check": bytes(2)}),
    ):
        checked = Payload([1], [0], 20, 3, **({"class_check": class_check(three)} | fields))
        flags = ["class-check", *(["section", "soft-labels", "weights"] if name == "sections" else [])]
        yield Vector(f"class-check-{name}", "a class check beside other fields", flags, encode(checked))
    everything = Payload(range(20), [0] * 20, 20, 3, DIGEST, class_check=class_check(three))
    comment = "a class check, and neither k nor index length"
    yield Vector("class-check-all", comment, ["class-check", "all"], encode(everything))
    alone = Raw(flags=0x90, class_check=b"\0\1", sections=varint(1) + section(0x84, 9, b"")).build()
    yield Vector("class-check-other-section", "a class check and a reserved section", ["class-check", "section"], alone)
    long_names = Payload([1], [0], 20, 40, class_names=[f"class number {i}" for i in range(40)])
    yield Vector("names-zstd", "class names, zstd", ["section"], encode(long_names))
    unknown = bytes([0xFE, 0x09]) + varint(3) + b"abc"
    yield Vector(
        "section-unknown-ancillary",
        "an ancillary section of an unknown type and coding is skipped",
        ["section"],
        Raw(flags=0x80, sections=varint(1) + unknown).build(),
    )
    yield Vector(
        "section-reserved",
        "class names, a reserved ancillary section and an unknown one",
        ["section"],
        Raw(flags=0x80, sections=varint(3) + section(0x81, 0, b"a\nb\nc\nd") + section(0x84, 9, b"") + unknown).build(),
    )
    yield Vector(
        "header-intact", "the payload whose header the vectors `damage-` and `forged-` damage", [], header_intact()
    )


def modelled_vectors() -> Iterator[Vector]:
    """What drives the models of spec sections 6.6 and 7.5 to their corners."""
    random = np.random.default_rng(2)
    # Runs of 500 alike images: each keeps a share of its own, and prefers a class of its own.
    for num_classes in (2, 10, 200):
        shares = np.repeat(random.beta(0.3, 3, 40), 500)
        favourites = np.repeat(random.integers(0, num_classes, 40), 500)
        kept = np.flatnonzero(random.random(20_000) < shares)
        others = random.integers(0, num_classes, len(kept))
        labels = np.where(random.random(len(kept)) < 0.7, favourites[kept], others)
        payload = Payload(kept, labels, 20_000, num_classes, DIGEST)
        comment = f"runs of 500 alike images, {num_classes} classes"
        blob = encode(payload, index_coding="gaps-modelled", label_coding="classes-modelled")
        yield Vector(f"modelled-{num_classes}-classes", comment, ["modelled"], blob)
    for name, labels in (
        ("alternating", [0, 1] * 1_000),
        ("one-class", [1] * 2_000),
        ("one-change", [0] * 1_000 + [3] * 1_000),
        ("rising", list(range(2_000))),
        ("spread", [0, 65_535, 1, 32_768, 65_535, 0] * 50),
    ):
        num_classes = 65_536 if max(labels) > 3 else 4
        payload = Payload(range(len(labels)), labels, len(labels), num_classes)
        blob = encode(payload, label_coding="classes-modelled")
        yield Vector(f"modelled-labels-{name}", f"labels: {name}, C = {num_classes}", ["modelled"], blob)
    for name, indices, size in (
        ("dense", np.flatnonzero(np.arange(3_000) % 100 != 99), 3_000),
        ("blocks", np.flatnonzero(np.arange(20_000) // 500 % 8 == 3), 20_000),
        ("sparse", np.cumsum([1, 2**20, 1, 2**33, 1, 2**44, 1, 1]), 2**46),
        ("late", np.arange(2**48 - 40, 2**48, 3), 2**48),
    ):
        payload = Payload(indices, np.zeros(len(indices), int), size, 1)
        for complement in (False, True):
            if complement and size - len(indices) > 20_000:
                continue
            coded = np.setdiff1d(np.arange(size), indices) if complement else indices
            stream = _modelled_index(coded, size, 9)
            raw = Raw(
                flags=0x40 * complement,
                index_code=6,
                label_code=0,
                reference_size=varint(size),
                num_classes=varint(1),
                kept=varint(len(indices)),
                index=stream,
                labels=b"\0",
            ).build()
            assert decode(raw) == payload
            suffix = "-complement" if complement else ""
            yield Vector(f"modelled-index-{name}{suffix}", f"positions: {name}", ["modelled"], raw)
    some = np.flatnonzero(random.random(1_000) < 0.3)
    classes = np.minimum(random.geometric(0.3, len(some)) - 1, 6)
    for change in (0, 15):
        index = _modelled_index(some, 1_000, change)
        for prior in (0, 7):
            raw = Raw(
                index_code=6,
                label_code=4,
                reference_size=varint(1_000),
                num_classes=varint(7),
                kept=varint(len(some)),
                index=index,
                labels=_modelled_labels(some, classes, 7, change, prior),
            ).build()
            assert decode(raw) == Payload(some, classes, 1_000, 7)
            yield Vector(f"modelled-{change}-{prior}", f"t = {change}, u = {prior}", ["modelled"], raw)
    index, labels = _modelled_three()
    filled = {"index_code": 6, "label_code": 4, "index": _filled(index), "labels": _filled(labels)}
    yield Vector(
        "modelled-filled", "streams that keep the zero bytes at their end", ["modelled"], Raw(**filled).build()
    )


CODERS = ("plain", "huffman", "zstd", "modelled")
#: Codes for the used classes 0, 1 and 3 of four, and for six images: those of the worked examples.
SIX_SOFT_LABELS = [[45, 37, 33, 0], [35, 50, 36, 39], [0, 40, 37, 47]]
SIX_WEIGHTS = [15, 12, 12, 9, 13, 12]


def codes_section(type_: int, coder: int, codes: Any, space: int, positions: Any) -> bytes:
    """A section of codes in a coder of one's choice."""
    context = CodingContext(space, Limits(), np.array(positions, np.int64))
    codec = LABEL_CODINGS[1 + coder].codec
    values = np.array(codes, np.int32).ravel()
    return section(type_, coder, codec.encode(values, context, thorough=True) if len(values) else b"")


def soft_labels_section(coder: int, codes: Any) -> bytes:
    return codes_section(0x82, coder, codes, 64, range(np.size(codes)))


def weights_section(coder: int, codes: Any, positions: Any) -> bytes:
    return codes_section(0x83, coder, codes, 16, positions)


def code_vectors() -> Iterator[Vector]:
    """Sections of soft labels and of weights (spec sections 8.2 to 8.4)."""
    kept = [2, 3, 4, 5, 12, 19]
    six: dict[str, Any] = {
        "flags": 0x81,
        "digest": DIGEST,
        "kept": varint(6),
        "index": bytes([2, 0, 0, 0, 6, 6]),
        "labels": bytes([0x54, 0xD0]),
    }
    random = np.random.default_rng(4)
    concentrations = np.clip(np.rint(random.normal(33, 4, (12, 12))), 0, 63).astype(int) + 11 * np.eye(12, dtype=int)
    positions = np.flatnonzero(random.random(2_000) < 0.1)
    weights = np.clip(15 - random.geometric(0.3, len(positions)), 0, 15)
    many = Payload(positions, np.arange(len(positions)) % 12, 2_000, 12)
    for coder, name in enumerate(CODERS):
        example = ["example"] if coder == 0 else []
        data = soft_labels_section(coder, SIX_SOFT_LABELS)
        comment = f"soft labels of three used classes of four, {name}"
        blob = Raw(**six, sections=b"\1" + data).build()
        yield Vector(f"soft-labels-{name}", comment, ["section", "soft-labels", *example], blob)
        data = weights_section(coder, SIX_WEIGHTS, kept)
        blob = Raw(**six, sections=b"\1" + data).build()
        yield Vector(f"weights-{name}", f"weights of six images, {name}", ["section", "weights", *example], blob)
        both = soft_labels_section(coder, concentrations) + weights_section(coder, weights, positions)
        blob = raw_of(many, b"\2" + both)
        comment = f"soft labels of twelve classes and weights of some 200 images, {name}"
        yield Vector(f"codes-many-{name}", comment, ["section", "soft-labels", "weights"], blob)
        nothing: dict[str, Any] = {"flags": 0x80, "kept": b"\0", "index": b"", "labels": b""}
        both = soft_labels_section(coder, []) + weights_section(coder, [], [])
        blob = Raw(**nothing, sections=b"\2" + both).build()
        comment = f"k = 0: no soft labels and no weights, {name}"
        yield Vector(f"codes-empty-{name}", comment, ["section", "soft-labels", "weights", "empty"], blob)
    for name, codes, ones in (
        ("smallest", [[1, 0, 0, 0], [0, 0, 0, 1], [0, 1, 0, 0]], [0] * 6),
        ("largest", [[63] * 4] * 3, [15] * 6),
    ):
        both = soft_labels_section(1, codes) + weights_section(1, ones, kept)
        comment = f"the {name} codes, and one-symbol tables or nearly"
        blob = Raw(**six, sections=b"\2" + both).build()
        yield Vector(f"codes-{name}", comment, ["section", "soft-labels", "weights"], blob)
    everything = Payload(
        [5, 8, 17],
        [0, 1, 0],
        20,
        2,
        DIGEST,
        Universe(2, 3),
        ["cat", "dog"],
        [[52, 40], [41, 50]],
        [15, 3, 9],
    )
    comment = "a universe, class names, soft labels and weights"
    yield Vector("section-all", comment, ["section", "universe", "soft-labels", "weights"], encode(everything))


def raw_of(payload: Payload, sections: bytes) -> bytes:
    """A payload without sections, and sections of one's choice."""
    blob = encode(payload, index_coding="gaps-plain", label_coding="classes-plain")
    parsed = parse_container(memoryview(blob))
    (at, size), end = parsed.index_stream, sum(parsed.label_stream)
    return Raw(
        flags=0x80,
        reference_size=varint(payload.reference_size),
        num_classes=varint(payload.num_classes),
        kept=varint(payload.kept),
        index=blob[at : at + size],
        labels=blob[at + size : end],
        sections=sections,
    ).build()


def _bad_codes(bad: Any) -> Iterator[Vector]:
    """Sections of codes of the payload of `Raw`: three images, of the classes 0, 1 and 2 of four."""
    yield from _bad_sequence(bad, 0x82, "soft-labels", 12, 64)
    yield from _bad_sequence(bad, 0x83, "weights", 3, 16)
    three = section(0x81, 0, b"a\nb\nc\nd") + section(0x82, 0, b"") + section(0xFE, 9, b"abc")
    comment = "no bytes of soft labels, which were reserved when this vector was made"
    flags = ["section", "soft-labels", "ancillary"]
    yield bad("section-three", "stream-length", comment, *flags, flags=0x80, sections=b"\3" + three)
    padded = ((0x82, "soft-labels", f"{1:06b}" * 9 + "01"), (0x83, "weights", f"{1:04b}" * 3 + "0001"))
    for type_, name, text in padded:
        listed = b"\1" + section(type_, 0, bits(text))
        flags = ["section", name, "ancillary", "canonical"]
        comment = "a one in the padding of plain codes, C = 3"
        yield bad(f"{name}-padding", "padding", comment, *flags, flags=0x80, num_classes=varint(3), sections=listed)
    for row in range(3):
        codes = np.eye(4, dtype=int)[:3]
        codes[row] = 0
        listed = b"\1" + soft_labels_section(row, codes)
        comment = f"every code of the used class {row} is 0"
        flags = ["section", "soft-labels", "ancillary"]
        yield bad(f"soft-labels-row-{row}", "soft-labels", comment, *flags, flags=0x80, sections=listed)


def _bad_sequence(bad: Any, type_: int, name: str, count: int, space: int) -> Iterator[Vector]:
    """A section of `count` codes below `space`, in the payload of `Raw`."""
    nothing: dict[str, Any] = {"kept": b"\0", "index": b"", "labels": b""}

    def of(id_: str, rule: str, comment: str, coder: int, data: bytes, *more: str, **fields: Any) -> Vector:
        listed = b"\1" + section(type_, coder, data)
        flags = ["section", name, "ancillary", *more]
        return bad(f"{name}-{id_}", rule, comment, *flags, flags=0x80, sections=listed, **fields)  # type: ignore[no-any-return]

    ones = bits(f"{1:0{space.bit_length() - 1}b}" * count)
    content = bytes([1] * count)
    stream = deflate(content, thorough=False)
    # unused 0; used 2; lengths 1 (+1), 1 (+0); the others unused; codes 0, 1
    table = f"1 010 011 1 {_gamma(space - 2)}"
    coded = bits(table + "1" * count)
    for coder, data in enumerate((ones, coded, stream)):
        decode(Raw(flags=0x80, sections=b"\1" + section(type_, coder, data)).build())

    for coder in (4, 255):
        yield of(f"coder-{coder}", "coding", f"coder {coder}, unknown", coder, ones)
    yield of("coder-of-nothing", "coding", "k = 0, and coder 4, unknown", 4, b"", "empty", **nothing)
    for coder, coder_name in enumerate(CODERS):
        comment = f"k = 0, and a byte, {coder_name}"
        yield of(f"empty-{coder_name}", "stream-length", comment, coder, b"\0", "empty", **nothing)
    yield of("nothing", "stream-length", "no bytes", 0, b"")
    yield of("short", "stream-length", "a byte too few", 0, ones[:-1], "truncated")
    yield of("long", "stream-length", "a byte too many", 0, ones + b"\0", "trailing")
    lengthless = bits(f"1 010 1 1 {_gamma(space - 2)}")
    yield of("huffman-table", "huffman-table", "two used codes of no bits", 1, lengthless)
    yield of("huffman-ended", "stream-end", "the table only", 1, bits(table), "truncated")
    yield of("huffman-left-over", "stream-length", "a byte left over", 1, coded + b"\0", "trailing")
    padded = coded[:-1] + bytes([coded[-1] | 1])
    yield of("huffman-padding", "padding", "a one in the padding", 1, padded, "canonical")
    large = deflate(content[:-1] + bytes([space]), thorough=False)
    yield of("zstd-range", "label-range", f"a code of {space}", 2, large, "zstd")
    yield of("zstd-size", "zstd-size", "a code too few", 2, deflate(content[:-1], thorough=False), "zstd")
    yield of("zstd-cut", "zstd-frame", "a frame cut short", 2, stream[:-1], "zstd", "truncated")
    comment = "no bytes, where more than four are read"
    yield of("modelled-nothing", "stream-end", comment, 3, b"", "modelled", "truncated")
    yield of("modelled-left-over", "stream-length", "more bytes than are read", 3, bytes(99), "modelled", "trailing")


def _bad_modelled(bad: Any) -> Iterator[Vector]:
    index, labels = _modelled_three()
    both: dict[str, Any] = {"index_code": 6, "label_code": 4}
    good = both | {"index": index, "labels": labels}
    assert decode(Raw(**good).build()).indices.tolist() == [2, 3, 13]
    for name, stream in (("index", index), ("labels", labels)):
        longest = _filled(stream)
        half = _many()[name]
        half = half[: len(half) // 2]
        fields = _many() | {name: half}
        yield bad(f"modelled-{name}-cut", "stream-end", "half of the stream", "truncated", "modelled", **fields)
        yield bad(
            f"modelled-{name}-nothing",
            "stream-end",
            "no bytes, where more than four are read",
            "truncated",
            "modelled",
            **(_many() | {name: b""}),
        )
        yield bad(
            f"modelled-{name}-left-over",
            "stream-length",
            "a byte more than is read",
            "trailing",
            "modelled",
            **(good | {name: longest + b"\0"}),
        )
    yield bad(
        "modelled-index-past-end", "index-range", "every block is empty", "modelled", **(good | {"index": bytes(99)})
    )
    last = _modelled_index([2, 3, 21], 23, 9)  # floor(log2(M // d)) is the same
    yield bad(
        "modelled-index-of-a-larger-set",
        "index-range",
        "the stream of another N",
        "modelled",
        **(good | {"index": last}),
    )
    three: dict[str, Any] = {"index_code": 6, "reference_size": varint(3), "index": _modelled_index([1, 2, 3], 3, 9)}
    comment = "a third position after the last image"
    yield bad("modelled-index-after-the-last", "index-range", comment, "modelled", **three)
    noise = np.random.default_rng(3).bytes(64)
    million = _many() | {"reference_size": varint(2**21), "kept": varint(2**20), "index": noise}
    comment = "a million values in 64 random bytes"
    yield bad("modelled-index-promised", "stream-end", comment, "bomb", "modelled", **million)
    million |= {"index_code": 0, "labels": noise}
    yield bad("modelled-labels-promised", "stream-end", comment, "bomb", "modelled", **million)


def _modelled_index(positions: Any, size: int, change_exponent: int) -> bytes:
    model = gaps_modelled.model(np.array(positions, np.int64), size, change_exponent)
    return modelled.write(model, len(positions)).stream


def _modelled_labels(positions: Any, labels: Any, num_classes: int, change_exponent: int, prior_exponent: int) -> bytes:
    context = CodingContext(num_classes, Limits(), np.array(positions, np.int64))
    model = classes_modelled.model(np.array(labels, np.int32), context, change_exponent, prior_exponent)
    return modelled.write(model, len(labels)).stream


def _modelled_three() -> tuple[bytes, bytes]:
    """Index and label stream of the three images of `Raw`, of classes 0, 1 and 2."""
    return _modelled_index([2, 3, 13], 20, 9), _modelled_labels([2, 3, 13], [0, 1, 2], 4, 9, 3)


def _many() -> dict[str, Any]:
    """Fields that say 300 of 600 images and ten classes, by modelled streams."""
    kept = np.arange(0, 600, 2)
    labels = np.arange(300) % 10
    return {
        "index_code": 6,
        "label_code": 4,
        "reference_size": varint(600),
        "num_classes": varint(10),
        "kept": varint(300),
        "index": _modelled_index(kept, 600, 9),
        "labels": _modelled_labels(kept, labels, 10, 9, 3),
    }


def _filled(stream: bytes) -> bytes:
    """The stream with the zero bytes that its encoder left out."""
    for zeros in range(4, -1, -1):
        for fields in (
            {"index_code": 6, "index": stream + bytes(zeros)},
            {"label_code": 4, "labels": stream + bytes(zeros)},
        ):
            try:
                decode(Raw(**fields).build())
            except PladaError:
                continue
            return stream + bytes(zeros)
    raise AssertionError("this is no stream of three images")


def _gamma(n: int) -> str:
    return "0" * (n.bit_length() - 1) + f"{n:b}"


def _huffman_stream(lengths: list[int], symbols: list[int]) -> bytes:
    """A huffman stream (spec section 5.4) of symbols that are all used, written as text."""
    text, previous = _gamma(1) + _gamma(len(lengths)), 0
    for length in lengths:
        delta = length - previous
        text += _gamma((2 * delta if delta >= 0 else -2 * delta - 1) + 1)
        previous = length
    codes, code = {}, 0
    for length in range(1, 25):
        code *= 2
        for symbol in [s for s, other in enumerate(lengths) if other == length]:
            codes[symbol] = f"{code:0{length}b}"
            code += 1
    return bits(text + "".join(codes[symbol] for symbol in symbols))


def header_intact() -> bytes:
    names = bytes([0x81, 0]) + varint(7) + b"a\nb\nc\nd"
    return Raw(
        flags=0x80 | 0x20 | 0x01,
        universe=varint(1) + varint(2),
        reference_size=varint(200),
        digest=DIGEST,
        sections=varint(1) + names,
    ).build()


def damaged_headers() -> Iterator[Vector]:
    """Every flipped bit of the header that has an error of its own."""
    intact = header_intact()
    header_bytes = parse_container(memoryview(intact)).index_stream[0]
    for bit in range(8 * header_bytes):
        damaged = bytearray(intact)
        damaged[bit // 8] ^= 128 >> bit % 8
        forged = bytes(damaged[:-4]) + zlib.crc32(damaged[:-4]).to_bytes(4, "little")
        for prefix, blob in (("damage", bytes(damaged)), ("forged", forged)):
            try:
                decode(blob)
            except PladaError as error:
                if error.rule != "checksum":
                    comment = f"bit {7 - bit % 8} of byte {bit // 8} flipped"
                    flags = [prefix, "ancillary"] if right_answers(blob).outputs else [prefix]
                    yield Vector(f"{prefix}-{bit // 8:02}-{7 - bit % 8}", comment, flags, blob, error.rule)


def invalid_vectors() -> Iterator[Vector]:
    good = Raw().build()
    assert decode(good).indices.tolist() == [2, 3, 13]

    def bad(id_: str, rule: str, comment: str, *flags: str, **fields: Any) -> Vector:
        return Vector(id_, comment, list(flags), Raw(**fields).build(), rule)

    yield Vector("nothing", "no bytes at all", ["truncated"], b"", "header")
    yield Vector("signature-only", "the signature only", ["truncated"], good[:3], "header")
    yield Vector("text", "another kind of file", [], b"index,label\n1,0\n", "signature")
    yield Vector(
        "high-bit-cleared", "the eighth bit of every byte cleared", [], bytes(b & 0x7F for b in good), "signature"
    )
    for size in range(4, len(good)):
        try:
            decode(good[:size])
        except PladaError as error:
            yield Vector(
                f"truncated-{size:02}", f"the first {size} of {len(good)} bytes", ["truncated"], good[:size], error.rule
            )
    yield bad("trailing-byte", "checksum", "one zero byte after the checksum", "trailing", trailing=b"\0")
    yield bad("trailing-payload", "checksum", "a second payload after the first", "trailing", trailing=good)
    yield Vector("checksum-zero", "the checksum is zero", [], good[:-4] + bytes(4), "checksum")
    yield Vector("checksum-big-endian", "the checksum's bytes are reversed", [], good[:-4] + good[:-5:-1], "checksum")
    yield bad("version-0", "version", "version 0", version=0)
    yield bad("version-2", "version", "version 2", version=2)

    yield bad("varint-overlong-n", "varint", "N = 20 as 94 00", "canonical", reference_size=b"\x94\x00")
    yield bad("varint-overlong-zero", "varint", "k = 0 as 80 00", "canonical", kept=b"\x80\x00")
    yield bad("varint-overlong-c", "varint", "C = 4 as 84 80 00", "canonical", num_classes=b"\x84\x80\x00")
    yield bad("varint-ten-bytes", "varint", "N in ten bytes", reference_size=b"\xff" * 9 + b"\x01")
    yield bad("varint-index-length", "varint", "an overlong index length", "canonical", index_length=b"\x83\x00")
    for code in (14, 15):
        yield bad(f"digest-code-{code}", "digest-length", f"digest code {code}", flags=code, digest=bytes(36))
    fields = {"flags": 0x9F, "digest": bytes(36), "class_check": b"\0\1"}
    yield bad("class-check-digest-code", "digest-length", "a class check and digest code 15", "class-check", **fields)
    flagged: dict[str, Any] = {"flags": 0x11, "digest": DIGEST, "class_check": b"\0\1"}
    for size in (0, 1):
        cut = Raw(**flagged).build()[: 6 + 3 + 8 + size]
        blob = cut + zlib.crc32(cut).to_bytes(4, "little")
        comment = f"ends after {size} bytes of the class check"
        yield Vector(f"class-check-cut-{size}", comment, ["class-check", "truncated"], blob, "header")
    comment = "the flag, but no class check: the fields that follow are taken for it"
    yield bad("class-check-missing", "stream-length", comment, "class-check", **(flagged | {"class_check": b""}))
    comment = "a class check, but not its flag: it is taken for the index length"
    yield bad("class-check-unflagged", "stream-length", comment, "class-check", **(flagged | {"flags": 0x01}))
    named = {"flags": 0x91, "sections": b"\1" + section(0x81, 0, b"a\nb\nc\nd")}
    comment = "a class check and class names"
    yield bad("class-check-with-names", "class-check", comment, "class-check", "section", **(flagged | named))
    named |= {"sections": b"\1" + section(0x81, 9, b"")}
    comment = "a class check and class names in an unknown coder"
    yield bad("class-check-with-skipped-names", "class-check", comment, "class-check", "section", **(flagged | named))
    named |= {"sections": b"\2" + section(1, 0, b"") + section(0x81, 0, b"a\nb\nc\nd")}
    comment = "a class check, class names, and an unknown critical section, which is reported first"
    yield bad("class-check-and-critical", "section-critical", comment, "class-check", "section", **(flagged | named))
    yield bad(
        "index-longer-than-file", "header", "an index length beyond the payload", "truncated", index_length=varint(9)
    )
    yield bad("index-longer-than-memory", "header", "an index length of 2^62", "bomb", index_length=varint(2**62))
    for code in range(9, 16):
        yield bad(f"index-code-{code}", "coding", f"index coding {code}, unknown", index_code=code)
    for code in range(5, 16):
        yield bad(f"label-code-{code}", "coding", f"label coding {code}, unknown", label_code=code)
    yield bad("n-zero", "reference-size", "N = 0", reference_size=b"\0", kept=b"\0", index=b"", labels=b"")
    yield bad("c-zero", "classes", "C = 0", num_classes=b"\0")
    yield bad("c-too-many", "classes", "C = 65,537", num_classes=varint(65_537))
    yield bad("universe-default", "universe", "offset 0 and stride 1 said", "canonical", flags=0x20, universe=b"\0\1")
    yield bad("universe-stride-zero", "universe", "stride 0", flags=0x20, universe=b"\1\0")
    yield bad("universe-stride-large", "universe", "stride N + 1", flags=0x20, universe=b"\0\x15")
    yield bad("universe-offset-large", "universe", "offset N", flags=0x20, universe=b"\x14\1")
    yield bad("kept-too-many", "kept", "k = N + 1", kept=varint(21))
    yield bad("kept-beyond-universe", "kept", "k = 3 of a universe of 2", flags=0x20, universe=b"\0\x0a")
    yield bad("section-none", "section-order", "an empty list of sections", "section", flags=0x80, sections=b"\0")
    two = bytes([0xFE, 0, 0]) * 2
    yield bad("section-twice", "section-order", "one type twice", "section", flags=0x80, sections=b"\2" + two)
    swapped = bytes([0xFE, 0, 0, 0xFD, 0, 0])
    yield bad("section-order", "section-order", "types descending", "section", flags=0x80, sections=b"\2" + swapped)
    for code in (0x00, 0x01, 0x7F):
        one = b"\1" + bytes([code, 0, 0])
        comment = f"an unknown critical section, {code:02x}"
        yield bad(f"section-critical-{code:02x}", "section-critical", comment, "section", flags=0x80, sections=one)
    yield bad(
        "section-cut", "header", "a section longer than the payload", "section", flags=0x80, sections=b"\1\xfe\0\x40"
    )
    yield bad("section-count-huge", "header", "2^62 sections", "bomb", flags=0x80, sections=varint(2**62))

    yield bad("empty-with-index", "stream-length", "k = 0 and an index stream", "empty", kept=b"\0", labels=b"")
    yield bad("empty-with-labels", "stream-length", "k = 0 and a label stream", "empty", kept=b"\0", index=b"")

    # Gaps. 64-bit gaps that would wrap around are how a repeated or descending index could be said.
    yield bad("gaps-past-end", "index-range", "the last gap leads to N", index=bytes([2, 0, 16]))
    yield bad("gaps-first-past-end", "index-range", "the first gap leads to N", index=bytes([20, 0, 0]))
    wide = [g.to_bytes(8, "little") for g in (2, 2**64 - 1, 9)]
    yield bad("gaps-repeated", "index-range", "a gap of 2^64 - 1 would repeat index 2", index=b"".join(wide))
    wide[1] = (2**64 - 2).to_bytes(8, "little")
    yield bad("gaps-unsorted", "index-range", "a gap of 2^64 - 2 would go back to index 1", index=b"".join(wide))
    yield bad(
        "gaps-too-wide",
        "gap-width",
        "gaps of two bytes where one would do",
        "canonical",
        index=bytes([2, 0, 0, 0, 9, 0]),
    )
    for size in (1, 2, 4, 5, 9, 18, 25):
        yield bad(f"gaps-{size}-bytes", "stream-length", f"three gaps in {size} bytes", index=bytes(size))
    # Bitmap of 20 images.
    ok = bytes([0b00110000, 0b00000100, 0])
    assert decode(Raw(index_code=1, index=ok).build()).indices.tolist() == [2, 3, 13]
    yield bad("bitmap-few", "bitmap-count", "two ones for k = 3", index_code=1, index=bytes([0x30, 0, 0]))
    yield bad("bitmap-many", "bitmap-count", "four ones for k = 3", index_code=1, index=bytes([0x30, 4, 0x80]))
    yield bad("bitmap-padding", "padding", "a one in the padding", "canonical", index_code=1, index=ok[:2] + b"\1")
    yield bad("bitmap-short", "stream-length", "two bytes", index_code=1, index=ok[:2])
    yield bad("bitmap-long", "stream-length", "four bytes", "trailing", index_code=1, index=ok + b"\0")
    # Runs: skip 2, run of 2, skip 9, run of 1.
    assert decode(Raw(index_code=7, index=bytes([2, 1, 8, 0])).build()).indices.tolist() == [2, 3, 13]
    yield bad("runs-ended", "stream-end", "ends after the first run", "truncated", index_code=7, index=bytes([2, 1]))
    yield bad(
        "runs-ended-in-pair", "stream-end", "ends after a skip", "truncated", index_code=7, index=bytes([2, 1, 8])
    )
    yield bad(
        "runs-left-over", "stream-length", "a byte left over", "trailing", index_code=7, index=bytes([2, 1, 8, 0, 0])
    )
    yield bad("runs-too-many", "run-count", "runs add up to 4", index_code=7, index=bytes([2, 1, 8, 1]))
    yield bad("runs-skip-past-end", "index-range", "a skip to N", index_code=7, index=bytes([2, 1, 15, 0]))
    yield bad("runs-run-past-end", "index-range", "a run past N", index_code=7, index=bytes([18, 2]))
    yield bad("runs-overlong", "varint", "an overlong skip", "canonical", index_code=7, index=bytes([0x82, 0, 1, 8, 0]))
    yield bad("runs-huge", "index-range", "a skip of 2^63 - 1", "bomb", index_code=7, index=varint(2**63 - 1) + b"\0")
    yield from _bad_huffman(bad)
    yield from _bad_modelled(bad)
    yield from _bad_codes(bad)
    # Labels.
    yield bad("label-range", "label-range", "class 3 of 3", num_classes=varint(3), labels=bytes([0b00011100]))
    yield bad("label-padding", "padding", "a one in the padding", "canonical", labels=bytes([0b00011001]))
    yield bad("label-short", "stream-length", "no bytes", labels=b"")
    yield bad("label-long", "stream-length", "two bytes", "trailing", labels=bytes(2))
    yield bad("constant-range", "label-range", "class 4 of 4", label_code=0, labels=b"\4")
    yield bad("constant-nothing", "stream-end", "no class", "truncated", label_code=0, labels=b"")
    yield bad("constant-long", "stream-length", "two varints", "trailing", label_code=0, labels=b"\1\1")
    yield bad("constant-overlong", "varint", "an overlong varint", "canonical", label_code=0, labels=b"\x81\0")
    # zstd.
    content = bytes([0, 1, 2])
    zstd = {"label_code": 3}
    assert decode(Raw(**zstd, labels=deflate(content, thorough=False)).build()).labels.tolist() == [0, 1, 2]
    stream = deflate(content, thorough=False)
    yield bad(
        "zstd-magic", "zstd-frame", "a frame with its magic number", "zstd", **zstd, labels=b"\x28\xb5\x2f\xfd" + stream
    )
    yield bad("zstd-nothing", "zstd-frame", "no frame", "zstd", **zstd, labels=b"")
    yield bad("zstd-cut", "zstd-frame", "a frame cut short", "zstd", "truncated", **zstd, labels=stream[:-1])
    yield bad(
        "zstd-left-over", "zstd-frame", "a byte after the frame", "zstd", "trailing", **zstd, labels=stream + b"\0"
    )
    yield bad(
        "zstd-two-frames",
        "zstd-frame",
        "two frames",
        "zstd",
        "trailing",
        **zstd,
        labels=stream + b"\x28\xb5\x2f\xfd" + stream,
    )
    unsized = frame(content, write_content_size=False)
    yield bad("zstd-no-size", "zstd-frame", "no content size", "zstd", **zstd, labels=unsized)
    unsummed = frame(content, write_checksum=False)
    yield bad("zstd-no-checksum", "zstd-frame", "no content checksum", "zstd", **zstd, labels=unsummed)
    wrong = stream[:-1] + bytes([stream[-1] ^ 1])
    yield bad(
        "zstd-wrong-checksum", "zstd-frame", "the content checksum of another content", "zstd", **zstd, labels=wrong
    )
    for number, damaged in enumerate(READ_DIFFERENTLY, start=1):
        size = varint(int.from_bytes(damaged[1:3], "little") + 256)
        every = {"index_code": 0, "label_code": 3, "reference_size": size, "num_classes": varint(256)}
        comment = "a damaged block, which releases of libzstd decompress to different contents"
        yield bad(f"zstd-damaged-block-{number}", "zstd-frame", comment, "zstd", **every, labels=damaged)
    with_dictionary = bytes([stream[0] | 1]) + b"\x07" + stream[1:]
    yield bad("zstd-dictionary", "zstd-frame", "a dictionary is named", "zstd", **zstd, labels=with_dictionary)
    zero_id = bytes([stream[0] | 1]) + b"\x00" + stream[1:]
    yield bad("zstd-dictionary-zero", "zstd-frame", "a dictionary of ID 0 is named", "zstd", **zstd, labels=zero_id)
    unknown = bytes([0xC4, 0]) + b"\xff" * 8 + stream[2:]
    yield bad("zstd-size-unknown", "zstd-frame", "declares 2^64 - 1 bytes", "zstd", "bomb", **zstd, labels=unknown)
    head = bytes([0x84, (24 - 10) << 3]) + (3).to_bytes(4, "little")
    window = head + bytes([0b00011001, 0, 0]) + content + stream[-4:]
    yield bad("zstd-window", "zstd-frame", "a window of 16 MiB", "zstd", "bomb", **zstd, labels=window)
    yield bad(
        "zstd-label-range",
        "label-range",
        "class 4 of 4",
        "zstd",
        **zstd,
        labels=deflate(bytes([0, 1, 4]), thorough=False),
    )
    short = deflate(content[:2], thorough=False)
    yield bad("zstd-size", "zstd-size", "two labels for k = 3", "zstd", **zstd, labels=short)
    lie = (2**31).to_bytes(4, "little") + stream[2:]
    one_segment, window_8_mib = bytes([0xA4]), bytes([0x84, (23 - 10) << 3])
    yield bad(
        "zstd-bomb-segment", "zstd-frame", "2 GiB in one segment", "zstd", "bomb", **zstd, labels=one_segment + lie
    )
    yield bad("zstd-bomb-declared", "zstd-size", "declares 2 GiB", "zstd", "bomb", **zstd, labels=window_8_mib + lie)
    bomb = frame(bytes(1 << 24))
    yield bad("zstd-bomb", "zstd-size", "16 MiB of zeros", "zstd", "bomb", **zstd, labels=bomb)
    understated = bytes([0x24, 3]) + frame(bytes(1 << 16))[3:]
    yield bad(
        "zstd-understated", "zstd-frame", "declares 3 bytes, holds more", "zstd", "bomb", **zstd, labels=understated
    )
    gaps = {"index_code": 5}
    odd = deflate(bytes(5), thorough=False)
    yield bad("zstd-gaps-size", "zstd-size", "three gaps in five bytes", "zstd", **gaps, index=odd)
    past = deflate(bytes([2, 0, 16]), thorough=False)
    yield bad("zstd-gaps-past-end", "index-range", "the last gap leads to N", "zstd", **gaps, index=past)
    # Names.
    for id_, rule, comment, coder, data in (
        ("names-few", "class-names", "three names for four classes", 0, b"a\nb\nc"),
        ("names-many", "class-names", "five names for four classes", 0, b"a\nb\nc\nd\ne"),
        ("names-empty", "class-names", "an empty name", 0, b"a\n\nc\nd"),
        ("names-control", "class-names", "a control character", 0, b"a\x1b[2J\nb\nc\nd"),
        ("names-not-utf8", "class-names", "not UTF-8", 0, b"a\xff\nb\nc\nd"),
        ("names-twice", "class-names", "two equal names", 0, b"a\nb\na\nd"),
        ("names-twice-nfc", "class-names", "two names that are equal in NFC", 0, "\xe9\nb\ne\u0301\nd".encode()),
        ("names-coder", "coding", "names in coder 1", 1, b"a\nb\nc\nd"),
        ("names-zstd-empty", "class-names", "names in a frame of no bytes", 2, deflate(b"", thorough=False)),
        ("names-not-zstd", "zstd-frame", "names that are no zstd frame", 2, b"a\nb\nc\nd"),
    ):
        listed = b"\1" + section(0x81, coder, data)
        yield bad(id_, rule, comment, "section", "ancillary", flags=0x80, sections=listed)


def _bad_huffman(bad: Any) -> Iterator[Vector]:
    """Tables and streams over the four classes of `Raw`; the good one codes 0, 1, 2 with lengths 1, 2, 2."""

    def huffman(id_: str, rule: str, comment: str, text: str, *flags: str, extra: bytes = b"") -> Vector:
        return bad(id_, rule, comment, *flags, label_code=2, labels=bits(text) + extra)  # type: ignore[no-any-return]

    # unused 0; used 3; lengths 1 (+1), 2 (+1), 2 (+0); unused 1; codes 0, 10, 11
    head = "1 011"
    good = f"{head} 011 011 1 1"
    assert decode(Raw(label_code=2, labels=bits(good + "0 10 11")).build()).labels.tolist() == [0, 1, 2]
    yield huffman("huffman-ended", "stream-end", "ends before the last label", good + "0 10 1", "truncated")
    yield huffman("huffman-left-over", "stream-length", "a byte left over", good + "0 10 11", "trailing", extra=b"\0")
    padded = bits(good + "0 10 11")
    yield bad(
        "huffman-padding",
        "padding",
        "a one in the padding",
        "canonical",
        label_code=2,
        labels=padded[:-1] + bytes([padded[-1] | 1]),
    )
    yield huffman("huffman-incomplete", "huffman-table", "lengths 2, 2, 2", f"{head} 00101 1 1 1 00 01 10")
    yield huffman("huffman-oversubscribed", "huffman-table", "lengths 1, 1, 1", f"{head} 011 1 1 1 0 1 1")
    yield huffman("huffman-two-of-no-bits", "huffman-table", "lengths 0, 0, 0", f"{head} 1 1 1 1")
    yield huffman("huffman-negative", "huffman-table", "a length of -1", f"{head} 010 1 1 1 0")
    yield huffman("huffman-25-bits", "huffman-table", "a length of 25", f"{head} 00000110011 1 1 1 0")
    yield huffman("huffman-no-symbol", "huffman-table", "all four classes unused", "00101 0000")
    yield huffman("huffman-run-too-long", "huffman-table", "five used of four classes", "1 00101 011 011 1 1 1")
    yield huffman(
        "huffman-gap-too-long", "huffman-table", "two unused after three used", f"{head} 011 011 1 010 0 10 11"
    )
    yield huffman("huffman-first-gap-too-long", "huffman-table", "five unused first", "00110 00000")
    yield huffman("huffman-gamma", "huffman-table", "a gamma code of 32 zeros", "0" * 40 + "1" * 40, "bomb")
    yield huffman("huffman-zeros", "stream-end", "24 zeros: a gamma code without its end", "0" * 24)
    gaps = bits("1 010 1 0010100")
    yield bad("gaps-huffman-ended", "stream-end", "ends in the table", "truncated", index_code=4, index=gaps[:1])
    # alphabet of 5 (N = 20): unused 4, used 1 of length 0: every distance is 16 + 4 bits
    yield bad(
        "gaps-huffman-past-end",
        "index-range",
        "distances of 16 lead past N",
        index_code=4,
        index=bits("00101 1 1 0000 0000 0000"),
    )


def limit_vectors() -> Iterator[Vector]:
    def limited(id_: str, comment: str, blob: bytes, rule: str | None, *flags: str, **limits: int) -> Vector:
        return Vector(id_, comment, list(flags), blob, rule, limits)

    def of_size(n: int) -> bytes:
        return Raw(index_code=0, label_code=0, labels=b"\1", reference_size=varint(n)).build()

    yield limited("bomb-all", "all of 2^40 images, one class", of_size(2**40), "limit-kept", "bomb", "all")
    yield limited(
        "bomb-all-of-2-63", "all of 2^63 - 1 images", of_size(2**63 - 1), "limit-reference-size", "bomb", "all"
    )
    yield limited("kept-at-default-limit-plus-1", "2^25 + 1 images", of_size(2**25 + 1), "limit-kept", "bomb", "all")
    yield limited("kept-at-limit", "k = max_kept", of_size(1000), None, "all", max_kept=1000)
    yield limited("kept-above-limit", "k = max_kept + 1", of_size(1001), "limit-kept", "all", max_kept=1000)
    yield limited("n-at-limit", "N = max_reference_size", of_size(1000), None, max_reference_size=1000)
    yield limited(
        "n-above-limit", "N = max_reference_size + 1", of_size(1001), "limit-reference-size", max_reference_size=1000
    )
    huge = Raw(reference_size=varint(2**63 - 1)).build()
    yield limited(
        "n-largest", "N = 2^63 - 1, with limits to match", huge, None, "boundary-n", max_reference_size=2**63 - 1
    )
    last = Raw(
        reference_size=varint(2**63 - 1), kept=b"\1", index=(2**63 - 2).to_bytes(8, "little"), labels=b"\0"
    ).build()
    yield limited(
        "n-largest-last", "the last image of 2^63 - 1", last, None, "boundary-n", max_reference_size=2**63 - 1
    )
    yield limited("c-above-limit", "C = max_classes + 1", Raw().build(), "limit-classes", max_classes=3)
    yield limited("c-at-limit", "C = max_classes", Raw().build(), None, max_classes=4)
    counted: dict[str, Any] = {"reference_size": varint(2**32), "kept": varint(2**31), "index_code": 6, "index": b"\0"}
    comment = "2^31 images in a modelled coding, within max_kept"
    blob = Raw(**counted).build()
    yield limited("modelled-beyond-31-bits", comment, blob, "limit-kept", "modelled", max_kept=2**31)
    claimed = Raw(reference_size=varint(2**47), kept=varint(2**46)).build()
    yield limited("bomb-kept", "k = 2^46 in three bytes", claimed, "limit-kept", "bomb")
    dropped = Raw(flags=0x40, reference_size=varint(2**40), kept=varint(5), labels=bytes(2)).build()
    yield limited(
        "bomb-complement", "five kept, 2^40 - 5 coded ones claimed", dropped, "limit-kept", "bomb", "complement"
    )
    many = Payload(range(0, 4_000_000, 2), np.zeros(2_000_000, int), 4_000_000, 1)
    blob = encode(many, "fast", index_coding="gaps-zstd")
    yield limited("stream-at-limit", "2,000,000 bytes under zstd", blob, None, "zstd", max_stream_bytes=2_000_000)
    comment = "2,000,000 bytes under zstd, the limit is one less"
    yield limited("stream-above-limit", comment, blob, "limit-stream-bytes", "zstd", "bomb", max_stream_bytes=1_999_999)
    names = encode(Payload([1], [0], 20, 3, class_names=["aa", "bb", "cc"]))
    yield limited("names-at-limit", "8 bytes of class names", names, None, "section", max_class_names_bytes=8)
    yield limited(
        "names-above-limit",
        "8 bytes of class names",
        names,
        "limit-class-names",
        "section",
        "ancillary",
        max_class_names_bytes=7,
    )
    soft = Raw(flags=0x80, sections=b"\1" + soft_labels_section(2, np.ones(12, int))).build()
    flags = ("section", "soft-labels", "ancillary")
    yield limited("soft-labels-at-limit", "12 codes of soft labels", soft, None, *flags[:2], max_soft_label_values=12)
    yield limited(
        "soft-labels-above-limit",
        "12 codes of soft labels",
        soft,
        "limit-soft-labels",
        *flags,
        max_soft_label_values=11,
    )
    yield limited(
        "soft-labels-zstd-above-limit", "12 bytes under zstd", soft, "limit-stream-bytes", *flags, max_stream_bytes=11
    )
    weights = Raw(flags=0x80, sections=b"\1" + weights_section(2, [1, 2, 3], [2, 3, 13])).build()
    flags = ("section", "weights", "ancillary")
    yield limited(
        "weights-zstd-above-limit", "3 bytes under zstd", weights, "limit-stream-bytes", *flags, max_stream_bytes=2
    )
    every = Payload(range(65), range(65), 200, 65_536)
    comment = "65 classes of 65,536: 4,259,840 codes in eight bytes"
    blob = raw_of(every, b"\1" + section(0x82, 3, bytes(8)))
    flags = ("section", "soft-labels", "ancillary", "bomb")
    yield limited("bomb-soft-labels", comment, blob, "limit-soft-labels", *flags)
    six = encode(Payload([1], [0], 20, 3, DIGEST))
    yield Vector(
        "reference-mismatch", "another digest is expected", ["digest"], six, "reference", expected_digest=bytes(8)
    )
    yield Vector(
        "reference-missing",
        "a digest is expected, and there is none",
        ["digest"],
        Raw().build(),
        "reference",
        expected_digest=bytes(8),
    )


def entry(vector: Vector, folder: str, blob: bytes) -> dict[str, Any]:
    """The index entry of a vector, from its bytes as they are on disk."""
    result: dict[str, Any] = {
        "id": vector.id,
        "comment": vector.comment,
        "flags": vector.flags,
        "file": f"{folder}/{vector.id}.plada",
        "result": "valid" if vector.rule is None else "limit" if folder == "limit" else "invalid",
    }
    if vector.limits:
        result["limits"] = vector.limits
    if vector.expected_digest is not None:
        result["expected_digest"] = vector.expected_digest.hex()
    try:
        payload = decode(blob, Limits(**vector.limits), vector.expected_digest)
    except PladaError as error:
        if error.rule != vector.rule:
            raise SystemExit(f"{vector.id}: expected {vector.rule}, but got {error!r}") from None
        return {**result, "error": {"kind": error.kind, "rule": error.rule}}
    if vector.rule is not None:
        raise SystemExit(f"{vector.id}: expected {vector.rule}, but it is valid")
    info = inspect(blob)
    index, labels, *_ = info.sections
    parsed = parse_container(memoryview(blob))
    result["header"] = {
        "reference_size": info.reference_size,
        "num_classes": info.num_classes,
        "offset": info.universe.offset,
        "stride": info.universe.stride,
        "complement": info.complement,
        "kept": info.kept,
        "index_coding": index.coding,
        "label_coding": labels.coding,
        "reference_digest": info.reference_digest.hex(),
        "class_check": info.class_check.hex(),
        "index_bytes": index.bytes,
        "label_bytes": labels.bytes,
        "sections": [section.type for section in parsed.sections],
    }
    rows = "".join(f"{i},{label}\n" for i, label in zip(payload.indices.tolist(), payload.labels.tolist(), strict=True))
    result["csv_sha256"] = hashlib.sha256(("index,label\n" + rows).encode()).hexdigest()
    if payload.kept <= MAX_LISTED:
        result["indices"], result["labels"] = payload.indices.tolist(), payload.labels.tolist()
    if payload.class_names is not None:
        result["class_names"] = list(payload.class_names)
    if payload.soft_labels is not None:
        result["soft_labels"] = [bytes(row).hex() for row in payload.soft_labels]
    if payload.weights is not None:
        result["weights"] = bytes(payload.weights).hex()
    return result


def main() -> None:
    entries = []
    added = 0
    folders = {
        "valid": (v for group in (valid_vectors(), modelled_vectors(), code_vectors()) for v in group),
        "invalid": (v for group in (invalid_vectors(), damaged_headers()) for v in group),
        "limit": limit_vectors(),
    }
    for folder, vectors in folders.items():
        (HERE / folder).mkdir(exist_ok=True)
        for vector in vectors:
            path = HERE / folder / f"{vector.id}.plada"
            if not path.exists():
                path.write_bytes(vector.blob)
                added += 1
            entries.append(entry(vector, folder, path.read_bytes()))
    index = {"format_version": 1, "schema": "schema.json", "flags": FLAGS, "vectors": entries}
    lines = ",\n".join("    " + json.dumps(vector, ensure_ascii=False) for vector in entries)
    head = json.dumps({key: value for key, value in index.items() if key != "vectors"}, indent=2)
    text = head[:-2] + ',\n  "vectors": [\n' + lines + "\n  ]\n}\n"
    assert json.loads(text) == index
    (HERE / "index.json").write_text(text, encoding="utf-8")
    print(f"{len(entries)} vectors, {added} of them new", file=sys.stderr)


if __name__ == "__main__":
    main()
