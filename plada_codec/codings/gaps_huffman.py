"""`gaps-huffman`: the bit length of each gap by canonical Huffman, its other bits as they are (spec section 6.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings import huffman
from plada_codec.codings.gaps import gaps_of
from plada_codec.kernels import huffman as kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import CodingContext, Integers, Stream


class GapsHuffman:
    """For each distance g (gap plus one): the symbol floor(log2 g), then its other bits."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return self._plan(gaps_of(values) + 1, context.domain_size)[1]

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        distances = gaps_of(values) + 1
        lengths, size = self._plan(distances, context.domain_size)
        out, at = huffman.open_stream(lengths, size)
        kernel.write_distances(out, at, lengths, huffman.canonical_codes(lengths), distances)
        return out.tobytes()

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        order, limits, at = huffman.read_table(stream, _alphabet_size(context.domain_size))
        positions = np.empty(count, np.int64)
        read, end = kernel.read_distances(stream.data, at, order, limits, context.domain_size, positions)
        if end == kernel.ENDED:
            raise stream.truncated(f"the stream ends after {read} of {count} positions")
        if read < count:
            raise stream.corrupt(
                f"gap {read} leads past the universe of {context.domain_size} images", "index-range", end // 8
            )
        huffman.check_end(stream, end)
        return positions

    @staticmethod
    def _plan(distances: NDArray[np.int64], domain_size: int) -> tuple[huffman.CodeLengths, int]:
        """(code lengths, size of the stream in bytes)"""
        counts = np.zeros(_alphabet_size(domain_size), np.int64)
        kernel.count_bit_lengths(distances, counts)
        lengths = huffman.code_lengths(counts)
        return lengths, huffman.stream_bytes(lengths, counts, int(np.dot(counts, np.arange(len(counts)))))


def _alphabet_size(domain_size: int) -> int:
    return domain_size.bit_length()
