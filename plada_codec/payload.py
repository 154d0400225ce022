"""What a payload says (spec sections 1 and 4): which images of a reference set are kept, and their classes.

A :class:`Payload` is a value: it validates itself when it is made, cannot be changed, and compares by
content. The codec turns it into bytes and back; nothing here knows about bytes on the wire.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from plada_codec.errors import InvalidPayload
from plada_codec.limits import MAX_CLASSES, MAX_VARINT

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Spec section 3.2: a digest has 8 .. 32 bytes, or none.
MIN_DIGEST_BYTES, MAX_DIGEST_BYTES = 8, 32
#: Spec sections 8.2 and 8.3: every code is below.
SOFT_LABEL_CODES, WEIGHT_CODES = 64, 16
_DIMENSIONS = {1: "one dimension", 2: "two dimensions"}


@dataclass(frozen=True)
class Universe:
    """The part of the reference set a payload speaks of: offset, offset + stride, ... (spec section 4)."""

    offset: int = 0
    stride: int = 1

    def size(self, reference_size: int) -> int:
        """Number of images M of the universe in a reference set of `reference_size` images."""
        return (reference_size - self.offset - 1) // self.stride + 1


@dataclass(frozen=True, eq=False)
class Payload:
    """The kept images of a reference set and their classes.

    Attributes:
        indices: int64 [k], strictly increasing, each 0 <= index < reference_size and in the universe.
            Any array-like of integers is accepted.
        labels: int32 [k], each 0 <= label < num_classes. Any array-like of integers is accepted.
        reference_size: number of images N in the reference set, 1 .. 2^63 - 1.
        num_classes: number of classes C, 1 .. 65,536.
        reference_digest: the reference digest or its first bytes (8 .. 32), or b"" for none. Every byte
            given is sent; eight are enough against mistakes (spec section 12).
        universe: the images that the payload speaks of; by default all.
        class_names: C names without control characters, or None.
        soft_labels: uint8 [U, C] with a row for each of `used_classes`, or None: codes 0 .. 63 of Dirichlet
            concentrations, no row all 0 (`plada_codec.sections.soft_labels` makes and reads them; spec section 8.2).
        weights: uint8 [k], or None: codes 0 .. 15 of how much each image counts (`plada_codec.sections.weights`
            makes and reads them; spec section 8.3).

    Raises:
        InvalidPayload: if any of this does not hold.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int32]
    reference_size: int
    num_classes: int
    reference_digest: bytes = b""
    universe: Universe = Universe()
    class_names: tuple[str, ...] | None = None
    soft_labels: NDArray[np.uint8] | None = None
    weights: NDArray[np.uint8] | None = None

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
    ) -> None:
        said = (reference_size, num_classes, reference_digest, universe, class_names, soft_labels, weights)
        self._fill(indices, labels, *said, copy=True)

    @classmethod
    def _owning(cls, indices: ArrayLike, labels: ArrayLike, *fields: Any) -> Payload:
        """A payload of arrays that nobody else holds: they are taken over instead of copied, and checked the same."""
        payload = cls.__new__(cls)
        payload._fill(indices, labels, *fields, copy=False)
        return payload

    def _fill(
        self,
        indices: ArrayLike,
        labels: ArrayLike,
        reference_size: int,
        num_classes: int,
        reference_digest: bytes,
        universe: Universe,
        class_names: Sequence[str] | None,
        soft_labels: ArrayLike | None,
        weights: ArrayLike | None,
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
        put(self, "class_names", None if class_names is None else checked_class_names(class_names, c))
        put(self, "indices", _frozen_integers(indices, "indices", np.int64, copy))
        put(self, "labels", _frozen_integers(labels, "labels", np.int32, copy, c))
        self._check_arrays()
        put(self, "soft_labels", None if soft_labels is None else self._checked_soft_labels(soft_labels, copy))
        put(self, "weights", None if weights is None else self._checked_weights(weights, copy))

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

    def _checked_soft_labels(self, values: ArrayLike, copy: bool) -> NDArray[np.uint8]:
        shape = (len(self.used_classes), self.num_classes)
        if isinstance(values, list | tuple) and not values:
            values = np.empty((0, self.num_classes), np.uint8)  # a list of no rows has only one dimension
        codes: NDArray[np.uint8] = _frozen_integers(values, "soft_labels", np.uint8, copy, SOFT_LABEL_CODES, 2)
        if codes.shape != shape:
            raise InvalidPayload(
                f"soft_labels has shape {codes.shape}, but there are {shape[0]} used classes of {shape[1]}",
                rule="soft-labels",
            )
        said = codes.any(axis=1)
        if not said.all():
            raise InvalidPayload(
                f"the soft labels of class {self.used_classes[said.argmin()]} are all 0", rule="soft-labels"
            )
        return codes

    def _checked_weights(self, values: ArrayLike, copy: bool) -> NDArray[np.uint8]:
        codes: NDArray[np.uint8] = _frozen_integers(values, "weights", np.uint8, copy, WEIGHT_CODES)
        if len(codes) != self.kept:
            raise InvalidPayload(
                f"{self.kept} indices but {len(codes)} weights: there must be one weight for each", rule="weights"
            )
        return codes

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
        """Positions of the kept images in the universe (int64 [k]): the indices themselves where it is everything."""
        if self.universe == Universe():
            return self.indices
        return (self.indices - self.universe.offset) // self.universe.stride

    @property
    def used_classes(self) -> NDArray[np.int64]:
        """The classes that have a kept image, ascending (int64 [U])."""
        return np.flatnonzero(np.bincount(self.labels, minlength=self.num_classes))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Payload):
            return NotImplemented
        return (
            (self.reference_size, self.num_classes, self.reference_digest, self.universe, self.class_names)
            == (other.reference_size, other.num_classes, other.reference_digest, other.universe, other.class_names)
            and np.array_equal(self.indices, other.indices)
            and np.array_equal(self.labels, other.labels)
            and _same_codes(self.soft_labels, other.soft_labels)
            and _same_codes(self.weights, other.weights)
        )

    def __hash__(self) -> int:
        return hash((self.reference_size, self.num_classes, self.reference_digest, self.universe, self.kept))

    def __reduce__(self) -> tuple[object, ...]:
        # Copies and pickles are made, and so checked, like any other payload.
        said = (self.reference_size, self.num_classes, self.reference_digest, self.universe, self.class_names)
        return type(self), (self.indices, self.labels, *said, self.soft_labels, self.weights)

    def __repr__(self) -> str:
        return (
            f"Payload(kept={self.kept}, reference_size={self.reference_size}, num_classes={self.num_classes}, "
            f"reference_digest={self.reference_digest.hex() or None}, universe={self.universe}, "
            f"class_names={_count(self.class_names)}, soft_labels={_count(self.soft_labels)}, "
            f"weights={_count(self.weights)})"
        )


def _count(values: Sequence[str] | NDArray[np.uint8] | None) -> int | None:
    return None if values is None else len(values)


def _same_codes(one: NDArray[np.uint8] | None, other: NDArray[np.uint8] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


def checked_class_names(names: Sequence[str], num_classes: int) -> tuple[str, ...]:
    """`names` as a tuple, if they are what spec section 8.1 allows; InvalidPayload otherwise."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise InvalidPayload("class_names must be a sequence of strings", rule="class-names")
    if len(names) != num_classes:
        raise InvalidPayload(f"{len(names)} class names for {num_classes} classes", rule="class-names")
    for label, name in enumerate(names):
        if not name or any(ord(ch) < 0x20 or 0x7F <= ord(ch) <= 0x9F or 0xD800 <= ord(ch) <= 0xDFFF for ch in name):
            raise InvalidPayload(
                f"class name {label} is empty or has a control character: {name!r}", rule="class-names"
            )
    return tuple(names)


def _whole_number(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise InvalidPayload(f"{name} must be an integer, not {type(value).__name__}", rule=_rule(name))
    if not low <= value <= high:
        raise InvalidPayload(f"{name} is {value}, but must be {low} .. {high}", rule=_rule(name))
    return int(value)


def _rule(name: str) -> str:
    return "classes" if name == "num_classes" else name.replace("_", "-").replace(" ", "-")


def _digest(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise InvalidPayload(f"reference_digest must be bytes, not {type(value).__name__}", rule="reference-digest")
    digest = bytes(value)
    if digest and not MIN_DIGEST_BYTES <= len(digest) <= MAX_DIGEST_BYTES:
        raise InvalidPayload(
            f"reference_digest has {len(digest)} bytes, "
            f"but must have {MIN_DIGEST_BYTES} .. {MAX_DIGEST_BYTES}, or none",
            rule="reference-digest",
        )
    return digest


def _frozen_integers(
    values: Any,
    name: str,
    dtype: type[np.integer[Any]],
    copy: bool,
    below: int | None = None,
    dimensions: int = 1,
) -> Any:
    """`values` as a read-only array of `dtype`, which nobody else can write to if `copy`."""
    rule = _rule(name)
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
