"""Measure one coder on one selection: size, time and peak memory. Its output is read back and compared.

Time: the best of three where one takes less than 0.3 s, after one call on the first images of the same selection,
which compiles or loads kernels: what the first call costs is in cold.py. Peak memory: what the resident size of the
process rises to during the first call, above what it was before, less the arrays that come out; freed memory is given
back to the system first.
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


class Task(NamedTuple):
    """A coder set on a selection: the smallest of its variants counts.

    Attributes:
        expected: what decoding must give.
        note: what to say of the result instead of the variant's name, if anything.
    """

    variants: Sequence[str]
    encode: Callable[[str], bytes]
    decode: Callable[[bytes, str], Arrays]
    expected: Arrays
    note: Callable[[bytes], str] = lambda data: ""


class Coder(NamedTuple):
    """Something to measure.

    Attributes:
        name: as the tables show it.
        kind: ours, paper, general-purpose, specialised or baseline.
        what: what it writes: "file" (all that is sent), "index" or "labels" (one stream of ours).
        task: sets it on a payload; None where it has nothing to say.
    """

    name: str
    kind: str
    what: str
    task: Callable[[Payload], Task | None]


@dataclass(frozen=True)
class Measured:
    """The result: bytes of each variant, the smallest one's name, a note on it, seconds, and bytes of memory."""

    sizes: dict[str, int]
    variant: str
    note: str
    encode_s: float
    decode_s: float
    encode_peak_bytes: int
    decode_peak_bytes: int


def measure(coder: Coder, payload: Payload, variant: str | None = None) -> Measured | None:
    """Measure `coder` on `payload`, in one variant or in all; None if it cannot express the payload.

    Raises:
        RuntimeError: if what it wrote does not decode to the payload.
    """
    task = coder.task(payload)
    if task is None:
        return None
    variants = task.variants if variant is None else [variant]
    warm_up = coder.task(_head(payload))
    if warm_up is not None:
        warm_up.decode(warm_up.encode(warm_up.variants[0]), warm_up.variants[0])
    sizes: dict[str, int] = {}
    for name in variants:
        data, seconds, peak = _timed(lambda name=name: task.encode(name), len)  # type: ignore[misc]
        sizes[name] = len(data)
        if min(sizes, key=lambda name: sizes[name]) == name:  # the first of equal ones
            best, best_data, encode_s, encode_peak = name, data, seconds, peak
    arrays, decode_s, decode_peak = _timed(lambda: task.decode(best_data, best), _arrays_bytes)
    if not all(np.array_equal(a, b) for a, b in zip(arrays, task.expected, strict=True)):
        raise RuntimeError(f"{coder.name} does not decode what it wrote ({best}) of {payload}")
    del arrays
    return Measured(
        sizes,
        best,
        task.note(best_data),
        _best_of(lambda: task.encode(best), encode_s),
        _best_of(lambda: task.decode(best_data, best), decode_s),
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
    """(result, seconds, peak memory above the result in bytes)."""
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
