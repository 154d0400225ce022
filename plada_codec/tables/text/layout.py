"""The layout of a table of delimited text, found in its first lines: its delimiter, its header, and its columns.

The delimiter is a tab, a semicolon, a bar, a comma, or spaces: the one that finds the most numbers. The first row is a
header if it names a column of images and one of labels (`Choice`), or if the columns of the choice have names above
numbers. So is a comment right before the first row. As R writes it, a header may lack the name of a first column of
quoted names of rows.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from plada_codec.errors import FileError, InvalidArgument, PladaWarning
from plada_codec.tables.numbers import is_like_a_number
from plada_codec.tables.table import Choice, listed
from plada_codec.tables.text.split import SPACE, bare, blanks_of, shown, split, texts

_DELIMITERS = b"\t;|, "
#: Lines from which the delimiter is found.
_SAMPLE_LINES = 20
#: Fields of a line that are looked at to find it.
_SAMPLE_FIELDS = 256
_NO_COLUMNS = "it does not name a column of images and one of labels"


@dataclass(frozen=True)
class Layout:
    """The layout of a table.

    Attributes:
        delimiter: the byte between fields.
        columns: number of fields in a row.
        image, label: the columns to read, from 0.
        line: number of the line of the header, or of the first row if there is no header.
        has_header: whether that line is a header.
        image_column: the name of the column of the images, or None.
    """

    delimiter: int
    columns: int
    image: int
    label: int
    line: int
    has_header: bool
    image_column: str | None


def layout_of(sample: list[bytes], line: int, comment: bytes, delimiter: int | None, choice: Choice) -> Layout:
    """Find the layout.

    Args:
        sample: the first lines that are not blank, each with its LF.
        line: the number of the first of them.
        comment: the last comment before them, which may name the columns; b"" if there is none.
        delimiter: the delimiter, if the file says it.
        choice: the columns to read.

    Raises:
        FileError: if the lines are no table.
        InvalidArgument: (rule columns) if it is not clear which columns to read.
    """
    if delimiter is None:
        delimiter = _delimiter_of(sample)
    names = _fields(sample[0], delimiter)
    names_in_comment = _fields(comment.strip().lstrip(b"#").strip() + b"\n", delimiter) if comment else []
    if choice.names_both(names):
        image, label = choice.of(names)
        name = names[image]
        # The header lacks the name of the first column, so all others are one further on
        shift = int(_has_row_names_of_r(sample, delimiter))
        return Layout(delimiter, len(names) + shift, image + shift, label + shift, line, True, name)
    if len(names_in_comment) == len(names) and choice.names_both(names_in_comment):
        image, label = choice.of(names_in_comment)
        return Layout(delimiter, len(names), image, label, line, False, names_in_comment[image])
    if len(names) < 2:
        raise FileError(f"line {line}: {shown(sample[0])} is not two fields, index and label", rule="file")
    image, label = _columns_without_header(line, names, choice)
    if len(sample) > 1 and _are_names_over_numbers(names, _fields(sample[1], delimiter), (image, label)):
        if choice.index is None and choice.label is None:
            raise InvalidArgument(f"line {line}: {_NO_COLUMNS}; {listed(names)}", rule="columns")
        return Layout(delimiter, len(names), image, label, line, True, names[image])
    return Layout(delimiter, len(names), image, label, line, False, None)


def first_lines(block: bytes) -> tuple[int, list[bytes]]:
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


def _columns_without_header(line: int, fields: list[str], choice: Choice) -> tuple[int, int]:
    """The columns of a table that begins with this line, which is no header."""
    columns = fields[1:] if not fields[0] else fields
    if fields == ["0", "1"]:  # mostly, the label of image 0 is 1
        what = f"line {line}, 0,1, is taken as a row: if it is the numbers of columns, as pandas writes them, remove it"
        warnings.warn(what, PladaWarning, stacklevel=2)
    elif columns == [str(number) for number in range(len(columns))]:
        raise FileError(
            f"line {line}: it may be a row, or the numbers of columns, as pandas writes them: put a line with the "
            "names of the columns above it, or in its place",
            rule="file",
        )
    numbers = [str(number + 1) for number in range(len(fields))]
    try:
        return choice.of_unnamed(len(fields))
    except InvalidArgument:
        if not {choice.index, choice.label} <= {None, *numbers}:
            try:
                return choice.of(fields)
            except InvalidArgument as error:
                raise InvalidArgument(f"line {line}: {error.args[0]}", rule=error.rule) from None
        raise InvalidArgument(
            f"line {line}: {_NO_COLUMNS}; {listed(fields)}, by name, or by number from 1 if there is no header",
            rule="columns",
        ) from None


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
