"""The value that the codec encodes: the kept images of a reference set, their classes, and optional sections.

A :class:`Payload` validates itself when it is made, cannot be changed, and compares by content (spec sections 1 and 4).
The codec turns it into bytes and back; this module does not know how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.arrays import frozen_integers
from plada_codec.errors import FIND_DIFFERENCES, ClassMismatch, InvalidPayload, ReferenceMismatch
from plada_codec.limits import (
    CLASS_CHECK_BYTES,
    DIGEST_BYTES_STEP,
    MAX_CLASSES,
    MAX_DIGEST_BYTES,
    MAX_VARINT,
    MIN_DIGEST_BYTES,
)
from plada_codec.sections.class_names import checked_class_names, class_check
from plada_codec.sections.registry import SECTIONS
from plada_codec.tables.names import normalised
from plada_codec.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Payload:
    """The kept images of a reference set and their classes.

    Attributes:
        indices: int64 [k], strictly increasing, each 0 <= index < reference_size and in the universe.
            Any array-like of whole numbers is accepted.
        labels: int32 [k], each 0 <= label < num_classes. Any array-like of whole numbers is accepted.
        reference_size: number of images N in the reference set, 1 .. 2^63 - 1.
        num_classes: number of classes C, 1 .. 65,536.
        reference_digest: the reference digest or its first bytes (8, 10, .. 32), or b"" for none. Every byte
            given is sent; eight are enough to detect mistakes (spec section 12).
        universe: the images that the payload speaks of; by default all.
        class_names: C different names without control characters, or None.
        soft_labels: uint8 [U, C] with a row for each of `used_classes`, or None: codes 0 .. 63 of Dirichlet
            concentrations, no row all 0 (`plada_codec.sections.soft_labels` makes and reads them; spec section 8.2).
        weights: uint8 [k], or None: codes 0 .. 15 for the weight of each image (`plada_codec.sections.weights`
            makes and reads them; spec section 8.3).
        class_check: two bytes that depend on the class names (`plada_codec.class_check` computes them), or b"" for
            none. They show a receiver with other classes its mistake. A payload with class names has none.

    Raises:
        InvalidPayload: if any of this does not hold.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int32]
    reference_size: int
    num_classes: int
    reference_digest: bytes
    universe: Universe
    class_names: tuple[str, ...] | None
    soft_labels: NDArray[np.uint8] | None
    weights: NDArray[np.uint8] | None
    class_check: bytes

    def __init__(
        self,
        indices: ArrayLike,
        labels: ArrayLike,
        reference_size: int,
        num_classes: int,
        reference_digest: bytes = b"",
        universe: Universe = Universe(),
        class_names: Sequence[str] | None = None,
        soft_labels: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        class_check: bytes = b"",
    ) -> None:
        sections = {"class_names": class_names, "soft_labels": soft_labels, "weights": weights}
        header = reference_size, num_classes, reference_digest, universe, class_check
        self._fill(indices, labels, *header, sections, copy=True)

    @classmethod
    def _owning(
        cls,
        indices: ArrayLike,
        labels: ArrayLike,
        reference_size: int,
        num_classes: int,
        reference_digest: bytes,
        universe: Universe,
        class_check: bytes,
        sections: Mapping[str, Any],
    ) -> Payload:
        """A payload that takes over arrays, which nothing else may hold, instead of copying them. It checks them too.

        `sections` are the optional sections by attribute name.
        """
        payload = cls.__new__(cls)
        header = reference_size, num_classes, reference_digest, universe, class_check
        payload._fill(indices, labels, *header, sections, copy=False)
        return payload

    def _fill(
        self,
        indices: ArrayLike,
        labels: ArrayLike,
        reference_size: int,
        num_classes: int,
        reference_digest: bytes,
        universe: Universe,
        class_check: bytes,
        sections: Mapping[str, Any],
        *,
        copy: bool,
    ) -> None:
        n = _whole_number(reference_size, "reference_size", 1, MAX_VARINT)
        c = _whole_number(num_classes, "num_classes", 1, MAX_CLASSES)
        if not isinstance(universe, Universe):
            raise InvalidPayload(f"universe must be a Universe, not {type(universe).__name__}", rule="universe")
        universe = Universe(
            _whole_number(universe.offset, "universe offset", 0, n - 1),
            _whole_number(universe.stride, "universe stride", 1, n),
        )
        put = object.__setattr__
        put(self, "reference_size", n)
        put(self, "num_classes", c)
        put(self, "reference_digest", _digest(reference_digest))
        put(self, "universe", universe)
        put(self, "indices", frozen_integers(indices, "indices", np.int64, copy=copy))
        put(self, "labels", frozen_integers(labels, "labels", np.int32, copy=copy, below=c))
        self._check_arrays()
        for section in SECTIONS:
            value = sections.get(section.field)
            put(self, section.field, None if value is None else section.codec.check(value, c, self.labels, copy=copy))
        put(self, "class_check", _class_check(class_check))
        if self.class_check and self.class_names is not None:
            raise InvalidPayload("a payload with class names must not have a class check", rule="class-check")

    def _check_arrays(self) -> None:
        kept, labelled = len(self.indices), len(self.labels)
        if kept != labelled:
            raise InvalidPayload(
                f"{kept} indices but {labelled} labels: there must be one label for each", rule="lengths"
            )
        if not kept:
            return
        rising = self.indices[1:] > self.indices[:-1]
        if not rising.all():
            at = int(np.argmin(rising))
            a, b = int(self.indices[at]), int(self.indices[at + 1])
            what = "is repeated" if a == b else f"comes after {a}"
            raise InvalidPayload(
                f"indices must be strictly increasing, but number {at + 1}, {b}, {what}", rule="indices"
            )
        first, last = int(self.indices[0]), int(self.indices[-1])
        if first < 0 or last >= self.reference_size:
            bad = first if first < 0 else last
            raise InvalidPayload(
                f"index {bad} is outside the reference set of {self.reference_size} images", rule="indices"
            )
        offset, stride = self.universe.offset, self.universe.stride
        outside = self.indices < offset if stride == 1 else (self.indices - offset) % stride != 0
        if first < offset or outside.any():
            bad = first if first < offset else int(self.indices[np.argmax(outside)])
            raise InvalidPayload(
                f"index {bad} is not in the universe of offset {offset} and stride {stride}", rule="universe"
            )

    @property
    def kept(self) -> int:
        """Number of kept images k."""
        return len(self.indices)

    @property
    def universe_size(self) -> int:
        """Number of images M of the universe."""
        return self.universe.size(self.reference_size)

    @property
    def positions(self) -> NDArray[np.int64]:
        """Positions of the kept images in the universe (int64 [k]); equal to `indices` in the default universe."""
        if self.universe == Universe():
            return self.indices
        return (self.indices - self.universe.offset) // self.universe.stride

    @property
    def used_classes(self) -> NDArray[np.int64]:
        """The classes that have a kept image, ascending (int64 [U])."""
        return np.flatnonzero(np.bincount(self.labels, minlength=self.num_classes))

    @property
    def sections(self) -> dict[str, Any]:
        """The optional sections that the payload has, by attribute name."""
        values = {section.field: getattr(self, section.field) for section in SECTIONS}
        return {field: value for field, value in values.items() if value is not None}

    def with_class_names(self, names: Sequence[str]) -> Payload:
        """The payload with these class names, after a comparison with its own class names or class check.

        Args:
            names: the name of each class, in the order of the labels.

        Raises:
            ClassMismatch: if the payload has other class names, or its class check is not that of `names`.
            InvalidPayload: (rule class-names) if it cannot have these class names.
        """
        self._compare_class_names(names)
        return self._with_classes(b"", {**self.sections, "class_names": names})

    def with_class_check(self, names: Sequence[str]) -> Payload:
        """The payload with the class check of these names in the place of class names. Raises as `with_class_names`."""
        self._compare_class_names(names)
        sections = {field: value for field, value in self.sections.items() if field != "class_names"}
        return self._with_classes(class_check(names), sections)

    def with_universe(self, offset: int | None = None, stride: int | None = None) -> Payload:
        """The payload with another universe, which differs in the numbers that are given.

        Raises:
            InvalidPayload: if a number is outside its range, or an image is not in the universe.
        """
        universe = Universe(
            self.universe.offset if offset is None else offset, self.universe.stride if stride is None else stride
        )
        header = self.reference_size, self.num_classes, self.reference_digest, universe, self.class_check
        return self._owning(self.indices, self.labels, *header, self.sections)

    def with_reference_digest(self, digest: bytes) -> Payload:
        """The payload with this reference digest (8, 10, .. 32 bytes), after a comparison with its own one.

        Raises:
            ReferenceMismatch: if the payload has another digest: the two differ before one of them ends.
            InvalidPayload: (rule reference-digest) if a payload cannot have this digest.
        """
        own = self.reference_digest
        if own[: len(digest)] != digest[: len(own)]:
            raise ReferenceMismatch(
                f"the payload is for the reference set {own.hex()}, not for {digest.hex()}: {FIND_DIFFERENCES}",
                rule="reference",
            )
        header = self.reference_size, self.num_classes, digest, self.universe, self.class_check
        return self._owning(self.indices, self.labels, *header, self.sections)

    def _compare_class_names(self, names: Sequence[str]) -> None:
        names = checked_class_names(names, self.num_classes)
        if self.class_names is not None:
            pairs = enumerate(zip(self.class_names, names, strict=True))
            other = next((label for label, (own, name) in pairs if normalised(own) != normalised(name)), None)
            if other is not None:
                raise ClassMismatch(
                    f"class {other} of the payload is {self.class_names[other]!r}, not {names[other]!r}",
                    rule="class-names",
                )
        check = class_check(names)
        if self.class_check not in (b"", check):
            raise ClassMismatch(
                f"the payload has the class check {self.class_check.hex()}, but these class names have {check.hex()}: "
                "it is for other classes, or for the same classes in another order",
                rule="class-check",
            )

    def _with_classes(self, class_check: bytes, sections: Mapping[str, Any]) -> Payload:
        header = self.reference_size, self.num_classes, self.reference_digest, self.universe, class_check
        return self._owning(self.indices, self.labels, *header, sections)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Payload):
            return NotImplemented
        mine, others = self.sections, other.sections
        return (
            self._header() == other._header()
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.labels, other.labels)
            and mine.keys() == others.keys()
            and all(_same(value, others[field]) for field, value in mine.items())
        )

    def __hash__(self) -> int:
        return hash((*self._header(), self.kept))

    def __reduce__(self) -> tuple[object, ...]:
        # Copies and pickles are made, and so checked, like any other payload.
        optional = {**self.sections, "class_check": self.class_check}
        return partial(type(self), **optional), (self.indices, self.labels, *self._header()[:-1])

    def __repr__(self) -> str:
        values = {section.field: getattr(self, section.field) for section in SECTIONS}
        counts = {field: None if value is None else len(value) for field, value in values.items()}
        return (
            f"Payload(kept={self.kept}, reference_size={self.reference_size}, num_classes={self.num_classes}, "
            f"reference_digest={self.reference_digest.hex() or None}, universe={self.universe}, "
            f"class_check={self.class_check.hex() or None}, "
            f"{', '.join(f'{field}={count}' for field, count in counts.items())})"
        )

    def _header(self) -> tuple[int, int, bytes, Universe, bytes]:
        return self.reference_size, self.num_classes, self.reference_digest, self.universe, self.class_check


def _same(one: Any, other: Any) -> bool:
    return np.array_equal(one, other) if isinstance(one, np.ndarray) else bool(one == other)


def _whole_number(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidPayload(f"{name} must be an integer, not {type(value).__name__}", rule=_rule(name))
    if not low <= value <= high:
        raise InvalidPayload(f"{name} is {value}, but must be {low} .. {high}", rule=_rule(name))
    return int(value)


def _rule(name: str) -> str:
    return "classes" if name == "num_classes" else name.replace("_", "-").replace(" ", "-")


def _digest(value: Any) -> bytes:
    digest = _bytes(value, "reference_digest", "reference-digest")
    if digest and len(digest) not in range(MIN_DIGEST_BYTES, MAX_DIGEST_BYTES + 1, DIGEST_BYTES_STEP):
        raise InvalidPayload(
            f"reference_digest has {len(digest)} bytes, but must have an even number of them, "
            f"{MIN_DIGEST_BYTES} .. {MAX_DIGEST_BYTES}, or none",
            rule="reference-digest",
        )
    return digest


def _class_check(value: Any) -> bytes:
    check = _bytes(value, "class_check", "class-check")
    if len(check) not in (0, CLASS_CHECK_BYTES):
        raise InvalidPayload(
            f"class_check has {len(check)} bytes, but must have {CLASS_CHECK_BYTES}, or none", rule="class-check"
        )
    return check


def _bytes(value: Any, name: str, rule: str) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise InvalidPayload(f"{name} must be bytes, not {type(value).__name__}", rule=rule)
    try:
        return bytes(value)
    except ValueError as error:  # a memoryview that was released
        raise InvalidPayload(f"{name}: {error}", rule=rule) from None
