"""Simulate a link that loses, damages, repeats and reorders frames: for tests, and to choose the share of repair."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from random import Random

from plada_codec.errors import InvalidArgument
from plada_codec.links.loss import Loss

#: A distance between flips that is never reached, in bits.
_NEVER = 2**60


def channel(
    frames: Iterable[bytes],
    *,
    loss: Loss,
    flip_rate: float = 0.0,
    duplicate_rate: float = 0.0,
    reorder_frames: int = 0,
    seed: int = 0,
) -> Iterator[bytes]:
    """Yield the frames that arrive, while `frames` are sent; always the same for one seed.

    A frame may be lost. If it is not, it may arrive twice; bits flip in each copy; copies may overtake each other.

    Args:
        frames: the frames that are sent; they may be endless.
        loss: the loss of frames.
        flip_rate: probability that a bit flips, independently of others: 0 or more, below 1.
        duplicate_rate: probability that a frame arrives twice: 0 .. 1.
        reorder_frames: number of frames that are under way at any time; any of them may arrive next.
        seed: seed of the random numbers.

    Raises:
        InvalidArgument: (rule channel) if a rate or a number is outside its range.

    >>> from plada_codec.links.loss import IndependentLoss
    >>> sent = [b"one", b"two", b"three", b"four", b"five"]
    >>> list(channel(sent, loss=IndependentLoss(0.3), flip_rate=0.01, reorder_frames=1, seed=3))
    [b'one', b'two', b'four', b'thr%e', b'fi6e']
    """
    if not 0 <= flip_rate < 1:
        raise InvalidArgument(f"the flip rate {flip_rate:g} is not 0 or more, and below 1", rule="channel")
    if not 0 <= duplicate_rate <= 1:
        raise InvalidArgument(f"the duplicate rate {duplicate_rate:g} is not 0 .. 1", rule="channel")
    if reorder_frames < 0:
        raise InvalidArgument(f"{reorder_frames} frames cannot be reordered: give 0 or more", rule="channel")
    random = Random(seed)
    return _reordered(_damaged(frames, loss.sampler(random), flip_rate, duplicate_rate, random), reorder_frames, random)


def _damaged(
    frames: Iterable[bytes], lost: Callable[[int], bool], flip_rate: float, duplicate_rate: float, random: Random
) -> Iterator[bytes]:
    """Copies of each frame that arrive: none, one or two."""
    flipped = _flipper(flip_rate, random)
    for frame in frames:
        if lost(len(frame)):
            continue
        yield flipped(frame)
        if random.random() < duplicate_rate:
            yield flipped(frame)


def _flipper(rate: float, random: Random) -> Callable[[bytes], bytes]:
    """Return a function that flips bits in one frame after another. It draws the number of bits between two flips."""
    if not rate:
        return bytes

    def gap() -> int:
        """Number of bits before the next flip, from a geometric distribution."""
        return int(min(math.log1p(-random.random()) / math.log1p(-rate), _NEVER))

    until_next = gap()

    def flipped(frame: bytes) -> bytes:
        nonlocal until_next
        damaged = bytearray(frame)
        while until_next < 8 * len(frame):
            damaged[until_next // 8] ^= 1 << until_next % 8
            until_next += 1 + gap()
        until_next -= 8 * len(frame)
        return bytes(damaged)

    return flipped


def _reordered(frames: Iterable[bytes], waiting: int, random: Random) -> Iterator[bytes]:
    """Reorder frames: `waiting` frames wait, and when another comes, a random one leaves."""
    under_way: list[bytes] = []
    for frame in frames:
        under_way.append(frame)
        if len(under_way) > waiting:
            yield _taken(under_way, random)
    while under_way:
        yield _taken(under_way, random)


def _taken(frames: list[bytes], random: Random) -> bytes:
    chosen = random.randrange(len(frames))
    frames[chosen], frames[-1] = frames[-1], frames[chosen]
    return frames.pop()
