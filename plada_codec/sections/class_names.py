"""The section `class names` (spec section 8.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plada_codec.codings.base import Stream
from plada_codec.codings.zstd import deflate, inflate
from plada_codec.container import PLAIN_CODER, ZSTD_CODER
from plada_codec.errors import InvalidPayload, LimitExceeded, PladaError, Unsupported
from plada_codec.payload import checked_class_names

if TYPE_CHECKING:
    from plada_codec.limits import Limits

#: Spec section 8.1.
_SEPARATOR = "\n"


def encode_class_names(names: tuple[str, ...], limits: Limits, *, with_zstd: bool) -> tuple[int, bytes]:
    """(coder, bytes) of the section, the smaller of the two codings."""
    plain = _SEPARATOR.join(names).encode()
    if len(plain) > limits.max_class_names_bytes:
        raise _too_large(len(plain), limits, None)
    coded = deflate(plain, thorough=True) if with_zstd else plain
    return (ZSTD_CODER, coded) if len(coded) < len(plain) else (PLAIN_CODER, plain)


def decode_class_names(stream: Stream, coder: int, num_classes: int, limits: Limits) -> tuple[str, ...]:
    """The names of a section.

    Raises:
        Unsupported, Corrupt, LimitExceeded: coding, zstd-frame, class-names, limit-class-names.
    """
    if coder not in (PLAIN_CODER, ZSTD_CODER):
        raise Unsupported(f"class names in coder {coder}", rule="coding", offset=stream.offset)

    def check_size(size: int) -> None:
        if size > limits.max_class_names_bytes:
            raise _too_large(size, limits, stream.offset)

    if coder == PLAIN_CODER:
        check_size(len(stream.data))
    plain = inflate(stream, check_size) if coder == ZSTD_CODER else stream.data.tobytes()
    try:
        return checked_class_names(plain.decode().split(_SEPARATOR), num_classes)
    except (InvalidPayload, UnicodeDecodeError) as error:
        reason = error.args[0] if isinstance(error, InvalidPayload) else "the class names are not UTF-8"
        raise stream.corrupt(reason, "class-names") from None


def _too_large(size: int, limits: Limits, offset: int | None) -> PladaError:
    return LimitExceeded(
        f"{size} bytes of class names, but the limit max_class_names_bytes is {limits.max_class_names_bytes}",
        rule="limit-class-names",
        offset=offset,
    )
