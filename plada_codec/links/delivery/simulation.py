"""The parts of a simulated delivery: channels that lose frames, and a sender that waits for answers.

Many deliveries are simulated at once. A *trial* is a delivery to all receivers. Arrays have the axes [trials], or
[trials, receivers].
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plada_codec.links.delivery.distributions import quantile
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.outcome import SIMULATION, DeliveryOutcome
from plada_codec.links.loss import Loss

_Ints: TypeAlias = NDArray[np.int64]
_Bools: TypeAlias = NDArray[np.bool_]


class SimulatedSender:
    """A simulated sender that waits for answers, in each trial: its clock, and all that it has sent.

    Args:
        job: the delivery.
        sizes_bytes: the lengths of the frames that can be sent.
        trials: the number of trials.
        answers: the number of answers that the sender waits for at a time.
    """

    def __init__(self, job: DeliveryJob, sizes_bytes: _Ints, trials: int, answers: int = 1) -> None:
        self._link = job.link
        self._sizes_bytes = sizes_bytes
        distinct, places = np.unique(sizes_bytes, return_inverse=True)
        airtimes_s = [job.link.frame_airtime_s(int(size)) for size in distinct]
        self._airtimes_s = np.array(airtimes_s)[places]
        self._spans_s = np.array([job.link.span_s(airtime_s) for airtime_s in airtimes_s])[places]
        self._steps_s = np.array([job.link.step_s(airtime_s) for airtime_s in airtimes_s])[places]
        self._wait_s = job.waiting_s(answers)
        # The end of the last thing that was done, and the earliest start of the next frame.
        self._end_s, self._ready_s = np.zeros((2, trials))
        self._frames, self._sent_bytes, self._airtime_s, self._waiting_s = np.zeros((4, trials))

    def send(self, frame: _Ints | int, *, sends: _Bools, waits: _Bools) -> None:
        """Send a frame, and wait for answers after it: each in the trials where `sends` and `waits` are true."""
        span_s = self._spans_s[frame] + self._wait_s * waits
        start_s = self._link.start_s(self._ready_s, span_s)
        self._end_s = np.where(sends, start_s + span_s, self._end_s)
        self._ready_s = np.where(sends, start_s + np.maximum(self._steps_s[frame], span_s), self._ready_s)
        self._frames += sends
        self._sent_bytes += self._sizes_bytes[frame] * sends
        self._airtime_s += self._airtimes_s[frame] * sends
        self._waiting_s += self._wait_s * waits

    def wait_again(self, waits: _Bools) -> None:
        """Wait for answers once more, in the trials where some were lost."""
        wait_s = np.full(len(waits), self._wait_s)
        start_s = self._link.start_s(self._end_s + self._link.retry_s, wait_s)
        self._end_s = np.where(waits, start_s + wait_s, self._end_s)
        self._ready_s = np.maximum(self._ready_s, self._end_s)
        self._waiting_s += wait_s * waits

    def retry(self, failed: _Bools) -> None:
        """Pause for the link's `retry_s`, in the trials where something must be sent again."""
        self._ready_s = np.where(failed, np.maximum(self._ready_s, self._end_s + self._link.retry_s), self._ready_s)

    def outcome(self) -> DeliveryOutcome:
        """The means over all trials, and the distribution of the wall time."""
        walls_s, weights = self._end_s, np.full(len(self._end_s), 1 / len(self._end_s))
        return DeliveryOutcome(
            frames=float(self._frames.mean()),
            sent_bytes=float(self._sent_bytes.mean()),
            airtime_s=float(self._airtime_s.mean()),
            waiting_s=float(self._waiting_s.mean()),
            completion=1.0,
            wall_mean_s=float(walls_s.mean()),
            wall_s=lambda probability: quantile(walls_s, weights, probability),
            method=SIMULATION,
        )


class SimulatedChannels:
    """Simulated channels side by side, each with the same loss and independent of the others.

    Args:
        loss: the loss of each channel.
        sizes_bytes: the lengths of the frames that can be sent, the length of the first one first.
        shape: shape of the array of channels.
        random: the source of random numbers.
    """

    def __init__(self, loss: Loss, sizes_bytes: _Ints, shape: tuple[int, ...], random: np.random.Generator) -> None:
        self._random = random
        distinct, places = np.unique(sizes_bytes, return_inverse=True)
        self._after_arrived, self._after_lost = np.array([loss.conditional_loss(int(size)) for size in distinct])[
            places
        ].T
        self._lost: _Bools = random.random(shape) < loss.frame_loss(int(sizes_bytes[0]))

    def lost(self, frame: _Ints | int, sends: _Bools | bool = True) -> _Bools:
        """Send a frame over each channel, and return where it is lost (bool [shape]).

        Args:
            frame: its place in `sizes_bytes`; an array that broadcasts to `shape`, if channels carry different frames.
            sends: where a frame is sent. Other channels stay as they are, and have no meaning in the result.
        """
        loss = np.where(self._lost, self._after_lost[frame], self._after_arrived[frame])
        lost: _Bools = self._random.random(self._lost.shape) < loss
        self._lost = np.where(sends, lost, self._lost)
        return lost
