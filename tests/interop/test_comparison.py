"""The paper's layouts are those of its Appendix E, and a payload can be read back from each of them."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from plada_codec import Limits, Payload, Universe, compare, encode
from plada_codec.interop.comparison import Comparison, paper_layouts
from plada_codec.testing.strategies import payloads
from tests.helpers.examples import examples
from tests.helpers.paths import SHARED

KB, MB = 1024, 1024**2

#: Appendix E: N of its reference sets, and "(keep rate, classes): (form, printed)" that follow from N, p and C alone.
IMAGENET_21K, IMAGENET_1K = 14_197_122, 1_281_167
PRINTED = [
    (IMAGENET_21K, "0.001", 200, "idx-raw", "83.19 KB"),
    (IMAGENET_21K, "0.001", 200, "bmp-raw", "1.72 MB"),
    (IMAGENET_21K, "0.001", 200, "bmp-compact", "1.71 MB"),
    (IMAGENET_21K, "0.05", 200, "idx-raw", "4.06 MB"),
    (IMAGENET_21K, "0.05", 365, "bmp-compact", "3.05 MB"),
    (IMAGENET_21K, "1", 200, "all-raw", "27.08 MB"),
    (IMAGENET_21K, "1", 200, "all-compact", "13.54 MB"),
    (IMAGENET_1K, "0.005", 10, "idx-raw", "37.53 KB"),
    (IMAGENET_1K, "0.1", 10, "bmp-raw", "406.62 KB"),
    (IMAGENET_1K, "0.25", 10, "bmp-compact", "469.18 KB"),
    (IMAGENET_1K, "0.5", 10, "idx-raw", "3.67 MB"),
    (IMAGENET_1K, "1", 365, "all-raw", "2.44 MB"),
    (IMAGENET_1K, "1", 365, "all-compact", "2.44 MB"),
    (IMAGENET_1K, "1", 10, "all-compact", "1.22 MB"),
]


def as_printed(size: float) -> str:
    return f"{size / MB:.2f} MB" if size >= MB else f"{size / KB:.2f} KB"


def selection(reference_size: int, keep: Fraction, num_classes: int) -> Payload:
    """floor(pN) images, evenly spread: which ones they are changes no raw form, and no bitmap's size."""
    kept = math.floor(keep * reference_size)
    indices = np.arange(kept) * reference_size // max(1, kept)
    return Payload(indices, np.zeros(kept, np.int32), reference_size, num_classes)


def read_back(form: str, data: bytes, payload: Payload) -> tuple[list[int], list[int]]:
    """(indices, labels) of a form, read by the description in the module's docstring."""
    layout, _, kind = form.partition("-")
    n, k = payload.reference_size, payload.kept
    label_type = "<u2" if kind == "raw" or payload.num_classes > 256 else "<u1"
    label_bytes = k * np.dtype(label_type).itemsize
    index_part = data[: len(data) - label_bytes]
    labels = np.frombuffer(data[len(index_part) :], label_type).tolist()
    if layout == "all":
        assert not index_part
        return list(range(n)), labels
    if layout == "bmp":
        assert len(index_part) == -(-n // 8)
        return np.flatnonzero(np.unpackbits(np.frombuffer(index_part, np.uint8))).tolist(), labels
    if not k:
        return [], labels
    integers = np.frombuffer(index_part, f"<u{len(index_part) // k}")
    if kind == "raw":
        assert integers.itemsize == (4 if n <= 2**32 else 8)
        return integers.tolist(), labels
    width = integers.itemsize
    assert width == 1 or integers.max() >= 1 << (4 * width)
    return np.cumsum(integers.astype(np.int64)).tolist(), labels


@examples(2)
@given(payloads(max_kept=300))
def test_the_payload_can_be_read_back_from_every_layout(payload: Payload) -> None:
    expected = payload.indices.tolist(), payload.labels.tolist()
    forms = paper_layouts(payload)
    if payload.kept == payload.reference_size:
        assert list(forms) == ["all-raw", "all-compact"]
    else:
        bitmaps = ["bmp-raw", "bmp-compact"] if payload.reference_size <= 2**31 else []
        assert list(forms) == ["idx-raw", "idx-compact", *bitmaps]
    for form, data in forms.items():
        assert read_back(form, data, payload) == expected


@examples(1)
@given(payloads(max_kept=300))
def test_compared_sizes_are_those_of_the_layouts(payload: Payload) -> None:
    forms = paper_layouts(payload)
    steps: list[tuple[int, int]] = []
    comparison = compare(payload, progress=lambda done, total: steps.append((done, total)))
    assert [f"{sizes.layout}-compact" for sizes in comparison.layouts] == list(forms)[1::2]
    for sizes in comparison.layouts:
        compact = forms[f"{sizes.layout}-compact"]
        assert sizes.raw_bytes == len(forms[f"{sizes.layout}-raw"])
        assert sizes.compact_bytes == len(compact)
        assert sizes.zstd_bytes == len(zstandard.compress(compact, 19))
    assert comparison.ours_bytes == len(encode(payload, profile="small"))
    assert comparison.best_zstd_bytes == min(sizes.zstd_bytes for sizes in comparison.layouts)
    assert comparison.ratio == comparison.ours_bytes / comparison.best_zstd_bytes
    assert steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps][:-1] == list(range(1, len(steps)))


@given(st.lists(st.integers(0, 30), min_size=2, max_size=300))
def test_huffman_is_within_a_bit_a_symbol_of_the_entropy(labels: list[int]) -> None:
    comparison = compare(Payload(range(len(labels)), labels, len(labels), 31))
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    entropy_bits = float(-(shares * np.log2(shares)).sum() * len(labels))
    (sizes,) = comparison.layouts
    assert entropy_bits - 1e-6 <= 8 * sizes.huffman_bytes <= entropy_bits + len(labels) + 8


def test_huffman_sizes_are_those_computed_by_hand() -> None:
    # differences 1 1 1 1 2 2 4: codes of 1, 2, 2 bits; labels 0 0 0 0 0 0 1: one bit each; 10 + 7 bits
    comparison = compare(Payload([1, 2, 3, 4, 6, 8, 12], [0, 0, 0, 0, 0, 0, 1], 16, 2))
    index_list, bitmap = comparison.layouts
    assert index_list.huffman_bytes == 3
    # bitmap 7a 88: one bit each; 2 + 7 bits
    assert bitmap.huffman_bytes == 2


def test_an_empty_selection_has_the_sizes_of_empty_layouts() -> None:
    comparison = compare(Payload([], [], 100, 10))
    assert [(sizes.layout, sizes.raw_bytes, sizes.compact_bytes) for sizes in comparison.layouts] == [
        ("idx", 0, 0),
        ("bmp", 13, 13),
    ]


def test_the_papers_layouts_are_over_the_whole_reference_set() -> None:
    indices, labels = np.arange(5, 1000, 10), np.zeros(100, int)
    whole, strided = (Payload(indices, labels, 1000, 10, universe=u) for u in (Universe(), Universe(5, 10)))
    assert paper_layouts(whole) == paper_layouts(strided)


def test_a_bitmap_beyond_the_limit_is_left_out() -> None:
    payload = Payload([1, 2**40], [0, 1], 2**41, 2)
    assert [sizes.layout for sizes in compare(payload).layouts] == ["idx"]
    small = Payload([1], [0], 100, 1)
    assert [sizes.layout for sizes in compare(small, limits=Limits(max_stream_bytes=12)).layouts] == ["idx"]


def test_a_comparison_converts_to_plain_json() -> None:
    comparison = compare(Payload([1, 5], [0, 1], 100, 2))
    said = json.loads(json.dumps(comparison.as_dict()))
    assert said["layouts"][0]["layout"] == "idx"
    assert said["ratio"] == comparison.ratio
    assert isinstance(comparison, Comparison)


@pytest.mark.parametrize(("reference_size", "keep", "num_classes", "form", "printed"), PRINTED)
def test_layouts_have_the_sizes_that_the_paper_prints(
    reference_size: int, keep: str, num_classes: int, form: str, printed: str
) -> None:
    assert as_printed(len(paper_layouts(selection(reference_size, Fraction(keep), num_classes))[form])) == printed


@pytest.mark.skipif(not (SHARED / "corpora").is_dir(), reason="needs ../shared/corpora")
def test_every_printed_size_that_follows_from_n_p_and_c_comes_out() -> None:
    published = json.loads((SHARED / "corpora/paper_tables.json").read_text())

    @cache
    def form_bytes(reference: str, keep: Fraction, label_bytes: int) -> dict[str, int]:
        forms = paper_layouts(selection(published["references"][reference], keep, 256**label_bytes))
        return {form: len(data) for form, data in forms.items()}

    checked = 0
    for dataset, rows in published["tables"].items():
        label_bytes = 1 if published["classes"][dataset] <= 256 else 2
        for row, references in rows.items():
            percent, layout = ("100", "all") if row == "No Filter" else (row.split("%")[0], row[-4:-1].lower())
            for reference, cells in references.items():
                forms = form_bytes(reference, Fraction(percent) / 100, label_bytes)
                for kind in ("raw",) if layout == "idx" else ("raw", "compact"):
                    ours = forms[f"{layout}-{kind}"]
                    assert as_printed(ours) == as_printed(cells[kind]), (dataset, row, reference, kind)
                    checked += 1
    assert checked == 10 * 2 * (7 + 2 * 7 + 2)


#: corpora/README.md: bytes of the paper's best layout at zstd-19, at keep rates of 1, 5, 10, 25 and 100%. Left out:
#: resisc12 at 5%, whose selection depends on how a tie is broken.
MEASURED = {
    "cifar10": (1079, 4169, 8170, 18205, 38125),
    "resisc12": (1728, None, 10127, 21218, 42607),
    "clothing10": (1550, 5234, 9144, 18401, 34780),
}


@pytest.mark.skipif(not (SHARED / "corpora").is_dir(), reason="needs ../shared/corpora")
@pytest.mark.parametrize("target", MEASURED)
def test_real_corpora_have_the_measured_sizes_in_the_papers_coding_and_no_larger_ones_in_ours(target: str) -> None:
    logits = np.load(SHARED / f"corpora/{target}-on-tiny-imagenet-100k.npz")["logits"].astype(np.float32)
    energy = -np.logaddexp.reduce(logits, axis=1)
    by_energy = np.argsort(energy, kind="stable")
    for keep, measured in zip((0.01, 0.05, 0.1, 0.25, 1), MEASURED[target], strict=True):
        kept = np.sort(by_energy[: int(len(logits) * keep)])
        comparison = compare(Payload(kept, logits[kept].argmax(1), len(logits), logits.shape[1]))
        # Releases of libzstd differ, and so do images whose energies are equal but for the last bit
        assert measured is None or comparison.best_zstd_bytes == pytest.approx(measured, rel=0.02)
        assert comparison.ours_bytes <= comparison.best_zstd_bytes + 32
