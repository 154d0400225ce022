"""Whole numbers from other numbers and from text: exact, or refused.

A floating-point number is taken if it is whole, and so small that its type holds every whole number up to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INT64 = np.iinfo(np.int64)
#: Bits of the mantissa: floating-point numbers below 2 to this power are exact.
_EXACT_BITS = {2: 11, 4: 24, 8: 53}
#: A number as text: no digits but 0 to 9, and an exponent of at most two digits, so that it cannot be huge.
_NUMBER = re.compile(r"[+-]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][+-]?[0-9]{1,2})?")
#: Texts that programs write for a number that is missing or no number.
NO_NUMBERS = ("", "nan", "na", "n/a", "none", "null", "inf", "-inf", "<na>")
#: Fields of a block of text are converted at once if they are no longer than this.
TEXT_BYTES = 32
#: Below this, a number in text with a fraction of a millionth or more is no whole number in floating point.
_SURELY_EXACT = 2.0**32

_ZEROS, _EIGHT = np.uint64(0x3030303030303030), np.uint64(8)


def whole_numbers(values: NDArray[Any]) -> tuple[NDArray[np.int64], int | None]:
    """Integers or floating-point numbers as int64, and the first place where that is not possible, or None."""
    kind = values.dtype.kind
    if kind == "i":
        return values.astype(np.int64, copy=False), None
    if kind == "u":
        good = values <= np.uint64(_INT64.max)
        numbers = values.astype(np.int64, copy=False)
    elif kind == "f":
        limit = 2.0 ** _EXACT_BITS.get(values.dtype.itemsize, 53)
        with np.errstate(invalid="ignore"):
            good = (np.abs(values) <= limit) & (np.trunc(values) == values)
            numbers = np.where(good, values, 0).astype(np.int64)
    else:
        return np.zeros(len(values), np.int64), 0 if len(values) else None
    return numbers, None if good.all() else int(np.argmin(good))


def whole_objects(values: Sequence[object]) -> tuple[NDArray[np.int64], int | None]:
    """Python's or numpy's numbers as int64, and the first place where that is not possible, or None."""
    if set(map(type, values)) == {int}:
        try:
            return np.array(values, np.int64), None
        except OverflowError:
            pass
    numbers = np.zeros(len(values), np.int64)
    for at, value in enumerate(values):
        if isinstance(value, np.generic):
            value = value.item()
        if type(value) is Decimal and value.is_finite() and abs(value) <= _INT64.max and value == value.to_integral():
            value = int(value)
        # not isinstance: True is no number
        if type(value) is float and abs(value) <= 2.0**53 and value == int(value):
            value = int(value)
        if type(value) is not int or not _INT64.min <= value <= _INT64.max:
            return numbers, at
        numbers[at] = value
    return numbers, None


def whole_number(text: str) -> int | None:
    """The whole number that a text is, such as `3`, `-3`, `3.0` or `3e2`; None for any other text."""
    if not _NUMBER.fullmatch(text):
        return None
    value = Decimal(text)
    number = int(value)
    return number if number == value and _INT64.min <= number <= _INT64.max else None


def is_like_a_number(text: str) -> bool:
    """Whether a text is a number, whole or not, or a missing one."""
    return bool(_NUMBER.fullmatch(text)) or text.lower() in NO_NUMBERS


def whole_fields(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], int | None]:
    """The whole numbers that fields of a text are, and the first field that is none, or None.

    Args:
        data: the text, after at least TEXT_BYTES bytes of anything else.
        starts: the first byte of each field.
        ends: the byte after each field.
    """
    numbers, good = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.bool_)
    odd = np.arange(len(starts))
    if _digits(data, starts[:1], ends[:1])[1].all():  # else the others are hardly better
        numbers, good = _digits(data, starts, ends)
        if good.all():
            return numbers, None
        odd = np.flatnonzero(~good)
    # A decimal point with no other digits than one 0 after it
    cut = ends[odd]
    ends_in_0 = (cut - starts[odd] > 2) & (data[cut - 1] == ord("0")) & (data[cut - 2] == ord("."))
    if ends_in_0.any():
        numbers[odd], good[odd] = _digits(data, starts[odd], cut - 2 * ends_in_0)
    odd = np.flatnonzero(~good)
    numbers[odd], good[odd] = _floats(data, starts[odd], ends[odd])
    for at in np.flatnonzero(~good).tolist():
        text = data[starts[at] : ends[at]].tobytes().decode("ascii", "replace")
        number = whole_number(text)
        if number is None:
            return numbers, at
        numbers[at] = number
    return numbers, None


def _digits(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The numbers of fields of 1 to 16 digits, and which fields are such."""
    width = ends - starts
    numbers, good = _eight_digits(data, ends, np.minimum(width, 8))
    if len(width) and width.max() > 8:
        more = np.maximum(width - 8, 0)
        higher, are_good = _eight_digits(data, ends - 8, np.minimum(more, 8))
        numbers = numbers + higher * 10**8
        good &= are_good
    return numbers, good & (width >= 1) & (width <= 16)


def _eight_digits(
    data: NDArray[np.uint8], ends: NDArray[np.int64], width: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The numbers of the last `width` digits (0 to 8) before each end, and whether they are digits.

    Eight bytes are one integer, whose bytes are checked and multiplied all at once.
    """
    windows = np.lib.stride_tricks.sliding_window_view(data, 8)
    text = windows[ends - 8].view("<u8").ravel()
    # In the place of the bytes before a field, zeros; two shifts, because 64 bits cannot be shifted at once
    shift = ((8 - width) * 8).astype(np.uint64)
    before = (np.uint64(1) << (shift >> np.uint64(1)) << (shift - (shift >> np.uint64(1)))) - np.uint64(1)
    text = (text & ~before) | (_ZEROS & before)
    above, below = text + np.uint64(0x4646464646464646), text - _ZEROS
    good = ((above | below) & np.uint64(0x8080808080808080)) == 0
    pairs = below * np.uint64(10) + (below >> _EIGHT)
    first = (pairs & np.uint64(0x000000FF000000FF)) * np.uint64(0x000F424000000064)
    second = ((pairs >> np.uint64(16)) & np.uint64(0x000000FF000000FF)) * np.uint64(0x0000271000000001)
    return ((first + second) >> np.uint64(32)).astype(np.int64), good


def _floats(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The numbers of fields that are whole in floating point, such as 3.000e+00, and which fields are such."""
    width = ends - starts
    numbers, good = np.zeros(len(starts), np.int64), (width > 0) & (width <= TEXT_BYTES)
    at = np.flatnonzero(good)
    if not len(at):
        return numbers, good
    longest = int(width[at].max())
    text = np.lib.stride_tricks.sliding_window_view(data, longest)[ends[at] - longest]
    if width[at].min() < longest:
        text[np.arange(longest, dtype=np.uint8) < (longest - width[at]).astype(np.uint8)[:, None]] = ord(" ")
    underscores = text == ord("_")  # numpy would take 1_0
    if underscores.any():
        odd = underscores.any(axis=1)
        good[at[odd]] = False
        at, text = at[~odd], text[~odd]
    try:
        floats = text.view(f"S{longest}").ravel().astype(np.float64)
    except ValueError:
        return numbers, np.zeros(len(starts), np.bool_)  # one of them is no number: they are read one by one
    whole = (np.abs(floats) < _SURELY_EXACT) & (np.trunc(floats) == floats)
    numbers[at[whole]] = floats[whole].astype(np.int64)
    good[at[~whole]] = False
    return numbers, good
