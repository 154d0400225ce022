"""The binary range coder (spec section 5.5). Frozen by format 1.

One function, `code`, works in both directions, so that a model is written once: an encoder passes the bit, a decoder
gets the bit as the result. A coder is an int64 [8] of the fields below; `data` (uint8) is the stream. If an encoder
has no room, it goes on counting bytes: `finish` then returns the size that `data` needs.
"""

from __future__ import annotations

import numpy as np

from plada_codec.kernels.jit import Ints, as_int64, part

#: Fields of a coder: the interval, the decoder's value in it, bytes read or written, the stream's size when decoding,
#: the byte that the encoder holds back because a carry may change it, the number of FF bytes after it, the direction.
LOW, RANGE, VALUE, AT, SIZE, HELD, HELD_FF, DECODING = range(8)
_FIELDS = 8
_NOTHING_HELD = -1
_NO_END = 1 << 62

#: Spec section 5.5: the probability 1/2, in units of 2^-16.
HALF = 1 << 15
_WHOLE_RANGE, _LEAST_RANGE = 1 << 32, 1 << 24
_FLUSHED_BYTES = 4


def new_coder() -> np.ndarray:
    """Make a coder, for `start_encoder` or `start_decoder`."""
    return np.zeros(_FIELDS, np.int64)


def start_encoder(coder: Ints) -> None:
    """Begin to write a stream."""
    coder[:] = 0
    coder[RANGE] = _WHOLE_RANGE
    coder[SIZE] = _NO_END
    coder[HELD] = _NOTHING_HELD


def start_decoder(coder: Ints, data: Ints) -> None:
    """Begin to read the stream `data`."""
    coder[:] = 0
    coder[RANGE] = _WHOLE_RANGE
    coder[SIZE] = len(data)
    coder[DECODING] = 1
    for _ in range(_FLUSHED_BYTES):
        _read_byte(coder, data)


@part
def ended(coder: Ints) -> bool:
    """Whether the decoder has needed bytes beyond the end of the stream."""
    return bool(coder[AT] - _FLUSHED_BYTES > coder[SIZE])


@part
def code(coder: Ints, data: Ints, probability: int, bit: int) -> int:
    """Code one decision, with the probability of a one in units of 2^-16 (1 .. 65,535); return the bit."""
    bound = (coder[RANGE] * probability) >> 16
    if coder[DECODING]:
        bit = as_int64(coder[VALUE] < bound)
        if bit:
            coder[RANGE] = bound
        else:
            coder[VALUE] -= bound
            coder[RANGE] -= bound
        while coder[RANGE] < _LEAST_RANGE:
            coder[RANGE] <<= 8
            _read_byte(coder, data)
    else:
        if bit:
            coder[RANGE] = bound
        else:
            coder[LOW] += bound
            coder[RANGE] -= bound
        while coder[RANGE] < _LEAST_RANGE:
            coder[RANGE] <<= 8
            _write_byte(coder, data)
    return bit


@part
def code_raw(coder: Ints, data: Ints, number: int, bits: int) -> int:
    """Code a number of `bits` bits, all numbers equally likely; return it."""
    for shift in range(bits - 1, -1, -1):
        bit = code(coder, data, HALF, (number >> shift) & 1)
        number = (number & ~(1 << shift)) | (bit << shift)
    return number


def finish(coder: Ints, data: Ints) -> int:
    """End an encoder's stream with as few bytes as possible; return its size, which may exceed that of `data`."""
    for zeros in range(32, -1, -1):
        value = ((coder[LOW] + coder[RANGE] - 1) >> zeros) << zeros
        if value >= coder[LOW]:
            break
    coder[LOW] = value
    for _ in range(_FLUSHED_BYTES + 1):
        _write_byte(coder, data)
    size: int = coder[AT]
    if size <= len(data):
        for _ in range(_FLUSHED_BYTES):
            if size > 0 and data[size - 1] == 0:
                size -= 1
    return size


def cost(coder: Ints) -> int:
    """Cost of the stream so far in units of 1/256 bit; an integer, so that all encoders choose alike."""
    whole = coder[AT] + coder[HELD_FF]
    log = 0
    while coder[RANGE] >> (log + 1):
        log += 1
    linear: int = ((coder[RANGE] << 8) >> log) & 0xFF
    return int((8 * whole - log) << 8) - linear


@part
def _read_byte(coder: Ints, data: Ints) -> None:
    byte = data[coder[AT]] if coder[AT] < coder[SIZE] else 0
    coder[VALUE] = (coder[VALUE] << 8) | byte
    coder[AT] += 1


@part
def _write_byte(coder: Ints, data: Ints) -> None:
    """Write the top byte of LOW out, once no carry can change it."""
    low = coder[LOW]
    if low < 0xFF << 24 or low >= 1 << 32:
        carry = low >> 32
        if coder[HELD] != _NOTHING_HELD:
            _store(coder, data, coder[HELD] + carry)
        for _ in range(coder[HELD_FF]):
            _store(coder, data, 0xFF + carry)
        coder[HELD_FF] = 0
        coder[HELD] = (low >> 24) & 0xFF
    else:
        coder[HELD_FF] += 1
    coder[LOW] = (low & 0xFFFFFF) << 8


@part
def _store(coder: Ints, data: Ints, byte: int) -> None:
    if coder[AT] < len(data):
        data[coder[AT]] = byte & 0xFF
    coder[AT] += 1
