"""The layout of an object in frames: PLADA frames or bare pieces (spec/link-budget.md section 6.2)."""

from __future__ import annotations

from typing import NamedTuple

from plada_codec.errors import InvalidArgument, LinkError
from plada_codec.frames.frame import MAX_SYMBOLS
from plada_codec.frames.sending import EXTRA_SYMBOLS, layout, longest_symbol_bytes
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.delivery.registry import strategy_named


class FrameLayout(NamedTuple):
    """The frames of an object: fields of `DeliveryJob`."""

    frames: int
    frame_bytes: int
    last_frame_bytes: int | None = None
    announce_parts: int = 0
    announce_frame_bytes: int = 0
    extra_symbols: int = 0


def frame_layout(object_bytes: int, longest: int, conditions: Conditions) -> FrameLayout:
    """The layout of an object in frames of at most `longest` bytes.

    Raises:
        InvalidArgument: (`object`) if the object is empty; (`frame-bytes`) if the frames are too short for the object.
        LinkError: (`frame-bytes`) if bare pieces do not fit the frames, or the object needs too many of them.
        LimitExceeded: (`limits`) if the object is longer than PLADA frames can carry.
    """
    if conditions.piece_header_bytes is not None:
        return _pieces(object_bytes, longest, conditions.piece_header_bytes, conditions)
    try:
        found = layout(object_bytes, longest)
    except InvalidArgument:
        most = MAX_SYMBOLS * longest_symbol_bytes(longest)
        if not 0 < most < object_bytes:
            raise
        message = f"frames of {longest} bytes carry at most {most:,} bytes ({MAX_SYMBOLS:,} symbols)"
        raise InvalidArgument(f"{message}, not {object_bytes:,}", rule="frame-bytes") from None
    announce = found.announce_parts, found.announce_frame_bytes
    return FrameLayout(found.symbols, found.frame_bytes, None, *announce, found.extra_symbols)


def _pieces(object_bytes: int, longest: int, header_bytes: int, conditions: Conditions) -> FrameLayout:
    """Bare pieces: all of one length, or all but the last one."""
    room = longest - header_bytes
    if room < 1:
        message = f"frames of {longest} bytes hold nothing behind a header of {header_bytes}: the smallest have"
        raise LinkError(f"{message} {header_bytes + 1}", rule="frame-bytes")
    if object_bytes < 1:
        raise InvalidArgument("an object of 0 bytes cannot be sent", rule="object")
    frames = -(-object_bytes // room)
    if frames > MAX_SYMBOLS:
        message = f"frames of {longest} bytes carry at most {MAX_SYMBOLS * room:,} bytes ({MAX_SYMBOLS:,} pieces)"
        raise LinkError(f"{message}, not {object_bytes:,}", rule="frame-bytes")
    if frames == 1 and not conditions.padded_pieces:
        return FrameLayout(1, object_bytes + header_bytes)
    # Symbols of a code have one length.
    has_one_length = conditions.padded_pieces or strategy_named(conditions.strategy).is_coded
    last_frame_bytes = None if has_one_length else object_bytes - (frames - 1) * room + header_bytes
    return FrameLayout(frames, longest, last_frame_bytes, extra_symbols=EXTRA_SYMBOLS if frames > 1 else 0)
