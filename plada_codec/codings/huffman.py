"""The coder `huffman` (spec section 5.4): canonical Huffman codes and the table of their lengths.

Shared by `gaps-huffman` and `classes-huffman`. Code lengths are int8 [A], one for each symbol of the alphabet:
-1 for an unused symbol, 0 for the only one that is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.kernels import huffman as kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.codings.base import Stream

    CodeLengths = NDArray[np.int8]

#: Spec section 5.4.
MAX_CODE_BITS = 24
UNUSED = -1


def code_lengths(counts: NDArray[np.int64]) -> CodeLengths:
    """Code lengths, at most 24 bits each, for symbols with these counts (int64 [A], not all zero).

    They are optimal for one limit on the longest code. A tighter limit makes the codes longer and the table, whose
    lengths then differ less, smaller: the limit is the one for which both together are smallest.
    """
    used = np.flatnonzero(counts)
    by_count = used[np.argsort(counts[used], kind="stable")]
    best: CodeLengths | None = None
    best_bits = 0
    for max_bits in range((len(used) - 1).bit_length(), MAX_CODE_BITS + 1):
        lengths = np.full(len(counts), UNUSED, np.int8)
        optimal = np.empty(len(used), np.int8)
        kernel.package_merge(counts[by_count], max(max_bits, 1), optimal)
        lengths[by_count] = optimal
        bits = _stream_bits(lengths, counts)
        if best is None or bits < best_bits:
            best, best_bits = lengths, bits
        if lengths.max() < max_bits:
            break  # a looser limit changes nothing
    assert best is not None
    return best


def stream_bytes(lengths: CodeLengths, counts: NDArray[np.int64], plain_bits: int = 0) -> int:
    """Size of a stream in bytes: the table, the code of each symbol, and `plain_bits` bits between the codes."""
    return -(-(_stream_bits(lengths, counts) + plain_bits) // 8)


def _stream_bits(lengths: CodeLengths, counts: NDArray[np.int64]) -> int:
    used = counts > 0
    return int(kernel.table_bits(lengths)) + int(np.dot(counts[used], lengths[used].astype(np.int64)))


def open_stream(lengths: CodeLengths, size: int) -> tuple[NDArray[np.uint8], int]:
    """Make a stream of `size` bytes and write the table; return it, and the bit at which the codes begin."""
    out = np.zeros(size, np.uint8)
    return out, int(kernel.write_table(out, lengths))


def canonical_codes(lengths: CodeLengths) -> NDArray[np.int64]:
    """The code of each symbol (int64 [A]). Frozen by format 1."""
    order, per_length = _canonical_order(lengths)
    codes = np.zeros(len(lengths), np.int64)
    code = done = 0
    for symbols in per_length.tolist():
        code <<= 1
        codes[order[done : done + symbols]] = np.arange(code, code + symbols)
        code, done = code + symbols, done + symbols
    return codes


def read_table(stream: Stream, alphabet_size: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Read the table: used symbols in canonical order, limits of the codes (see the kernels), and the next bit.

    Raises:
        Truncated, Corrupt: stream-end, huffman-table.
    """
    lengths = np.full(alphabet_size, UNUSED, np.int8)
    at = int(kernel.read_table(stream.data, lengths))
    if at == kernel.ENDED:
        raise stream.truncated("the stream ends in its table of code lengths")
    if at == kernel.BAD_TABLE:
        raise stream.corrupt("the table of code lengths is not one", "huffman-table")
    order, per_length = _canonical_order(lengths)
    kraft_sum = sum(symbols << (MAX_CODE_BITS - length) for length, symbols in enumerate(per_length.tolist()))
    if kraft_sum != 1 << MAX_CODE_BITS:
        raise stream.corrupt("the code lengths do not make a complete code", "huffman-table")
    return order, _limits(per_length), at


def _limits(per_length: NDArray[np.int64]) -> NDArray[np.int64]:
    """First code of each length, its place in canonical order, and the bound on the next 24 bits (int64 [3, 25])."""
    limits = np.empty((3, MAX_CODE_BITS + 1), np.int64)
    code = place = 0
    for length, symbols in enumerate(per_length.tolist()):
        code <<= 1
        limits[:, length] = code, place, (code + symbols) << (MAX_CODE_BITS - length)
        code, place = code + symbols, place + symbols
    return limits


def check_end(stream: Stream, end_bit: int) -> None:
    """Refuse bytes that follow the byte of bit `end_bit`, and padding that is not zero."""
    end_byte = -(-end_bit // 8)
    if end_byte != len(stream.data):
        raise stream.corrupt(f"{len(stream.data) - end_byte} bytes are left over", "stream-length", end_byte)
    stream.expect_zero_padding(end_bit)


def _canonical_order(lengths: CodeLengths) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    used = np.flatnonzero(lengths != UNUSED)
    order = used[np.argsort(lengths[used], kind="stable")]
    return order, np.bincount(lengths[used], minlength=MAX_CODE_BITS + 1)
