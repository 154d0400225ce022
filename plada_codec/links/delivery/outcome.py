"""The outcome of a delivery: frames, airtime, and the distribution of its wall time (spec/link-budget.md 5.1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plada_codec.links.delivery.distributions import TINY
from plada_codec.links.delivery.job import DeliveryJob

#: The methods of section 5.6.
CLOSED_FORM, APPROXIMATION, SIMULATION = "closed form", "approximation", "simulation"


@dataclass(frozen=True, kw_only=True)
class DeliveryOutcome:
    """The outcome of a delivery, as a strategy finds it: `Delivery` has the wall times that `wall_s` gives.

    Attributes:
        frames, sent_bytes, airtime_s, waiting_s, completion, wall_mean_s, method, symbols, announces: as in
            `plada_codec.links.delivery.deliveries.Delivery`.
        wall_s: a function that gives the wall time that is met with a probability; infinite if none is.
    """

    frames: float
    sent_bytes: float
    airtime_s: float
    waiting_s: float
    completion: float
    wall_mean_s: float
    wall_s: Callable[[float], float]
    method: str
    symbols: int | None = None
    announces: int | None = None


def outcome_of_fixed_frames(
    job: DeliveryJob,
    sizes_bytes: NDArray[np.int64],
    done: NDArray[np.float64],
    method: str,
    *,
    symbols: int | None = None,
    announces: int | None = None,
) -> DeliveryOutcome:
    """The outcome of a delivery whose frames are fixed before it begins: no answer changes them.

    Args:
        job: the delivery.
        sizes_bytes: the length of each frame, in the order of sending.
        done: the probability that all receivers have the object after each of these frames.
        method: the method that found `done`.
        symbols: the number of symbols among the frames, for a coded strategy.
        announces: the number of announces among the frames, for a coded strategy.
    """
    distinct, places = np.unique(sizes_bytes, return_inverse=True)
    airtimes_s = np.array([job.link.frame_airtime_s(int(size)) for size in distinct])[places]
    ends_s = np.cumsum(airtimes_s)
    delay_s = job.link.delay_s(job.distance_m)
    done = np.maximum.accumulate(done)

    def arrival_s(frame: int) -> float:
        last_s = float(airtimes_s[frame])
        mean_s = float(ends_s[frame - 1]) / frame if frame else last_s
        return job.link.schedule_s(frame + 1, mean_s, last_s) + delay_s

    def wall_s(probability: float) -> float:
        frame = int(np.searchsorted(done, probability - TINY))
        return arrival_s(frame) if frame < len(done) else math.inf

    wall_mean_s = math.inf
    if done[-1] > 1 - TINY:
        gains = np.diff(done, prepend=0.0)
        wall_mean_s = sum(float(gains[frame]) * arrival_s(int(frame)) for frame in np.flatnonzero(gains > TINY))
    if method == CLOSED_FORM and job.link.contact_s is not None and len(distinct) > 1:
        method = APPROXIMATION  # the frames that fit a contact are counted with their mean airtime
    return DeliveryOutcome(
        frames=len(sizes_bytes),
        sent_bytes=int(sizes_bytes.sum()),
        airtime_s=float(ends_s[-1]),
        waiting_s=0.0,
        completion=float(done[-1]),
        wall_mean_s=wall_mean_s,
        wall_s=wall_s,
        method=method,
        symbols=symbols,
        announces=announces,
    )
