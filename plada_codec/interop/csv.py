"""The formats `csv` and `tsv`: a header `index,label`, and a line for each image.

Readers take much more than the writers make: other delimiters, quotes, more columns, compression, and tables without a
header (`plada_codec.tables.text.delimited`).
"""

from __future__ import annotations

from typing import BinaryIO

from plada_codec.interop.base import Contents, Source, write_lines
from plada_codec.payload import Payload
from plada_codec.tables.text.delimited import read_delimited


def read(source: Source) -> Contents:
    """Read the columns of images and labels."""
    return Contents.of_table(read_delimited(source.stream, source.choice, source.check_kept))


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write the header and one row for each kept image."""
    stream.write(b"index,label\n")
    write_lines(payload, stream, "%d,%d\n")


def write_tsv(payload: Payload, stream: BinaryIO) -> None:
    """Write the same with tabs."""
    stream.write(b"index\tlabel\n")
    write_lines(payload, stream, "%d\t%d\n")
