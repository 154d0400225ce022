"""The compressors that the benchmark measures: our whole files, each of our codings alone, and the peers."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np

from bench.payload.measure import Compressor, Trial
from bench.payload.peers import PEERS, Peer, Selection
from bench.table import OURS, YARDSTICKS
from plada_codec import Payload, decode, encode, inspect
from plada_codec.codings.base import CodingContext, Stream
from plada_codec.codings.coders import PROFILES
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS, Coding
from plada_codec.limits import Limits

if TYPE_CHECKING:
    from bench.payload.measure import Arrays
    from plada_codec.codings.base import Integers

#: Above this many kept images, only the yardsticks are measured beside our compressors: other peers take minutes each.
MANY_KEPT = 1 << 23


def compressors(payload: Payload) -> list[Compressor]:
    """All compressors for `payload`."""
    peers = [peer for peer in PEERS if payload.kept <= MANY_KEPT or peer.name in YARDSTICKS]
    return [
        *(
            Compressor(f"plada {profile}", "ours", "file", functools.partial(_file, profile, "full"))
            for profile in PROFILES
        ),
        Compressor(f"{OURS}, core", "ours", "file", functools.partial(_file, OURS.removeprefix("plada "), "core")),
        *(
            Compressor(coding.name, "ours", "index", functools.partial(_index_stream, coding))
            for coding in INDEX_CODINGS
        ),
        *(
            Compressor(coding.name, "ours", "labels", functools.partial(_label_stream, coding))
            for coding in LABEL_CODINGS
        ),
        *(Compressor(peer.name, peer.kind, "file", functools.partial(_peer, peer)) for peer in peers),
    ]


def _file(profile: str, decoder_class: str, payload: Payload) -> Trial:
    def read(data: bytes, variant: str) -> Arrays:
        decoded = decode(data)
        return decoded.indices, decoded.labels

    def note(data: bytes) -> str:
        return " + ".join(f"{section.coding} {section.bytes}" for section in inspect(data).sections)

    expected = (payload.indices, payload.labels)
    return Trial([""], lambda variant: encode(payload, profile, decoder_class), read, expected, note)


def _index_stream(coding: Coding, payload: Payload) -> Trial | None:
    """The index stream of the kept images, or of the complement if it is smaller."""
    selection = Selection.of(payload)
    positions, shared = selection.positions.astype(np.int64, copy=False), selection.shared
    if shared.all_kept:
        return None
    variant = "kept"
    if shared.kept > shared.universe_size // 2:
        positions, variant = np.delete(np.arange(shared.universe_size), positions), "dropped"
    return _stream(coding, positions, CodingContext(shared.universe_size, Limits()), variant)


def _label_stream(coding: Coding, payload: Payload) -> Trial | None:
    return _stream(coding, payload.labels, CodingContext(payload.num_classes, Limits(), payload.positions), "")


def _stream(coding: Coding, values: Integers, context: CodingContext, variant: str) -> Trial | None:
    if coding.codec.least_bytes(values, context) == math.inf:
        return None

    def read(data: bytes, variant: str) -> Arrays:
        stream = Stream(np.frombuffer(data, np.uint8), 0)
        return (coding.codec.decode(stream, len(values), context),)

    return Trial([variant], lambda variant: coding.codec.encode(values, context, thorough=True), read, (values,))


def _peer(peer: Peer, payload: Payload) -> Trial | None:
    selection = Selection.of(payload)
    variants = peer.variants(selection)
    if not variants:
        return None
    return Trial(
        variants,
        lambda variant: peer.encode(selection, variant),
        lambda data, variant: peer.decode(data, selection.shared, variant),
        (selection.positions, selection.labels),
    )
