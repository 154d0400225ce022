"""The section `class names` (spec section 8.1): a name for each class, as text; and the class check (section 3.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from plada_codec.codings.coders import PLAIN, ZSTD
from plada_codec.codings.zstd import deflate, inflate
from plada_codec.errors import InvalidPayload, LimitExceeded, PladaError, Unsupported, first_line
from plada_codec.limits import CLASS_CHECK_BYTES
from plada_codec.tables.names import normalised

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from plada_codec.codings.base import Stream
    from plada_codec.limits import Limits
    from plada_codec.sections.base import SectionContext

#: Spec section 8.1.
_SEPARATOR = "\n"
#: Spec section 3.4.
_CHECK_TAG, _END_OF_NAME = b"plada-class-check-1", b"\n"


def checked_class_names(names: Sequence[str], num_classes: int | None = None) -> tuple[str, ...]:
    """Check `names` by spec section 8.1; return them as a tuple. Raises InvalidPayload (rule class-names).

    `num_classes` is the number of names that there must be; None allows any.
    """
    try:
        are_strings = isinstance(names, Sequence) and not isinstance(names, str)
        names = tuple(names) if are_strings else ()
    except Exception as error:  # of a sequence of somebody else
        raise InvalidPayload(f"class_names cannot be read: {first_line(error)}", rule="class-names") from None
    if not are_strings or not all(isinstance(name, str) for name in names):
        raise InvalidPayload("class_names must be a sequence of strings", rule="class-names")
    if num_classes is not None and len(names) != num_classes:
        raise InvalidPayload(f"{len(names)} class names for {num_classes} classes", rule="class-names")
    for label, name in enumerate(names):
        if not name or any(ord(ch) < 0x20 or 0x7F <= ord(ch) <= 0x9F or 0xD800 <= ord(ch) <= 0xDFFF for ch in name):
            raise InvalidPayload(
                f"class name {label} is empty or has a control character: {name!r}", rule="class-names"
            )
    label_of: dict[str, int] = {}
    for label, name in enumerate(names):
        first = label_of.setdefault(normalised(name), label)
        if first != label:
            raise InvalidPayload(f"classes {first} and {label} have the same name, {name!r}", rule="class-names")
    return names


def class_check(names: Sequence[str]) -> bytes:
    """The class check of a list of class names (spec section 3.4), for `Payload.class_check`.

    Args:
        names: the name of each class, in the order of the labels.

    Raises:
        InvalidPayload: (rule class-names) if a payload could not have these class names.
    """
    digest = hashlib.sha256(_CHECK_TAG)
    for name in checked_class_names(names):
        digest.update(normalised(name).encode() + _END_OF_NAME)
    return digest.digest()[:CLASS_CHECK_BYTES]


class ClassNames:
    """Class names as text in UTF-8, plain or under zstd."""

    def check(
        self, value: Sequence[str], num_classes: int, labels: NDArray[np.int32], *, copy: bool
    ) -> tuple[str, ...]:
        return checked_class_names(value, num_classes)

    def encode(
        self, value: tuple[str, ...], context: SectionContext, decoder_class: str, *, thorough: bool
    ) -> tuple[int, bytes]:
        plain = _SEPARATOR.join(value).encode()
        if len(plain) > context.limits.max_class_names_bytes:
            raise _too_large(len(plain), context.limits, None)
        coded = deflate(plain, thorough=True) if ZSTD.readable_by(decoder_class) else plain
        return (ZSTD.code, coded) if len(coded) < len(plain) else (PLAIN.code, plain)

    def decode(self, stream: Stream, coder: int, context: SectionContext) -> tuple[str, ...]:
        if coder not in (PLAIN.code, ZSTD.code):
            raise Unsupported(f"class names in coder {coder}", rule="coding", offset=stream.offset)

        def check_size(size: int) -> None:
            if size > context.limits.max_class_names_bytes:
                raise _too_large(size, context.limits, stream.offset)

        if coder == PLAIN.code:
            check_size(len(stream.data))
        plain = inflate(stream, check_size) if coder == ZSTD.code else stream.data.tobytes()
        try:
            return checked_class_names(plain.decode().split(_SEPARATOR), context.num_classes)
        except (InvalidPayload, UnicodeDecodeError) as error:
            reason = error.args[0] if isinstance(error, InvalidPayload) else "the class names are not UTF-8"
            raise stream.corrupt(reason, "class-names") from None


def _too_large(size: int, limits: Limits, offset: int | None) -> PladaError:
    return LimitExceeded(
        f"{size} bytes of class names, but the limit max_class_names_bytes is {limits.max_class_names_bytes}",
        rule="limit-class-names",
        offset=offset,
    )
