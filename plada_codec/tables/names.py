"""Names of classes in a column of labels become numbers; and the form in which names are compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import FileError
from plada_codec.tables.numbers import whole_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Names in messages.
_LISTED = 8


def class_numbers(
    labels: NDArray[Any], class_names: Sequence[str] | None, place: Callable[[int], str]
) -> NDArray[np.int64]:
    """The class of each name: int64 [len(labels)]. Names are compared after NFC.

    Args:
        labels: object [rows], names of classes.
        class_names: the name of each class, or None if nobody said them.
        place: the place of a row, for messages.

    Raises:
        FileError: (rule class-name) if a name is not among `class_names`.
    """
    used = dict.fromkeys(labels.tolist())
    if class_names is None:
        listed = ", ".join(map(repr, sorted(used)[:_LISTED])) + (", ..." if len(used) > _LISTED else "")
        raise FileError(
            f"{place(0)}: label {str(labels[0])!r} is a name: give the names of all classes in their order, "
            f"class_names (--class-names); the labels are {listed}",
            rule="class-name",
        )
    numbers = {normalised(name): number for number, name in enumerate(class_names)}
    table = {label: numbers.get(normalised(label), -1) for label in used}
    classes = np.fromiter(map(table.__getitem__, labels.tolist()), np.int64, len(labels))
    if (classes < 0).any():
        at = int(np.argmax(classes < 0))
        listed = ", ".join(map(repr, class_names[:_LISTED])) + (", ..." if len(class_names) > _LISTED else "")
        hint = encoding_hint(labels[at])
        raise FileError(f"{place(at)}: no class is named {labels[at]!r}: they are {listed}{hint}", rule="class-name")
    return classes


def check_numbers_are_no_names(
    labels: NDArray[np.int64], class_names: Sequence[str], place: Callable[[int], str]
) -> None:
    """Refuse numbers that may be classes or names of other classes: names such as 0, 1, 10, 2 in the order of text.

    Raises:
        FileError: (rule class-name) if a label is ambiguous.
    """
    values = map(whole_number, class_names)
    moved = [(number, value) for number, value in enumerate(values) if value is not None and value != number]
    ambiguous = np.isin(labels, np.array(moved, np.int64))
    if ambiguous.any():
        at = int(np.argmax(ambiguous))
        raise FileError(
            f"{place(at)}: label {labels[at]} may be the number or the name of a class: name the classes in the order "
            "of their numbers",
            rule="class-name",
        )


def encoding_hint(name: str) -> str:
    """End of messages about a name that is not known: that it is not UTF-8, if it is not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "; it is not in UTF-8: save the table in UTF-8, in Excel as 'CSV UTF-8'"
    return ""


def normalised(name: str) -> str:
    """The form in which names of classes and of images are compared: NFC (format specification, section 8.1)."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)
