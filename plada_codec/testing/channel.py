"""A link that loses, damages, repeats and reorders frames: for tests, and to try how much repair is enough."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from random import Random

from plada_codec.errors import InvalidArgument
from plada_codec.links.loss import Loss

#: As good as no flip at all, in bits.
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
    """The frames that arrive of those that are sent, while they are sent; always the same for a seed.

    A frame is lost or not. One that is not may arrive twice; bits flip in each copy; and copies overtake one another.

    Args:
        frames: any number, also without end.
        loss: which frames are lost.
        flip_rate: how likely a bit is flipped, whatever became of the others: 0 .. 1, not 1.
        duplicate_rate: how likely a frame arrives twice: 0 .. 1.
        reorder_frames: how many frames are under way at any time; any of them may be the next to arrive.
        seed: of what is drawn.

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
        raise InvalidArgument(f"{reorder_frames} frames cannot be reordered: 0 or more can", rule="channel")
    random = Random(seed)
    return _reordered(_damaged(frames, loss.sampler(random), flip_rate, duplicate_rate, random), reorder_frames, random)


def _damaged(
    frames: Iterable[bytes], lost: Callable[[int], bool], flip_rate: float, duplicate_rate: float, random: Random
) -> Iterator[bytes]:
    """The copies of each frame that arrive: none, one or two."""
    flipped = _flipper(flip_rate, random)
    for frame in frames:
        if lost(len(frame)):
            continue
        yield flipped(frame)
        if random.random() < duplicate_rate:
            yield flipped(frame)


def _flipper(rate: float, random: Random) -> Callable[[bytes], bytes]:
    """A function that flips bits of one frame after the other. It draws how many bits there are between two flips."""
    if not rate:
        return bytes

    def gap() -> int:
        """Of a geometric distribution: 0 or more bits that stay as they are."""
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
    """The frames in another order: `waiting` frames wait, and whenever another comes, any one of them goes."""
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
