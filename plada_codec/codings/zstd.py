"""The coder `zstd`: a Zstandard frame without its magic number, over a plain form (spec section 5.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from plada_codec.codings.base import Stream
from plada_codec.errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

    from plada_codec.codings.base import CodingContext, Integers, PlainForm

#: RFC 8878, section 3.1.1: left out of the stream.
_MAGIC = b"\x28\xb5\x2f\xfd"
#: Spec section 5.3: largest Window_Size, 2^23 bytes.
_MAX_WINDOW_LOG = 23
#: RFC 8878, section 3.1.1.1.1: Content_Checksum_Flag and Dictionary_ID_Flag of the frame header's first byte.
_CHECKSUM_FLAG, _DICTIONARY_FLAGS = 0b0000_0100, 0b0000_0011
#: RFC 8878, section 3.1.1: a header of two bytes at least, and the content checksum.
_LEAST_FRAME_BYTES = 6
#: RFC 8878, section 3.1.1.2: a block has a 3-byte header, at least one byte more, and at most 128 KiB of content.
_LEAST_BLOCK_BYTES, _MAX_BLOCK_CONTENT = 4, 1 << 17
#: Levels of libzstd: the first is always tried, the others when thorough, the last for contents up to a mebibyte.
_FAST_LEVEL, _SLOW_LEVEL, _SLOWEST_LEVEL = 3, 19, 22
_SLOWEST_MAX_CONTENT = 1 << 20


class Zstd:
    """Zstandard over the plain form of a layout."""

    least_bytes_is_exact = False
    has_quick_estimate = True

    def __init__(self, plain: PlainForm) -> None:
        self.plain = plain

    def least_bytes(self, values: Integers, context: CodingContext) -> float:
        content_bytes = self.plain.least_bytes(values, context)
        if content_bytes > context.limits.max_stream_bytes:
            return float("inf")
        return _LEAST_FRAME_BYTES + _LEAST_BLOCK_BYTES * -(-content_bytes // _MAX_BLOCK_CONTENT)

    def encode(self, values: Integers, context: CodingContext, *, thorough: bool) -> bytes:
        content = self.plain.encode(values, context, thorough=thorough)
        limit = context.limits.max_stream_bytes
        if len(content) > limit:
            raise LimitExceeded(
                f"{len(content)} bytes under zstd exceed the limit max_stream_bytes of {limit}",
                rule="limit-stream-bytes",
            )
        return deflate(content, thorough=thorough)

    def decode(self, stream: Stream, count: int, context: CodingContext) -> Integers:
        def check_size(size: int) -> None:
            if not self.plain.allows_bytes(size, count, context.domain_size):
                raise stream.corrupt(
                    f"the zstd frame declares {size} bytes, which cannot be {count} values", "zstd-size"
                )
            if size > context.limits.max_stream_bytes:
                raise LimitExceeded(
                    f"the zstd frame declares {size} bytes, but max_stream_bytes is {context.limits.max_stream_bytes}",
                    rule="limit-stream-bytes",
                    offset=stream.offset,
                )

        content = np.frombuffer(inflate(stream, check_size), np.uint8)
        return self.plain.decode(Stream(content, stream.offset, inflated=True), count, context)


def deflate(content: bytes, *, thorough: bool) -> bytes:
    """Compress `content` at several levels; return the smallest frame without its magic number (spec section 5.3)."""
    import zstandard

    levels = [_FAST_LEVEL]
    if thorough:
        levels.append(_SLOW_LEVEL)
        if len(content) <= _SLOWEST_MAX_CONTENT:
            levels.append(_SLOWEST_LEVEL)
    frames = []
    for level in levels:
        tuned = zstandard.ZstdCompressionParameters.from_level(level, source_size=len(content))
        # The fast level looks no farther than its window, but a repetition must not escape the quick try.
        far = level == _FAST_LEVEL and len(content) > 1 << tuned.window_log
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level,
            source_size=len(content),
            window_log=_MAX_WINDOW_LOG if far else min(tuned.window_log, _MAX_WINDOW_LOG),
            enable_ldm=far,
            write_content_size=True,
            write_checksum=True,
            write_dict_id=False,
        )
        frames.append(zstandard.ZstdCompressor(compression_params=parameters).compress(content))
    return min(frames, key=len)[len(_MAGIC) :]


def inflate(stream: Stream, check_size: Callable[[int], None]) -> bytes:
    """Decompress a frame without its magic number, after `check_size` accepted the declared size.

    Raises:
        Corrupt: zstd-frame, and whatever `check_size` raises.
    """
    import zstandard

    frame = _MAGIC + stream.data.tobytes()
    try:
        header = zstandard.get_frame_parameters(frame)
    except zstandard.ZstdError as error:
        raise stream.corrupt(f"not a zstd frame: {error}", "zstd-frame") from None
    if header.content_size == zstandard.CONTENTSIZE_UNKNOWN:
        raise stream.corrupt("the zstd frame does not declare its content size", "zstd-frame")
    flags = frame[len(_MAGIC)]
    if not flags & _CHECKSUM_FLAG:
        raise stream.corrupt("the zstd frame has no content checksum", "zstd-frame")
    if flags & _DICTIONARY_FLAGS or header.window_size > 1 << _MAX_WINDOW_LOG:
        raise stream.corrupt("the zstd frame has a dictionary or a window above 8 MiB", "zstd-frame")
    check_size(header.content_size)
    try:
        content = zstandard.ZstdDecompressor().decompress(
            frame, max_output_size=header.content_size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise stream.corrupt(f"the zstd frame is damaged: {error}", "zstd-frame") from None
    if len(content) != header.content_size:
        raise stream.corrupt("the zstd frame has not the bytes it declares", "zstd-frame")
    return content
