"""Read-only arrays of integers, from any array-like that users pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from plada_codec.errors import InvalidPayload

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
        values: any array-like of integers.
        name: name of the argument, for messages; with hyphens it is the rule of the errors.
        dtype: integer type of the array.
        copy: whether to copy in any case, so that nobody else can write to the array.
        below: every value must be 0 or more and below this; None allows any that `dtype` holds.
        dimensions: number of dimensions that `values` must have, 1 or 2.

    Raises:
        InvalidPayload: if `values` is not such an array.
    """
    rule = name.replace("_", "-")
    try:
        array = np.asarray(values)
    except (ValueError, TypeError) as error:
        raise InvalidPayload(f"{name} cannot be made an array: {error}", rule=rule) from None
    if array.size == 0 and array.dtype == np.float64 and not isinstance(values, np.ndarray):
        array = array.astype(dtype)  # numpy's dtype for an empty list
    if array.ndim != dimensions:
        raise InvalidPayload(f"{name} must have {_DIMENSIONS[dimensions]}, not {array.ndim}", rule=rule)
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
