"""The plain decoder of PLADA payloads, format version 1, to be read beside `plada-format-1.md`.

It follows that text section by section, under the same names, and it is written to be compared with it, not
to be fast. It needs Python 3.11 and the standard library; the codings whose names end in `-zstd` also need the
package `zstandard`. It is of decoder class `full`, and it reads class names, soft labels and weights.

As a program, `python plada_decode.py [FILE|-]` reads a payload (from standard input unless a file is named) and
writes it to standard output as CSV: a line `index,label`, then one line for each kept image. For a payload that
must be refused it writes one line to standard error, nothing to standard output, and exits with 1. The limits of
section 9 are arguments (`--max-kept N`), and so is the digest that is expected (`--expected-digest HEX`). With
`--batch` it answers the requests of `plada_batch.py`, beside it.
"""

import argparse
import hashlib
import sys
import unicodedata
import zlib
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from pathlib import Path

import plada_batch

# ---------------------------------------------------------------------------------------------------------
# 2. Conventions
# ---------------------------------------------------------------------------------------------------------


class Fields:
    """Fields that follow each other in data[at:end] (2.1, 2.2); one that would pass `end` breaks the rule `cut`.

    Errors report the byte at which the field begins, or always `offset` where `data` is not the payload itself.
    """

    def __init__(self, data: bytes, at: int, end: int, cut: str, offset: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = end
        self.cut = cut
        self.offset = offset

    def refuse(self, rule: str, message: str, at: int) -> "DecodeError":
        return DecodeError(rule, message, at if self.offset is None else self.offset)

    def take(self, size: int) -> bytes:
        begin = self.at
        if size > self.end - begin:
            raise self.refuse(self.cut, f"{size} bytes are needed where {max(0, self.end - begin)} are left", begin)
        self.at = begin + size
        return self.data[begin : self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def varint(self) -> int:
        """2.2."""
        begin = self.at
        value = 0
        for group in range(9):
            if self.at >= self.end:
                raise self.refuse(self.cut, "a varint is cut short", begin)
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 0x7F) << 7 * group
            if byte < 0x80:
                if byte == 0 and group > 0:
                    raise self.refuse("varint", "a varint is longer than it need be", begin)
                return value
        raise self.refuse("varint", "a varint has more than 9 bytes", begin)


class Bits:
    """A stream of bits, most significant bit first (2.3); `offset` is where the stream begins in the payload."""

    def __init__(self, stream: bytes, offset: int) -> None:
        self.stream = stream
        self.offset = offset
        self.at = 0
        self.end = 8 * len(stream)

    def bit(self) -> int:
        at = self.at
        if at == self.end:
            raise DecodeError("stream-end", "a stream of bits ends early", self.offset)
        self.at = at + 1
        return self.stream[at // 8] >> (7 - at % 8) & 1

    def number(self, size: int) -> int:
        """A number of `size` bits."""
        end = self.at + size
        if end > self.end:
            raise DecodeError("stream-end", "a stream of bits ends early", self.offset)
        last = (end + 7) // 8
        window = int.from_bytes(self.stream[self.at // 8 : last], "big")
        self.at = end
        return window >> (8 * last - end) & ((1 << size) - 1)

    def gamma(self) -> int:
        """Gamma(n): n >= 1 (2.3). The bound on its length is that of 5.4, its only use."""
        zeros = 0
        while self.bit() == 0:
            zeros += 1
            if zeros > 31:
                raise DecodeError("huffman-table", "a Gamma has more than 31 leading zero bits", self.offset)
        return 1 << zeros | self.number(zeros)

    def check_end(self) -> None:
        """The stream ends in the byte that holds the last bit read, filled up with zeros (2.3, 5.4)."""
        padding = self.end - self.at
        if padding >= 8:
            raise DecodeError("stream-length", f"{padding // 8} bytes follow the last coded bit", self.offset)
        if self.number(padding) != 0:
            raise DecodeError("padding", "the padding bits are not all zero", self.offset)


# ---------------------------------------------------------------------------------------------------------
# 3. Container
# ---------------------------------------------------------------------------------------------------------

SIGNATURE = b"\x8f\x50\x4c"
VERSION = 1

FLAG_SECTIONS = 0x80
FLAG_COMPLEMENT = 0x40
FLAG_UNIVERSE = 0x20
FLAG_CLASS_CHECK = 0x10
DIGEST_CODE = 0x0F

CLASS_CHECK_TAG = b"plada-class-check-1"
CLASS_CHECK_BYTES = 2
CHECKSUM_BYTES = 4


@dataclass
class Section:
    """An entry of the list of sections (8), unread."""

    type: int
    coder: int
    data: bytes
    at: int
    data_at: int


@dataclass
class Payload:
    """The fields of a payload as they stand in it (3); their values are not checked yet.

    `kept` is None where the field is absent, and so is `sections`. `at` says at which byte each field begins, or
    would begin if it were present.
    """

    flags: int
    index_code: int
    label_code: int
    reference_size: int
    num_classes: int
    offset: int
    stride: int
    kept: int | None
    digest: bytes
    class_check: bytes
    sections: list[Section] | None
    index_stream: bytes
    label_stream: bytes
    at: dict[str, int]


def digest_bytes(flags: int) -> int:
    """The size of the digest (3.2)."""
    code = flags & DIGEST_CODE
    return 0 if code == 0 else 2 * code + 6


def class_check(names: list[str]) -> bytes:
    """The class check of the names of all classes, in order (3.4)."""
    text = b"".join(unicodedata.normalize("NFC", name).encode() + b"\n" for name in names)
    return hashlib.sha256(CLASS_CHECK_TAG + text).digest()[:CLASS_CHECK_BYTES]


def read_payload(data: bytes) -> Payload:
    """3, and the steps 1 to 4 of 10: everything that damage on the way can bring about."""
    # Step 1: 3.1.
    if data[:3] != SIGNATURE[: len(data)]:
        raise DecodeError("signature", "this is not a PLADA payload", 0)
    if len(data) < 3:
        raise DecodeError("header", "the payload ends within its signature", 0)

    # Step 2: 3.1.
    if len(data) == 3:
        raise DecodeError("header", "the payload ends before its version", 3)
    if data[3] != VERSION:
        raise DecodeError("version", f"the payload is of format version {data[3]}, not {VERSION}", 3)

    # Step 3: the fields up to the end of the index stream, none of which may reach into the checksum.
    checksum_at = len(data) - CHECKSUM_BYTES
    fields = Fields(data, 4, checksum_at, cut="header")
    at = {}

    flags = fields.u8()
    if flags & DIGEST_CODE > 13:
        raise DecodeError("digest-length", f"{flags & DIGEST_CODE} is not a digest code", 4)
    at["codings"] = fields.at
    codings = fields.u8()
    index_code, label_code = codings >> 4, codings & 15
    has_index_stream = INDEX_CODINGS.get(index_code) != "all-plain"

    at["reference size"] = fields.at
    reference_size = fields.varint()
    at["classes"] = fields.at
    num_classes = fields.varint()
    at["universe"] = fields.at
    offset = fields.varint() if flags & FLAG_UNIVERSE else 0
    stride = fields.varint() if flags & FLAG_UNIVERSE else 1
    at["kept"] = fields.at
    kept = fields.varint() if has_index_stream else None
    at["digest"] = fields.at
    digest = fields.take(digest_bytes(flags))
    at["class check"] = fields.at
    check = fields.take(CLASS_CHECK_BYTES) if flags & FLAG_CLASS_CHECK else b""
    index_length = fields.varint() if has_index_stream else 0
    at["sections"] = fields.at
    sections = read_sections(fields) if flags & FLAG_SECTIONS else None
    at["index stream"] = fields.at
    index_stream = fields.take(index_length)
    at["label stream"] = fields.at
    label_stream = data[fields.at : checksum_at]

    # Step 4: 3.3.
    if zlib.crc32(data[:checksum_at]) != int.from_bytes(data[checksum_at:], "little"):
        raise DecodeError("checksum", "the payload is damaged: its checksum is not that of its bytes", checksum_at)

    return Payload(
        flags, index_code, label_code, reference_size, num_classes, offset, stride,
        kept, digest, check, sections, index_stream, label_stream, at,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------------
# 4. Universe and coded set
# ---------------------------------------------------------------------------------------------------------


def universe_size(reference_size: int, offset: int, stride: int) -> int:
    """M (4)."""
    return (reference_size - offset - 1) // stride + 1


def kept_positions(coded: Sequence[int], complement: bool, kept: int, m: int) -> Sequence[int]:
    """The positions of the kept images of a universe of m images, from those of the coded set (4)."""
    if not complement:
        return coded
    positions: list[int] = []
    if kept == 0:
        return positions
    next_position = 0
    for p in coded:
        positions.extend(range(next_position, p))
        next_position = p + 1
    positions.extend(range(next_position, m))
    return positions


# ---------------------------------------------------------------------------------------------------------
# 5. Codings
# ---------------------------------------------------------------------------------------------------------

#: 5.1.
INDEX_CODINGS = {
    0: "all-plain",
    1: "bitmap-plain",
    2: "bitmap-zstd",
    3: "gaps-plain",
    4: "gaps-huffman",
    5: "gaps-zstd",
    6: "gaps-modelled",
    7: "runs-plain",
    8: "runs-zstd",
}

#: 5.2.
LABEL_CODINGS = {
    0: "constant-plain",
    1: "classes-plain",
    2: "classes-huffman",
    3: "classes-zstd",
    4: "classes-modelled",
}

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_MAX_WINDOW = 1 << 23
ZSTD_SIZE_UNKNOWN = 2**64 - 1


def zstd_content(stream: bytes, offset: int, sizes: Container[int], max_bytes: int, limit_rule: str) -> bytes:
    """The content of a stream of the coder zstd, whose size must be one of `sizes` and within a limit (5.3)."""
    size = zstd_content_size(stream, offset)
    if size not in sizes:
        raise DecodeError("zstd-size", f"a zstd frame declares {size} bytes, which its layout does not allow", offset)
    if size > max_bytes:
        raise DecodeError(limit_rule, f"a zstd frame declares {size} bytes; the limit is {max_bytes}", offset)

    import zstandard

    try:
        # Without allow_extra_data=False, zstandard passes over what follows the frame.
        content = zstandard.ZstdDecompressor().decompress(ZSTD_MAGIC + stream, allow_extra_data=False)
    except zstandard.ZstdError:
        raise DecodeError("zstd-frame", "a zstd frame is not valid", offset) from None
    if len(content) != size:
        raise DecodeError("zstd-frame", f"a zstd frame holds {len(content)} bytes, not the {size} declared", offset)
    return content


def zstd_content_size(stream: bytes, offset: int) -> int:
    """The Frame_Content_Size, once all the demands of 5.3 on the frame's header are met (RFC 8878, 3.1.1.1)."""
    if not stream:
        raise DecodeError("zstd-frame", "a zstd frame is empty", offset)
    descriptor = stream[0]
    single_segment = descriptor >> 5 & 1
    if descriptor >> 3 & 1:
        raise DecodeError("zstd-frame", "a zstd frame has its reserved bit set", offset)
    if not descriptor >> 2 & 1:
        raise DecodeError("zstd-frame", "a zstd frame has no content checksum", offset)
    if descriptor & 3:
        raise DecodeError("zstd-frame", "a zstd frame has a dictionary ID", offset)

    size_bytes = (single_segment, 2, 4, 8)[descriptor >> 6]
    size_at = 1 if single_segment else 2
    if size_bytes == 0:
        raise DecodeError("zstd-frame", "a zstd frame does not declare its content size", offset)
    if len(stream) < size_at + size_bytes:
        raise DecodeError("zstd-frame", "a zstd frame ends within its header", offset)
    size = int.from_bytes(stream[size_at : size_at + size_bytes], "little")
    if size_bytes == 2:
        size += 256
    if size == ZSTD_SIZE_UNKNOWN:
        raise DecodeError("zstd-frame", "a zstd frame does not declare its content size", offset)

    if single_segment:
        window = size
    else:
        base = 1 << 10 + (stream[1] >> 3)
        window = base + base // 8 * (stream[1] & 7)
    if window > ZSTD_MAX_WINDOW:
        raise DecodeError("zstd-frame", f"a zstd frame needs a window of {window} bytes", offset)
    return size


def read_code_lengths(bits: Bits, alphabet_size: int) -> dict[int, int]:
    """The code length of each used symbol, in the order of the symbols (5.4, table)."""
    lengths: dict[int, int] = {}
    previous = 0
    a = bits.gamma() - 1
    while True:
        if a >= alphabet_size:
            raise DecodeError("huffman-table", "a run of unused symbols leaves no used one to follow", bits.offset)
        r = bits.gamma()
        if a + r > alphabet_size:
            raise DecodeError("huffman-table", f"a run passes the alphabet's {alphabet_size} symbols", bits.offset)
        for symbol in range(a, a + r):
            z = bits.gamma() - 1
            delta = z // 2 if z % 2 == 0 else -((z + 1) // 2)
            previous += delta
            if not 0 <= previous <= 24:
                raise DecodeError("huffman-table", f"symbol {symbol} has a code of {previous} bits", bits.offset)
            lengths[symbol] = previous
        a += r
        if a < alphabet_size:
            a += bits.gamma()
        if a == alphabet_size:
            break
    if sum(1 << 24 - length for length in lengths.values()) != 1 << 24:
        raise DecodeError("huffman-table", "the code lengths do not make a complete code", bits.offset)
    return lengths


def canonical_codes(lengths: dict[int, int]) -> dict[tuple[int, int], int]:
    """The symbol of each (length, code) (5.4, codes)."""
    symbols = {}
    code = 0
    previous = 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        code <<= length - previous
        symbols[length, code] = symbol
        code += 1
        previous = length
    return symbols


def read_symbol(bits: Bits, symbols: dict[tuple[int, int], int]) -> int:
    """One coded symbol (5.4). The code is complete, so that at most 24 bits are read."""
    length = 0
    code = 0
    while (length, code) not in symbols:
        code = code << 1 | bits.bit()
        length += 1
    return symbols[length, code]


class RangeDecoder:
    """The range decoder (5.5); `offset` is where the stream begins in the payload."""

    def __init__(self, stream: bytes, offset: int) -> None:
        self.stream = stream
        self.offset = offset
        self.range = 1 << 32
        self.value = int.from_bytes(stream[:4].ljust(4, b"\0"), "big")
        self.r = 4

    def decide(self, p: int) -> int:
        """A decision that is a one with probability p."""
        bound = self.range * p >> 16
        if self.value < bound:
            bit = 1
            self.range = bound
        else:
            bit = 0
            self.value -= bound
            self.range -= bound
        while self.range < 1 << 24:
            byte = self.stream[self.r] if self.r < len(self.stream) else 0
            self.range *= 256
            self.value = self.value * 256 + byte
            self.r += 1
            if self.r - 4 > len(self.stream):
                raise DecodeError("stream-end", "a stream of decisions ends early", self.offset)
        return bit

    def raw(self, size: int) -> int:
        """A raw number of `size` bits."""
        number = 0
        for _ in range(size):
            number = number << 1 | self.decide(1 << 15)
        return number

    def check_end(self) -> None:
        """The stream ends where the range decoder has stopped reading, or up to four bytes before."""
        if len(self.stream) > self.r:
            message = f"{len(self.stream) - self.r} bytes follow the last coded decision"
            raise DecodeError("stream-length", message, self.offset)


def rescaled(products: list[int]) -> list[int]:
    """The weights w_i that follow from the products v_i (5.5, weights)."""
    excess = sum(products).bit_length() - 30
    if excess > 0:
        return [v >> excess for v in products]
    return [v << -excess for v in products]


def change_probability(g: int, t: int) -> int:
    """h: the probability, in units of 2^-20, of a change within g images, from the parameter t (6.6, 7.5)."""
    g = min(g, 1 << 32)
    return (g << 20) // (g + (1 << t))


MAX_STRETCH = 2815


@cache
def squash_table() -> list[int]:
    """squash(x) at x + 2815, for x = -2815 .. 2815 (5.5, logistic mixing)."""
    e = 1 << 30
    positive = []
    for _ in range(MAX_STRETCH + 1):
        positive.append((1 << 46) // ((1 << 30) + e))
        e -= e >> 8
    negative = [65536 - p for p in reversed(positive[1:])]
    return negative + positive


@cache
def stretch_table() -> list[int]:
    """stretch(p) at p >> 4, for the probabilities p = 0 .. 65,535 (5.5, logistic mixing)."""
    squash = squash_table()
    return [bisect_left(squash, 16 * step + 8) - MAX_STRETCH for step in range(4096)]


class Mixer:
    """A mixer (5.5, logistic mixing): it begins with the weights given."""

    def __init__(self, *weights: int) -> None:
        self.weights = list(weights)
        self.rate = 15728

    def decide(self, coder: RangeDecoder, probabilities: list[int]) -> int:
        """A decision coded from the inputs stretch(p), for each p of `probabilities`."""
        inputs = [stretch_table()[p >> 4] for p in probabilities]
        mixed = sum(m * x for m, x in zip(self.weights, inputs, strict=True)) >> 16
        p = squash_table()[max(-MAX_STRETCH, min(mixed, MAX_STRETCH)) + MAX_STRETCH]
        bit = coder.decide(p)
        for i, x in enumerate(inputs):
            self.weights[i] += (x * (65536 * bit - p) * self.rate + (1 << 27)) >> 28
        self.rate -= (self.rate - 2097) >> 10
        return bit


# ---------------------------------------------------------------------------------------------------------
# 6. Index codings
# ---------------------------------------------------------------------------------------------------------


def coded_set(coding: str, stream: bytes, offset: int, d: int, m: int, max_stream_bytes: int) -> Sequence[int]:
    """The d positions, ascending, of the coded set in a universe of m images, from the index stream (6)."""
    if coding == "all-plain":  # 6.1
        return range(m)
    if d == 0:  # 4, empty sets
        if stream:
            raise DecodeError("stream-length", "the index stream of an empty coded set is not empty", offset)
        return []

    def content(sizes: Container[int]) -> bytes:
        if coding.endswith("-plain"):
            return stream
        return zstd_content(stream, offset, sizes, max_stream_bytes, "limit-stream-bytes")

    if coding in ("bitmap-plain", "bitmap-zstd"):
        return read_bitmap(content([(m + 7) // 8]), offset, d, m)
    if coding in ("gaps-plain", "gaps-zstd"):
        return read_gaps(content([d, 2 * d, 4 * d, 8 * d]), offset, d, m)
    if coding == "gaps-huffman":
        return read_gaps_huffman(stream, offset, d, m)
    if coding == "gaps-modelled":
        return read_gaps_modelled(stream, offset, d, m)
    return read_runs(content(range(2, 18 * d + 1)), offset, d, m)


def read_bitmap(stream: bytes, offset: int, d: int, m: int) -> list[int]:
    """6.2."""
    if len(stream) != (m + 7) // 8:
        raise DecodeError("stream-length", f"a bitmap of {m} images does not have {len(stream)} bytes", offset)
    padding = 8 * len(stream) - m
    if stream[-1] & ((1 << padding) - 1):
        raise DecodeError("padding", "the padding bits are not all zero", offset)
    ones = int.from_bytes(stream, "big").bit_count()
    if ones != d:
        raise DecodeError("bitmap-count", f"a bitmap has {ones} ones, not {d}", offset)
    positions = []
    for at, byte in enumerate(stream):
        if byte:
            positions += [8 * at + bit for bit in range(8) if byte >> (7 - bit) & 1]
    return positions


def read_gaps(stream: bytes, offset: int, d: int, m: int) -> list[int]:
    """6.3."""
    w = len(stream) // d
    if w not in (1, 2, 4, 8) or len(stream) != d * w:
        raise DecodeError("stream-length", f"{d} gaps of one width do not have {len(stream)} bytes", offset)
    positions = []
    p = -1
    largest = 0
    for at in range(0, len(stream), w):
        v = int.from_bytes(stream[at : at + w], "little")
        p += v + 1
        if p >= m:
            raise DecodeError("index-range", f"a gap leads to position {p} of a universe of {m}", offset)
        positions.append(p)
        largest = max(largest, v)
    if w > 1 and largest < 1 << 8 * (w // 2):  # it fits the next smaller width
        raise DecodeError("gap-width", f"gaps of {w} bytes, though the largest is {largest}", offset)
    return positions


def read_gaps_huffman(stream: bytes, offset: int, d: int, m: int) -> list[int]:
    """6.4."""
    bits = Bits(stream, offset)
    symbols = canonical_codes(read_code_lengths(bits, alphabet_size=m.bit_length()))
    positions = []
    p = -1
    for _ in range(d):
        s = read_symbol(bits, symbols)
        g = 1 << s | bits.number(s)
        p += g
        if p >= m:
            raise DecodeError("index-range", f"a gap leads to position {p} of a universe of {m}", offset)
        positions.append(p)
    bits.check_end()
    return positions


def read_runs(stream: bytes, offset: int, d: int, m: int) -> list[int]:
    """6.5."""
    fields = Fields(stream, 0, len(stream), cut="stream-end", offset=offset)
    positions: list[int] = []
    p = fields.varint()
    while True:
        if p >= m:
            raise DecodeError("index-range", f"a skip leads to position {p} of a universe of {m}", offset)
        length = fields.varint() + 1
        if p + length > m:
            raise DecodeError("index-range", f"a run goes on to position {p + length - 1} of {m}", offset)
        if len(positions) + length > d:
            raise DecodeError("run-count", f"the runs add up to more than {d}", offset)
        positions.extend(range(p, p + length))
        if len(positions) == d:
            break
        p += length + fields.varint() + 1
    if fields.at != fields.end:
        raise DecodeError("stream-length", f"{fields.end - fields.at} bytes follow the last run", offset)
    return positions


#: Blocks of images have up to 2^MAX_BLOCK of them (6.6).
MAX_BLOCK = 40


def level_tables(levels: int) -> tuple[list[list[int]], list[list[int]]]:
    """empty(l, j) at [j][l], and half(l, j) likewise (6.6, tables)."""
    odds = [777472127993 >> (level + 1) // 2 if level % 2 else 1 << 39 - level // 2 for level in range(levels)]
    row = [((1 << 64) - 1) // ((1 << 32) + o) for o in odds]
    empty = [row]
    for _ in range(MAX_BLOCK):
        row = [max(1, e * e >> 32) for e in row]
        empty.append(row)
    half = [[max(1, (e << 32) // ((1 << 32) + e)) for e in row] for row in empty]
    return empty, half


def read_gaps_modelled(stream: bytes, offset: int, d: int, m: int) -> list[int]:
    """6.6."""
    if d >= 1 << 31:
        raise DecodeError("limit-kept", f"{d} images are coded, which must be below 2^31 in gaps-modelled", offset)
    coder = RangeDecoder(stream, offset)

    # Tables.
    q = m // d
    centre = min(63, 14 + 2 * (q.bit_length() - 1))
    levels = min(64, centre + 20)
    empty, half = level_tables(levels)

    # Start.
    t = coder.raw(4)
    prior = [((1 << 18) >> abs(level - centre) // 2) + 1024 for level in range(levels)]
    w = [(x << 30) // sum(prior) for x in prior]

    def decide(f: list[int]) -> int:
        """A decision by the probabilities f."""
        nonlocal w
        s = sum(wl * fl for wl, fl in zip(w, f, strict=True))
        bit = coder.decide(max(1, (s >> 16) // sum(w)))
        w = rescaled([wl * (fl if bit else (1 << 32) - fl) for wl, fl in zip(w, f, strict=True)])
        return bit

    def check(p: int) -> None:
        if p >= m:
            raise DecodeError("index-range", f"a gap leads to position {p} of a universe of {m}", offset)

    positions = []
    previous = -1
    next_position = 0
    for _ in range(d):
        # Each position: 1. Is a block empty?
        j = min(MAX_BLOCK, q.bit_length() - 1)
        while decide(empty[j]):
            next_position += 1 << j
            check(next_position)
            j = min(MAX_BLOCK, j + 1)
        # 2. Where in the block?
        while j > 0:
            j -= 1
            if decide(half[j]):
                next_position += 1 << j
                check(next_position)
        # 3.
        p = next_position
        check(p)
        positions.append(p)
        next_position += 1

        # After each position.
        h = change_probability(p - previous, t)
        total = sum(w)
        c = (h << 30) // total
        prior = [x + (wl * c >> 30) for x, wl in zip(prior, w, strict=True)]
        f = ((total * h >> 20) << 32) // sum(prior)
        w = [wl - (wl * h >> 20) + (x * f >> 32) for x, wl in zip(prior, w, strict=True)]
        previous = p
    coder.check_end()
    return positions


# ---------------------------------------------------------------------------------------------------------
# 7. Label codings
# ---------------------------------------------------------------------------------------------------------


def kept_labels(
    coding: str, stream: bytes, offset: int, positions: Sequence[int], num_classes: int, max_stream_bytes: int
) -> list[int]:
    """The labels of the kept images, which are at `positions` of the universe, from the label stream (7)."""
    kept = len(positions)
    if kept == 0:  # 4, empty sets
        if stream:
            raise DecodeError("stream-length", "the label stream of no images is not empty", offset)
        return []
    if coding == "constant-plain":
        return read_constant(stream, offset, kept, num_classes)
    if coding == "classes-plain":
        return read_classes(stream, offset, kept, num_classes)
    if coding == "classes-huffman":
        return read_classes_huffman(stream, offset, kept, num_classes)
    if coding == "classes-modelled":
        return read_classes_modelled(stream, offset, positions, num_classes)
    return read_classes_zstd(stream, offset, kept, num_classes, max_stream_bytes)


def check_label(label: int, num_classes: int, offset: int) -> None:
    """A label of C or more breaks the rule `label-range` (7)."""
    if label >= num_classes:
        raise DecodeError("label-range", f"a label is {label}, but there are {num_classes} classes", offset)


def read_constant(stream: bytes, offset: int, kept: int, num_classes: int) -> list[int]:
    """7.1."""
    fields = Fields(stream, 0, len(stream), cut="stream-end", offset=offset)
    label = fields.varint()
    check_label(label, num_classes, offset)
    if fields.at != fields.end:
        raise DecodeError("stream-length", f"{fields.end - fields.at} bytes follow the one label", offset)
    return [label] * kept


def read_classes(stream: bytes, offset: int, kept: int, num_classes: int) -> list[int]:
    """7.2."""
    b = (num_classes - 1).bit_length()
    if len(stream) != (kept * b + 7) // 8:
        raise DecodeError("stream-length", f"{kept} labels of {b} bits do not have {len(stream)} bytes", offset)
    bits = Bits(stream, offset)
    labels = []
    for _ in range(kept):
        label = bits.number(b)
        check_label(label, num_classes, offset)
        labels.append(label)
    bits.check_end()
    return labels


def read_classes_huffman(stream: bytes, offset: int, kept: int, num_classes: int) -> list[int]:
    """7.3."""
    bits = Bits(stream, offset)
    symbols = canonical_codes(read_code_lengths(bits, alphabet_size=num_classes))
    labels = [read_symbol(bits, symbols) for _ in range(kept)]
    bits.check_end()
    return labels


def read_classes_zstd(stream: bytes, offset: int, kept: int, num_classes: int, max_stream_bytes: int) -> list[int]:
    """7.4."""
    width = 1 if num_classes <= 256 else 2
    content = zstd_content(stream, offset, [width * kept], max_stream_bytes, "limit-stream-bytes")
    labels = [int.from_bytes(content[at : at + width], "little") for at in range(0, len(content), width)]
    for label in labels:
        check_label(label, num_classes, offset)
    return labels


#: n(i, v) of one candidate i, or N(v), at each node v; a node that is not there has 0 (7.5).
Counts = dict[int, int]


def count(counts: Counts, leaf: int, amount: int) -> None:
    """`amount` more labels at a leaf, and so at every node from the root to it (7.5)."""
    v = leaf
    while v > 0:
        counts[v] = counts.get(v, 0) + amount
        v //= 2


@dataclass
class Counter:
    """A counter: a share s of 2^22, and the number of its uses e (7.5)."""

    s: int = 1 << 21
    e: int = 0

    def update(self, bit: int) -> None:
        self.s += (((bit << 22) - self.s) * (131072 // (2 * self.e + 3))) >> 16
        self.e = min(255, self.e + 1)


class ClassesModel:
    """The model of 7.5. Labels, guesses and what is excluded are given by their leaves, 2^D + label."""

    def __init__(self, coder: RangeDecoder, num_classes: int) -> None:
        self.coder = coder
        self.num_classes = num_classes
        self.t = coder.raw(4)
        self.a = 1 << coder.raw(3) + 5
        self.depth = (num_classes - 1).bit_length()
        self.all_labels: Counts = {}
        self.candidates: list[Counts] = [{} for _ in range(16)]
        self.weights = [1 << 30] + [0] * 15
        self.guess_mixers = [[Mixer(46000, 20000, 0) for _ in range(8)] for _ in range(2)]
        self.tree_mixers = [Mixer(65536, 0) for _ in range(8)]
        self.counters: defaultdict[tuple[int, int, int, int, bool], Counter] = defaultdict(Counter)
        #: What is taken out of N, then of each candidate's counts, at each leaf that is excluded.
        self.excluded: dict[int, list[int]] = {}
        self.previous = 0  # no leaf has this number: there is no previous label yet
        self.last = 0

    def read_label(self, g: int) -> int:
        """Each label, g positions after the previous one."""
        if self.previous:
            self.change(g)
        leaf = self.read_guesses(g) or self.read_tree()
        self.count_label(leaf)
        return leaf - (1 << self.depth)

    def change(self, g: int) -> None:
        """1."""
        x = self.weights.index(min(self.weights))
        self.candidates[x] = {}
        h = change_probability(g, self.t)
        f = (sum(self.weights) - self.weights[x]) * h >> 20
        self.weights = [w - (w * h >> 20) for w in self.weights]
        self.weights[x] = f

    def read_guesses(self, g: int) -> int:
        """2: the leaf of the guess that is right, or 0."""
        best = self.candidates[self.weights.index(max(self.weights))]
        last, self.last = self.last, 0
        for guess in range(min(2, self.num_classes - 1)):
            leaf = self.find_guess(best)
            if leaf == 0 or leaf in self.excluded:
                break
            seen = [counts.get(1, 0) for counts in self.candidates]
            n_leaf, n_root = self.all_labels.get(leaf, 0), self.all_labels.get(1, 0)
            po = min(64000, (2 * n_leaf + 1 << 16) // (2 * n_root + min(self.num_classes, 16)))
            strength = self.strength(0)
            q = [
                max(1, ((counts.get(leaf, 0) << 22) + strength * po) // (64 * n + strength))
                for counts, n in zip(self.candidates, seen, strict=True)
            ]
            mean = self.mean(q)
            distance = min(3, (g.bit_length() - 1) // 2)
            counter = self.counters[guess, last, mean >> 13, distance, leaf == self.previous]
            mixer = self.guess_mixers[guess][self.bucket(seen)]
            bit = mixer.decide(self.coder, [mean, counter.s >> 6, po])
            counter.update(bit)
            self.learn(q, bit)
            if bit:
                self.last = guess + 1
                return leaf
            self.exclude(leaf)
        return 0

    def find_guess(self, best: Counts) -> int:
        """The leaf that candidate i* leads to, or that of the previous label, or 0 (2)."""
        if best.get(1, 0) == 0:
            return self.previous
        v = 1
        for height in reversed(range(self.depth)):
            left, right = best.get(2 * v, 0), best.get(2 * v + 1, 0)
            previous_is_right = self.previous >> height == 2 * v + 1
            v = 2 * v + (right > left or (right == left and previous_is_right))
        return v

    def read_tree(self) -> int:
        """3."""
        v = 1
        for height in reversed(range(self.depth)):
            left, right = 2 * v, 2 * v + 1
            c0, c1 = self.classes_below(left, height), self.classes_below(right, height)
            if c0 == 0 or c1 == 0:
                v = right if c0 == 0 else left
                continue
            n_right = self.all_labels.get(right, 0)
            n_both = self.all_labels.get(left, 0) + n_right
            seen_right = [counts.get(right, 0) for counts in self.candidates]
            seen = [counts.get(left, 0) + n for counts, n in zip(self.candidates, seen_right, strict=True)]
            po = ((n_right << 16) + (c1 << 16) // (c0 + c1)) // (n_both + 1)
            strength = self.strength((self.all_labels.get(1, 0) + 1).bit_length() - (n_both + 1).bit_length())
            q = [
                max(1, ((n1 << 22) + strength * po) // (64 * n + strength))
                for n1, n in zip(seen_right, seen, strict=True)
            ]
            bit = self.tree_mixers[self.bucket(seen)].decide(self.coder, [self.mean(q), po])
            self.learn(q, bit)
            v = right if bit else left
        return v

    def count_label(self, leaf: int) -> None:
        """4."""
        every_counts = [self.all_labels, *self.candidates]
        for excluded, amounts in self.excluded.items():
            for counts, amount in zip(every_counts, amounts, strict=True):
                count(counts, excluded, amount)
        self.excluded = {}
        for counts in every_counts:
            count(counts, leaf, 1)
        self.previous = leaf

    def exclude(self, leaf: int) -> None:
        """2: a guess was wrong."""
        every_counts = [self.all_labels, *self.candidates]
        self.excluded[leaf] = [counts.get(leaf, 0) for counts in every_counts]
        for counts, amount in zip(every_counts, self.excluded[leaf], strict=True):
            count(counts, leaf, -amount)

    def strength(self, z: int) -> int:
        """A(z)."""
        if z % 2 == 0:
            return max(1, self.a >> z // 2)
        return max(1, (self.a * 46341 >> 16) >> (z - 1) // 2)

    def classes_below(self, v: int, height: int) -> int:
        """The number of classes that are not excluded below the node v, from which leaves are `height` levels away."""
        first = v << height
        end = min(v + 1 << height, (1 << self.depth) + self.num_classes)
        return max(0, end - first) - sum(leaf >> height == v for leaf in self.excluded)

    def mean(self, values: list[int]) -> int:
        """The mean of the candidates' values, by their weights."""
        return sum(w * value for w, value in zip(self.weights, values, strict=True)) // sum(self.weights)

    def bucket(self, seen: list[int]) -> int:
        """The bucket, from how many labels each candidate has counted below a node."""
        return min(7, self.mean(seen).bit_length())

    def learn(self, q: list[int], bit: int) -> None:
        """The weights, after a decision that candidate i gave the probability q_i."""
        self.weights = rescaled([w * (qi if bit else 65536 - qi) for w, qi in zip(self.weights, q, strict=True)])


def read_classes_modelled(stream: bytes, offset: int, positions: Sequence[int], num_classes: int) -> list[int]:
    """7.5."""
    if len(positions) >= 1 << 31:
        message = f"{len(positions)} labels or codes, which must be fewer than 2^31 in classes-modelled"
        raise DecodeError("limit-kept", message, offset)
    coder = RangeDecoder(stream, offset)
    model = ClassesModel(coder, num_classes)
    labels = []
    previous = -1
    for position in positions:
        labels.append(model.read_label(position - previous))
        previous = position
    coder.check_end()
    return labels


# ---------------------------------------------------------------------------------------------------------
# 8. Sections
# ---------------------------------------------------------------------------------------------------------

CLASS_NAMES = 0x81
SOFT_LABELS = 0x82
WEIGHTS = 0x83
MAX_SECTIONS = 256

SECTION_PLAIN = 0
SECTION_ZSTD = 2

#: The label coding by which each coder of a section writes a sequence of codes (8.4).
CODE_CODINGS = {0: "classes-plain", 1: "classes-huffman", 2: "classes-zstd", 3: "classes-modelled"}

#: Codes of soft labels, and codes of weights, are below these (8.2, 8.3).
SOFT_LABEL_CODES = 64
WEIGHT_CODES = 16


def read_sections(fields: Fields) -> list[Section]:
    """The list of sections (8)."""
    sections: list[Section] = []
    for _ in range(fields.varint()):
        at = fields.at
        section_type = fields.u8()
        coder = fields.u8()
        length = fields.varint()
        data_at = fields.at
        data = fields.take(length)
        # More than MAX_SECTIONS cannot be in order, which is found out later; there is no need to keep them all.
        if len(sections) <= MAX_SECTIONS:
            sections.append(Section(section_type, coder, data, at, data_at))
    return sections


def check_sections(sections: list[Section], at: int) -> None:
    """The order of the list that begins at byte `at`, then that no section in it is critical (8)."""
    if not sections:
        raise DecodeError("section-order", "the list of sections is empty", at)
    for before, section in pairwise(sections):
        if section.type <= before.type:
            raise DecodeError("section-order", f"section {section.type:02x} follows {before.type:02x}", section.at)
    for section in sections:
        if section.type < 0x80:
            raise DecodeError("section-critical", f"section {section.type:02x} is critical and not known", section.at)


def read_class_names(section: Section, num_classes: int, max_class_names_bytes: int) -> list[str]:
    """8.1."""
    if section.coder == SECTION_PLAIN:
        text = section.data
        if len(text) > max_class_names_bytes:
            message = f"the class names have {len(text)} bytes; the limit is {max_class_names_bytes}"
            raise DecodeError("limit-class-names", message, section.data_at)
    elif section.coder == SECTION_ZSTD:
        sizes = range(1 << 64)
        text = zstd_content(section.data, section.data_at, sizes, max_class_names_bytes, "limit-class-names")
    else:
        raise DecodeError("coding", f"class names are not written in coder {section.coder}", section.at)

    try:
        names = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise DecodeError("class-names", "the class names are not UTF-8", section.data_at) from None
    if len(names) != num_classes:
        raise DecodeError("class-names", f"{len(names)} class names for {num_classes} classes", section.data_at)
    for label, name in enumerate(names):
        if not name:
            raise DecodeError("class-names", f"the name of class {label} is empty", section.data_at)
        if any(character <= "\x1f" or "\x7f" <= character <= "\x9f" for character in name):
            raise DecodeError("class-names", f"the name of class {label} has a control character", section.data_at)
    if len({unicodedata.normalize("NFC", name) for name in names}) < len(names):
        raise DecodeError("class-names", "two classes have the same name", section.data_at)
    return names


def read_soft_labels(section: Section, labels: list[int], num_classes: int, limits: "Limits") -> list[list[int]]:
    """The rows of codes, one for each class that is among the labels, ascending (8.2)."""
    coding = code_coding(section)
    n = len(set(labels)) * num_classes
    if n > limits.max_soft_label_values:
        message = f"the soft labels have {n} codes; the limit is {limits.max_soft_label_values}"
        raise DecodeError("limit-soft-labels", message, section.data_at)
    codes = read_codes(coding, section, range(n), SOFT_LABEL_CODES, limits)
    rows = [codes[at : at + num_classes] for at in range(0, n, num_classes)]
    for label, row in zip(sorted(set(labels)), rows, strict=True):
        if not any(row):
            raise DecodeError("soft-labels", f"every soft label code of class {label} is 0", section.data_at)
    return rows


def concentration(code: int) -> float:
    """The concentration that a code of the soft labels stands for (8.2)."""
    return 2.0 ** ((code - 43) / 2) if code > 0 else 0.0


def read_weights(section: Section, positions: Sequence[int], limits: "Limits") -> list[int]:
    """The code of each kept image (8.3)."""
    return read_codes(code_coding(section), section, positions, WEIGHT_CODES, limits)


def scaled_weights(codes: list[int]) -> list[float]:
    """The weights that codes stand for, scaled to a mean of 1 (8.3)."""
    total = sum(1 << code for code in codes)
    return [(len(codes) << code) / total for code in codes]


def code_coding(section: Section) -> str:
    """The label coding that the section's coder stands for (8.4)."""
    if section.coder not in CODE_CODINGS:
        raise DecodeError("coding", f"section {section.type:02x} is not written in coder {section.coder}", section.at)
    return CODE_CODINGS[section.coder]


def read_codes(coding: str, section: Section, positions: Sequence[int], size: int, limits: "Limits") -> list[int]:
    """The sequence of codes, each below `size`, of which there is one for each position (8.4)."""
    return kept_labels(coding, section.data, section.data_at, positions, size, limits.max_stream_bytes)


# ---------------------------------------------------------------------------------------------------------
# 9. Limits and decoder classes
# ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of allocations and loops, with the defaults of a general-purpose decoder (9)."""

    max_reference_size: int = 1 << 48
    max_classes: int = 65_536
    max_kept: int = 1 << 25
    max_stream_bytes: int = 1 << 28
    max_class_names_bytes: int = 1 << 20
    max_soft_label_values: int = 1 << 22


# ---------------------------------------------------------------------------------------------------------
# 10. Errors
# ---------------------------------------------------------------------------------------------------------

#: The rules of each kind that a decoder may report.
RULES = {
    "Truncated": ["header", "stream-end"],
    "Corrupt": [
        "signature", "varint", "digest-length", "checksum",
        "reference-size", "classes", "universe", "kept", "section-order", "class-check",
        "stream-length", "zstd-frame", "zstd-size", "huffman-table", "index-range", "run-count", "gap-width",
        "bitmap-count", "label-range", "padding", "class-names", "soft-labels",
    ],
    "Unsupported": ["version", "coding", "section-critical"],
    "LimitExceeded": [
        "limit-reference-size", "limit-classes", "limit-kept", "limit-stream-bytes", "limit-class-names",
        "limit-soft-labels",
    ],
    "ReferenceMismatch": ["reference"],
}  # fmt: skip

KIND_OF_RULE = {rule: kind for kind, rules in RULES.items() for rule in rules}


class DecodeError(ValueError):
    """The payload must be refused: the first rule that it breaks, its kind, and the byte offset where (10)."""

    def __init__(self, rule: str, message: str, offset: int) -> None:
        super().__init__(f"{message} [{KIND_OF_RULE[rule]} {rule} at byte {offset}]")
        self.kind = KIND_OF_RULE[rule]
        self.rule = rule
        self.offset = offset


@dataclass
class Decoded:
    """A decoded payload: labels[i] is the class of the kept image number indices[i] (1).

    `soft_labels` are rows of codes (8.2), and weights[i] is the code of the image number indices[i] (8.3); both are
    None where the payload has no such section.
    """

    indices: list[int]
    labels: list[int]
    reference_size: int
    num_classes: int
    reference_digest: bytes
    class_check: bytes
    offset: int
    stride: int
    class_names: list[str] | None
    soft_labels: list[list[int]] | None
    weights: list[int] | None
    index_coding: str
    label_coding: str
    complement: bool


def decode(data: bytes, limits: Limits = Limits(), expected_digest: bytes | None = None) -> Decoded:
    """Decode a payload, in the steps of 10.

    `expected_digest` is the digest of the reference set at hand, or its first bytes (at least 8).
    Raises DecodeError for a payload that must be refused, and no other error whatever the bytes; ValueError for an
    expected digest that is none.
    """
    if expected_digest is not None and not 8 <= len(expected_digest) <= 32:
        raise ValueError(f"the expected digest has {len(expected_digest)} bytes, not 8 .. 32")

    # Steps 1 to 4: signature, version, fields, checksum.
    payload = read_payload(data)
    at = payload.at
    n, c = payload.reference_size, payload.num_classes
    complement = payload.flags & FLAG_COMPLEMENT != 0

    # Step 5: values.
    if payload.index_code not in INDEX_CODINGS:
        raise DecodeError("coding", f"index coding {payload.index_code} is not known", at["codings"])
    if payload.label_code not in LABEL_CODINGS:
        raise DecodeError("coding", f"label coding {payload.label_code} is not known", at["codings"])
    index_coding = INDEX_CODINGS[payload.index_code]
    label_coding = LABEL_CODINGS[payload.label_code]

    if n == 0:
        raise DecodeError("reference-size", "the reference set has no images", at["reference size"])
    if not 1 <= c <= 65_536:
        raise DecodeError("classes", f"{c} classes, not 1 .. 65536", at["classes"])
    if payload.flags & FLAG_UNIVERSE:
        in_range = payload.offset < n and 1 <= payload.stride <= n
        if not in_range or (payload.offset, payload.stride) == (0, 1):
            message = f"no universe has offset {payload.offset} and stride {payload.stride} in {n} images"
            raise DecodeError("universe", message, at["universe"])
    m = universe_size(n, payload.offset, payload.stride)
    if payload.kept is None:
        k, d = 0 if complement else m, m
    else:
        k, d = payload.kept, m - payload.kept if complement else payload.kept
    if k > m:
        raise DecodeError("kept", f"{k} images are kept of a universe of {m}", at["kept"])
    if payload.sections is not None:
        check_sections(payload.sections, at["sections"])
    if payload.class_check and any(section.type == CLASS_NAMES for section in payload.sections or []):
        raise DecodeError("class-check", "a class check stands beside class names", at["class check"])

    # Step 6: limits.
    if n > limits.max_reference_size:
        message = f"{n} images in the reference set; the limit is {limits.max_reference_size}"
        raise DecodeError("limit-reference-size", message, at["reference size"])
    if c > limits.max_classes:
        raise DecodeError("limit-classes", f"{c} classes; the limit is {limits.max_classes}", at["classes"])
    if k > limits.max_kept:
        raise DecodeError("limit-kept", f"{k} images are kept; the limit is {limits.max_kept}", at["kept"])
    if d > limits.max_kept and index_coding != "all-plain":
        raise DecodeError("limit-kept", f"{d} images are coded; the limit is {limits.max_kept}", at["kept"])

    # Step 7: identity.
    if expected_digest is not None:
        shorter = min(len(expected_digest), len(payload.digest))
        if shorter == 0 or payload.digest[:shorter] != expected_digest[:shorter]:
            raise DecodeError("reference", "the payload is not for the reference set expected", at["digest"])

    # Step 8: index stream.
    coded = coded_set(index_coding, payload.index_stream, at["index stream"], d, m, limits.max_stream_bytes)
    positions = kept_positions(coded, complement, k, m)
    indices = [payload.offset + payload.stride * position for position in positions]

    # Step 9: label stream.
    labels = kept_labels(label_coding, payload.label_stream, at["label stream"], positions, c, limits.max_stream_bytes)

    # Steps 10 to 12: class names, soft labels, weights. The sections are in this order, or step 5 refused them.
    class_names = soft_labels = weights = None
    for section in payload.sections or []:
        if section.type == CLASS_NAMES:
            class_names = read_class_names(section, c, limits.max_class_names_bytes)
        elif section.type == SOFT_LABELS:
            soft_labels = read_soft_labels(section, labels, c, limits)
        elif section.type == WEIGHTS:
            weights = read_weights(section, positions, limits)

    return Decoded(
        indices, labels, n, c, payload.digest, payload.class_check, payload.offset, payload.stride,
        class_names, soft_labels, weights, index_coding, label_coding, complement,
    )  # fmt: skip


def as_csv(data: bytes, options: argparse.Namespace) -> str:
    """The payload as the program writes it, decoded with the limits and the digest among its options."""
    limits = Limits(**{limit.name: getattr(options, limit.name) for limit in fields(Limits)})
    decoded = decode(data, limits, options.expected_digest)
    rows = (f"{index},{label}\n" for index, label in zip(decoded.indices, decoded.labels, strict=True))
    return "".join(["index,label\n", *rows])


def digest_of(text: str) -> bytes:
    """The digest that is expected, of an argument."""
    digest = bytes.fromhex(text)
    if not 8 <= len(digest) <= 32:
        raise argparse.ArgumentTypeError(f"has {len(digest)} bytes, not 8 .. 32")
    return digest


def main(arguments: list[str]) -> int:
    """The program described at the top of this file; returns its exit status."""
    parser = argparse.ArgumentParser(prog="plada_decode.py", description="The plain decoder of PLADA payloads.")
    parser.add_argument("source", nargs="?", default="-", metavar="FILE|-")
    parser.add_argument("--batch", action="store_true", help="answer the requests of plada_batch.py")
    parser.add_argument("--expected-digest", type=digest_of, metavar="HEX")
    for limit in fields(Limits):
        parser.add_argument(f"--{limit.name.replace('_', '-')}", type=int, default=limit.default, metavar="N")
    options = parser.parse_args(arguments)

    def answer(data: bytes, arguments: list[str]) -> bytes:
        try:
            return b"+" + as_csv(data, parser.parse_args(arguments)).encode()
        except DecodeError as error:
            return f"-{error.kind} {error.rule}".encode()

    if options.batch:
        plada_batch.answer_requests(answer)
        return 0
    try:
        data = sys.stdin.buffer.read() if options.source == "-" else Path(options.source).read_bytes()
        sys.stdout.write(as_csv(data, options))
    except (DecodeError, OSError) as error:
        print(f"plada_decode: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
