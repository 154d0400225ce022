"""The format `roaring`: the indices in Roaring's portable serialisation, then k times u16 label (extra `roaring`).

The serialisation (github.com/RoaringBitmap/RoaringFormatSpec) is that of 32-bit integers if N <= 2^32, else its
64-bit extension. It has no place for labels: they follow the bitmap, little-endian, as in the paper's raw layouts.
Readers of Roaring stop at the end of the bitmap. To read a bitmap of another program, append the labels to it.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from plada_codec.errors import FileError, file_errors
from plada_codec.extras import extra_module
from plada_codec.interop.base import Contents, Source
from plada_codec.interop.raw import LABEL
from plada_codec.payload import Payload


def read(source: Source) -> Contents:
    """Read bitmap and labels. The caller must give N."""
    kind, _ = _bitmap_type(source.reference_size)
    data = source.read_all()
    with file_errors(f"not a Roaring bitmap for N = {source.reference_size}"):
        # pyroaring checks the bytes for consistency, so that the next calls are safe
        bitmap = kind.deserialize(data)
    kept = len(bitmap)
    source.check_kept(kept)
    label_bytes = len(data) - len(bitmap.serialize())
    if label_bytes != kept * LABEL.itemsize:
        raise FileError(f"the bitmap keeps {kept} images, but {label_bytes} bytes of labels follow it", rule="file")
    return Contents(
        np.asarray(bitmap.to_array()).astype(np.int64), np.frombuffer(data, LABEL, kept, len(data) - label_bytes)
    )


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write bitmap and labels."""
    kind, integer = _bitmap_type(payload.reference_size)
    bitmap = kind(payload.indices.astype(integer))
    bitmap.run_optimize()
    stream.write(bitmap.serialize())
    stream.write(payload.labels.astype(LABEL).tobytes())


def _bitmap_type(reference_size: int) -> tuple[Any, type[np.unsignedinteger[Any]]]:
    """The class of bitmap for N images, and the type of its integers."""
    pyroaring = extra_module("pyroaring", "roaring")
    return (pyroaring.BitMap, np.uint32) if reference_size <= 1 << 32 else (pyroaring.BitMap64, np.uint64)
