"""The format `json`: an object of two columns, {"index": [..], "label": [..]}.

Readers take arrays of objects, and other layouts (`plada_codec.tables.text.json_rows`).
"""

from __future__ import annotations

import json
from typing import BinaryIO

from plada_codec.interop.base import Contents, Source
from plada_codec.payload import Payload
from plada_codec.tables.text.json_rows import read_json


def read(source: Source) -> Contents:
    """Read two columns of a document."""
    return Contents.of_table(read_json(source.read_all(), source.choice, source.check_kept))


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write the two columns."""
    columns = {"index": payload.indices.tolist(), "label": payload.labels.tolist()}
    stream.write(json.dumps(columns, separators=(",", ":")).encode() + b"\n")
