"""The row groups of a parquet file, and the sizes of their pages.

A page of some bytes may claim to become gigabytes when it is inflated, and pyarrow believes it. So the headers of the
pages are read first. The footer says where they are. It is read here too: pyarrow ends the whole process when it is
asked for the metadata of a column whose statistics contradict each other. So never ask it for `metadata`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, BinaryIO, NamedTuple

from plada_codec.tables.thrift import INT32, INT64, read_struct

#: Largest page that should be read, when inflated, in bytes.
MAX_PAGE_BYTES = 1 << 27
#: A page's header is no longer than this. It may hold the smallest and largest values of the page.
_MAX_HEADER_BYTES = 1 << 16
#: The file ends with the length of the footer, and with this.
_MAGIC = b"PAR1"
_LENGTH_BYTES = 4
#: Numbers of fields in the format's parquet.thrift. PageHeader: the page's size when inflated, and in the file.
_PAGE_INFLATED, _PAGE_STORED = 2, 3
_PAGE = {_PAGE_INFLATED: INT32, _PAGE_STORED: INT32}
#: ColumnMetaData, within ColumnChunk.
_VALUES, _INFLATED, _STORED, _DATA_OFFSET, _DICTIONARY_OFFSET = 5, 6, 7, 9, 11
_COLUMN = dict.fromkeys((_VALUES, _INFLATED, _STORED, _DATA_OFFSET, _DICTIONARY_OFFSET), INT64)
_COLUMN_OF_CHUNK = 3
#: RowGroup, and FileMetaData.
_CHUNKS, _GROUP_ROWS = 1, 3
_FILE_ROWS, _GROUPS = 3, 4
_GROUP = {_CHUNKS: [{_COLUMN_OF_CHUNK: _COLUMN}], _GROUP_ROWS: INT64}
_FOOTER = {_FILE_ROWS: INT64, _GROUPS: [_GROUP]}


class Chunk(NamedTuple):
    """The part of a column that is in a row group: its path in the schema, its values, its place and its size."""

    path: str
    values: int
    begin: int
    stored_bytes: int
    inflated_bytes: int


class RowGroup(NamedTuple):
    """A row group: its number of rows, and the chunks of all columns."""

    rows: int
    chunks: tuple[Chunk, ...]

    def chunks_of(self, names: Iterable[str]) -> list[Chunk]:
        """The chunks that pyarrow reads for some names of columns: theirs, and those of the columns within."""
        within = tuple(f"{name}." for name in names)
        return [chunk for chunk in self.chunks if f"{chunk.path}.".startswith(within)]


def read_footer(file: BinaryIO, schema: Any) -> tuple[int, list[RowGroup]]:
    """The number of rows that the footer of a parquet file claims, and its row groups.

    Args:
        file: the file, which is seekable.
        schema: the file's schema (pyarrow ParquetSchema). Its columns are those of each row group, in this order.

    Raises:
        ValueError: if the footer is damaged.
    """
    paths = [schema.column(number).path for number in range(len(schema))]
    end = file.seek(0, io.SEEK_END) - _LENGTH_BYTES - len(_MAGIC)
    file.seek(max(end, 0))
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    if file.read() != _MAGIC or length > end:
        raise ValueError("the file does not end with a footer")
    file.seek(end - length)
    fields, _ = read_struct(file.read(length), _FOOTER)
    try:
        return _count(fields[_FILE_ROWS]), [_group(group, paths) for group in fields[_GROUPS]]
    except KeyError as error:
        raise ValueError("the footer is damaged (a field is missing)") from error


def largest_page(file: BinaryIO, chunks: Iterable[Chunk]) -> int:
    """Size of the largest page of some chunks, when inflated, in bytes.

    Args:
        file: the file, which is seekable.
        chunks: chunks of its row groups.

    Raises:
        ValueError: if the file is damaged.
    """
    largest = 0
    for chunk in chunks:
        position, end = chunk.begin, chunk.begin + chunk.stored_bytes
        while position < end:
            file.seek(position)
            inflated, stored, header_bytes = _sizes(file.read(_MAX_HEADER_BYTES))
            largest = max(largest, inflated)
            position += header_bytes + stored
    return largest


def _group(fields: dict[int, Any], paths: list[str]) -> RowGroup:
    chunks = fields[_CHUNKS]
    if len(chunks) != len(paths):
        raise ValueError(f"a row group has {len(chunks)} columns, but the schema {len(paths)}")
    columns = (chunk[_COLUMN_OF_CHUNK] for chunk in chunks)
    return RowGroup(_count(fields[_GROUP_ROWS]), tuple(map(_chunk, paths, columns)))


def _chunk(path: str, fields: dict[int, int]) -> Chunk:
    begin = _count(fields[_DATA_OFFSET])
    # pyarrow takes no dictionary's page at 0, where the file's magic is
    if (dictionary := _count(fields.get(_DICTIONARY_OFFSET, 0))) > 0:
        begin = min(begin, dictionary)
    return Chunk(path, _count(fields[_VALUES]), begin, _count(fields[_STORED]), _count(fields[_INFLATED]))


def _count(number: int) -> int:
    if number < 0:
        raise ValueError("the footer is damaged (a number is negative)")
    return number


def _sizes(data: bytes) -> tuple[int, int, int]:
    """Bytes of a page when inflated, its bytes in the file, and those of its header."""
    try:
        fields, header_bytes = read_struct(data, _PAGE)
        inflated, stored = fields[_PAGE_INFLATED], fields[_PAGE_STORED]
    except (KeyError, ValueError) as error:
        raise ValueError("the header of a page is damaged") from error
    if inflated < 0 or stored < 0:
        raise ValueError("the header of a page is damaged")
    return inflated, stored, header_bytes
