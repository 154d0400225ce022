"""Lines of delimited text, split into fields by arithmetic on whole blocks of bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.tables.numbers import TEXT_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

LF, QUOTE, SPACE = ord("\n"), ord('"'), ord(" ")
#: Bytes before a block, so that text can be read backwards from the end of each field; the last of them ends a line.
BEFORE = bytes(TEXT_BYTES - 1) + b"\n"
#: Characters are taken off the ends of all fields at once so many times, then field by field.
_STRIPS = 8


@dataclass(frozen=True)
class Lines:
    """A block of lines, split: places are those of bytes in `data`.

    Attributes:
        data: `BEFORE` and the block.
        starts: the first byte of each line that is not in quotes.
        ends: the LF of each line.
        delimiters: all delimiters that are not in quotes.
        quotes: all quotes.
        first: the number of each line's first delimiter.
        counts: the number of delimiters of each line.
        numbers: the number of each line in the file.
    """

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    delimiters: NDArray[np.int64]
    quotes: NDArray[np.int64]
    first: NDArray[np.int64]
    counts: NDArray[np.int64]
    numbers: NDArray[np.int64]

    def column(self, column: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and end of a field in each of these lines, which have at least so many."""
        at = self.first[rows] + column
        starts = self.starts[rows] if column == 0 else self.delimiters[at - 1] + 1
        is_last = self.counts[rows] == column
        if is_last.all():
            return starts, self.ends[rows]
        at[is_last] = 0
        return starts, np.where(is_last, self.ends[rows], self.delimiters[at])

    def without(self, lines: int) -> Lines:
        """All but the first lines."""
        kept = slice(lines, None)
        return replace(
            self,
            starts=self.starts[kept],
            ends=self.ends[kept],
            first=self.first[kept],
            counts=self.counts[kept],
            numbers=self.numbers[kept],
        )

    def fields(self, line: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Start and end of all fields of a line."""
        begin = int(self.first[line])
        delimiters = self.delimiters[begin : begin + int(self.counts[line])]
        starts = np.concatenate((self.starts[line : line + 1], delimiters + 1))
        return starts, np.concatenate((delimiters, self.ends[line : line + 1]))

    def text(self, line: int) -> bytes:
        """The bytes of a line."""
        return self.data[self.starts[line] : self.ends[line]].tobytes()


def split(number: int, block: bytes, delimiter: int) -> Lines:
    """Split a block of whole lines; `number` is the number of its first line."""
    data = np.frombuffer(BEFORE + block, np.uint8)
    body = data[len(BEFORE) :]
    ends = np.flatnonzero(body == LF)
    delimiters = np.flatnonzero(body == delimiter)
    numbers = np.arange(number, number + len(ends))
    quotes = np.empty(0, np.int64)
    if b'"' in block:
        is_quote = body == QUOTE
        inside = np.bitwise_xor.accumulate(is_quote)
        quotes = np.flatnonzero(is_quote) + len(BEFORE)
        delimiters = delimiters[~inside[delimiters]]
        numbers = numbers[np.concatenate(([True], ~inside[ends[:-1]]))] if len(ends) else numbers
        ends = ends[~inside[ends]]
    ends += len(BEFORE)
    delimiters += len(BEFORE)
    starts = np.concatenate(([len(BEFORE)], ends[:-1] + 1))
    if delimiter == SPACE:
        # A run of spaces is one delimiter; at the ends of a line it is none
        delimiters = delimiters[(data[delimiters + 1] != SPACE) & (data[delimiters + 1] != LF)]
        filled, _ = strip(data, starts, ends, characters(b" "))
        delimiters = delimiters[delimiters >= filled[np.searchsorted(ends, delimiters)]]
    after = np.searchsorted(delimiters, ends)
    first = np.concatenate(([0], after[:-1]))
    return Lines(data, starts, ends, delimiters, quotes, first, after - first, numbers)


def bare(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], blanks: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of fields without the spaces and then the quotes around them."""
    starts, ends = strip(data, starts, ends, blanks)
    quoted = (data[starts] == QUOTE) & (data[ends - 1] == QUOTE) & (ends - starts > 1)
    if quoted.any():
        starts, ends = starts + quoted, ends - quoted
    return starts, ends


def strip(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], unwanted: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places of fields without the unwanted characters at both ends."""
    for _ in range(_STRIPS):
        before = unwanted[data[starts]] & (starts < ends)
        after = unwanted[data[ends - 1]] & (starts + before < ends)
        if not before.any() and not after.any():
            return starts, ends
        starts, ends = starts + before, ends - after
    characters = np.flatnonzero(unwanted).astype(np.uint8).tobytes()
    for at in np.flatnonzero((starts < ends) & (unwanted[data[starts]] | unwanted[data[ends - 1]])).tolist():
        text = data[starts[at] : ends[at]].tobytes()
        starts[at] += len(text) - len(text.lstrip(characters))
        ends[at] = starts[at] + len(text.strip(characters))
    return starts, ends


def texts(data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> list[str]:
    """The fields as strings. Bytes that are not UTF-8 become lone surrogates, as in Python's file names."""
    if not len(starts):
        return []
    begin = int(starts[0]) - 1
    text = data[begin : ends[-1]].tobytes()
    places = zip((starts - begin).tolist(), (ends - begin).tolist(), strict=True)
    if text.isascii():
        whole = text.decode("ascii")
        fields = [whole[start:end] for start, end in places]
    else:
        fields = [text[start:end].decode("utf-8", "surrogateescape") for start, end in places]
    if b'""' in text:
        fields = [field.replace('""', '"') for field in fields]
    return fields


def blanks_of(delimiter: int) -> NDArray[np.bool_]:
    """Which bytes are blank around fields."""
    return characters(b" " if delimiter == ord("\t") else b" \t")


def characters(characters: bytes) -> NDArray[np.bool_]:
    """Which bytes are among these."""
    table = np.zeros(256, np.bool_)
    table[list(characters)] = True
    return table


def shown(line: bytes) -> str:
    """The beginning of a line, for messages."""
    return ascii(line[:40].decode("utf-8", "replace").strip())
