"""The annotated dump of `plada inspect --hex`: every field with its offset, bytes, name and value."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from plada_codec.container import parse_container
from plada_codec.reader import view_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BYTES_PER_LINE = 8


def annotated_lines(blob: Buffer) -> Iterator[str]:
    """Lines `offset  bytes  field: value` of a payload, in the order of the file; every byte occurs once.

    Raises:
        Truncated, Corrupt, Unsupported: if the container cannot be taken apart.
    """
    data = view_of(blob)
    for extent in parse_container(data).extents:
        text = f"{extent.name}: {extent.value}"
        for start in range(extent.offset, extent.offset + extent.size, _BYTES_PER_LINE):
            row = bytes(data[start : min(start + _BYTES_PER_LINE, extent.offset + extent.size)])
            yield f"{start:6}  {row.hex(' '):{3 * _BYTES_PER_LINE - 1}}  {text}".rstrip()
            text = ""
