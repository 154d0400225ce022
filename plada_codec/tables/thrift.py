"""Structs in Thrift's compact protocol, of which a few fields are wanted and the others are skipped.

pyarrow reads the same bytes with its own reader. So whatever two readers could understand in two ways is refused: a
field that is there twice, one of another type, an integer that does not fit its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Types of the protocol. Booleans stand in the type itself, but not in a list.
_BOOLEANS, _BYTE, _INT16, INT32, INT64, _DOUBLE, _BINARY = (1, 2), 3, 4, 5, 6, 7, 8
_LISTS, _MAP, _STRUCT = (9, 10), 11, 12
_BITS = {_INT16: 16, INT32: 32, INT64: 64}
_MAX_FIELD = (1 << 15) - 1
_MAX_DEPTH = 32


def read_struct(data: bytes, wanted: Mapping[int, Any]) -> tuple[dict[int, Any], int]:
    """The wanted fields of a struct at the beginning of `data`, by their numbers, and the bytes of the struct.

    Args:
        data: the struct, and anything behind it.
        wanted: the type of each wanted field, by its number: INT32, INT64, a mapping like this one for a struct, or
            a list of one such type for a list.

    Raises:
        ValueError: if the struct is damaged or cut off.
    """
    reader = _Reader(data)
    try:
        return reader.struct(wanted, 0), reader.position
    except IndexError as error:
        raise ValueError("a struct of Thrift is cut off") from error


class _Reader:
    """Raises IndexError at the end of the data."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, wanted: Mapping[int, Any], depth: int) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        field = 0
        while header := self._byte():
            field = field + (header >> 4) if header >> 4 else self._integer(_INT16)
            _check(0 < field <= _MAX_FIELD and field not in fields)
            value = self._value(header & 15, wanted.get(field), depth)
            if field in wanted:
                fields[field] = value
        return fields

    def _value(self, kind: int, wanted: Any, depth: int) -> Any:
        """A value of a type. `wanted` is the type that it should have, or None if the value is skipped."""
        _check(depth <= _MAX_DEPTH)
        if isinstance(wanted, list):
            _check(kind in _LISTS)
        elif wanted is not None:
            _check(kind == (wanted if isinstance(wanted, int) else _STRUCT))
        if kind in _BITS:
            return self._integer(kind)
        if kind == _STRUCT:
            return self.struct(wanted or {}, depth + 1)
        if kind in _LISTS:
            return self._list(wanted[0] if wanted else None, depth + 1)
        if kind == _MAP:
            self._map(depth + 1)
        elif kind == _BINARY:
            self._skip(self._varint())
        elif kind in (_BYTE, _DOUBLE):
            self._skip(1 if kind == _BYTE else 8)
        else:
            _check(kind in _BOOLEANS)
        return None

    def _list(self, wanted: Any, depth: int) -> list[Any] | None:
        header = self._byte()
        count = header >> 4 if header >> 4 < 15 else self._varint()
        kind = _in_list(header & 15)
        if wanted is not None:
            return [self._value(kind, wanted, depth) for _ in range(count)]
        for _ in range(count):
            self._value(kind, None, depth)
        return None

    def _map(self, depth: int) -> None:
        if count := self._varint():
            kinds = self._byte()
            for _ in range(count):
                self._value(_in_list(kinds >> 4), None, depth)
                self._value(_in_list(kinds & 15), None, depth)

    def _integer(self, kind: int) -> int:
        number = self._varint()
        _check(number < 1 << _BITS[kind])
        return (number >> 1) ^ -(number & 1)

    def _varint(self) -> int:
        number = shift = 0
        while True:
            byte = self._byte()
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number
            _check(shift < 64)

    def _byte(self) -> int:
        byte = self._data[self.position]
        self.position += 1
        return byte

    def _skip(self, count: int) -> None:
        self.position += count
        if self.position > len(self._data):
            raise IndexError


def _in_list(kind: int) -> int:
    """The type of an element: a boolean there is a byte. So each element has a byte or more."""
    return _BYTE if kind in _BOOLEANS else kind


def _check(right: bool) -> None:
    if not right:
        raise ValueError("a struct of Thrift is damaged")
