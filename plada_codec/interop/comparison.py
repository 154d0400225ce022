"""Compare the size of a payload with the codings of the paper's Appendix E (arXiv 2602.23358).

The paper sends a selection as a list of indices (`idx`) or as a bitmap (`bmp`), then its labels; if every image
is kept, only the labels (`all`). Each layout is measured in four forms:

    raw      u32 for each index, or ceil(N / 8) bytes; u16 for each label
    compact  each index as its difference to the previous one (to 0 for the first); differences, and labels below C,
             in the smallest of u8, u16, u32 and u64 that holds them all. The bitmap stays as it is
    huffman  the compact form as symbols, each part (differences or bytes of the bitmap; labels) with its own
             optimal prefix code
    zstd     the compact form in one Zstandard frame, level 19

The paper does not describe its Huffman coder. This module assumes: a whole difference is one symbol, the tables of
the codes are not counted, and a part with a single symbol takes one bit for each occurrence. (The paper's tables show
that the symbols of the bitmap are bytes: at 0.1% kept it takes just over one bit per byte.)

The paper has no universe, so its indices and bitmap cover the whole reference set, whatever the payload's universe.
It does not count a header, a digest or class names; our size includes them all.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.codings.base import CodingContext
from plada_codec.codings.bitmap import Bitmap
from plada_codec.errors import LimitExceeded, check_type
from plada_codec.limits import Limits
from plada_codec.payload import Payload
from plada_codec.progress import Progress, no_progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Parts = tuple[NDArray[np.unsignedinteger[Any]], ...]

_ZSTD_LEVEL = 19
_TYPES = tuple(np.dtype(name) for name in ("<u1", "<u2", "<u4", "<u8"))


@dataclass(frozen=True)
class LayoutSizes:
    """Sizes in bytes of one of the paper's layouts: "idx", "bmp" or "all"."""

    layout: str
    raw_bytes: int
    compact_bytes: int
    huffman_bytes: int
    zstd_bytes: int


@dataclass(frozen=True)
class Comparison:
    """A payload's size in the paper's layouts and in ours, in bytes.

    Attributes:
        layouts: "idx" and "bmp", or only "all" if every image is kept. "bmp" is missing if its bitmap would be
            larger than the limit `max_stream_bytes`.
        ours_bytes: size of the whole payload, `encode(payload, profile="small")`.
    """

    reference_size: int
    num_classes: int
    kept: int
    layouts: tuple[LayoutSizes, ...]
    ours_bytes: int

    @property
    def best_zstd_bytes(self) -> int:
        """The paper's best size: that of the smallest layout under zstd."""
        return min(sizes.zstd_bytes for sizes in self.layouts)

    @property
    def ratio(self) -> float:
        """Our size divided by the paper's best; below 1 if ours is smaller."""
        return self.ours_bytes / self.best_zstd_bytes

    def as_dict(self) -> dict[str, Any]:
        """The fields as `plada compare --json` prints them."""
        return asdict(self) | {"best_zstd_bytes": self.best_zstd_bytes, "ratio": self.ratio}


def compare(payload: Payload, *, limits: Limits = Limits(), progress: Progress = no_progress) -> Comparison:
    """Measure the size of a payload in the paper's layouts and in our format.

    Args:
        payload: the payload to measure.
        limits: bounds on our payload, and on the paper's bitmap.
        progress: called after each step with the number of finished steps and of all steps; a step may take seconds.

    Raises:
        LimitExceeded: if the payload cannot be encoded within `limits`.
        InvalidArgument: if an argument has another type.
    """
    check_type(payload, Payload, "payload", "payload")
    check_type(limits, Limits, "limits", "limits")
    import zstandard

    from plada_codec.api import encode

    steps = 2 if payload.kept == payload.reference_size else 3

    def step_done(done: int) -> None:
        progress(done, steps)

    rows = []
    for layout, raw, compact in _layouts(payload, limits):
        content = _joined(compact)
        rows.append(
            LayoutSizes(
                layout=layout,
                raw_bytes=sum(part.nbytes for part in raw),
                compact_bytes=len(content),
                huffman_bytes=-(-sum(_huffman_bits(part) for part in compact) // 8),
                zstd_bytes=len(zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(content)),
            )
        )
        step_done(len(rows))
    ours_bytes = len(encode(payload, profile="small", limits=limits))
    step_done(steps)
    return Comparison(payload.reference_size, payload.num_classes, payload.kept, tuple(rows), ours_bytes)


def paper_layouts(payload: Payload, *, limits: Limits = Limits()) -> dict[str, bytes]:
    """The bytes of the paper's layouts, for other compressors: "idx-raw", "idx-compact", "bmp-raw", "bmp-compact".

    If every image is kept: "all-raw", "all-compact". The bitmap is left out if it would be larger than the limit
    `max_stream_bytes`. The `zstd` sizes of `compare` are of the compact layouts.
    """
    forms = {}
    for layout, raw, compact in _layouts(payload, limits):
        forms[f"{layout}-raw"] = _joined(raw)
        forms[f"{layout}-compact"] = _joined(compact)
    return forms


def _layouts(payload: Payload, limits: Limits) -> Iterator[tuple[str, Parts, Parts]]:
    """Layouts: name, parts of the raw form, parts of the compact form."""
    raw_labels = payload.labels.astype("<u2")
    labels = payload.labels.astype(_smallest_type(payload.num_classes - 1))
    if payload.kept == payload.reference_size:
        yield "all", (raw_labels,), (labels,)
        return

    # the paper's reference sets fit 32 bits; beyond them its list would need 64
    indices = payload.indices.astype("<u4" if payload.reference_size <= 1 << 32 else "<u8")
    differences = np.diff(payload.indices, prepend=0)
    compact = differences.astype(_smallest_type(int(differences.max(initial=0))))
    yield "idx", (indices, raw_labels), (compact, labels)

    try:
        data = Bitmap().encode(payload.indices, CodingContext(payload.reference_size, limits), thorough=False)
    except LimitExceeded:
        return
    bitmap = np.frombuffer(data, np.uint8)
    yield "bmp", (bitmap, raw_labels), (bitmap, labels)


def _smallest_type(largest: int) -> np.dtype[Any]:
    return next(dtype for dtype in _TYPES if largest <= np.iinfo(dtype).max)


def _joined(parts: Parts) -> bytes:
    return b"".join(part.tobytes() for part in parts)


def _huffman_bits(symbols: NDArray[np.unsignedinteger[Any]]) -> int:
    """Bits of `symbols` in their optimal prefix code (Huffman 1952): the sum of all merged counts."""
    if not len(symbols):
        return 0
    counts = np.unique(symbols, return_counts=True)[1].tolist()
    if len(counts) == 1:
        return int(counts[0])
    heapq.heapify(counts)
    bits = 0
    while len(counts) > 1:
        merged = heapq.heappop(counts) + counts[0]
        heapq.heapreplace(counts, merged)
        bits += merged
    return bits
