"""Decoding gives back the encoded payload, in every coding, profile, universe and size."""

from __future__ import annotations

import mmap
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import (
    InvalidArgument,
    InvalidPayload,
    LimitExceeded,
    Limits,
    Payload,
    Universe,
    decode,
    encode,
    inspect,
)
from plada_codec.codings.base import CodingContext
from plada_codec.codings.classes import Classes, ClassIntegers
from plada_codec.codings.coders import DECODER_CLASSES
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, Coding
from plada_codec.codings.zstd import Zstd
from plada_codec.testing.strategies import (
    BOUNDARY_CLASSES,
    BOUNDARY_SIZES,
    HUGE_SIZES,
    EncodedPayload,
    encoded_payloads,
    payloads,
)

if TYPE_CHECKING:
    from pathlib import Path


@given(encoded_payloads())
def test_decoding_gives_back_what_was_encoded(example: EncodedPayload) -> None:
    decoded = decode(example.blob)
    assert decoded == example.payload
    assert decoded.indices.dtype == np.int64
    assert decoded.labels.dtype == np.int32


@given(payloads(max_kept=300), st.sampled_from(["small", "fast"]), st.sampled_from(DECODER_CLASSES))
def test_auto_never_loses_to_a_coding_named_by_hand(payload: Payload, profile: str, decoder_class: str) -> None:
    auto = inspect(encode(payload, profile, decoder_class))
    sizes = {section.type: section.bytes for section in auto.sections}
    for stream, table in (("index", INDEX_CODINGS), ("labels", LABEL_CODINGS)):
        for coding in table:
            if "bitmap" in coding.name and payload.universe_size > 1 << 20:
                continue
            if coding.coder.is_slow and profile == "fast":
                continue
            named: Any = {f"{'label' if stream == 'labels' else stream}_coding": coding.name}
            try:
                by_hand = inspect(encode(payload, profile, decoder_class, **named))
            except (InvalidArgument, InvalidPayload, LimitExceeded):
                continue
            assert sizes[stream] <= next(s.bytes for s in by_hand.sections if s.type == stream)
            assert auto.payload_bytes <= by_hand.payload_bytes


def test_zstd_finds_a_repetition_after_a_million_labels() -> None:
    labels = np.random.default_rng(0).integers(0, 1024, 1_200_000, np.int32)
    twice = np.tile(labels, 2)
    known = CodingContext(1024, Limits())
    assert len(Zstd(ClassIntegers()).encode(twice, known, thorough=False)) < 0.6 * Classes().least_bytes(twice, known)


@given(payloads(max_kept=300))
def test_small_never_loses_to_fast(payload: Payload) -> None:
    assert len(encode(payload, "small")) <= len(encode(payload, "fast"))


@given(payloads(max_kept=300), st.sampled_from(DECODER_CLASSES))
def test_an_encoder_keeps_to_the_decoder_class_of_its_receivers(payload: Payload, decoder_class: str) -> None:
    info = inspect(encode(payload, decoder_class=decoder_class))
    assert DECODER_CLASSES.index(info.decoder_class) <= DECODER_CLASSES.index(decoder_class)
    assert decoder_class != "core" or all("zstd" not in section.coding for section in info.sections)


@given(payloads(max_kept=300))
def test_encoding_is_deterministic(payload: Payload) -> None:
    assert encode(payload) == encode(payload)


@given(encoded_payloads())
def test_overhead_of_a_payload_with_an_eight_byte_digest_is_at_most_32_bytes(example: EncodedPayload) -> None:
    payload = example.payload
    info = inspect(example.blob)
    if len(payload.reference_digest) == 8 and payload.universe == Universe() and len(info.sections) == 2:
        large = payload.reference_size >= 1 << 28 or payload.num_classes > 16_383
        assert info.overhead_bytes <= 32 or large


@pytest.mark.parametrize(
    ("coding", "size"),
    [
        (coding, size)
        for coding in INDEX_CODINGS
        for size in (*BOUNDARY_SIZES, *HUGE_SIZES)
        # a bitmap of a huge universe takes hundreds of megabytes
        if size in BOUNDARY_SIZES or not coding.name.startswith("bitmap")
    ],
    ids=lambda value: value.name if isinstance(value, Coding) else value,
)
def test_every_index_coding_holds_at_every_boundary_of_the_reference_set(coding: Coding, size: int) -> None:
    ends = np.unique([0, size // 2, size - 1])
    for indices in (ends, ends[:1], ends[-1:], ends[:0], np.arange(min(size, 70_000))):
        payload = Payload(indices, np.zeros(len(indices), int), size, 1)
        try:
            blob = encode(payload, "fast", index_coding=coding.name)
        except InvalidPayload:
            assert coding.name == "all-plain"
            assert len(indices) not in (0, size)
            continue
        assert decode(blob) == payload


@pytest.mark.parametrize("coding", LABEL_CODINGS, ids=lambda coding: coding.name)
@pytest.mark.parametrize("num_classes", BOUNDARY_CLASSES)
def test_every_label_coding_holds_at_every_boundary_of_the_classes(coding: Coding, num_classes: int) -> None:
    for labels in ([num_classes - 1], [0, num_classes - 1] * 3, list(range(num_classes)), []):
        payload = Payload(range(len(labels)), labels, 70_000, num_classes)
        try:
            blob = encode(payload, "fast", label_coding=coding.name)
        except InvalidPayload:
            assert coding.name == "constant-plain"
            assert len(set(labels)) > 1
            continue
        assert decode(blob) == payload


def test_huffman_codes_are_limited_to_24_bits_and_still_decode() -> None:
    # Fibonacci frequencies make the deepest Huffman tree: 30 symbols would want codes of 29 bits.
    counts = [1, 1]
    while len(counts) < 30:
        counts.append(counts[-1] + counts[-2])
    labels = np.repeat(np.arange(30), counts)
    payload = Payload(np.arange(len(labels)), labels, len(labels), 30)
    assert decode(encode(payload, "fast", label_coding="classes-huffman")) == payload


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">u8"])
def test_any_integer_dtype_gives_the_same_payload(dtype: str) -> None:
    indices, labels = np.array([3, 7, 99], dtype), np.array([0, 2, 1], dtype)
    assert Payload(indices, labels, 100, 3) == Payload([3, 7, 99], (0, 2, 1), 100, 3)


def test_arrays_of_a_payload_cannot_be_changed_from_outside() -> None:
    indices = np.array([1, 2, 3])
    payload = Payload(indices, [0, 0, 0], 10, 1)
    indices[0] = 0
    assert payload.indices[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        payload.indices[0] = 0
    soft_labels, weights = np.eye(1, dtype=np.uint8), np.ones(3, np.uint8)
    payload = Payload(payload.indices, [0, 0, 0], 10, 1, soft_labels=soft_labels, weights=weights)
    soft_labels[:], weights[:] = 2, 2
    for codes in (payload.soft_labels, payload.weights):
        assert codes is not None
        assert (codes == 1).all()
        with pytest.raises(ValueError, match="read-only"):
            codes[0] = 0


def test_every_contiguous_buffer_is_accepted(tmp_path: Path) -> None:
    payload = Payload([1, 5], [0, 1], 10, 2)
    blob = encode(payload)
    path = tmp_path / "p.plada"
    path.write_bytes(blob)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        assert decode(view) == payload
        view.release()
        assert decode(mapped) == payload
    buffers: list[Any] = [
        bytearray(blob),
        memoryview(blob),
        np.frombuffer(blob, np.uint8),
        memoryview(blob * 2)[: len(blob)],
    ]
    for buffer in buffers:
        assert decode(buffer) == payload
        assert inspect(buffer) == inspect(blob)
    for wrong in ("text", 7, None, memoryview(blob)[::2]):
        with pytest.raises(InvalidArgument, match="contiguous buffer"):
            decode(wrong)  # type: ignore[arg-type]


def test_a_selection_costs_as_many_index_bytes_as_its_complement() -> None:
    few = np.arange(0, 100_000, 1_000)
    most = np.setdiff1d(np.arange(100_000), few)
    sizes = []
    for indices in (few, most):
        info = inspect(encode(Payload(indices, np.zeros(len(indices), int), 100_000, 1)))
        sizes.append(info.sections[0].bytes)
        assert info.complement == (len(indices) > 50_000)
    assert sizes[0] == sizes[1]


def test_an_encoder_never_writes_what_its_limits_would_refuse() -> None:
    payload = Payload([1, 5, 6], [0, 1, 2], 10, 3, class_names=["a", "b", "c"], soft_labels=np.eye(3, dtype=int))
    for tight in (
        Limits(max_reference_size=9),
        Limits(max_classes=2),
        Limits(max_kept=2),
        Limits(max_class_names_bytes=4),
        Limits(max_soft_label_values=8),
    ):
        with pytest.raises(LimitExceeded):
            encode(payload, limits=tight)
        with pytest.raises(LimitExceeded):
            decode(encode(payload), limits=tight)
    with pytest.raises(LimitExceeded):
        encode(Payload([0], [0], 100, 1), index_coding="bitmap-zstd", limits=Limits(max_stream_bytes=12))


def test_importing_the_codec_imports_neither_numba_nor_torch() -> None:
    code = (
        "import sys; from plada_codec import Payload, encode, decode, inspect;"
        "print([m for m in ('numba', 'torch', 'hypothesis', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_inspect_counts_class_names_to_the_decoder_class_but_not_sections_it_skips() -> None:
    names = [f"class number {i}" for i in range(40)]
    blob = encode(Payload([1], [0], 20, 40, class_names=names), index_coding="gaps-plain")
    assert [section.coding for section in inspect(blob).sections] == ["gaps-plain", "constant-plain", "zstd"]
    assert inspect(blob).decoder_class == "zstd"
    skipped = bytearray(blob)
    skipped[blob.index(b"\x81\x02")] = 0xFE  # an ancillary section of an unknown type
    skipped[-4:] = zlib.crc32(skipped[:-4]).to_bytes(4, "little")
    assert inspect(skipped).decoder_class == "core"
    assert decode(skipped).class_names is None
