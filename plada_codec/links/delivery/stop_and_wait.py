"""The strategy `stop-and-wait`: each frame is repeated until it is acknowledged (spec/link-budget.md section 5.3)."""

from __future__ import annotations

import math

import numpy as np

from plada_codec.links.delivery.base import Strategy
from plada_codec.links.delivery.distributions import extra_frames, quantile, quantile_of_sum
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.outcome import APPROXIMATION, CLOSED_FORM, DeliveryOutcome
from plada_codec.links.delivery.simulation import SimulatedChannels, SimulatedSender

#: Section 5.3: with more sums of the rarer lengths, all tries are taken as of the mean length.
_MAX_SUMS = 200_000


class StopAndWait(Strategy):
    """Each frame until it is acknowledged, for one receiver after the other."""

    summary = "each frame until it is acknowledged"
    section = "5.3"
    waits_for_answers = True
    conditions = ("acknowledgement_bytes", "return_loss")

    def compute(self, job: DeliveryJob) -> DeliveryOutcome:
        link, counts, waiting_s = job.link, job.counts, job.waiting_s()
        first, last = job.runs[0][0], job.runs[-1][0]
        airtimes_s = {size: link.frame_airtime_s(size) for size in counts}
        failures = {
            size: extra_frames(
                {size: count}, job.air_loss, job.return_loss, job.receivers, after_an_arrival=size != first
            ).trimmed()
            for size, count in counts.items()
        }
        tries = {size: job.receivers * count + failures[size].mean for size, count in counts.items()}
        frames = sum(tries.values())
        airtime_s = sum(number * airtimes_s[size] for size, number in tries.items())

        sums = math.prod(sorted(len(each.weights) for each in failures.values())[:-1])
        if link.contact_s is None and sums <= _MAX_SUMS:
            success_s = {size: link.step_s(airtimes_s[size], waiting_s) for size in counts}
            failure_s = {size: link.step_s(airtimes_s[size], waiting_s + link.retry_s) for size in counts}
            least_s = sum(job.receivers * count * success_s[size] for size, count in counts.items())
            least_s += link.span_s(airtimes_s[last]) + waiting_s - success_s[last]
            wall_mean_s = least_s + sum(failures[size].mean * failure_s[size] for size in counts)
            method = CLOSED_FORM

            def wall_s(probability: float) -> float:
                return least_s + quantile_of_sum([(failures[size], failure_s[size]) for size in counts], probability)
        else:
            failed = extra_frames(counts, job.air_loss, job.return_loss, job.receivers)
            numbers = failed.first + np.arange(len(failed.weights))
            turns = job.receivers * counts.total() + numbers
            walls_s = link.schedule_s(turns, airtime_s / frames, airtimes_s[last], waiting_s) + numbers * link.retry_s
            wall_mean_s = float(walls_s @ failed.weights)
            method = CLOSED_FORM if len(counts) == 1 and not link.retry_s else APPROXIMATION

            def wall_s(probability: float) -> float:
                return quantile(walls_s, failed.weights, probability)

        return DeliveryOutcome(
            frames=frames,
            sent_bytes=sum(number * size for size, number in tries.items()),
            airtime_s=airtime_s,
            waiting_s=frames * waiting_s,
            completion=1.0,
            wall_mean_s=wall_mean_s,
            wall_s=wall_s,
            method=method,
        )

    def simulate(self, job: DeliveryJob, trials: int, random: np.random.Generator) -> DeliveryOutcome:
        sizes = job.sizes_bytes
        sender = SimulatedSender(job, sizes, trials)
        for _ in range(job.receivers):
            channels = SimulatedChannels(job.air_loss, sizes, (trials,), random)
            for frame in range(len(sizes)):
                pending = np.ones(trials, np.bool_)
                while pending.any():
                    sender.send(frame, sends=pending, waits=pending)
                    pending &= channels.lost(frame, pending) | (random.random(trials) < job.return_loss)
                    sender.retry(pending)
        return sender.outcome()
