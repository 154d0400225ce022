"""Rows of a file made ready for a payload: whole numbers, in range and in order, or an error that says where."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from plada_codec.errors import FileError, InvalidPayload
from plada_codec.interop.base import Contents
from plada_codec.tables.names import check_numbers_are_no_names, class_numbers
from plada_codec.tables.numbers import whole_number, whole_numbers
from plada_codec.tables.table import HEADER_HINT, not_whole, strings

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Text that is a number and looks like no name: it has no leading zeros.
_PLAIN_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.0*)?")
#: Gives the numbers of images, from names or numbers and the place of each: as `plada_codec.reference.image_numbers`.
ImageNumbers: TypeAlias = "Callable[[Sequence[str] | NDArray[np.int64], Callable[[int], str]], NDArray[np.int64]]"


class Lookups(NamedTuple):
    """The ways from names to numbers.

    Attributes:
        image_numbers: looks up the names of images, or None.
        class_names: the name of each class, or None.
        check_labels: whether numbers of classes may be names, too.
    """

    image_numbers: ImageNumbers | None
    class_names: Sequence[str] | None
    check_labels: bool


def labels_as_names(contents: Contents, label_names: Sequence[str]) -> Contents:
    """The same content, whose labels are names: those that their numbers have in their own column."""
    labels = _numbers(contents.labels, "label", contents.place)
    _check_below(labels, len(label_names), "label", "{} classes", contents.place)
    fields = {name: value for name, value in contents.fields.items() if name != "class_names"}
    return replace(contents, labels=strings(label_names)[labels], fields=fields)


def ready_rows(contents: Contents, reference_size: int, num_classes: int, lookups: Lookups, *, sort: bool) -> Contents:
    """The same content, in whole numbers and with rising indices.

    Args:
        contents: the content of a file.
        reference_size: N, for the range of the indices.
        num_classes: C, for the range of the labels.
        lookups: how names become numbers.
        sort: whether to sort the rows by index. Rows with names of images are sorted in any case.

    Raises:
        FileError: if a value is no whole number, or a name that is not known.
        InvalidPayload: if a value is out of range, an image is there twice, or the rows are not in order.
    """
    place = contents.place
    indices = contents.indices
    if _are_names(indices) and lookups.image_numbers is not None:
        indices = _numbers_in_text(indices)
    are_names = _are_names(indices) and lookups.image_numbers is not None
    labels = contents.labels
    if _are_names(labels) and not set(labels.tolist()).intersection(lookups.class_names or ()):
        labels = _numbers_in_text(labels)
    with _header_hint(contents):
        indices = indices if are_names else _numbers(indices, "index", place)
        if lookups.image_numbers is not None and (are_names or contents.may_be_names):
            indices = lookups.image_numbers(indices.tolist() if are_names else indices, place)
        if are_classes_named := _are_names(labels):
            labels = class_numbers(labels, lookups.class_names, place)
    if not are_classes_named:
        labels = _numbers(labels, "label", place)
        if lookups.class_names is not None and lookups.check_labels:
            check_numbers_are_no_names(labels, lookups.class_names, place)
    if indices.ndim == labels.ndim == 1 and len(indices) == len(labels):  # Payload refuses all others
        _check_below(indices, reference_size, "index", "reference set of {} images", place)
        _check_below(labels, num_classes, "label", "{} classes", place)
        return _in_order(replace(contents, indices=indices, labels=labels), sort=sort or are_names)
    return replace(contents, indices=indices, labels=labels)


def check_labels_are_numbers(contents: Contents) -> None:
    """Raise FileError if labels are names, of classes that nobody has numbered."""
    if _are_names(contents.labels) and _are_names(_numbers_in_text(contents.labels)):
        with _header_hint(contents):
            class_numbers(contents.labels, None, contents.place)


@contextmanager
def _header_hint(contents: Contents) -> Iterator[None]:
    """Add to errors about the first row that it may be a header, if the columns have no names."""
    try:
        yield
    except FileError as error:
        if contents.image_column is not None or not error.args[0].startswith(f"{contents.place(0)}:"):
            raise
        raise FileError(f"{error.args[0]}{HEADER_HINT}", rule=error.rule) from None


def _are_names(values: NDArray[Any]) -> bool:
    return values.dtype.kind in "OU" and values.ndim == 1 and len(values) > 0


def _numbers_in_text(values: NDArray[Any]) -> NDArray[Any]:
    """The whole numbers that all texts are, or the texts. Leading zeros are those of names, such as 007."""
    texts = values.tolist()
    if not all(map(_PLAIN_NUMBER.fullmatch, texts)):
        return values
    numbers = list(map(whole_number, texts))
    return values if None in numbers else np.array(numbers, np.int64)


def _numbers(values: NDArray[Any], what: str, place: Callable[[int], str]) -> NDArray[Any]:
    if _are_names(values):
        values = _numbers_in_text(values)
    if _are_names(values):
        name = ascii(str(values[0])[:40])
        raise FileError(
            f"{place(0)}: {what} {name} is a name, not a number: give image_numbers (--reference) to look names up",
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
