"""`classes-huffman`: each label as a canonical Huffman code (spec section 7.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings import huffman
from plada_codec.kernels import huffman as kernel

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream


class ClassesHuffman:
    """Labels as Huffman symbols; an unused class costs almost nothing."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return self._plan(values, context.domain_size)[1]

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        lengths, size = self._plan(values, context.domain_size)
        out, at = huffman.open_stream(lengths, size)
        kernel.write_symbols(out, at, lengths, huffman.canonical_codes(lengths), values)
        return out.tobytes()

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        order, limits, at = huffman.read_table(stream, context.domain_size)
        labels = np.empty(count, np.int32)
        read, end = kernel.read_symbols(stream.data, at, order, limits, labels)
        if end == kernel.ENDED:
            raise stream.truncated(f"the stream ends after {read} of {count} labels")
        huffman.check_end(stream, end)
        return labels

    @staticmethod
    def _plan(labels: Integers, domain_size: int) -> tuple[huffman.CodeLengths, int]:
        """(code lengths, size of the stream in bytes)"""
        counts = np.bincount(labels, minlength=domain_size)
        lengths = huffman.code_lengths(counts)
        return lengths, huffman.stream_bytes(lengths, counts)
