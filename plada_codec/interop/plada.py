"""The format `plada` (spec/plada-format-1.md)."""

from __future__ import annotations

from typing import BinaryIO

from plada_codec.interop.base import Contents, Source
from plada_codec.payload import Payload


def read(source: Source) -> Contents:
    """Decode a payload within the limits of `source`."""
    from plada_codec.api import decode

    fields = dict(vars(decode(source.read_all(), limits=source.limits)))
    return Contents(fields.pop("indices"), fields.pop("labels"), fields)


def write(payload: Payload, stream: BinaryIO) -> None:
    """Encode a payload in the fewest bytes. The function `plada_codec.encode` has more options."""
    from plada_codec.api import encode

    stream.write(encode(payload))
