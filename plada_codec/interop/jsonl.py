"""The format `jsonl`: a JSON object {"index": .., "label": ..} on each line.

Further keys and blank lines are passed over.
"""

from __future__ import annotations

import json
from array import array
from typing import BinaryIO

import numpy as np

from plada_codec.interop.base import Contents, Source, bad_line, write_lines
from plada_codec.limits import MAX_VARINT
from plada_codec.payload import Payload


def read(source: Source) -> Contents:
    """Read indices and labels."""
    indices, labels = array("q"), array("q")
    for number, block in source.line_blocks():
        for at, line in enumerate(block.split(b"\n"), number):
            if line and not line.isspace():
                index, label = _pair(at, line)
                indices.append(index)
                labels.append(label)
        source.check_kept(len(indices))
    return Contents(np.asarray(indices), np.asarray(labels))


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write one line for each kept image."""
    write_lines(payload, stream, '{"index":%d,"label":%d}\n')


def _pair(number: int, line: bytes) -> tuple[int, int]:
    try:
        row = json.loads(line)
        index, label = row["index"], row["label"]
    except (ValueError, TypeError, KeyError, RecursionError):
        index = label = None
    # not isinstance: True is no index
    if type(index) is not int or type(label) is not int or max(abs(index), abs(label)) > MAX_VARINT:
        raise bad_line(number, line, 'a JSON object with integers "index" and "label"')
    return index, label
