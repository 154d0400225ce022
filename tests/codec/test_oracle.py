"""The codec and the plain decoder of the specification, which shares no code with it, agree on everything."""

from __future__ import annotations

import zlib

import numpy as np
import plada_decode as oracle
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plada_codec import Payload, PladaError, decode, encode
from plada_codec.sections.soft_labels import dequantised_concentrations
from plada_codec.sections.weights import dequantised_weights
from plada_codec.testing.strategies import EncodedPayload, damaged_payloads, encoded_payloads


def assert_same(decoded: oracle.Decoded, payload: Payload) -> None:
    assert decoded.indices == payload.indices.tolist()
    assert decoded.labels == payload.labels.tolist()
    assert decoded.reference_size == payload.reference_size
    assert decoded.num_classes == payload.num_classes
    assert decoded.reference_digest == payload.reference_digest
    assert decoded.class_check == payload.class_check
    assert (decoded.offset, decoded.stride) == (payload.universe.offset, payload.universe.stride)
    assert (decoded.class_names and tuple(decoded.class_names)) == payload.class_names
    assert decoded.soft_labels == (None if payload.soft_labels is None else payload.soft_labels.tolist())
    assert decoded.weights == (None if payload.weights is None else payload.weights.tolist())


def assert_agreement(blob: bytes) -> None:
    """Both decoders accept with one result, or both refuse with one kind and rule."""
    try:
        payload = decode(blob)
    except PladaError as error:
        with pytest.raises(oracle.DecodeError) as refused:
            oracle.decode(blob)
        assert (refused.value.kind, refused.value.rule) == (error.kind, error.rule)
    else:
        assert_same(oracle.decode(blob), payload)


def code_stream(codes: list[int], size: int, positions: list[int], coding: str) -> bytes:
    """Codes below `size`, written as the label stream of images at these positions (8.4)."""
    blob = encode(Payload(positions, codes, max([0, *positions]) + 1, size), label_coding=coding)
    return oracle.read_payload(blob).label_stream


def with_sections(blob: bytes, sections: list[tuple[int, int, bytes]]) -> bytes:
    """A payload that has no sections, and these put in: type, coder and bytes of each (8)."""

    def varint(value: int) -> bytes:
        return bytes([value]) if value < 128 else bytes([value % 128 + 128]) + varint(value // 128)

    at = oracle.read_payload(blob).at["sections"]
    listed = b"".join(bytes([kind, coder]) + varint(len(data)) + data for kind, coder, data in sections)
    fields = blob[:4] + bytes([blob[4] | oracle.FLAG_SECTIONS]) + blob[5:at]
    body = fields + varint(len(sections)) + listed + blob[at:-4]
    return body + zlib.crc32(body).to_bytes(4, "little")


@st.composite
def payloads_with_codes(draw: st.DrawFn) -> bytes:
    """Payloads with soft labels, weights or both, many of which have a row of zeros, a coder or bytes to be refused."""
    size, num_classes = draw(st.integers(1, 60)), draw(st.integers(1, 12))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    positions = np.flatnonzero(random.random(size) < draw(st.sampled_from([0, 0.1, 0.5, 1]))).tolist()
    labels = random.integers(0, num_classes, len(positions)).tolist()
    values = len(set(labels)) * num_classes
    sections = []
    for kind, limit, at in ((oracle.SOFT_LABELS, 64, list(range(values))), (oracle.WEIGHTS, 16, positions)):
        coder = draw(st.integers(0, 3))
        nonzero = random.random(len(at)) < draw(st.sampled_from([0.1, 1]))
        codes = (nonzero * random.integers(1, limit, len(at))).tolist()
        stream = bytearray(code_stream(codes, limit, at, oracle.CODE_CODINGS[coder]))
        damage = draw(st.sampled_from(["none", "none", "none", "coder", "byte", "cut", "add"]))
        where = draw(st.integers(0, len(stream)))
        if damage == "coder":
            coder = draw(st.integers(0, 255))
        elif damage == "byte":
            stream[where : where + 1] = draw(st.binary(min_size=1, max_size=1))
        elif damage == "cut":
            del stream[where : where + draw(st.integers(1, 4))]
        elif damage == "add":
            stream[where:where] = draw(st.binary(min_size=1, max_size=4))
        sections.append((kind, coder, bytes(stream)))
    wanted = draw(st.sampled_from([slice(0, 2), slice(0, 1), slice(1, 2)]))
    return with_sections(encode(Payload(positions, labels, size, num_classes)), sections[wanted])


@given(encoded_payloads())
def test_the_oracle_reads_what_the_codec_writes(example: EncodedPayload) -> None:
    assert_same(oracle.decode(example.blob), example.payload)


@given(damaged_payloads())
def test_the_oracle_refuses_damaged_payloads_by_the_same_rule(blob: bytes) -> None:
    assert_agreement(blob)


@given(payloads_with_codes())
def test_the_oracle_reads_soft_labels_and_weights_as_the_codec_does(blob: bytes) -> None:
    assert_agreement(blob)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x8fPL\x01")
def test_the_oracle_refuses_arbitrary_bytes_by_the_same_rule(blob: bytes) -> None:
    assert_agreement(blob)


def test_codec_and_oracle_agree_on_the_concentrations_of_soft_label_codes() -> None:
    codes = np.arange(oracle.SOFT_LABEL_CODES, dtype=np.uint8)
    assert dequantised_concentrations(codes[None]).tolist() == [
        pytest.approx([oracle.concentration(code) for code in range(oracle.SOFT_LABEL_CODES)], rel=1e-12)
    ]


@given(st.lists(st.integers(0, oracle.WEIGHT_CODES - 1)))
def test_codec_and_oracle_agree_on_the_weights_of_weight_codes(codes: list[int]) -> None:
    weights = dequantised_weights(np.array(codes, np.uint8)).tolist()
    assert weights == pytest.approx(oracle.scaled_weights(codes), rel=1e-12)
