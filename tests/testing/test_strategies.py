"""The public strategies keep their promise: they reach every coding, every special case and every kind of damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from plada_codec import PladaError, Universe, decode, inspect
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS
from plada_codec.kernels import range_coder
from plada_codec.testing.strategies import (
    BOUNDARY_CLASSES,
    BOUNDARY_SIZES,
    HUGE_SIZES,
    EncodedPayload,
    class_counts,
    damaged_payloads,
    encoded_payloads,
    reference_sizes,
)

pytestmark = pytest.mark.exhaustive


def test_encoded_payloads_reach_every_coding_and_every_special_case() -> None:
    seen: set[str] = set()

    @settings(max_examples=1_000, database=None, deadline=None)
    @given(encoded_payloads(max_kept=300))
    def collect(example: EncodedPayload) -> None:
        payload, info = example.payload, inspect(example.blob)
        index, labels, *others = info.sections
        seen.update({index.coding, labels.coding})
        seen.update(name for name, true in {
            "complement": info.complement,
            "universe": payload.universe != Universe(),
            **{section.type: True for section in others},
            **{f"{section.type} {section.coding}": True for section in others},
            "none": payload.kept == 0,
            "one": payload.kept == 1,
            "all": payload.kept == payload.universe_size,
            f"digest {len(payload.reference_digest)}": True,
        }.items() if true)  # fmt: skip

    collect()
    codings = {coding.name for coding in (*INDEX_CODINGS, *LABEL_CODINGS)}
    coders = ("plain", "huffman", "zstd", "modelled")
    sections = {"class-names", *(f"{name} {coder}" for name in ("soft-labels", "weights") for coder in coders)}
    cases = {"complement", "universe", "none", "one", "all", "digest 0", "digest 8"}
    assert codings | sections | cases <= seen


def test_encoded_payloads_drive_the_models_to_both_ends_of_their_parameters() -> None:
    changes: set[int] = set()
    priors: set[int] = set()

    @settings(max_examples=1_000, database=None, deadline=None)
    @given(encoded_payloads(max_kept=300))
    def collect(example: EncodedPayload) -> None:
        info = inspect(example.blob)
        extents = {extent.name: extent for extent in info.extents}
        for section, name, bits in zip(info.sections, ("index stream", "label stream"), ([4], [4, 3]), strict=False):
            # Only profile small looks for the best parameters; an empty stream may be that of an empty set.
            if example.profile == "small" and section.coding.endswith("-modelled") and section.bytes:
                start = extents[name].offset
                change, *prior = _parameters(example.blob[start : start + section.bytes], bits)
                changes.add(change)
                priors.update(prior)

    collect()
    assert {0, 15} <= changes
    assert {0, 7} <= priors


def _parameters(stream: bytes, bits: list[int]) -> list[int]:
    """The raw numbers that a modelled stream begins with (spec section 5.5)."""
    data = np.frombuffer(stream, np.uint8).copy()
    coder = range_coder.new_coder()
    range_coder.start_decoder(coder, data)
    return [int(range_coder.code_raw(coder, data, 0, width)) for width in bits]


def test_sizes_and_classes_reach_every_boundary() -> None:
    seen: set[tuple[int, int]] = set()

    @settings(max_examples=5_000, database=None, deadline=None)
    @given(reference_sizes(), class_counts())
    def collect(reference_size: int, num_classes: int) -> None:
        seen.add((reference_size, num_classes))

    collect()
    assert {*BOUNDARY_SIZES, *HUGE_SIZES} <= {size for size, _ in seen}
    assert set(BOUNDARY_CLASSES) <= {number for _, number in seen}


def test_damaged_payloads_break_many_rules_and_some_stay_valid() -> None:
    seen: set[str] = set()

    @settings(max_examples=1_500, database=None, deadline=None)
    @given(damaged_payloads(max_kept=30))
    def collect(blob: bytes) -> None:
        try:
            decode(blob)
        except PladaError as error:
            seen.add(error.rule)
        else:
            seen.add("valid")

    collect()
    # Chance decides which of the rarer rules occur.
    assert {"valid", "checksum", "header", "signature", "version"} <= seen
    assert len(seen) >= 15
