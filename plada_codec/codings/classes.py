"""`classes`: one label for each kept image, in fixed width (spec sections 7.2 and 7.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.kernels import classes as kernel

if TYPE_CHECKING:
    from plada_codec.codings.base import CodingContext, Integers, Stream


class Classes:
    """Labels in a fixed width: ceil(log2 C) bits each."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return _packed_bytes(len(values), context.domain_size)

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        out = np.zeros(_packed_bytes(len(values), context.domain_size), np.uint8)
        kernel.pack(values, _label_bits(context.domain_size), out)
        return out.tobytes()

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        stream.expect_bytes(_packed_bytes(count, context.domain_size))
        bits = _label_bits(context.domain_size)
        labels = np.empty(count, np.int32)
        kernel.unpack(stream.data, bits, labels)
        _check_range(stream, labels, context.domain_size)
        stream.expect_zero_padding(count * bits)
        return labels


class ClassIntegers:
    """The plain form under `classes-zstd`: one u8 for each label, or one u16 with more than 256 classes."""

    least_bytes_is_exact = True
    has_quick_estimate = False

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        return len(values) * _integer_bytes(context.domain_size)

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        return values.astype(f"<u{_integer_bytes(context.domain_size)}").tobytes()

    def allows_bytes(self, size: int, count: int, domain_size: int) -> bool:
        return size == count * _integer_bytes(domain_size)

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        stream.expect_bytes(count * _integer_bytes(context.domain_size))
        labels = stream.data.view(f"<u{_integer_bytes(context.domain_size)}").astype(np.int32)
        _check_range(stream, labels, context.domain_size)
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
