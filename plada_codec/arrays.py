"""Arrays, from any array-like that users pass, or one of our errors.

An array-like may raise anything when it is converted: a tensor that requires a gradient, the tracer of a compiler. It
may also hide values behind a mask, which numpy drops without a word: such values are refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import InvalidArgument, InvalidPayload, PladaError, first_line
from plada_codec.tables.numbers import whole_numbers, whole_objects

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DIMENSIONS = {1: "one dimension", 2: "two dimensions"}


def frozen_integers(
    values: Any,
    name: str,
    dtype: type[np.integer[Any]],
    *,
    copy: bool,
    below: int | None = None,
    dimensions: int = 1,
) -> Any:
    """Convert `values` to a read-only array of `dtype`.

    Args:
        values: any array-like of integers, or of floating-point numbers that are whole.
        name: name of the argument, for messages; with hyphens it is the rule of the errors.
        dtype: integer type of the array.
        copy: whether to copy in any case, so that nobody else can write to the array.
        below: every value must be 0 or more and below this; None allows any that `dtype` holds.
        dimensions: number of dimensions that `values` must have, 1 or 2.

    Raises:
        InvalidPayload: if `values` is not such an array.
    """
    rule = name.replace("_", "-")
    array = _array(values, name, InvalidPayload, rule)
    if array.size == 0 and array.dtype == np.float64 and not isinstance(values, np.ndarray):
        array = array.astype(dtype)  # numpy's dtype for an empty list
    if array.ndim != dimensions:
        raise InvalidPayload(f"{name} must have {_DIMENSIONS[dimensions]}, not {array.ndim}", rule=rule)
    if array.dtype.kind in "fO":
        array = _whole(array, name, rule)
    if array.dtype.kind not in "iu":
        raise InvalidPayload(f"{name} must be integers, not {array.dtype}", rule=rule)
    if array.size:
        low, high = int(array.min()), int(array.max())
        if below is not None and (low < 0 or high >= below):
            bad = low if low < 0 else high
            raise InvalidPayload(f"{name} has a {bad}, but must be 0 .. {below - 1}", rule=rule)
        if high > np.iinfo(dtype).max:
            raise InvalidPayload(f"{name} has a {high}, which is beyond any reference set", rule=rule)
    array = array.astype(dtype, copy=copy)
    array.flags.writeable = False
    return array


def _whole(array: NDArray[Any], name: str, rule: str) -> NDArray[np.int64]:
    """The integers that floating-point numbers or objects of Python are."""
    flat = array.ravel()
    numbers, bad = whole_objects(flat.tolist()) if array.dtype.kind == "O" else whole_numbers(flat)
    if bad is not None:
        shown = ascii(flat[bad]) if isinstance(flat[bad], str | None) else str(flat[bad])
        raise InvalidPayload(f"{name} has {shown[:40]} (number {bad}), which is not a whole number", rule=rule)
    return numbers.reshape(array.shape)


def floats(values: Any, name: str, rule: str) -> NDArray[np.float64]:
    """Convert an array-like of numbers to float64.

    Raises:
        InvalidArgument: (rule `rule`) if `values` is not an array-like of numbers, or hides some behind a mask.
    """
    array = _array(values, name, InvalidArgument, rule)
    if array.dtype.kind not in "biuf":
        raise InvalidArgument(f"{name} must be numbers, not {array.dtype}", rule=rule)
    return array.astype(np.float64)


def _array(values: Any, name: str, kind: type[PladaError], rule: str) -> NDArray[Any]:
    try:
        hidden = _hides_items(values)  # before numpy converts hidden items, with warnings
        array = np.asanyarray(() if hidden else values)  # keeps the masks of subclasses
        hidden = hidden or _hides_values(array)
        array = np.asarray(array)
    except Exception as error:
        raise kind(f"{name} cannot be made an array: {first_line(error)}", rule=rule) from None
    if hidden:
        raise kind(f"{name} has masked values: leave these images out, or give their values", rule=rule)
    return array


def _hides_values(array: NDArray[Any]) -> bool:
    """Whether an array of a masked subclass, such as numpy.ma.MaskedArray, hides a value."""
    return bool(np.any(getattr(array, "mask", False)))


def _hides_items(values: Any) -> bool:
    """Whether a list holds masked arrays that hide a value; rows of a list may be lists."""
    if not isinstance(values, list | tuple):
        return False
    types = set(map(type, values))
    if any(issubclass(kind, list | tuple) for kind in types) and any(map(_hides_items, values)):
        return True
    arrays = any(issubclass(kind, np.ndarray) for kind in types)
    return arrays and any(isinstance(value, np.ndarray) and _hides_values(value) for value in values)
