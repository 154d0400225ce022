"""The format `jsonl`: a JSON object {"index": .., "label": ..} on each line.

Readers pass over further keys and blank lines, and take other names of the keys (`plada_codec.tables.text.json_rows`).
"""

from __future__ import annotations

from typing import BinaryIO

from plada_codec.interop.base import Contents, Source, write_lines
from plada_codec.payload import Payload
from plada_codec.tables.text.json_rows import read_json_lines


def read(source: Source) -> Contents:
    """Read the values of two keys."""
    return Contents.of_table(read_json_lines(source.stream, source.choice, source.check_kept))


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write one line for each kept image."""
    write_lines(payload, stream, '{"index":%d,"label":%d}\n')
