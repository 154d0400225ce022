"""Measure one compressor on one payload: size, time and peak memory. Its output is decoded and compared.

Time is the best of three calls if one takes less than 0.3 s. A call on the first images of the same payload comes
before, to compile or load kernels; cold.py measures such first calls. Peak memory is the rise of the process's resident
size during the first call, less the size of the result. Freed memory is returned to the system before it.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from plada_codec import Payload

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = tuple[NDArray[np.integer[Any]], ...]

_REPEATS, _LONG_S = 3, 0.3
_WARM_UP_KEPT = 2000

T = TypeVar("T")


class Trial(NamedTuple):
    """A compressor applied to one payload; its smallest variant counts.

    Attributes:
        variants: names of the variants.
        encode: from a variant's name to the encoded bytes.
        decode: from encoded bytes and the variant's name to arrays.
        expected: the arrays that decoding must return.
        note: from encoded bytes to the text that tables show instead of the variant's name; empty: the name.
    """

    variants: Sequence[str]
    encode: Callable[[str], bytes]
    decode: Callable[[bytes, str], Arrays]
    expected: Arrays
    note: Callable[[bytes], str] = lambda data: ""


class Compressor(NamedTuple):
    """One of our profiles, one of our codings alone, or a peer.

    Attributes:
        name: its name in tables.
        kind: ours, paper, general-purpose, specialised or baseline.
        output: "file" (all bytes that are sent), "index" or "labels" (one stream of ours).
        prepare: applies it to a payload; None if it cannot express the payload.
    """

    name: str
    kind: str
    output: str
    prepare: Callable[[Payload], Trial | None]


@dataclass(frozen=True)
class Measurement:
    """Bytes of each variant; for the smallest one, its name, its note, times in seconds, and peak memory in bytes."""

    sizes: dict[str, int]
    variant: str
    note: str
    encode_s: float
    decode_s: float
    encode_peak_bytes: int
    decode_peak_bytes: int


def measure(compressor: Compressor, payload: Payload, variant: str | None = None) -> Measurement | None:
    """Measure `compressor` on `payload`, in one variant or in all; None if it cannot express the payload.

    Raises:
        RuntimeError: if its output does not decode to the payload.
    """
    trial = compressor.prepare(payload)
    if trial is None:
        return None
    variants = trial.variants if variant is None else [variant]
    warm_up = compressor.prepare(_head(payload))
    if warm_up is not None:
        warm_up.decode(warm_up.encode(warm_up.variants[0]), warm_up.variants[0])
    sizes: dict[str, int] = {}
    for name in variants:
        data, seconds, peak = _timed(lambda name=name: trial.encode(name), len)  # type: ignore[misc]
        sizes[name] = len(data)
        if min(sizes, key=lambda name: sizes[name]) == name:  # among equal sizes, the first
            best, best_data, encode_s, encode_peak = name, data, seconds, peak
    arrays, decode_s, decode_peak = _timed(lambda: trial.decode(best_data, best), _arrays_bytes)
    if not all(np.array_equal(a, b) for a, b in zip(arrays, trial.expected, strict=True)):
        raise RuntimeError(f"{compressor.name} does not decode its own output ({best}) of {payload}")
    del arrays
    return Measurement(
        sizes,
        best,
        trial.note(best_data),
        _best_of(lambda: trial.encode(best), encode_s),
        _best_of(lambda: trial.decode(best_data, best), decode_s),
        encode_peak,
        decode_peak,
    )


def _head(payload: Payload) -> Payload:
    """The part of a payload up to its 2000th kept image."""
    indices = payload.indices[:_WARM_UP_KEPT]
    size = int(indices[-1]) + 1
    labels = payload.labels[:_WARM_UP_KEPT]
    return Payload(indices, labels, size, payload.num_classes, payload.reference_digest, payload.universe)


def _timed(work: Callable[[], T], result_bytes: Callable[[T], int]) -> tuple[T, float, int]:
    """Call `work`; return its result, seconds, and peak memory above the size of the result in bytes."""
    ctypes.CDLL(None).malloc_trim(0)
    before = _resident_bytes("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    return result, seconds, max(0, _resident_bytes("VmHWM:") - before - result_bytes(result))


def _best_of(work: Callable[[], object], first_s: float) -> float:
    seconds = [first_s]
    while len(seconds) < _REPEATS and first_s < _LONG_S:
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def _arrays_bytes(arrays: Arrays) -> int:
    return sum(array.nbytes for array in arrays)


def _resident_bytes(field: str) -> int:
    status = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in status if line.startswith(field))
