"""Send objects in frames over links that lose, repeat, reorder and damage frames (`spec/plada-frames-1.md`).

    from plada_codec.frames import Reassembler, Sender, packetize

`Sender` with `packetize` or `carousel` makes frames from an object; `Reassembler` rebuilds the object from any
sufficient set of frames. Nothing here imports numpy; raptorq is imported when it is first needed.
"""

from __future__ import annotations

from plada_codec.frames.frame import (
    FIRST_ANNOUNCE_ID,
    MAX_FRAME_BYTES,
    MIN_FRAME_BYTES,
    OVERHEAD_BYTES,
    Announce,
    Frame,
    parse_frame,
)
from plada_codec.frames.frame_files import frame_paths, read_files, write_files
from plada_codec.frames.framing import read_batches, read_frames, write_frame
from plada_codec.frames.limits import FrameLimits
from plada_codec.frames.receiving import Reassembler, Reception, ReceptionProgress
from plada_codec.frames.sending import Layout, Sender, carousel, layout, packetize
from plada_codec.frames.state import SavedState, StateFile, read_state, receive

__all__ = [
    "FIRST_ANNOUNCE_ID",
    "MAX_FRAME_BYTES",
    "MIN_FRAME_BYTES",
    "OVERHEAD_BYTES",
    "Announce",
    "Frame",
    "FrameLimits",
    "Layout",
    "Reassembler",
    "Reception",
    "ReceptionProgress",
    "SavedState",
    "Sender",
    "StateFile",
    "carousel",
    "frame_paths",
    "layout",
    "packetize",
    "parse_frame",
    "read_batches",
    "read_files",
    "read_frames",
    "read_state",
    "receive",
    "write_files",
    "write_frame",
]
