"""The format `csv`: a header `index,label`, which readers do not need, and a line for each image.

Blank lines and spaces around numbers are ignored. Quotes, comments and further columns are errors.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from plada_codec.errors import FileError
from plada_codec.interop.base import Contents, Source, bad_line, write_lines
from plada_codec.limits import MAX_VARINT
from plada_codec.payload import Payload

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HEADER = b"index,label"
_SURELY_READ = 10**15
_UTF8_MARK = b"\xef\xbb\xbf"
_ROW = re.compile(rb"\s*([+-]?[0-9]{1,40})\s*,\s*([+-]?[0-9]{1,40})\s*")


def read(source: Source) -> Contents:
    """Read indices and labels, several million rows a second."""
    indices: list[NDArray[np.int64]] = []
    labels: list[NDArray[np.int64]] = []
    kept = 0
    has_header = False
    for number, block in source.line_blocks():
        if number == 1:
            block = block.removeprefix(_UTF8_MARK)
            header, _, rest = block.partition(b"\n")
            has_header = header.replace(b" ", b"").strip().lower() == _HEADER
            if has_header:
                number, block = 2, rest
        rows = _rows(number, block)
        kept += len(rows)
        source.check_kept(kept)
        indices.append(rows[:, 0].copy())
        labels.append(rows[:, 1].copy())
    if not kept and not has_header:
        raise FileError("it is empty: there is neither a row nor the header index,label", rule="file")
    return Contents(np.concatenate(indices), np.concatenate(labels))


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write the header and one row for each kept image."""
    stream.write(_HEADER + b"\n")
    write_lines(payload, stream, "%d,%d\n")


def _rows(number: int, block: bytes) -> NDArray[np.int64]:
    """Parse a block of lines to rows (int64 [rows, 2]); `number` is the number of its first line."""
    block = block.replace(b"\r\n", b"\n")
    if block.isspace() or not block:
        return np.empty((0, 2), np.int64)
    if not block.translate(None, b"0123456789,\n"):
        try:
            rows: NDArray[Any] = np.loadtxt(io.BytesIO(block), np.int64, comments=None, delimiter=",", ndmin=2)
        except ValueError:
            pass
        else:
            # Some releases of numpy read numbers beyond int64 as floats: the result is then below 0 or above this
            if rows.shape[1] == 2 and rows.min() >= 0 and rows.max() < _SURELY_READ:
                return rows
    # numpy does not tell the line of an error: this loop does, and it reads unusual but valid lines
    pairs = []
    for at, line in enumerate(block.split(b"\n"), number):
        if not line or line.isspace():
            continue
        row = _ROW.fullmatch(line)
        pair = (int(row[1]), int(row[2])) if row else ()
        if not pair or max(map(abs, pair)) > MAX_VARINT:
            raise bad_line(at, line, "two integers, index,label")
        pairs.append(pair)
    return np.array(pairs, np.int64).reshape(-1, 2)
