"""Tables of delimited text: CSV and its relatives, at several million rows a second.

Fields may be in double quotes, in which a quote is doubled. These are passed over: blank lines, rows of empty fields,
comments (lines that begin with #), spaces around fields, and empty fields at the end of a line. `layout.py` finds the
delimiter, the header and the columns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from plada_codec.errors import FileError
from plada_codec.tables.numbers import NO_NUMBERS, is_like_a_number, whole_fields
from plada_codec.tables.table import HEADER_HINT, Choice, Table, TableBuilder, not_whole
from plada_codec.tables.text.layout import Layout, first_lines, layout_of
from plada_codec.tables.text.lines import MAX_LINE_BYTES, line_blocks, too_long
from plada_codec.tables.text.split import (
    BEFORE,
    LF,
    QUOTE,
    Lines,
    bare,
    blanks_of,
    characters,
    shown,
    split,
    strip,
    texts,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.tables.table import Values

_COMMENT = re.compile(rb"^[ \t]*#.*", re.MULTILINE)
#: The line by which Excel is told the delimiter.
_SEPARATOR_LINE = re.compile(rb'"?sep=([\t;|, ])"?\n', re.IGNORECASE)


def read_delimited(stream: BinaryIO, choice: Choice, check_rows: Callable[[int], None]) -> Table:
    """Read the columns of images and labels.

    Args:
        stream: the text, of any encoding.
        choice: the columns to read.
        check_rows: called with the number of rows before they are taken, to refuse too many.

    Raises:
        FileError: if the text is not such a table; the message names the line.
        InvalidArgument: (rule columns) if it is not clear which columns to read.
    """
    return _Reader(choice, TableBuilder(check_rows)).read(stream)


class _Reader:
    """Reads one table, block by block: the first one decides the layout."""

    def __init__(self, choice: Choice, builder: TableBuilder) -> None:
        self.choice = choice
        self.builder = builder
        self.delimiter: int | None = None  # if the file says it
        self.layout: Layout | None = None
        self.comments: list[tuple[int, bytes]] = []  # of this block, with their lines
        self.is_number: tuple[bool, bool] | None = None  # whether the columns hold numbers, not names

    def read(self, stream: BinaryIO) -> Table:
        for number, block in self._blocks(stream):
            if self.layout is not None:
                lines = split(number, block, self.layout.delimiter)
            elif block.isspace():
                del self.comments[:-1]
                continue
            else:
                self.layout, lines = self._begin(number, block)
            _check_quotes(lines, number, self.layout.delimiter)
            self._add(lines, self.layout)
            self._check_comments(self.layout)
        if self.layout is None:
            raise FileError("it is empty: there is neither a row nor a header, such as index,label", rule="file")
        return self.builder.table()

    def _blocks(self, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Blocks of whole rows without comments, and the number of the first line of each."""
        number, begun = 1, b""
        for first, block in line_blocks(stream):
            if first == 1 and (separator := _SEPARATOR_LINE.match(block)):
                self.delimiter = separator[1][0]
                block = block[separator.end() - 1 :]
            if b"#" in block:
                block = self._without_comments(first, block)
            number = first - begun.count(b"\n")
            block = begun + block
            end = len(block)
            if block.count(b'"') % 2:
                data = np.frombuffer(block, np.uint8)
                outside = np.flatnonzero((data == LF) & ~np.bitwise_xor.accumulate(data == QUOTE))
                end = int(outside[-1]) + 1 if len(outside) else 0
            begun = block[end:]
            if end:
                yield number, block[:end]
            if begun:
                number += block.count(b"\n", 0, end)
            if len(begun) > MAX_LINE_BYTES:
                raise too_long(number)
        if begun:
            raise FileError(f"line {number}: a quote opens a field, but none closes it", rule="file")

    def _without_comments(self, number: int, block: bytes) -> bytes:
        """Make each comment a blank line. `number` is the number of the first line."""
        parts, end = [], 0
        for comment in _COMMENT.finditer(block):
            parts.append(block[end : comment.start()])
            number += parts[-1].count(b"\n")
            self.comments.append((number, comment[0]))
            end = comment.end()
        return b"".join(parts) + block[end:]

    def _check_comments(self, layout: Layout) -> None:
        """Refuse a comment that may be a row, because names may begin with #."""
        if self.is_number is not None and not all(self.is_number):
            for number, comment in self.comments:
                if comment.count(layout.delimiter) == layout.columns - 1 and number > layout.line:
                    raise FileError(
                        f"line {number}: {shown(comment)} may be a comment or a row: put its first field in quotes",
                        rule="file",
                    )
        self.comments.clear()

    def _begin(self, number: int, block: bytes) -> tuple[Layout, Lines]:
        """The layout, and the lines of the first block without its header. The block begins with line `number`."""
        blank, sample = first_lines(block)
        line = number + blank
        comments = [comment for at, comment in self.comments if at < line]
        layout = layout_of(sample, line, comments[-1] if comments else b"", self.delimiter, self.choice)
        self.builder.image_column = layout.image_column
        return layout, split(number, block, layout.delimiter).without(blank + layout.has_header)

    def _add(self, lines: Lines, layout: Layout) -> None:
        """Take the rows of a block."""
        rows = _rows(lines, layout)
        blanks = blanks_of(layout.delimiter)
        columns = [bare(lines.data, *lines.column(column, rows), blanks) for column in (layout.image, layout.label)]
        empty = np.flatnonzero((columns[0][0] == columns[0][1]) & (columns[1][0] == columns[1][1]))
        if len(empty):
            nothing = bytes([layout.delimiter]) + b'" \t'
            drop = [row for row in empty.tolist() if not lines.text(int(rows[row])).strip(nothing)]
            rows = np.delete(rows, drop)
            columns = [(np.delete(starts, drop), np.delete(ends, drop)) for starts, ends in columns]
        if not len(rows):
            return
        self.builder.check_rows(self.builder.rows + len(rows))
        if self.is_number is None:
            are_numbers = [_are_numbers(lines, *places) for places in columns]
            self.is_number = are_numbers[0] and not self.choice.image_names, are_numbers[1]
        values: list[Values] = []
        faults: list[tuple[int, FileError]] = []
        for what, is_number, (starts, ends) in zip(("index", "label"), self.is_number, columns, strict=True):
            bad: int | None
            if is_number:
                numbers, bad = whole_fields(lines.data, starts, ends)
                values.append(numbers)
                if layout.delimiter == ord(";"):
                    _check_thousands(lines, rows, what, starts, ends)
            else:
                missing = starts == ends
                bad = int(np.argmax(missing)) if missing.any() else None
                values.append(texts(lines.data, starts, ends))
            if bad is not None:
                (text,) = texts(lines.data, starts[bad : bad + 1], ends[bad : bad + 1])
                row = int(rows[bad])
                faults.append((row, not_whole(f"line {lines.numbers[row]}", what, text)))
        if faults:
            row, error = min(faults, key=lambda fault: fault[0])
            if not self.builder.rows and row == rows[0] and self.builder.image_column is None:
                raise FileError(f"{error.args[0]}{HEADER_HINT}", rule=error.rule)
            raise error
        self.builder.add(values[0], values[1], lines.numbers[rows])


def _are_numbers(lines: Lines, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> bool:
    """Whether a column begins with a number. Words such as NA are names only if a name follows them."""
    for row in range(len(starts)):
        (text,) = texts(lines.data, starts[row : row + 1], ends[row : row + 1])
        if text.lower() not in NO_NUMBERS:
            return is_like_a_number(text)
    return True


def _check_thousands(
    lines: Lines, rows: NDArray[np.int64], what: str, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> None:
    """Refuse 1.000 beside semicolons: where these are delimiters, a point may stand between thousands."""
    width = ends - starts
    may_be = (width >= len("1.000")) & (width <= len("100.000"))
    for at, character in enumerate(b".000"):
        may_be &= lines.data[ends - 4 + at] == character
    if may_be.any():
        at = int(np.argmax(may_be))
        (text,) = texts(lines.data, starts[at : at + 1], ends[at : at + 1])
        short = text.removesuffix(".000")
        raise FileError(
            f"line {lines.numbers[rows[at]]}: {what} {text} may be {short} or {short}000: write it without the point",
            rule="file",
        )


def _check_quotes(lines: Lines, number: int, delimiter: int) -> None:
    """Refuse a quote that neither opens nor closes a field, nor is doubled. The block begins with line `number`."""
    beside = characters(b'\n" \t' + bytes([delimiter]))
    good = np.empty(len(lines.quotes), np.bool_)
    good[0::2] = beside[lines.data[lines.quotes[0::2] - 1]]
    good[1::2] = beside[lines.data[lines.quotes[1::2] + 1]]
    if not good.all():
        at = lines.quotes[np.argmin(good)]
        line = number + int(np.count_nonzero(lines.data[len(BEFORE) : at] == LF))
        raise FileError(f"line {line}: a quote in the middle of a field: put the whole field in quotes", rule="file")


def _rows(lines: Lines, layout: Layout) -> NDArray[np.int64]:
    """The lines that are rows: not blank, and of as many fields as the first row has."""
    extra = lines.counts - (layout.columns - 1)
    if not extra.any():
        return np.arange(len(lines.starts))
    is_row = np.ones(len(lines.starts), np.bool_)
    odd = np.flatnonzero(extra)
    # An odd line may end where its last field begins: all fields after it are empty. Or it may be blank
    nothing = characters(b" \t" + bytes([layout.delimiter]))
    starts, ends = strip(lines.data, lines.starts[odd], lines.ends[odd], nothing)
    blank = starts == ends
    more = odd[extra[odd] > 0]
    full_end = lines.delimiters[lines.first[more] + layout.columns - 1]
    bad = extra[odd] < 0
    bad[extra[odd] > 0] = ends[extra[odd] > 0] > full_end
    bad &= ~blank
    if bad.any():
        at = int(odd[np.argmax(bad)])
        raise FileError(
            f"line {lines.numbers[at]}: {shown(lines.text(at))} has {int(lines.counts[at]) + 1} of {layout.columns} "
            "fields, which the first row has",
            rule="file",
        )
    is_row[odd[blank]] = False
    return np.flatnonzero(is_row)
