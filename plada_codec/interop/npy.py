"""The format `npy`: one numpy array of records (index, label), which programs can map into memory.

Readers take records with other names of the fields, and arrays of numbers with two columns, or with more if the caller
chooses two.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from plada_codec.interop.base import Contents, Source
from plada_codec.payload import Payload
from plada_codec.tables.foreign import table_of_array
from plada_codec.tables.npy_array import read_array

_RECORD = np.dtype([("index", "<i8"), ("label", "<i4")])


def read(source: Source) -> Contents:
    """Read two columns of an array."""
    array = read_array(source.stream, "the array", 16 * source.limits.max_kept)
    return Contents.of_table(table_of_array(array, source.choice, source.check_kept))


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write the records."""
    records = np.empty(payload.kept, _RECORD)
    records["index"], records["label"] = payload.indices, payload.labels
    np.lib.format.write_array(stream, records, allow_pickle=False)
