"""The claims of a message of Arrow IPC, read before anything is inflated.

pyarrow inflates the buffers of a batch to the size that each of them claims, without a bound. The messages are
flatbuffers (arrow.apache.org/docs/format/Columnar.html, files Message.fbs and Schema.fbs). Only four fields are read.
"""

from __future__ import annotations

import struct

_U16, _U32, _I32, _I64 = (struct.Struct(code) for code in ("<H", "<I", "<i", "<q"))
#: Message: type and value of its header.
_HEADER_TYPE, _HEADER = 1, 2
_DICTIONARY_BATCH = 2
#: DictionaryBatch: its record batch.
_DATA = 1
#: RecordBatch.
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3
_BUFFER_BYTES = 16
#: The size of a buffer that is not compressed, although the others are.
_NOT_COMPRESSED = -1


def claims_of(metadata: memoryview, body: memoryview) -> tuple[int, int]:
    """The rows of a record batch or dictionary, and the bytes that its buffers inflate to.

    Raises:
        struct.error, ValueError: if the message is damaged.
    """
    message = _U32.unpack_from(metadata, 0)[0]
    batch = _table(metadata, message, _HEADER)
    if metadata[_place(metadata, message, _HEADER_TYPE)] == _DICTIONARY_BATCH:
        batch = _table(metadata, batch, _DATA)
    rows = _place(metadata, batch, _LENGTH)
    length = _I64.unpack_from(metadata, rows)[0] if rows else 0
    if length < 0:
        raise ValueError("a batch of a negative length")
    if not _place(metadata, batch, _COMPRESSION):
        return length, len(body)
    inflated = 0
    buffers = _table(metadata, batch, _BUFFERS)
    for number in range(_U32.unpack_from(metadata, buffers)[0]):
        offset, size = struct.unpack_from("<qq", metadata, buffers + _U32.size + number * _BUFFER_BYTES)
        if size:
            claimed = _I64.unpack_from(body, offset)[0]
            if claimed < _NOT_COMPRESSED:
                raise ValueError("a buffer of a negative size")
            inflated += size if claimed == _NOT_COMPRESSED else claimed
    return length, inflated


def is_compressed(metadata: memoryview) -> bool:
    """Whether the buffers of a record batch are compressed. Raises as `claims_of`."""
    batch = _table(metadata, _U32.unpack_from(metadata, 0)[0], _HEADER)
    return _place(metadata, batch, _COMPRESSION) != 0


def _place(data: memoryview, table: int, field: int) -> int:
    """Where a field of a table stands; 0 if it is not there."""
    fields = table - _I32.unpack_from(data, table)[0]
    entry = 2 * _U16.size + field * _U16.size
    if fields < 0 or entry >= _U16.unpack_from(data, fields)[0]:
        return 0
    offset = _U16.unpack_from(data, fields + entry)[0]
    return table + offset if offset else 0


def _table(data: memoryview, table: int, field: int) -> int:
    """Where the table or vector stands that a field points to."""
    place = _place(data, table, field)
    if not place:
        raise ValueError("a message without a batch")
    target: int = place + _U32.unpack_from(data, place)[0]
    return target
