"""`classes`: one label for each kept image, in fixed width (spec sections 7.2 and 7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.kernels import classes as kernel

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream


class Classes:
    """`classes-plain`: ceil(log2 C) bits for each label."""

    exact = True
    quick_try = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return _packed_bytes(len(values), context.space)

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        out = np.zeros(_packed_bytes(len(values), context.space), np.uint8)
        kernel.pack(values, _label_bits(context.space), out)
        return out.tobytes()

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        stream.expect_bytes(_packed_bytes(count, context.space))
        bits = _label_bits(context.space)
        labels = np.empty(count, np.int32)
        kernel.unpack(stream.data, bits, labels)
        _check_range(stream, labels, context.space)
        stream.expect_zero_padding(count * bits)
        return labels


class ClassIntegers:
    """The plain form under `classes-zstd`: one u8 for each label, or one u16 with more than 256 classes."""

    exact = True
    quick_try = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return len(values) * _integer_bytes(context.space)

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        return values.astype(f"<u{_integer_bytes(context.space)}").tobytes()

    def allows_bytes(self, size: int, count: int, space: int) -> bool:
        return size == count * _integer_bytes(space)

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        stream.expect_bytes(count * _integer_bytes(context.space))
        labels = stream.data.view(f"<u{_integer_bytes(context.space)}").astype(np.int32)
        _check_range(stream, labels, context.space)
        return labels


def _label_bits(num_classes: int) -> int:
    return (num_classes - 1).bit_length()


def _packed_bytes(count: int, num_classes: int) -> int:
    return -(-count * _label_bits(num_classes) // 8)


def _integer_bytes(num_classes: int) -> int:
    return 1 if num_classes <= 256 else 2


def _check_range(stream: Stream, labels: Integers, num_classes: int) -> None:
    if int(labels.max()) >= num_classes:
        at = int(np.argmax(labels >= num_classes))
        raise stream.corrupt(f"label {at} is class {labels[at]} of {num_classes} classes", "label-range")
