"""Hypothesis strategies for property-testing encoders and decoders of PLADA payloads (needs hypothesis).

    from hypothesis import given
    from plada_codec.testing.strategies import encoded_payloads

    @given(encoded_payloads())
    def test_my_decoder(example):
        assert my_decoder(example.blob) == (example.payload.indices.tolist(), example.payload.labels.tolist())

They reach every coding, every width and every boundary of the format: sizes at powers of two, one less and one more;
no image, one image and all images kept; positions in runs, periodic or random, with gaps of every scale and a density
that rises or falls; 1, a few and 65,536 classes; labels that all differ, or are all alike but one. They also imitate
real selections: runs of similar images, each with its own share of kept images and its own most frequent class. Class
names, soft labels, weights and a class check are present or not.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from plada_codec.api import encode
from plada_codec.codings.coders import PROFILES
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS
from plada_codec.errors import InvalidPayload, LimitExceeded
from plada_codec.payload import Payload
from plada_codec.sections.soft_labels import SOFT_LABEL_CODES
from plada_codec.sections.weights import WEIGHT_CODES
from plada_codec.tables.names import normalised
from plada_codec.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Sizes of reference sets at which integer widths, padding and varints change.
BOUNDARY_SIZES = (1, 2, 7, 8, 9, 127, 128, 255, 256, 257, 16_383, 16_384, 65_535, 65_536, 65_537)
HUGE_SIZES = (2**32 - 1, 2**32, 2**32 + 1, 2**48)
#: Numbers of classes at which label widths change.
BOUNDARY_CLASSES = (1, 2, 3, 4, 5, 10, 128, 129, 255, 256, 257, 65_535, 65_536)
#: The coding `bitmap` is only named up to this size of the universe, so that examples stay small.
_MAX_BITMAP = 1 << 20
#: Soft labels are drawn up to this many codes.
_MAX_SOFT_LABEL_VALUES = 2_000
_CHECKSUM_BYTES = 4


@dataclass(frozen=True)
class EncodedPayload:
    """A payload, its bytes, and the arguments of `encode`."""

    payload: Payload
    blob: bytes
    profile: str
    index_coding: str
    label_coding: str


def reference_sizes() -> st.SearchStrategy[int]:
    """Numbers of images N: boundaries, small and huge numbers."""
    return st.one_of(st.sampled_from(BOUNDARY_SIZES), st.integers(1, 5_000), st.sampled_from(HUGE_SIZES))


def class_counts() -> st.SearchStrategy[int]:
    """Numbers of classes C: boundaries and numbers between them."""
    return st.one_of(st.sampled_from(BOUNDARY_CLASSES), st.integers(1, 65_536))


@st.composite
def universes(draw: st.DrawFn, reference_size: int) -> Universe:
    """Universes of a reference set; half of them are the whole set."""
    if draw(st.booleans()):
        return Universe()
    offset = draw(st.integers(0, min(reference_size - 1, 20)) | st.integers(0, reference_size - 1))
    stride = draw(st.integers(1, min(reference_size, 20)) | st.integers(1, reference_size))
    return Universe(offset, stride)


@st.composite
def payloads(draw: st.DrawFn, max_kept: int = 2_000) -> Payload:
    """Valid payloads with at most `max_kept` kept images."""
    reference_size = draw(reference_sizes())
    num_classes = draw(class_counts())
    universe = draw(universes(reference_size))
    positions, labels = draw(_selections(universe.size(reference_size), num_classes, max_kept))
    digest_bytes = draw(st.sampled_from([0, 8]) | st.integers(4, 16).map(lambda half: 2 * half))
    digest = draw(st.binary(min_size=digest_bytes, max_size=digest_bytes))
    names = draw(class_names(num_classes)) if num_classes <= 20 and draw(st.booleans()) else None
    check = draw(st.just(b"") | st.binary(min_size=2, max_size=2)) if names is None else b""
    used = len(np.unique(labels))
    soft_labels = draw(_soft_labels(used, num_classes)) if used * num_classes <= _MAX_SOFT_LABEL_VALUES else None
    weights = draw(st.none() | _codes(len(positions), WEIGHT_CODES))
    indices = positions * universe.stride + universe.offset
    return Payload(indices, labels, reference_size, num_classes, digest, universe, names, soft_labels, weights, check)


def class_names(num_classes: int) -> st.SearchStrategy[list[str]]:
    """Lists of `num_classes` names that a payload may have."""
    printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
    return st.lists(printable, min_size=num_classes, max_size=num_classes, unique_by=normalised)


@st.composite
def _selections(
    draw: st.DrawFn, size: int, num_classes: int, max_kept: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Kept positions in a universe of `size` images, and their labels."""
    if draw(st.sampled_from(["alike", "unrelated", "unrelated"])) == "alike":
        return draw(_runs_of_alike_images(size, num_classes, max_kept))
    positions = draw(_positions(size, max_kept))
    return positions, draw(_labels(len(positions), num_classes))


@st.composite
def _runs_of_alike_images(
    draw: st.DrawFn, size: int, num_classes: int, max_kept: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions and labels in which each run of images has its own share of kept images and most frequent class."""
    images = draw(st.integers(1, min(size, 2 * max_kept)))
    first = draw(st.sampled_from([0, size - images]) | st.integers(0, size - images))
    length = draw(st.sampled_from([1, 2, 10, 100, 1_000]) | st.integers(1, images))
    faithful = draw(st.sampled_from([0.3, 0.7, 0.95]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    runs = -(-images // length)
    shares = np.repeat(random.beta(0.3, 1, runs), length)[:images]
    kept = np.flatnonzero(random.random(images) < shares)[:max_kept]
    favourites = random.integers(0, num_classes, runs)[kept // length]
    labels = np.where(random.random(len(kept)) < faithful, favourites, random.integers(0, num_classes, len(kept)))
    return first + kept, labels


@st.composite
def _positions(draw: st.DrawFn, size: int, max_kept: int) -> NDArray[np.int64]:
    """Kept positions in a universe of `size` images."""
    shape = draw(
        st.sampled_from(["few", "chance", "runs", "periods", "scales", "thinning", "all", "all but few", "none"])
    )
    few = st.lists(st.integers(0, size - 1), max_size=12, unique=True).map(sorted)
    if shape == "none":
        return np.empty(0, np.int64)
    if shape == "few" or (shape in ("all", "all but few") and size > max_kept):
        return np.array(draw(few), np.int64)
    if shape == "all":
        return np.arange(size, dtype=np.int64)
    if shape == "all but few":
        return np.setdiff1d(np.arange(size, dtype=np.int64), np.array(draw(few), np.int64))
    kept = draw(st.integers(1, min(size, max_kept)))
    if shape == "periods":
        gaps = draw(st.lists(st.integers(1, size // kept), min_size=1, max_size=3))
        return np.cumsum(np.resize(gaps, kept)) - gaps[0]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if shape == "chance":
        return np.unique(random.integers(0, size, kept))
    if shape == "scales":
        return np.cumsum(((size // kept) ** random.random(kept)).astype(np.int64)) - 1
    if shape == "thinning":
        thinning = np.unique((size ** random.random(kept)).astype(np.int64)) - 1
        return size - 1 - thinning[::-1] if draw(st.booleans()) else thinning
    starts = random.integers(0, size, draw(st.integers(1, 8)))
    lengths = random.integers(1, 1 + max(1, max_kept // 8), len(starts))
    runs = [np.arange(start, min(size, start + length)) for start, length in zip(starts, lengths, strict=True)]
    return np.unique(np.concatenate(runs))


@st.composite
def _labels(draw: st.DrawFn, count: int, num_classes: int) -> NDArray[np.int64]:
    """Labels of `count` kept images."""
    shape = draw(st.sampled_from(["constant", "listed", "periods", "rising", "one other", "uniform", "skewed", "runs"]))
    if shape == "constant":
        return np.full(count, draw(st.integers(0, num_classes - 1)), np.int64)
    if shape == "listed" and count <= 20:
        return np.array(draw(st.lists(st.integers(0, num_classes - 1), min_size=count, max_size=count)), np.int64)
    if shape == "periods":
        return np.resize(draw(st.lists(st.integers(0, num_classes - 1), min_size=2, max_size=3)), count)
    if shape == "rising":
        return np.arange(count) % num_classes
    if shape == "one other":
        one, other = draw(st.integers(0, num_classes - 1)), draw(st.integers(0, num_classes - 1))
        return np.where(np.arange(count) == draw(st.integers(0, count)), other, one)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if shape == "skewed":
        # Doubling frequencies make the longest Huffman codes.
        return np.minimum(random.geometric(draw(st.sampled_from([0.02, 0.3, 0.5, 0.9])), count) - 1, num_classes - 1)
    labels = random.integers(0, num_classes, count)
    return np.sort(labels) if shape == "runs" else labels


@st.composite
def _soft_labels(draw: st.DrawFn, used_classes: int, num_classes: int) -> NDArray[np.int64] | None:
    """Codes of soft labels, or None; no row is all 0."""
    if draw(st.booleans()):
        return None
    codes = draw(_codes(used_classes * num_classes, SOFT_LABEL_CODES)).reshape(used_classes, num_classes)
    codes[~codes.any(axis=1), draw(st.integers(0, num_classes - 1))] = draw(st.integers(1, SOFT_LABEL_CODES - 1))
    return codes


@st.composite
def _codes(draw: st.DrawFn, count: int, domain_size: int) -> NDArray[np.int64]:
    """`count` codes below `domain_size`: constant, near the middle or an end, periodic, of a few values, or random."""
    largest = domain_size - 1
    shape = draw(st.sampled_from(["alike", "near", "periods", "any", "listed"]))
    if shape == "listed" and count <= 20:
        return np.array(draw(st.lists(st.integers(0, largest), min_size=count, max_size=count)), np.int64)
    if shape == "alike":
        return np.full(count, draw(st.integers(0, largest)), np.int64)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if shape == "periods":
        return np.resize(random.integers(0, domain_size, draw(st.integers(5, 50))), count)
    if shape == "near":
        middle = draw(st.sampled_from([0, largest // 2, largest]))
        return np.clip(np.rint(random.normal(middle, 2, count)).astype(np.int64), 0, largest)
    return random.integers(0, domain_size, count)


@st.composite
def encoded_payloads(draw: st.DrawFn, max_kept: int = 2_000) -> EncodedPayload:
    """Payloads with their bytes, in all profiles and all codings that can express them."""
    payload = draw(payloads(max_kept))
    profile = draw(st.sampled_from(PROFILES))
    bitmaps = payload.universe_size <= _MAX_BITMAP
    index = draw(st.sampled_from(["auto", *(c.name for c in INDEX_CODINGS if bitmaps or "bitmap" not in c.name)]))
    label = draw(st.sampled_from(["auto", *(c.name for c in LABEL_CODINGS)]))
    # all-plain and constant-plain cannot express every payload: then the encoder chooses.
    for index_coding, label_coding in ((index, label), ("auto", label), (index, "auto")):
        try:
            blob = encode(payload, profile, "full", index_coding, label_coding)
        except (InvalidPayload, LimitExceeded):
            continue
        return EncodedPayload(payload, blob, profile, index_coding, label_coding)
    return EncodedPayload(payload, encode(payload, profile), profile, "auto", "auto")


@st.composite
def damaged_payloads(draw: st.DrawFn, max_kept: int = 200) -> bytes:
    """Damaged payloads: bits flipped, bytes changed, removed or added, or the end cut off.

    Half of them get a new checksum, so that the damage reaches the checks behind it. Some damage is harmless
    (a digest has no wrong values): such bytes are another valid payload.
    """
    blob = bytearray(draw(encoded_payloads(max_kept)).blob)
    for _ in range(draw(st.integers(1, 3))):
        _damage(draw, blob)
    if draw(st.booleans()) and len(blob) >= _CHECKSUM_BYTES:
        blob[-_CHECKSUM_BYTES:] = zlib.crc32(blob[:-_CHECKSUM_BYTES]).to_bytes(_CHECKSUM_BYTES, "little")
    return bytes(blob)


def _damage(draw: Any, blob: bytearray) -> None:
    """Damage a payload once, in place. The first fields and the header are hit as often as the rest."""
    at = draw(st.integers(0, min(12, len(blob))) | st.integers(0, min(40, len(blob))) | st.integers(0, len(blob)))
    how = draw(st.sampled_from(["flip", "byte", "cut out", "add", "cut off"]))
    if how == "flip" and at < len(blob):
        blob[at] ^= 1 << draw(st.integers(0, 7))
    elif how == "byte" and at < len(blob):
        blob[at] = draw(st.sampled_from([0x00, 0x01, 0x7F, 0x80, 0xFF]) | st.integers(0, 255))
    elif how == "cut out":
        del blob[at : at + draw(st.integers(1, 8))]
    elif how == "add":
        blob[at:at] = draw(st.binary(min_size=1, max_size=8))
    else:
        del blob[at:]
