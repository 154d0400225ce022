"""The sizes of the pages of a parquet file.

A page of some bytes may claim to become gigabytes when it is inflated, and pyarrow believes it. So the headers of the
pages are read first. They are structs in Thrift's compact protocol; only two of their fields matter here.
"""

from __future__ import annotations

from typing import Any, BinaryIO

#: Largest page that should be read, when inflated, in bytes.
MAX_PAGE_BYTES = 1 << 27
#: A page's header is no longer than this. It may hold the smallest and largest values of the page.
_MAX_HEADER_BYTES = 1 << 16
#: Fields of a page's header: its size when inflated, and in the file.
_INFLATED_SIZE, _STORED_SIZE = 2, 3
#: Types of Thrift's compact protocol. Booleans stand in the type itself.
_BOOLEANS, _BYTE, _INTEGERS, _DOUBLE, _BINARY, _STRUCT = (1, 2), 3, (4, 5, 6), 7, 8, 12
_MAX_DEPTH = 8


def largest_page(file: BinaryIO, row_group: Any, leaves: list[str]) -> int:
    """Size of the largest page of some columns of a row group, when inflated, in bytes.

    Args:
        file: the file, which is seekable.
        row_group: metadata of the row group (pyarrow).
        leaves: paths of the columns in the file's schema.

    Raises:
        ValueError: if the file is damaged.
    """
    largest = 0
    for number in range(row_group.num_columns):
        column = row_group.column(number)
        if column.path_in_schema not in leaves:
            continue
        position = column.data_page_offset
        if column.dictionary_page_offset:
            position = min(position, column.dictionary_page_offset)
        end = position + column.total_compressed_size
        while position < end:
            file.seek(position)
            inflated, stored, header_bytes = _sizes(file.read(_MAX_HEADER_BYTES))
            largest = max(largest, inflated)
            position += header_bytes + stored
    return largest


def _sizes(data: bytes) -> tuple[int, int, int]:
    """Bytes of a page when inflated, its bytes in the file, and those of its header."""
    reader = _Reader(data)
    try:
        fields = reader.struct(0)
        inflated, stored = fields[_INFLATED_SIZE], fields[_STORED_SIZE]
    except (IndexError, KeyError) as error:
        raise ValueError("the header of a page is damaged") from error
    if inflated < 0 or stored < 0:
        raise ValueError("the header of a page is damaged")
    return inflated, stored, reader.position


class _Reader:
    """A reader of Thrift's compact protocol, which keeps integers and skips the rest. Raises IndexError at the end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, depth: int) -> dict[int, int]:
        """The integers of a struct, by the number of their field."""
        if depth > _MAX_DEPTH:
            raise ValueError("the header of a page is damaged")
        fields: dict[int, int] = {}
        field = 0
        while header := self._byte():
            field = field + (header >> 4) if header >> 4 else self._integer()
            value = self._value(header & 15, depth)
            if value is not None:
                fields[field] = value
        return fields

    def _value(self, kind: int, depth: int) -> int | None:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _STRUCT:
            self.struct(depth + 1)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind in (_BYTE, _DOUBLE):
            self._skip(1 if kind == _BYTE else 8)
        elif kind not in _BOOLEANS:
            # Lists and maps: no header of a page has them
            raise ValueError("the header of a page is damaged")
        return None

    def _integer(self) -> int:
        number = self._varint()
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            if shift > 63:
                raise ValueError("the header of a page is damaged")

    def _byte(self) -> int:
        byte = self._data[self.position]
        self.position += 1
        return byte

    def _skip(self, count: int) -> None:
        self.position += count
        if self.position > len(self._data):
            raise IndexError
