"""A decoder refuses damaged bytes or delivers a valid payload, and does nothing else."""

from __future__ import annotations

import copy
import pickle
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import (
    Corrupt,
    InvalidArgument,
    InvalidPayload,
    LimitExceeded,
    Limits,
    Payload,
    PladaError,
    ReferenceMismatch,
    Truncated,
    Universe,
    decode,
    encode,
    inspect,
)
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, coding_named
from plada_codec.container import build_container
from plada_codec.reader import varint_bytes
from plada_codec.testing.strategies import EncodedPayload, damaged_payloads, encoded_payloads
from tests.helpers.examples import examples
from tests.helpers.memory import peak_bytes

SAMPLES = [
    encode(
        Payload([2, 3, 4, 50, 900], [1, 1, 0, 2, 1], 1000, 3, b"a digest", Universe(), *said),
        index_coding=index.name,
        label_coding=label.name,
    )
    for said in (
        (None, None, None, b"\x12\x34"),
        (["a", "b", "c"], [[9, 8, 0], [7, 60, 7], [1, 2, 3]], [15, 0, 3, 3, 4]),
    )
    for index in INDEX_CODINGS[1:]
    for label in LABEL_CODINGS[1:]
]


@given(st.binary() | damaged_payloads())
def test_decoding_any_bytes_gives_a_valid_payload_or_a_plada_error(blob: bytes) -> None:
    try:
        payload = decode(blob)
    except PladaError as error:
        assert not isinstance(error, InvalidArgument | InvalidPayload)
        assert "\n" not in str(error)
        assert error.offset is None or 0 <= error.offset <= len(blob)
    else:
        assert decode(encode(payload)) == payload


@given(encoded_payloads(max_kept=300).filter(lambda example: example.payload.kept > 0), st.data(), st.integers(1, 3))
def test_a_damaged_zstd_frame_is_refused_or_gives_what_was_sent(
    example: EncodedPayload, data: st.DataObject, damages: int
) -> None:
    # Releases of libzstd read some damaged blocks differently: the content checksum lets none of that through.
    blob = bytearray(encode(example.payload, "small", "zstd", label_coding="classes-zstd"))
    (frame,) = [extent for extent in inspect(blob).extents if extent.name == "label stream"]
    for _ in range(damages):
        blob[data.draw(st.integers(frame.offset, frame.offset + frame.size - 1))] ^= 1 << data.draw(st.integers(0, 7))
    blob[-4:] = zlib.crc32(blob[:-4]).to_bytes(4, "little")
    try:
        decoded = decode(blob)
    except PladaError:
        return
    assert decoded == example.payload


@given(st.binary() | damaged_payloads())
def test_inspecting_any_bytes_gives_a_header_or_a_plada_error(blob: bytes) -> None:
    try:
        info = inspect(blob)
    except PladaError:
        with pytest.raises(PladaError):
            decode(blob)
    else:
        assert info.payload_bytes == len(blob)
        assert sum(extent.size for extent in info.extents) == len(blob)


@pytest.mark.parametrize("blob", SAMPLES, ids=range(len(SAMPLES)))
def test_a_payload_cut_at_any_byte_is_refused(blob: bytes) -> None:
    for size in range(len(blob)):
        with pytest.raises((Truncated, Corrupt)):
            decode(blob[:size])


@pytest.mark.parametrize("blob", SAMPLES, ids=range(len(SAMPLES)))
def test_one_flipped_bit_at_any_position_is_refused(blob: bytes) -> None:
    for bit in range(8 * len(blob)):
        flipped = bytearray(blob)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(PladaError):
            decode(flipped)


@given(encoded_payloads(max_kept=200), st.data())
def test_bytes_added_anywhere_are_noticed(example: EncodedPayload, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(example.blob)))
    added = data.draw(st.binary(min_size=1, max_size=4))
    longer = example.blob[:at] + added + example.blob[at:]
    with pytest.raises(PladaError):
        decode(longer)


@given(encoded_payloads(max_kept=200), st.binary(min_size=8, max_size=32))
def test_a_payload_for_another_reference_set_is_refused(example: EncodedPayload, expected: bytes) -> None:
    digest = example.payload.reference_digest
    common = min(len(digest), len(expected))
    if digest and digest[:common] == expected[:common]:
        assert decode(example.blob, expected_digest=expected) == example.payload
    else:
        with pytest.raises(ReferenceMismatch):
            decode(example.blob, expected_digest=expected)
    if digest:
        assert decode(example.blob, expected_digest=digest) == example.payload
    with pytest.raises(InvalidArgument):
        decode(example.blob, expected_digest=expected[:7])


def _claim(
    index: str, label: str, *, size: int, kept: int, stream: bytes, labels: bytes, complement: bool = False
) -> bytes:
    return build_container(
        index_coding=coding_named(INDEX_CODINGS, index),
        label_coding=coding_named(LABEL_CODINGS, label),
        reference_size=size,
        num_classes=2,
        universe=Universe(),
        complement=complement,
        kept=kept,
        reference_digest=b"",
        class_check=b"",
        sections=[],
        index_stream=stream,
        label_stream=labels,
    )


def _refused(blob: bytes, kind: type[PladaError]) -> PladaError:
    with pytest.raises(kind) as refused:
        decode(blob)
    return refused.value


@pytest.mark.parametrize("kept", [2**25 + 1, 2**40, 2**62])
@pytest.mark.parametrize("index", [coding.name for coding in INDEX_CODINGS])
def test_claims_beyond_the_limits_are_refused_before_anything_is_allocated(index: str, kept: int) -> None:
    blob = _claim(index, "constant-plain", size=min(kept, 2**48), kept=min(kept, 2**48), stream=bytes(9), labels=b"\1")
    assert peak_bytes(lambda: _refused(blob, LimitExceeded)) < 1 << 20


@pytest.mark.parametrize("index", [coding.name for coding in INDEX_CODINGS[1:]])
@pytest.mark.parametrize("label", [coding.name for coding in LABEL_CODINGS[1:]])
def test_a_claim_within_the_limits_costs_no_more_than_what_it_claims(index: str, label: str) -> None:
    kept = 1_000_000
    blob = _claim(index, label, size=2**30, kept=kept, stream=bytes(9), labels=bytes(9))
    # 12 bytes for each image claimed, as the limit max_kept says
    assert peak_bytes(lambda: _refused(blob, PladaError)) < 13 * kept


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.binary(max_size=40), st.sampled_from(INDEX_CODINGS[1:]))
@examples(2)
def test_any_index_stream_for_any_claim_is_decoded_or_refused(
    size: int, kept: int, stream: bytes, coding: object
) -> None:
    limits = Limits(max_reference_size=2**63 - 1, max_kept=1_000)
    name = coding.name  # type: ignore[attr-defined]
    for some in (kept, kept % 1_001):
        blob = _claim(name, "constant-plain", size=size, kept=some, stream=stream, labels=b"\1" if some else b"")
        try:
            payload = decode(blob, limits)
        except PladaError:
            continue
        assert payload.kept == some


def test_errors_survive_pickling_and_say_kind_rule_and_offset() -> None:
    blob = bytearray(SAMPLES[0])
    blob[5] ^= 1
    with pytest.raises(PladaError) as caught:
        decode(blob)
    error = pickle.loads(pickle.dumps(caught.value))
    assert (type(error), error.kind, error.rule) == (Corrupt, "Corrupt", "checksum")
    assert error.offset == len(blob) - 4
    assert str(error) == str(caught.value)
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"labels": [0, 1, 3]}, "labels"),
        ({"labels": [0, -1, 2]}, "labels"),
        ({"labels": [0, 1]}, "lengths"),
        ({"labels": [0.0, 1.5, 2.0]}, "labels"),
        ({"labels": [[0, 1, 2]]}, "labels"),
        ({"indices": [5, 3, 9]}, "indices"),
        ({"indices": [3, 3, 9]}, "indices"),
        ({"indices": [-1, 3, 9]}, "indices"),
        ({"indices": [3, 5, 10]}, "indices"),
        ({"indices": [3.0, 5.0, 9.5]}, "indices"),
        ({"indices": np.array([3, np.nan, 9])}, "indices"),
        ({"indices": ["3", "5", "9"]}, "indices"),
        ({"indices": [3, 5, 2**70]}, "indices"),
        ({"indices": np.array([3, 5, 2**63 + 1], np.uint64)}, "indices"),
        ({"indices": [True, True, True]}, "indices"),
        ({"reference_size": 0}, "reference-size"),
        ({"reference_size": 10.0}, "reference-size"),
        ({"reference_size": 2**63}, "reference-size"),
        ({"num_classes": 0}, "classes"),
        ({"num_classes": 65_537}, "classes"),
        ({"reference_digest": b"short"}, "reference-digest"),
        ({"reference_digest": bytes(33)}, "reference-digest"),
        ({"reference_digest": "0123456789abcdef"}, "reference-digest"),
        ({"universe": Universe(0, 2)}, "universe"),
        ({"universe": Universe(4, 1)}, "universe"),
        ({"universe": Universe(10, 1)}, "universe-offset"),
        ({"universe": Universe(0, 0)}, "universe-stride"),
        ({"universe": (0, 1)}, "universe"),
        ({"class_names": ["a", "b"]}, "class-names"),
        ({"class_names": ["a", "b", ""]}, "class-names"),
        ({"class_names": ["a", "b", "c\n"]}, "class-names"),
        ({"class_names": ["a", "b", "\ud800"]}, "class-names"),
        ({"class_names": "abc"}, "class-names"),
        ({"class_names": 7}, "class-names"),
        ({"soft_labels": [[1, 2, 3]] * 2}, "soft-labels"),
        ({"soft_labels": [[1, 2]] * 3}, "soft-labels"),
        ({"soft_labels": [[1, 2, 3], [1, 2], [1, 2, 3]]}, "soft-labels"),
        ({"soft_labels": [[1, 2, 3], [0, 0, 0], [1, 2, 3]]}, "soft-labels"),
        ({"soft_labels": [[1, 2, 64]] * 3}, "soft-labels"),
        ({"soft_labels": [[1, 2, -1]] * 3}, "soft-labels"),
        ({"soft_labels": np.full((3, 3), 0.5)}, "soft-labels"),
        ({"soft_labels": [1, 2, 3]}, "soft-labels"),
        ({"soft_labels": []}, "soft-labels"),
        ({"soft_labels": 7}, "soft-labels"),
        ({"labels": [0, 0, 2], "soft_labels": [[1, 2, 3]] * 3}, "soft-labels"),
        ({"weights": [1, 2]}, "weights"),
        ({"weights": [1, 2, 16]}, "weights"),
        ({"weights": [1, 2, -1]}, "weights"),
        ({"weights": [0.5, 0.5, 1.0]}, "weights"),
        ({"weights": [[1, 2, 3]]}, "weights"),
        ({"weights": "abc"}, "weights"),
    ],
    ids=str,
)
def test_invalid_arguments_make_no_payload(change: dict[str, object], rule: str) -> None:
    good = {"indices": [3, 5, 9], "labels": [0, 1, 2], "reference_size": 10, "num_classes": 3}
    Payload(**good)  # type: ignore[arg-type]
    with pytest.raises(InvalidPayload) as refused:
        Payload(**(good | change))  # type: ignore[arg-type]
    assert refused.value.rule == rule
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"profile": "tiny"},
        {"decoder_class": "none"},
        {"index_coding": "gaps-lzma"},
        {"label_coding": "gaps-plain"},
        {"index_coding": "all-plain"},
        {"label_coding": "constant-plain"},
        {"decoder_class": "core", "index_coding": "gaps-zstd"},
    ],
    ids=str,
)
def test_options_that_cannot_be_met_are_refused(options: dict[str, str]) -> None:
    with pytest.raises((InvalidArgument, InvalidPayload)):
        encode(Payload([3, 5, 9], [0, 1, 2], 10, 3), **options)  # type: ignore[arg-type]


def test_the_checksum_is_the_one_of_zlib() -> None:
    for blob in SAMPLES:
        assert int.from_bytes(blob[-4:], "little") == zlib.crc32(blob[:-4])


def test_copies_and_pickles_of_a_payload_are_payloads() -> None:
    said = (list("abcd"), [[1, 2, 3, 63]], [15, 0, 7])
    payload = Payload([1, 2, 3], [0, 0, 0], 20, 4, bytes(8), Universe(), *said)
    for again in (copy.copy(payload), copy.deepcopy(payload), pickle.loads(pickle.dumps(payload))):
        assert again == payload
        with pytest.raises(ValueError, match="read-only"):
            again.indices[2] = 1 << 40


def test_a_payload_keeps_no_array_that_others_can_write_to() -> None:
    array = np.array([1, 2, 3])
    view = array[:]
    array.flags.writeable = False
    payload = Payload(array, np.zeros(3, int), 20, 4)
    view[2] = 7
    assert payload.indices.tolist() == [1, 2, 3]


def test_many_sections_cost_little_memory_and_are_out_of_order() -> None:
    body = b"\x8fPL\x01\x80\x00\x14\x04" + varint_bytes(200_000) + b"\x81\x00\x00" * 200_000
    blob = body + zlib.crc32(body).to_bytes(4, "little")
    assert _refused(blob, Corrupt).rule == "section-order"
    assert peak_bytes(lambda: _refused(blob, Corrupt)) < 4 * len(blob)


@pytest.mark.parametrize("limit", [-1, 1.5, "x", None, True])
def test_limits_are_whole_numbers(limit: Any) -> None:
    with pytest.raises(InvalidArgument):
        Limits(max_kept=limit)
