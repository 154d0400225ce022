"""Resource limits that decoders enforce and encoders keep (spec section 9), and the largest values of the format."""

from __future__ import annotations

from dataclasses import dataclass

from plada_codec.errors import InvalidArgument

#: Spec section 3: largest number of classes of format 1.
MAX_CLASSES = 65_536
#: Spec section 2.2: a varint has at most nine bytes of seven bits.
MAX_VARINT = (1 << 63) - 1
#: Spec section 3.2: a digest has 8, 10, .. 32 bytes, or none. An expected digest may have any size in that range.
MIN_DIGEST_BYTES, MAX_DIGEST_BYTES, DIGEST_BYTES_STEP = 8, 32, 2
#: Spec section 3.4.
CLASS_CHECK_BYTES = 2


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource limits, with the defaults of spec section 9.

    Attributes:
        max_reference_size: largest number of images N in the reference set.
        max_classes: largest number of classes C.
        max_kept: largest number of kept images k, and of coded ones d (12 bytes of output each, 13 with weights).
        max_stream_bytes: largest content of one zstd stream, in bytes; also the largest bitmap that is written.
        max_class_names_bytes: largest plain form of the class names, in bytes.
        max_soft_label_values: largest number of codes of the soft labels, used classes times classes.
    """

    max_reference_size: int = 1 << 48
    max_classes: int = MAX_CLASSES
    max_kept: int = 1 << 25
    max_stream_bytes: int = 1 << 28
    max_class_names_bytes: int = 1 << 20
    max_soft_label_values: int = 1 << 22

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise InvalidArgument(f"the limit {name} must be an integer of 0 or more, not {value!r}", rule="limits")
