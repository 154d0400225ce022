"""Compute or simulate a delivery: its frames, time and energy with a strategy (spec/link-budget.md section 5).

>>> from plada_codec.links.loss import IndependentLoss
>>> from plada_codec.links.profiles import link
>>> modem = link("uwm-5k").replaced(mtu_bytes=264)
>>> job = DeliveryJob(link=modem, object_bytes=5000, frames=20, frame_bytes=264, extra_symbols=2,
...                   loss=IndependentLoss(0.1), distance_m=3000)
>>> for strategy in "one-way", "nack", "stop-and-wait", "single":
...     found = compute_delivery(strategy, job)
...     print(f"{strategy}: {found.frames:.1f} frames, {found.wall_p99_s:.1f} s, completion {found.completion:.1%}")
one-way: 29.0 frames, 14.2 s, completion 99.4%
nack: 22.2 frames, 26.6 s, completion 100.0%
stop-and-wait: 22.2 frames, 119.8 s, completion 100.0%
single: 20.0 frames, inf s, completion 12.2%
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from plada_codec.errors import InvalidArgument
from plada_codec.links.delivery.job import DeliveryJob, check_range
from plada_codec.links.delivery.outcome import DeliveryOutcome
from plada_codec.links.delivery.registry import strategy_named

#: Section 5.6: `compute_delivery` simulates about this number of frames, within these numbers of trials.
_SIMULATED_FRAMES, _LEAST_TRIALS, _MOST_TRIALS = 2_000_000, 200, 2_000
#: Section 5.6: the largest product of frames, trials and receivers, which takes seconds and less than a GB; and the
#: least product of trials and receivers, as each frame costs work of its own, too.
_MAX_WORK, _LEAST_WORK = 400_000_000, 2_000


@dataclass(frozen=True)
class Delivery:
    """The cost of a delivery. Frames, bytes, airtime and energy are the sender's, and expected values.

    Wall time begins with the first frame. It ends when the last receiver has the object, or, if the sender waits for
    answers, when the sender knows that. It is infinite if the object never arrives.

    Attributes:
        strategy: name of the strategy.
        frames: number of frames that are sent.
        sent_bytes: length of all these frames together.
        overhead: sent_bytes / object_bytes - 1.
        airtime_s: time on the air of these frames.
        waiting_s: time that the sender listens for answers.
        wall_mean_s: mean wall time; infinite unless the object is certain to arrive.
        wall_p50_s: wall time that is met with probability 0.5.
        wall_p99_s: wall time that is met with probability 0.99.
        wall_s: wall time that is met with the job's probability.
        energy_j: TX power * airtime + RX power * waiting; None if the TX power is unknown.
        joules_per_bit: energy / (8 * object_bytes * completion); None also if completion is below 0.5.
        completion: probability that all receivers get the object.
        method: "closed form", "approximation" or "simulation" (section 5.6).
        symbols: number of symbols that are sent, if the strategy is coded.
        announces: number of announces that are sent, if the strategy is coded.
    """

    strategy: str
    frames: float
    sent_bytes: float
    overhead: float
    airtime_s: float
    waiting_s: float
    wall_mean_s: float
    wall_p50_s: float
    wall_p99_s: float
    wall_s: float
    energy_j: float | None
    joules_per_bit: float | None
    completion: float
    method: str
    symbols: int | None = None
    announces: int | None = None


def compute_delivery(strategy: str, job: DeliveryJob) -> Delivery:
    """Compute a delivery by the strategy's formulas; if they do not fit the job, by a simulation of fixed seed.

    Args:
        strategy: name of a row of STRATEGIES.
        job: the delivery.

    Raises:
        InvalidArgument: (`value`) if there is no such strategy, or the delivery is too much to compute or to simulate.
        LinkError: (`option`, `frame-bytes`, `contact`) as the methods of `Link`.

    >>> from plada_codec.links.profiles import link
    >>> from plada_codec.links.loss import IndependentLoss
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> job = DeliveryJob(link=modem, object_bytes=5000, frames=20, frame_bytes=264, extra_symbols=2,
    ...                   loss=IndependentLoss(0.1), distance_m=3000, probability=0.999)
    >>> round(compute_delivery("stop-and-wait", job).wall_mean_s, 2), round(compute_delivery("one-way", job).wall_s, 2)
    (98.56, 15.09)
    """
    row = strategy_named(strategy)
    outcome = row.compute(job)
    if outcome is None:
        outcome = row.simulate(job, _trials(strategy, job), np.random.default_rng(0))
    return _delivery(strategy, job, outcome)


def _trials(strategy: str, job: DeliveryJob) -> int:
    """The number of simulated deliveries. Raises InvalidArgument (`value`) if the least number is too much."""
    total, loss = job.counts.total(), job.air_loss.frame_loss(job.frame_bytes)
    frames = float(total)
    if loss:
        places = min(job.nack_burst_frames, total)
        # The probability that a frame is lost again after a whole burst, and right after itself.
        after_burst = loss + (1 - loss) * job.loss.memory**places
        after_itself = job.air_loss.conditional_loss(job.frame_bytes)[1]
        frames = total * (1 / (1 - after_burst) + math.log(job.receivers) / -math.log(after_burst))
        frames += places * math.log(job.receivers * _MOST_TRIALS) / -math.log(after_itself)
    most = 0 if frames * _LEAST_WORK > _MAX_WORK else int(_MAX_WORK / (frames * _LEAST_TRIALS))
    if job.receivers > most:
        message = f"{strategy} with {job.receivers:,} receiver{'s' * (job.receivers > 1)} is too much to simulate"
        advice = f"ask for {most:,} or less, or for another strategy" if most else "ask for another strategy"
        raise InvalidArgument(f"{message}: {advice}", rule="value")
    enough = _SIMULATED_FRAMES * (1 - loss) / (total * job.receivers)
    return int(min(max(enough, _LEAST_TRIALS), _MOST_TRIALS, _MAX_WORK / (frames * job.receivers)))


def simulate_delivery(strategy: str, job: DeliveryJob, trials: int, seed: int) -> Delivery:
    """Simulate deliveries, and return their means and quantiles.

    Args:
        strategy: name of a row of STRATEGIES.
        job: the delivery.
        trials: number of simulated deliveries.
        seed: seed of the random numbers.

    Raises:
        InvalidArgument, LinkError: as `compute_delivery`.

    >>> from plada_codec.links.profiles import link
    >>> from plada_codec.links.loss import BurstyLoss
    >>> job = DeliveryJob(link=link("uwm-5k"), object_bytes=960, frames=4, frame_bytes=248, extra_symbols=2,
    ...                   loss=BurstyLoss(0.2, 5))
    >>> found = simulate_delivery("nack", job, trials=500, seed=1)
    >>> print(f"{found.frames:.2f} frames, {found.wall_p99_s:.2f} s, by {found.method}")
    5.72 frames, 7.32 s, by simulation
    """
    check_range("trials", trials, 1)
    return _delivery(strategy, job, strategy_named(strategy).simulate(job, trials, np.random.default_rng(seed)))


def _delivery(strategy: str, job: DeliveryJob, outcome: DeliveryOutcome) -> Delivery:
    energy_j = joules_per_bit = None
    if job.link.tx_power_w is not None:
        energy_j = job.link.tx_power_w * outcome.airtime_s + (job.link.rx_power_w or 0.0) * outcome.waiting_s
        if outcome.completion >= 0.5:
            joules_per_bit = energy_j / (8 * job.object_bytes * outcome.completion)
    return Delivery(
        strategy=strategy,
        frames=outcome.frames,
        sent_bytes=outcome.sent_bytes,
        overhead=outcome.sent_bytes / job.object_bytes - 1,
        airtime_s=outcome.airtime_s,
        waiting_s=outcome.waiting_s,
        wall_mean_s=outcome.wall_mean_s,
        wall_p50_s=outcome.wall_s(0.5),
        wall_p99_s=outcome.wall_s(0.99),
        wall_s=outcome.wall_s(job.probability),
        energy_j=energy_j,
        joules_per_bit=joules_per_bit,
        completion=outcome.completion,
        method=outcome.method,
        symbols=outcome.symbols,
        announces=outcome.announces,
    )
