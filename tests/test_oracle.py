"""The codec and the plain decoder of the specification, which shares no code with it, agree on everything."""

from __future__ import annotations

import plada_decode as oracle
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plada_codec import Payload, PladaError, decode
from plada_codec.strategies import Encoded, damaged_payloads, encoded_payloads


def assert_same(decoded: oracle.Decoded, payload: Payload) -> None:
    assert decoded.indices == payload.indices.tolist()
    assert decoded.labels == payload.labels.tolist()
    assert decoded.reference_size == payload.reference_size
    assert decoded.num_classes == payload.num_classes
    assert decoded.reference_digest == payload.reference_digest
    assert (decoded.offset, decoded.stride) == (payload.universe.offset, payload.universe.stride)
    assert (decoded.class_names and tuple(decoded.class_names)) == payload.class_names


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


@given(encoded_payloads())
def test_the_oracle_reads_what_the_codec_writes(example: Encoded) -> None:
    assert_same(oracle.decode(example.blob), example.payload)


@given(damaged_payloads())
def test_the_oracle_refuses_damaged_payloads_by_the_same_rule(blob: bytes) -> None:
    assert_agreement(blob)


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x8fPL\x01")
def test_the_oracle_refuses_arbitrary_bytes_by_the_same_rule(blob: bytes) -> None:
    assert_agreement(blob)
