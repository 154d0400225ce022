"""The paper's raw layouts (arXiv 2602.23358, Appendix E): `idx-raw` and `bmp-raw`.

    idx-raw: k times u32 index, then k times u16 label
    bmp-raw: ceil(N / 8) bytes, image i at bit 7 - i mod 8 of byte i // 8, padding zero; then k times u16 label

Integers are little-endian. There is no header and no checksum, so a damaged file may be read as another payload. If
every image is kept, the paper sends only the labels; these formats still send the index part, because otherwise a
reader could not tell the two cases apart.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from plada_codec.codings.base import CodingContext, Stream
from plada_codec.codings.bitmap import Bitmap, count_ones
from plada_codec.errors import FileError, InvalidPayload
from plada_codec.interop.base import Contents, Source
from plada_codec.limits import Limits
from plada_codec.payload import Payload

INDEX, LABEL = np.dtype("<u4"), np.dtype("<u2")


def read_index_list(source: Source) -> Contents:
    """Read an index list."""
    data = source.read_all()
    kept, odd_bytes = divmod(len(data), INDEX.itemsize + LABEL.itemsize)
    if odd_bytes:
        raise FileError(f"{len(data)} bytes are not 4 bytes of index and 2 of label for each image", rule="file")
    source.check_kept(kept)
    return Contents(np.frombuffer(data, INDEX, kept), np.frombuffer(data, LABEL, kept, kept * INDEX.itemsize))


def write_index_list(payload: Payload, stream: BinaryIO) -> None:
    """Write an index list. Raises InvalidPayload if an index does not fit 32 bits."""
    if payload.kept and payload.indices[-1] > np.iinfo(INDEX).max:
        raise InvalidPayload(f"index {payload.indices[-1]} does not fit the 32 bits of idx-raw", rule="indices")
    stream.write(payload.indices.astype(INDEX).tobytes())
    stream.write(payload.labels.astype(LABEL).tobytes())


def read_bitmap(source: Source) -> Contents:
    """Read a bitmap. The caller must give N."""
    size = source.reference_size
    bitmap_bytes = -(-size // 8)
    data = np.frombuffer(source.read_all(), np.uint8)
    if len(data) < bitmap_bytes:
        raise FileError(f"{len(data)} bytes are less than the bitmap of {size} images", rule="file")
    bitmap, labels = data[:bitmap_bytes], data[bitmap_bytes:]
    kept = count_ones(bitmap)
    source.check_kept(kept)
    if len(labels) != kept * LABEL.itemsize:
        raise FileError(f"the bitmap keeps {kept} images, but {len(labels)} bytes of labels follow it", rule="file")
    indices = Bitmap().decode(Stream(bitmap, 0), kept, CodingContext(size, source.limits))
    return Contents(indices, labels.view(LABEL))


def write_bitmap(payload: Payload, stream: BinaryIO) -> None:
    """Write a bitmap. Raises LimitExceeded if it is larger than the default limit `max_stream_bytes`."""
    stream.write(Bitmap().encode(payload.indices, CodingContext(payload.reference_size, Limits()), thorough=False))
    stream.write(payload.labels.astype(LABEL).tobytes())
