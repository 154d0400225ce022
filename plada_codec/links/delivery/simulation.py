"""Deliveries played frame by frame, by the rules of spec/link-budget.md section 5: many at once, each with its chance.

A *trial* is a delivery to all receivers. Arrays have the axes [trials], or [trials, receivers].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plada_codec.links.delivery.distributions import quantile
from plada_codec.links.delivery.job import Job
from plada_codec.links.delivery.one_way import one_way_sequence
from plada_codec.links.delivery.outcome import SIMULATED, Course, fixed_course
from plada_codec.links.loss import Loss

_Floats: TypeAlias = NDArray[np.float64]
_Ints: TypeAlias = NDArray[np.int64]
_Bools: TypeAlias = NDArray[np.bool_]

Simulation: TypeAlias = Callable[[Job, int, np.random.Generator], Course]


def simulated_single(job: Job, trials: int, random: np.random.Generator) -> Course:
    """All frames once (section 5.2)."""
    sizes = job.sizes_bytes
    channels = _Channels(job.air_loss, sizes, (trials, job.receivers), random)
    missed = np.zeros((trials, job.receivers), np.bool_)
    for frame in range(len(sizes)):
        missed |= channels.lost(frame)
    done = np.zeros(len(sizes))
    done[-1] = np.mean(~missed.any(axis=1))
    return fixed_course(job, sizes, done, SIMULATED)


def simulated_stop_and_wait(job: Job, trials: int, random: np.random.Generator) -> Course:
    """Each frame until it is acknowledged, for one receiver after the other (section 5.3)."""
    sizes = job.sizes_bytes
    sender = _Sender(job, sizes, trials)
    for _ in range(job.receivers):
        channels = _Channels(job.air_loss, sizes, (trials,), random)
        for frame in range(len(sizes)):
            pending = np.ones(trials, np.bool_)
            while pending.any():
                sender.send(frame, sends=pending, waits=pending)
                pending &= channels.lost(frame, pending) | (random.random(trials) < job.return_loss)
                sender.retry(pending)
    return sender.course()


def simulated_nack(job: Job, trials: int, random: np.random.Generator) -> Course:
    """Bursts of what anyone misses, and lists of that (section 5.4)."""
    sizes = job.sizes_bytes
    places = min(job.burst_frames, len(sizes))
    channels = _Channels(job.air_loss, sizes, (trials, job.receivers), random)
    sender = _Sender(job, sizes, trials, answers=job.receivers)
    # Each place of the burst has a frame until all receivers have it, then the next one.
    frame = np.zeros((trials, places), np.int64)
    missing = np.zeros((trials, places, job.receivers), np.bool_)
    begun = np.zeros(trials, np.int64)
    while True:
        free = ~missing.any(axis=2)
        following = begun[:, None] + np.cumsum(free, axis=1) - 1
        starts = free & (following < len(sizes))
        frame[starts] = following[starts]
        missing[starts] = True
        begun += starts.sum(axis=1)
        sends = np.any(missing, axis=2)
        if not sends.any():
            return sender.course()
        last = places - 1 - np.argmax(sends[:, ::-1], axis=1)
        for place in range(places):
            sender.send(frame[:, place], sends=sends[:, place], waits=sends[:, place] & (last == place))
            missing[:, place] &= channels.lost(frame[:, place, None], sends[:, place, None])
        lists = random.geometric(1 - job.return_loss, (trials, job.receivers)).max(axis=1) * sends.any(axis=1)
        for number in range(1, int(lists.max())):
            sender.wait_again(lists > number)
        sender.retry(np.asarray(missing.any(axis=(1, 2))))


def simulated_one_way(job: Job, trials: int, random: np.random.Generator) -> Course:
    """So many symbols and announces (section 5.5)."""
    _, coded, of_announce, sizes = one_way_sequence(job)
    channels = _Channels(job.air_loss, sizes, (trials, job.receivers), random)
    shape = (trials, job.receivers)
    symbols, all_arrived = np.zeros(shape, np.int64), np.ones(shape, np.bool_)
    part_missing = np.ones((*shape, job.announce_parts), np.bool_)
    number = part = 0
    done = np.zeros(len(sizes))
    for frame, announces in enumerate(of_announce):
        lost = channels.lost(frame)
        if announces:
            part_missing[:, :, part] &= lost
            part = (part + 1) % job.announce_parts
        else:
            number += 1
            symbols += ~lost
            all_arrived &= ~lost | (number > job.frames)
        decoded = (symbols >= job.frames + job.extra) | all_arrived & (number >= job.frames)
        done[frame] = np.mean((decoded & ~part_missing.any(axis=2)).all(axis=1))
    return fixed_course(job, sizes, done, SIMULATED, symbols=coded.symbols, announces=coded.announces)


class _Sender:
    """A sender that waits for answers, in each trial: its clock, and what it has sent until then.

    Args:
        job: what is delivered.
        sizes_bytes: the lengths of the frames that can be sent.
        trials: how many there are.
        answers: how many come at a time.
    """

    def __init__(self, job: Job, sizes_bytes: _Ints, trials: int, answers: int = 1) -> None:
        self._link = job.link
        self._sizes_bytes = sizes_bytes
        distinct, places = np.unique(sizes_bytes, return_inverse=True)
        airtimes_s = [job.link.frame_airtime_s(int(size)) for size in distinct]
        self._airtimes_s = np.array(airtimes_s)[places]
        self._spans_s = np.array([job.link.span_s(airtime_s) for airtime_s in airtimes_s])[places]
        self._steps_s = np.array([job.link.step_s(airtime_s) for airtime_s in airtimes_s])[places]
        self._wait_s = job.waiting_s(answers)
        # The end of what was last done, and the earliest start of the next frame.
        self._end_s, self._ready_s = np.zeros((2, trials))
        self._frames, self._sent_bytes, self._airtime_s, self._waiting_s = np.zeros((4, trials))

    def send(self, frame: _Ints | int, *, sends: _Bools, waits: _Bools) -> None:
        """Sends this frame, and waits for answers behind it: each in the trials where it says so."""
        span_s = self._spans_s[frame] + self._wait_s * waits
        start_s = self._link.start_s(self._ready_s, span_s)
        self._end_s = np.where(sends, start_s + span_s, self._end_s)
        self._ready_s = np.where(sends, start_s + np.maximum(self._steps_s[frame], span_s), self._ready_s)
        self._frames += sends
        self._sent_bytes += self._sizes_bytes[frame] * sends
        self._airtime_s += self._airtimes_s[frame] * sends
        self._waiting_s += self._wait_s * waits

    def wait_again(self, waits: _Bools) -> None:
        """Waits for answers once more, where some were lost."""
        wait_s = np.full(len(waits), self._wait_s)
        start_s = self._link.start_s(self._end_s + self._link.retry_s, wait_s)
        self._end_s = np.where(waits, start_s + wait_s, self._end_s)
        self._ready_s = np.maximum(self._ready_s, self._end_s)
        self._waiting_s += wait_s * waits

    def retry(self, failed: _Bools) -> None:
        """Sends nothing for a while, where something has to be sent again."""
        self._ready_s = np.where(failed, np.maximum(self._ready_s, self._end_s + self._link.retry_s), self._ready_s)

    def course(self) -> Course:
        """What became of it all."""
        walls_s, weights = self._end_s, np.full(len(self._end_s), 1 / len(self._end_s))
        return Course(
            frames=float(self._frames.mean()),
            sent_bytes=float(self._sent_bytes.mean()),
            airtime_s=float(self._airtime_s.mean()),
            waiting_s=float(self._waiting_s.mean()),
            completion=1.0,
            wall_mean_s=float(walls_s.mean()),
            wall_s=lambda probability: quantile(walls_s, weights, probability),
            method=SIMULATED,
        )


class _Channels:
    """Channels side by side, each with the same loss and independent of the others.

    Args:
        loss: what they lose.
        sizes_bytes: the lengths of the frames that can be sent, the first one's first.
        shape: of the array of channels.
        random: where chance comes from.
    """

    def __init__(self, loss: Loss, sizes_bytes: _Ints, shape: tuple[int, ...], random: np.random.Generator) -> None:
        self._random = random
        distinct, places = np.unique(sizes_bytes, return_inverse=True)
        self._after_arrived, self._after_lost = np.array([loss.after(int(size)) for size in distinct])[places].T
        self._lost: _Bools = random.random(shape) < loss.frame_loss(int(sizes_bytes[0]))

    def lost(self, which: _Ints | int, sends: _Bools | bool = True) -> _Bools:
        """Sends the next frame and returns where it is lost (bool [shape]).

        Args:
            which: its size, as an index of `sizes_bytes`; an array, broadcast to `shape`, where sizes differ.
            sends: where a frame is sent at all: other channels stay as they are, and their result means nothing.
        """
        loss = np.where(self._lost, self._after_lost[which], self._after_arrived[which])
        lost: _Bools = self._random.random(self._lost.shape) < loss
        self._lost = np.where(sends, lost, self._lost)
        return lost
