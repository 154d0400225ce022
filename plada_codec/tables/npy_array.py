"""Arrays in numpy's format `npy`, alone or in an npz archive. Nothing is unpickled."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from plada_codec.errors import FileError, LimitExceeded, file_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Arrays are read in blocks of this size.
_BLOCK_BYTES = 1 << 22
#: The longest header of an array, which numpy itself limits to 10,000 characters.
_MAX_HEADER_BYTES = 1 << 16
#: A value takes no more bytes, on average: names of classes are text, of 4 bytes for each character.
_MAX_VALUE_BYTES = 1 << 10


def read_array(stream: BinaryIO, what: str, most_values: int) -> NDArray[Any]:
    """Read an array in numpy's format `npy`, to the end of the stream. Nothing is unpickled.

    Args:
        stream: it need not be seekable.
        what: name of the array, for messages.
        most_values: the most values that it may have.

    Raises:
        FileError: if it is no such array, or damaged.
        LimitExceeded: if it claims more; no more is read or allocated.
    """
    with file_errors(f"{what} is damaged, or not in the format npy"):
        shape, fortran_order, dtype = read_header(stream)
        if dtype.hasobject:
            raise FileError(f"{what} holds pickled objects, which are not read", rule="file")
        values = math.prod(shape)
        if values > most_values or values * dtype.itemsize > _MAX_VALUE_BYTES * max(most_values, 1 << 16):
            raise LimitExceeded(
                f"{what} claims {values} values of {dtype.itemsize} bytes, but the limits allow {most_values}",
                rule="limit-kept" if most_values >= 1 << 16 else "limit-stream-bytes",
            )
        size = values * dtype.itemsize
        data = bytearray()  # it grows as bytes come: the claim may be false
        while len(data) < size and (block := stream.read(min(size - len(data), _BLOCK_BYTES))):
            data += block
        if len(data) < size:
            raise FileError(f"{what} is cut off: {size - len(data)} bytes are missing", rule="file")
        if stream.read(1):
            raise FileError(f"{what} has bytes after its array", rule="file")
        array: NDArray[Any] = np.frombuffer(data, dtype, values) if size else np.empty(values, dtype)
        return array.reshape(shape, order="F" if fortran_order else "C")


def read_header(stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array: its shape, whether it is in Fortran's order, and its dtype.

    Raises:
        ValueError: if the header is damaged.
    """
    version = np.lib.format.read_magic(stream)
    length_bytes = 2 if version == (1, 0) else 4
    length = _exactly(stream, length_bytes)
    size = int.from_bytes(length, "little")
    if size > _MAX_HEADER_BYTES:
        raise ValueError(f"its header claims {size} bytes")
    header = io.BytesIO(length + _exactly(stream, size))
    if version == (1, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(header)
    else:
        shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(header)
    if any(length < 0 for length in shape):
        raise ValueError("a negative length")
    return shape, fortran_order, dtype


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data = b""
    while len(data) < size and (block := stream.read(size - len(data))):
        data += block
    if len(data) < size:
        raise ValueError("it is cut off")
    return data
