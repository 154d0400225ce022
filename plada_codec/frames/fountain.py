"""The fountain code: symbols of an object, and the object from any K + 2 or so symbols (spec section 3).

The only module that uses the package raptorq (an extra, imported when it is first needed). Its peculiarities:

- Packets are a symbol behind four bytes: block number, always 0 here, and the RFC's symbol id (RFC 6330 section 3.2).
- Blocks of more than 10 MiB are cut into sub-blocks (N > 1), which reorders the bytes of symbols. But each byte of
  a symbol depends only on the bytes at the same place in other symbols: so long objects are coded in columns.
- Repair symbols can only be made from the first one on.
- If it meets a state that it takes for impossible, it panics: a BaseException, and text on standard error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from plada_codec.errors import Corrupt
from plada_codec.extras import extra_module
from plada_codec.frames.frame import ALIGNMENT

#: 10 MiB, less what K grows by when it is rounded up to one of the block sizes of RFC 6330 section 5.6.
_MAX_COLUMN_BYTES = 8 << 20
#: Section 6: if K symbols and this many more make no object, they are not all of one object. Each costs a decoding.
MAX_SPARE_SYMBOLS = 8
_NO_OBJECT = "the symbols are not all of one object: they are dropped"


class FountainEncoder:
    r"""Makes the symbols of an object.

    Args:
        data: the object, L bytes.
        symbol_bytes: symbol size T; L and T are as section 3 allows.

    >>> FountainEncoder(b"abcde", 2).symbol(2)
    b'e\x00'
    """

    def __init__(self, data: bytes, symbol_bytes: int) -> None:
        self._symbols = -(-len(data) // symbol_bytes)
        self._symbol_bytes = symbol_bytes
        self._padded = data.ljust(self._symbols * symbol_bytes, b"\0")
        self._encoders: list[Any] = []
        self._repair: list[bytes] = []

    def symbol(self, id: int) -> bytes:
        """Symbol `id`, T bytes. For a repair symbol (K and on), all up to it and half as many more are made and kept.

        So the last symbols of a long cycle take a while, and several times as much memory as the object.

        Raises:
            Unavailable: (rule extra) if this needs the package raptorq, which is not installed.
        """
        if self._symbols == 1:
            return self._padded
        if id < self._symbols:
            return self._padded[id * self._symbol_bytes : (id + 1) * self._symbol_bytes]
        number = id - self._symbols
        if number >= len(self._repair):
            self._repair = self._repair_symbols(number + number // 2 + 64)
        return self._repair[number]

    def _repair_symbols(self, count: int) -> list[bytes]:
        if not self._encoders:
            encoder = extra_module("raptorq", "frames").Encoder
            rows = _cut(self._padded, self._symbol_bytes)
            for column in _columns(self._symbols, self._symbol_bytes):
                data = b"".join(row[column] for row in rows)
                self._encoders.append(encoder.with_defaults(data, column.stop - column.start))
        packets = (encoder.get_encoded_packets(count)[self._symbols :] for encoder in self._encoders)
        return [b"".join(packet[4:] for packet in row) for row in zip(*packets, strict=True)]


class FountainDecoder:
    r"""Rebuilds an object from its symbols.

    Args:
        object_bytes: length L of the object.
        symbol_bytes: symbol size T; L and T are as section 3 allows.

    Raises:
        Unavailable: (rule extra) if this needs the package raptorq, which is not installed.

    >>> decoder = FountainDecoder(5, 2)
    >>> [decoder.add(id, symbol) for id, symbol in ((2, b"e\0"), (0, b"ab"), (1, b"cd"))]
    [None, None, b'abcde']
    """

    def __init__(self, object_bytes: int, symbol_bytes: int) -> None:
        self._object_bytes = object_bytes
        self._symbol_bytes = symbol_bytes
        symbols = -(-object_bytes // symbol_bytes)
        self._tries = symbols + MAX_SPARE_SYMBOLS
        self._columns = _columns(symbols, symbol_bytes) if symbols > 1 else []
        self._decoders: list[Any] = []
        if self._columns:
            decoder = extra_module("raptorq", "frames").Decoder
            widths = [column.stop - column.start for column in self._columns]
            self._decoders = [decoder.with_defaults(symbols * width, width) for width in widths]

    def add(self, id: int, symbol: bytes) -> bytes | None:
        """Add a symbol, each id once; return the object as soon as there are enough symbols, else None.

        Nothing is checked: one wrong symbol makes a wrong object.

        Raises:
            Corrupt: (rule symbol-size) if the symbol is not of T bytes; (rule digest) if the symbols make no object,
                as K + `MAX_SPARE_SYMBOLS` of one object always do.
        """
        if len(symbol) != self._symbol_bytes:
            raise Corrupt(f"a symbol of {len(symbol)} bytes, where they have {self._symbol_bytes}", rule="symbol-size")
        if not self._decoders:
            return symbol
        prefix = id.to_bytes(4, "big")
        decoded = [
            _decode(decoder, prefix + symbol[column])
            for decoder, column in zip(self._decoders, self._columns, strict=True)
        ]
        parts = [
            _cut(data, column.stop - column.start)
            for data, column in zip(decoded, self._columns, strict=True)
            if data is not None
        ]
        if len(parts) < len(self._columns):
            self._tries -= 1
            if not self._tries:
                raise Corrupt(_NO_OBJECT, rule="digest")
            return None
        return b"".join(map(b"".join, zip(*parts, strict=True)))[: self._object_bytes]


def _decode(decoder: Any, packet: bytes) -> bytes | None:
    try:
        data: bytes | None = decoder.decode(packet)
    except BaseException as error:
        # The class cannot be imported: pyo3 makes it when the extension is loaded.
        if type(error).__name__ != "PanicException":
            raise
        raise Corrupt(_NO_OBJECT, rule="digest") from None
    return data


def _columns(symbols: int, symbol_bytes: int) -> Sequence[slice]:
    """The columns of a symbol, which are coded independently: one, unless the object is long."""
    width = _MAX_COLUMN_BYTES // symbols // ALIGNMENT * ALIGNMENT
    return [slice(begin, min(begin + width, symbol_bytes)) for begin in range(0, symbol_bytes, width)]


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[begin : begin + size] for begin in range(0, len(data), size)]
