"""The strategy `single`: each frame is sent once (spec/link-budget.md section 5.2)."""

from __future__ import annotations

import numpy as np

from plada_codec.links.delivery.base import Strategy
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.outcome import CLOSED_FORM, SIMULATION, DeliveryOutcome, outcome_of_fixed_frames
from plada_codec.links.delivery.simulation import SimulatedChannels


class Single(Strategy):
    """Each frame once, and no repair: the object arrives if all frames arrive."""

    summary = "each frame once"
    section = "5.2"

    def compute(self, job: DeliveryJob) -> DeliveryOutcome:
        loss, sizes = job.air_loss, job.sizes_bytes
        first = int(sizes[0])
        arrive = (1 - loss.frame_loss(first)) / (1 - loss.conditional_loss(first)[0])
        for size, count in job.counts.items():
            arrive *= (1 - loss.conditional_loss(size)[0]) ** count
        done = np.zeros(len(sizes))
        done[-1] = arrive**job.receivers
        return outcome_of_fixed_frames(job, sizes, done, CLOSED_FORM)

    def simulate(self, job: DeliveryJob, trials: int, random: np.random.Generator) -> DeliveryOutcome:
        sizes = job.sizes_bytes
        channels = SimulatedChannels(job.air_loss, sizes, (trials, job.receivers), random)
        missed = np.zeros((trials, job.receivers), np.bool_)
        for frame in range(len(sizes)):
            missed |= channels.lost(frame)
        done = np.zeros(len(sizes))
        done[-1] = np.mean(~missed.any(axis=1))
        return outcome_of_fixed_frames(job, sizes, done, SIMULATION)
