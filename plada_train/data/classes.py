"""Match the classes of a source of images with those of a task: by name, or by number if no side has names.

Names that are all numbers stand for their values: the folders `0` .. `10`, which are sorted as text, and labels in
`.cls` files mean the same classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from plada_codec.errors import InputError
from plada_codec.limits import MAX_CLASSES
from plada_codec.sections.class_names import class_check
from plada_codec.tables.names import normalised

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: A number of a class has at most five digits; names may have leading zeros.
_MAX_DIGITS = 9


@dataclass(frozen=True)
class Classes:
    """The classes of a task, or of a payload.

    Attributes:
        num_classes: their number C.
        names: their names, if known.
        check: their class check (format specification, section 3.4), if the names are not known; b"" for none.
    """

    num_classes: int
    names: tuple[str, ...] | None = None
    check: bytes = b""

    def known_names(self, others: tuple[str, ...] | None = None) -> tuple[str, ...] | None:
        """The names, or those that the check confirms: `others`, or the numbers in one of their usual orders."""
        if self.names is not None or not self.check:
            return self.names
        numbers = [str(label) for label in range(self.num_classes)]
        for names in (others or (), numbers, sorted(numbers)):
            if len(names) == self.num_classes and class_check(names) == self.check:
                return tuple(names)
        return None


def matched_labels(names: tuple[str, ...] | None, task: Classes) -> NDArray[np.int64]:
    """For each label of a source of images, the label of the same class in the task; -1 if the task has no such class.

    Args:
        names: names of the source's classes, or None if it has numbers only.
        task: the classes of the task.

    Raises:
        InputError: (rule target) if a class of the source is none of the task, if only one side has names and these are
            not all numbers, or if the names are not those of the task's class check.
    """
    known = task.known_names(names)
    if names is not None and known is None and task.check:
        what = f"they have the class check {class_check(names).hex()}, and the task has {task.check.hex()}"
        raise InputError(f"the classes are not those of the task, or they have another order: {what}", rule="target")
    if names is None and known is None:
        if task.check:
            raise _one_sided("the task has class names, whose check is known, and these images have none")
        return np.arange(task.num_classes)
    if names is None:
        return _numbered_images(known or ())
    if known is None:
        return _numbered_task(names, task.num_classes)
    return _named(names, known)


def _named(names: Sequence[str], task_names: Sequence[str]) -> NDArray[np.int64]:
    """Both sides have names: they match as they are, or else by value if all are numbers."""
    label_of = {normalised(name): label for label, name in enumerate(task_names)}
    keys: list[str] = [normalised(name) for name in names]
    unknown = [name for name, key in zip(names, keys, strict=True) if key not in label_of]
    if not unknown:
        return np.array([label_of[key] for key in keys], np.int64)
    values, task_values = _values(names), _values(task_names)
    if values is None or task_values is None:
        raise InputError(f"there is a class {unknown[0]!r}, which the task does not have", rule="target")
    label_of_value = {value: label for label, value in enumerate(task_values)}
    for name, value in zip(names, values, strict=True):
        if value not in label_of_value:
            raise InputError(f"there is a class {name!r}, which the task does not have", rule="target")
    return np.array([label_of_value[value] for value in values], np.int64)


def _numbered_task(names: Sequence[str], num_classes: int) -> NDArray[np.int64]:
    """Only the source has names: they must be numbers of classes."""
    values = _values(names)
    if values is None:
        raise _one_sided(f"these images have class names, such as {names[0]!r}, and the task has none")
    for name, value in zip(names, values, strict=True):
        if value >= num_classes:
            raise InputError(
                f"there is a class {name!r}, but the task has {num_classes} classes, from 0 on", rule="target"
            )
    return np.array(values, np.int64)


def _numbered_images(task_names: Sequence[str]) -> NDArray[np.int64]:
    """Only the task has names: they must be numbers, and each label is the class whose name has its value."""
    values = _values(task_names)
    if values is None:
        what = f"the task has class names, such as {task_names[0]!r}, and these images have none"
        raise _one_sided(what)
    labels = np.full(MAX_CLASSES, -1)
    for label, value in enumerate(values):
        if value < MAX_CLASSES:  # no image has another label
            labels[value] = label
    return labels


def _values(names: Sequence[str]) -> list[int] | None:
    """The values of names that are all numbers, no two equal; None if they are not."""
    if not all(name.isascii() and name.isdigit() and len(name) <= _MAX_DIGITS for name in names):
        return None
    values = [int(name) for name in names]
    return values if len(set(values)) == len(values) else None


def _one_sided(what: str) -> InputError:
    return InputError(
        f"classes are named on one side only: {what}; name both (images by folders, or "
        "classes.json beside shards; a payload by its own class names, or --class-names FILE)",
        rule="target",
    )
