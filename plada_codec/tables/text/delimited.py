"""Tables of delimited text: CSV and its relatives, at several million rows a second.

The delimiter is a tab, a semicolon, a bar, a comma, or spaces: the one that finds the most numbers in the first lines.
Fields may be in double quotes, in which a quote is doubled. These are passed over: blank lines, rows of empty fields,
comments (lines that begin with #), spaces around fields, and empty fields at the end of a line. The first row is a
header if it names a column of images and one of labels (`Choice`), or if the columns of the choice have names above
numbers. So is a comment right before the first row. As R writes it, a header may lack the name of a first column of
quoted names of rows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from plada_codec.errors import FileError, InvalidArgument
from plada_codec.tables.numbers import NO_NUMBERS, is_like_a_number, whole_fields
from plada_codec.tables.table import Choice, Table, TableBuilder, listed, not_whole
from plada_codec.tables.text.lines import MAX_LINE_BYTES, line_blocks, too_long
from plada_codec.tables.text.split import (
    BEFORE,
    LF,
    QUOTE,
    SPACE,
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

_DELIMITERS = b"\t;|, "
#: Lines from which the delimiter is found.
_SAMPLE_LINES = 20
_COMMENT = re.compile(rb"^[ \t]*#.*", re.MULTILINE)
#: The line by which Excel is told the delimiter.
_SEPARATOR_LINE = re.compile(rb'"?sep=([\t;|, ])"?\n', re.IGNORECASE)
_NO_COLUMNS = "it does not name a column of images and one of labels"
#: Fields of a line that are looked at to find it.
_SAMPLE_FIELDS = 256


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


@dataclass(frozen=True)
class _Layout:
    """The delimiter, the number of columns, those to read (from 0), and the line of the first row or header."""

    delimiter: int
    columns: int
    image: int
    label: int
    line: int


class _Reader:
    def __init__(self, choice: Choice, builder: TableBuilder) -> None:
        self.choice = choice
        self.builder = builder
        self.delimiter: int | None = None  # if the file says it
        self.layout: _Layout | None = None
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

    def _check_comments(self, layout: _Layout) -> None:
        """Refuse a comment that may be a row, because names may begin with #."""
        if self.is_number is not None and not all(self.is_number):
            for number, comment in self.comments:
                if comment.count(layout.delimiter) == layout.columns - 1 and number > layout.line:
                    raise FileError(
                        f"line {number}: {shown(comment)} may be a comment or a row: put its first field in quotes",
                        rule="file",
                    )
        self.comments.clear()

    def _begin(self, number: int, block: bytes) -> tuple[_Layout, Lines]:
        """Find the layout from the first lines. Return the lines of the block without header, too."""
        at, sample = _sample(block)
        delimiter = self.delimiter or _delimiter_of(sample)
        names = _fields(sample[0], delimiter)
        lines = split(number, block, delimiter)
        line = int(lines.numbers[at])
        comments = [comment for number, comment in self.comments if number < line]
        said = _fields(comments[-1].strip().lstrip(b"#").strip() + b"\n", delimiter) if comments else []
        if self.choice.names_both(names):
            image, label = self.choice.of(names)
            self.builder.image_column = names[image]
            at += 1
            if _has_row_names_of_r(sample, delimiter):
                names = ["", *names]
                image, label = image + 1, label + 1
        elif len(said) == len(names) and self.choice.names_both(said):
            image, label = self.choice.of(said)
            self.builder.image_column = said[image]
        elif len(names) < 2:
            raise FileError(f"line {line}: {shown(sample[0])} is not two fields, index and label", rule="file")
        else:
            image, label = self._columns_without_header(line, names)
            if len(sample) > 1 and _are_names_over_numbers(names, _fields(sample[1], delimiter), (image, label)):
                if self.choice.index is None and self.choice.label is None:
                    raise InvalidArgument(f"line {line}: {_NO_COLUMNS}; {listed(names)}", rule="columns")
                self.builder.image_column = names[image]
                at += 1
        return _Layout(delimiter, len(names), image, label, line), lines.without(at)

    def _columns_without_header(self, line: int, fields: list[str]) -> tuple[int, int]:
        """The columns of a table that begins with this line, which is no header."""
        columns = fields[1:] if not fields[0] else fields
        if columns == [str(number) for number in range(len(columns))]:
            raise FileError(
                f"line {line}: it may be a row, or the numbers of columns, as pandas writes them: put a line with the "
                "names of the columns above it, or in its place",
                rule="file",
            )
        numbers = [str(number + 1) for number in range(len(fields))]
        choice = self.choice
        if len(fields) == 2:
            other = {"1": "2", "2": "1"}
            index = choice.index or other.get(choice.label or "2")
            choice = Choice(index, choice.label or other.get(index or ""))
        try:
            return choice.of(numbers)
        except InvalidArgument:
            if not {self.choice.index, self.choice.label} <= {None, *numbers}:
                try:
                    return self.choice.of(fields)
                except InvalidArgument as error:
                    raise InvalidArgument(f"line {line}: {error.args[0]}", rule=error.rule) from None
            raise InvalidArgument(
                f"line {line}: {_NO_COLUMNS}; {listed(fields)}, by name, or by number from 1 if there is no header",
                rule="columns",
            ) from None

    def _add(self, lines: Lines, layout: _Layout) -> None:
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
            raise min(faults, key=lambda fault: fault[0])[1]
        self.builder.add(values[0], values[1], lines.numbers[rows])


def _are_names_over_numbers(names: list[str], fields: list[str], columns: tuple[int, int]) -> bool:
    """Whether two columns begin with names, and at least one of them goes on with a number: the names are a header."""
    return not any(is_like_a_number(names[column]) for column in columns) and any(
        column < len(fields) and is_like_a_number(fields[column]) for column in columns
    )


def _has_row_names_of_r(sample: list[bytes], delimiter: int) -> bool:
    """Whether rows begin with a field in quotes that the header does not name, as R's write.table writes them."""
    if len(sample) < 2 or not all(line.lstrip().startswith(b'"') for line in sample[:2]):
        return False
    header, row = (_fields(line, delimiter) for line in sample[:2])
    # Not if all fields are in quotes: then the header may lack any of them
    return len(row) == len(header) + 1 and not sample[1].rstrip().endswith(b'"')


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


def _sample(block: bytes) -> tuple[int, list[bytes]]:
    """The number of blank lines at the beginning, and the first lines that are not blank, each with its LF."""
    begin = block.rfind(b"\n", 0, len(block) - len(block.lstrip())) + 1
    blank = block.count(b"\n", 0, begin)
    found: list[bytes] = []
    while len(found) < _SAMPLE_LINES and begin < len(block):
        end = block.index(b"\n", begin) + 1
        if not block[begin:end].isspace():
            found.append(block[begin:end])
        begin = end
    return blank, found


def _delimiter_of(sample: list[bytes]) -> int:
    """The delimiter of the first lines: the one that gives the most numbers.

    Among equals, it is the one that leaves no other at the ends of a field, then one with as many fields in each line.
    """
    best, best_rank = ord(","), (-1, False, False)
    for delimiter in _DELIMITERS:
        lines = [_fields(line, delimiter) for line in sample]
        numbers = sum(is_like_a_number(field) for fields in lines for field in fields[:_SAMPLE_FIELDS])
        others = tuple(chr(other) for other in _DELIMITERS if other != delimiter)
        is_between = not any(field.startswith(others) or field.endswith(others) for fields in lines for field in fields)
        rank = (numbers, is_between, len(set(map(len, lines))) == 1)
        if len(lines[0]) > 1 and rank > best_rank and (delimiter != SPACE or best_rank[0] < 0):
            best, best_rank = delimiter, rank
    return best


def _fields(line: bytes, delimiter: int) -> list[str]:
    """The fields of a line, without empty ones at its end. It may be cut in the middle of quotes."""
    if line.count(b'"') % 2:
        line = line[:-1] + b'"\n'
    lines = split(1, line, delimiter)
    fields = texts(lines.data, *bare(lines.data, *lines.fields(0), blanks_of(delimiter)))
    while fields and not fields[-1]:
        fields.pop()
    return fields


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


def _rows(lines: Lines, layout: _Layout) -> NDArray[np.int64]:
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
