"""Soft labels and weights (spec sections 8.2 to 8.4): what is sent is near to what was measured, and comes back."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plada_codec import (
    InvalidArgument,
    LimitExceeded,
    Limits,
    Payload,
    PladaError,
    decode,
    dequantised_concentrations,
    dequantised_weights,
    encode,
    inspect,
    quantised_concentrations,
    quantised_weights,
)
from plada_codec.codings.base import CodingContext
from plada_codec.codings.coders import DECODER_CLASSES
from plada_codec.codings.registry import LABEL_CODINGS
from plada_codec.sections.soft_labels import SOFT_LABEL_CODES
from plada_codec.sections.weights import WEIGHT_CODES
from plada_codec.testing.strategies import payloads

#: Largest ratio of a value to its nearest code, for codes in half octaves and in whole octaves.
HALF_A_CODE, HALF_AN_OCTAVE = 2**0.25, 2**0.5

positive = st.floats(2.0**-21, 1024)
factors = st.floats(2.0**-20, 2.0**20)
weight_lists = st.lists(st.floats(2.0**-14, 1), min_size=1, max_size=50)


def sections(payload: Payload, *arguments: Any) -> dict[str, int]:
    return {section.type: section.bytes for section in inspect(encode(payload, *arguments)).sections}


@given(st.lists(st.lists(positive, min_size=3, max_size=3), min_size=1, max_size=5))
def test_quantised_concentrations_are_right_within_a_quarter_of_an_octave(alpha: list[list[float]]) -> None:
    found = dequantised_concentrations(quantised_concentrations(alpha))
    ratio = found / np.array(alpha)
    assert (ratio <= HALF_A_CODE * (1 + 1e-12)).all()
    assert (ratio >= (1 - 1e-12) / HALF_A_CODE).all()


def test_codes_and_concentrations_are_inverses() -> None:
    codes = np.arange(1, SOFT_LABEL_CODES, dtype=np.uint8)[None]
    assert np.array_equal(quantised_concentrations(dequantised_concentrations(codes)), codes)
    assert dequantised_concentrations([0, 1, 43, 45, 63]).tolist() == [0, 2.0**-21, 1, 2, 1024]


def test_tiny_concentrations_become_zero() -> None:
    assert quantised_concentrations([[1, 0, 1e-9, 2.0**-21]]).tolist() == [[43, 0, 0, 1]]


@pytest.mark.parametrize(
    "alpha",
    [[1.0, 2.0], [[1.0, -1.0]], [[np.nan, 1.0]], [[np.inf, 1.0]], [[1218.0, 1.0]], [[0.0, 0.0]], [[1.0], [1e-9]]],
    ids=str,
)
def test_invalid_soft_labels_are_refused(alpha: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        quantised_concentrations(alpha)
    assert refused.value.rule == "soft-labels"
    assert "\n" not in str(refused.value)


@given(weight_lists)
def test_quantised_weights_are_right_within_half_an_octave_relative_to_the_largest(weights: list[float]) -> None:
    found = dequantised_weights(quantised_weights(weights))
    assert found.mean() == pytest.approx(1)
    ratio = found / found.max() * max(weights) / np.array(weights)
    assert (ratio <= HALF_AN_OCTAVE * (1 + 1e-12)).all()
    assert (ratio >= (1 - 1e-12) / HALF_AN_OCTAVE).all()


@given(weight_lists, factors)
def test_multiplying_all_weights_changes_no_weight_code(weights: list[float], factor: float) -> None:
    octaves = np.log2(np.array(weights) / max(weights))
    assume((abs(octaves % 1 - 0.5) > 1e-9).all())  # of two codes that are as near, rounding of the product decides
    codes = quantised_weights(weights)
    assert codes.max() == WEIGHT_CODES - 1
    assert np.array_equal(quantised_weights(np.array(weights) * factor), codes)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=50), st.integers(0, 9))
def test_adding_a_number_to_all_weight_codes_changes_no_weight(codes: list[int], more: int) -> None:
    assert dequantised_weights(codes) == pytest.approx(dequantised_weights(np.array(codes) + more))


def test_the_smallest_and_largest_floats_are_quantised_as_weights() -> None:
    assert quantised_weights([]).tolist() == []
    assert dequantised_weights([]).tolist() == []
    assert quantised_weights([0, 5e-324, 1e308]).tolist() == [0, 0, 15]
    assert quantised_weights([5e-324, 0]).tolist() == [15, 0]


@pytest.mark.parametrize("weights", [[1.0, -1.0], [1.0, np.nan], [np.inf, 1.0], [0.0, 0.0], [[1.0, 2.0]]], ids=str)
def test_invalid_weights_are_refused(weights: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        quantised_weights(weights)
    assert refused.value.rule == "weights"


@given(payloads(max_kept=300), st.sampled_from(DECODER_CLASSES))
def test_a_section_is_as_small_as_its_best_coding(payload: Payload, decoder_class: str) -> None:
    found = sections(payload, "small", decoder_class)
    for name, codes, positions, space in (
        ("soft-labels", payload.soft_labels, None, SOFT_LABEL_CODES),
        ("weights", payload.weights, payload.positions, WEIGHT_CODES),
    ):
        if codes is None:
            assert name not in found
            continue
        if not codes.size:
            assert found[name] == 0
            continue
        known = CodingContext(space, Limits(), np.arange(codes.size) if positions is None else positions)
        values = codes.ravel().astype(np.int32)
        codings = [coding for coding in LABEL_CODINGS if coding.layout == "classes"]
        readable = [coding for coding in codings if coding.coder.readable_by(decoder_class)]
        assert found[name] == min(len(coding.codec.encode(values, known, thorough=True)) for coding in readable)


@given(payloads(max_kept=100))
def test_a_decoder_that_skips_the_sections_reads_the_rest(payload: Payload) -> None:
    blob = bytearray(encode(payload))
    for extent in inspect(blob).extents:
        if extent.name in ("section 82", "section 83"):
            blob[extent.offset] |= 0x70  # unknown types, in the same order
    blob[-4:] = zlib.crc32(blob[:-4]).to_bytes(4, "little")
    bare = decode(blob)
    assert (bare.soft_labels, bare.weights) == (None, None)
    assert np.array_equal(bare.indices, payload.indices)
    assert np.array_equal(bare.labels, payload.labels)


def test_payloads_that_differ_only_in_codes_differ() -> None:
    def payload(soft_labels: Any = None, weights: Any = None) -> Payload:
        return Payload([1, 2], [0, 1], 9, 2, soft_labels=soft_labels, weights=weights)

    different = [
        payload(),
        payload([[1, 2], [3, 4]]),
        payload([[1, 2], [3, 5]]),
        payload(None, [1, 2]),
        payload(None, [1, 3]),
        payload([[1, 2], [3, 4]], [1, 2]),
    ]
    for number, one in enumerate(different):
        assert [one == other for other in different] == [number == at for at in range(len(different))]
        assert decode(encode(one)) == one


def test_a_payload_without_images_has_soft_labels_without_rows() -> None:
    no_rows: tuple[Any, ...] = ([], np.empty((0, 4), int))
    for soft_labels in no_rows:
        payload = Payload([], [], 9, 4, soft_labels=soft_labels, weights=[])
        assert payload.soft_labels is not None
        assert payload.soft_labels.shape == (0, 4)
        assert decode(encode(payload)) == payload


def test_soft_labels_that_claim_too_much_are_refused_by_their_limit() -> None:
    every = Payload(range(65), range(65), 200, 65_536)
    blob = bytearray(encode(every))
    start = next(extent.offset for extent in inspect(blob).extents if extent.name == "index stream")
    blob[4] |= 0x80  # a list of sections
    blob[start:start] = bytes([1, 0x82, 3, 8, *bytes(8)])
    blob[-4:] = zlib.crc32(blob[:-4]).to_bytes(4, "little")
    with pytest.raises(LimitExceeded) as refused:
        decode(blob)
    assert refused.value.rule == "limit-soft-labels"
    with pytest.raises(PladaError):
        decode(blob, Limits(max_soft_label_values=65 * 65_536))
