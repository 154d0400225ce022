"""Rows of a file made ready for a payload: whole numbers, in range and in order, or an error that says where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import FileError, InvalidPayload
from plada_codec.interop.base import Contents
from plada_codec.tables.numbers import whole_numbers
from plada_codec.tables.table import not_whole

if TYPE_CHECKING:
    from numpy.typing import NDArray


def ready_rows(contents: Contents, reference_size: int, num_classes: int, *, sort: bool) -> Contents:
    """The same content, in whole numbers and with rising indices.

    Args:
        contents: the content of a file.
        reference_size: N, for the range of the indices.
        num_classes: C, for the range of the labels.
        sort: whether to sort the rows by index.

    Raises:
        FileError: if a value is a name, or no whole number.
        InvalidPayload: if a value is out of range, an image is there twice, or the rows are not in order.
    """
    indices = _numbers(contents.indices, "index", contents.place)
    labels = _numbers(contents.labels, "label", contents.place)
    if indices.ndim == labels.ndim == 1 and len(indices) == len(labels):  # Payload refuses all others
        _check_below(indices, reference_size, "index", "reference set of {} images", contents.place)
        _check_below(labels, num_classes, "label", "{} classes", contents.place)
        return _in_order(replace(contents, indices=indices, labels=labels), sort=sort)
    return replace(contents, indices=indices, labels=labels)


def _numbers(values: NDArray[Any], what: str, place: Callable[[int], str]) -> NDArray[Any]:
    if values.dtype.kind in "OU" and values.ndim == 1 and len(values):
        name = ascii(str(values[0])[:40])
        raise FileError(
            f"{place(0)}: {what} {name} is a name, not a number; if it is in a header, give "
            "index_column (--index-column) and label_column (--label-column)",
            rule="file",
        )
    if values.dtype.kind not in "uf" or values.ndim != 1:
        return values
    numbers, bad = whole_numbers(values)
    if bad is not None:
        raise not_whole(place(bad), what, values[bad])
    return numbers


def _check_below(values: NDArray[Any], below: Any, what: str, whole: str, place: Callable[[int], str]) -> None:
    if not len(values) or values.dtype.kind != "i" or not isinstance(below, int | np.integer):
        return
    if values.min() < 0 or values.max() >= below:
        bad = int(np.argmax((values < 0) | (values >= below)))
        raise InvalidPayload(
            f"{place(bad)}: {what} {values[bad]} is outside the {whole.format(below)}",
            rule="indices" if what == "index" else "labels",
        )


def _in_order(contents: Contents, *, sort: bool) -> Contents:
    indices, place = contents.indices, contents.place
    rising = indices[1:] > indices[:-1]
    if rising.all():
        return contents
    if sort:
        order = np.argsort(indices, kind="stable")
        indices = indices[order]
        fields = dict(contents.fields)
        weights = fields.get("weights")
        if weights is not None and len(weights) == len(order):
            fields["weights"] = np.asarray(weights)[order]
        contents = replace(contents, indices=indices, labels=contents.labels[order], fields=fields)
        equal = indices[1:] == indices[:-1]
        if not equal.any():
            return contents
        at = int(np.argmax(equal))
        first, second = place(int(order[at])), place(int(order[at + 1]))
        raise InvalidPayload(f"{second}: index {indices[at]} is repeated: it is in {first}, too", rule="indices")
    at = int(np.argmin(rising)) + 1
    if indices[at] == indices[at - 1]:
        raise InvalidPayload(f"{place(at)}: index {indices[at]} is repeated", rule="indices")
    raise InvalidPayload(
        f"{place(at)}: index {indices[at]} comes after {indices[at - 1]}: give sort=True (--sort) to sort the rows",
        rule="indices",
    )
