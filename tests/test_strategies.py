"""The public strategies reach what they promise: every coding, every special case, damage of every kind."""

from __future__ import annotations

from hypothesis import given, settings

from plada_codec import PladaError, Universe, decode, inspect
from plada_codec.codings.table import INDEX_CODINGS, LABEL_CODINGS
from plada_codec.strategies import (
    BOUNDARY_CLASSES,
    BOUNDARY_SIZES,
    HUGE_SIZES,
    Encoded,
    damaged_payloads,
    encoded_payloads,
)


def test_encoded_payloads_reach_every_coding_and_every_boundary() -> None:
    seen: set[object] = set()

    @settings(max_examples=1_000, derandomize=True, database=None, deadline=None)
    @given(encoded_payloads(max_kept=300))
    def collect(example: Encoded) -> None:
        payload, info = example.payload, inspect(example.blob)
        index, labels, *others = info.sections
        seen.update({index.coding, labels.coding, ("N", payload.reference_size), ("C", payload.num_classes)})
        seen.update(name for name, true in {
            "complement": info.complement,
            "universe": payload.universe != Universe(),
            "names": bool(others),
            "none": payload.kept == 0,
            "one": payload.kept == 1,
            "all": payload.kept == payload.universe_size,
            f"digest {len(payload.reference_digest)}": True,
        }.items() if true)  # fmt: skip

    collect()
    codings = {coding.name for coding in (*INDEX_CODINGS, *LABEL_CODINGS)}
    sizes = {("N", size) for size in (*BOUNDARY_SIZES, *HUGE_SIZES)}
    classes = {("C", number) for number in BOUNDARY_CLASSES}
    cases = {"complement", "universe", "names", "none", "one", "all", "digest 0", "digest 8", "digest 32"}
    assert codings | sizes | classes | cases <= seen


def test_damaged_payloads_reach_most_rules_and_some_stay_valid() -> None:
    seen: set[str] = set()

    @settings(max_examples=2_500, derandomize=True, database=None, deadline=None)
    @given(damaged_payloads(max_kept=30))
    def collect(blob: bytes) -> None:
        try:
            decode(blob)
        except PladaError as error:
            seen.add(error.rule)
        else:
            seen.add("valid")

    collect()
    assert {"valid", "checksum", "header", "signature", "version", "varint", "coding", "index-range"} <= seen
    assert {"stream-length", "stream-end", "zstd-frame", "huffman-table", "padding", "label-range"} <= seen, seen
