"""What it takes to deliver an object over a lossy link: frames, time and energy of four strategies.

    >>> from plada_codec.links.profiles import link
    >>> from plada_codec.links.loss import IndependentLoss
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> job = Job(link=modem, object_bytes=5000, frames=20, frame_bytes=264, extra=2,
    ...           loss=IndependentLoss(0.1), distance_m=3000)
    >>> for strategy in STRATEGIES:
    ...     found = deliver(strategy, job)
    ...     print(f"{strategy}: {found.frames:.1f} frames, {found.wall_p99_s:.1f} s, completion {found.completion:.1%}")
    single: 20.0 frames, inf s, completion 12.2%
    stop-and-wait: 22.2 frames, 119.8 s, completion 100.0%
    nack: 22.2 frames, 26.6 s, completion 100.0%
    one-way: 29.0 frames, 14.2 s, completion 99.4%

The formulas are those of spec/link-budget.md section 5; simulation.py plays the same rules frame by frame.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import InvalidArgument
from plada_codec.links.delivery.distributions import (
    TINY,
    enough_tries,
    quantile,
    quantile_of_sum,
    surplus,
    tries_within_rounds,
)
from plada_codec.links.delivery.job import MAX_LOSS, Job, check_range
from plada_codec.links.delivery.one_way import Coded, either, one_way, one_way_sequence
from plada_codec.links.delivery.outcome import APPROXIMATE, EXACT, Course, fixed_course
from plada_codec.links.delivery.simulation import (
    Simulation,
    simulated_nack,
    simulated_one_way,
    simulated_single,
    simulated_stop_and_wait,
)

__all__ = ["MAX_LOSS", "STRATEGIES", "Coded", "Delivery", "Job", "deliver", "one_way", "simulate"]

_Floats: TypeAlias = NDArray[np.float64]

#: Section 5.4: how many entries of a joint distribution are summed up, rather than simulated.
_MAX_ENTRIES = 4_000_000
#: Section 5.3: how many sums of the rarer lengths are told apart, rather than all tries taken as of the mean length.
_MAX_SUMS = 200_000
#: Section 5.6: trials of a simulation that `deliver` needs: as many as make this many frames, within limits.
_SIMULATED_FRAMES, _LEAST_TRIALS, _MOST_TRIALS = 2_000_000, 200, 2_000
#: Section 5.6: frames, times trials and receivers, that take seconds and less than a GB; and the least that these two
#: come to, as there is work with each frame, too.
_MAX_WORK, _LEAST_WORK = 400_000_000, 2_000


@dataclass(frozen=True)
class Delivery:
    """What a strategy takes. Frames, bytes, airtime and energy are the sender's, and expected values.

    Wall time is from the start of the first frame until the last receiver has the object ("single", "one-way"), or
    until the sender knows that it has ("stop-and-wait", "nack"). It is infinite where the object never comes.

    Attributes:
        strategy: one of STRATEGIES.
        frames: how many are sent.
        sent_bytes: their length together.
        overhead: sent_bytes / object_bytes - 1.
        airtime_s: their time on the air.
        waiting_s: how long the sender listens for answers.
        wall_mean_s: mean wall time; infinite unless the object is sure to come.
        wall_p50_s: wall time that is met with probability 0.5.
        wall_p99_s: with probability 0.99.
        wall_s: with the job's probability.
        energy_j: TX power * airtime + RX power * waiting; None where the TX power is unknown.
        joules_per_bit: energy / (8 * object_bytes * completion); None also where less than half of the deliveries
            get through.
        completion: probability that all receivers get the object.
        method: "closed form", "approximation" or "simulation" (section 5.6).
        symbols: of the one-way strategy: how many are sent.
        announces: of the one-way strategy: how many are sent.
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


def deliver(strategy: str, job: Job) -> Delivery:
    """What a strategy takes: by its formulas where there are some, else by a simulation of fixed seed.

    Raises:
        InvalidArgument: (`value`) if there is no such strategy, or the delivery is too much to compute or to simulate.
        LinkError: (`option`, `frame-bytes`, `contact`) as the methods of `Link`.

    >>> from plada_codec.links.profiles import link
    >>> from plada_codec.links.loss import IndependentLoss
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> job = Job(link=modem, object_bytes=5000, frames=20, frame_bytes=264, extra=2,
    ...           loss=IndependentLoss(0.1), distance_m=3000, probability=0.999)
    >>> round(deliver("stop-and-wait", job).wall_mean_s, 2), round(deliver("one-way", job).wall_s, 2)
    (98.56, 15.09)
    """
    formula, simulation = _strategy(strategy)
    course = formula(job)
    if course is None:
        course = simulation(job, _trials(strategy, job), np.random.default_rng(0))
    return _delivery(strategy, job, course)


def _trials(strategy: str, job: Job) -> int:
    """The number of simulated deliveries. Raises InvalidArgument (`value`) if the least number is too much."""
    total, loss = job.counts.total(), job.air_loss.frame_loss(job.frame_bytes)
    frames = float(total)
    if loss:
        places = min(job.burst_frames, total)
        # How likely a frame is lost again after a whole burst, and after itself alone.
        after_burst = loss + (1 - loss) * job.loss.memory**places
        after_itself = job.air_loss.after(job.frame_bytes)[1]
        frames = total * (1 / (1 - after_burst) + math.log(job.receivers) / -math.log(after_burst))
        frames += places * math.log(job.receivers * _MOST_TRIALS) / -math.log(after_itself)
    most = 0 if frames * _LEAST_WORK > _MAX_WORK else int(_MAX_WORK / (frames * _LEAST_TRIALS))
    if job.receivers > most:
        message = f"{strategy} with {job.receivers:,} receiver{'s' * (job.receivers > 1)} is too much to simulate"
        advice = f"ask for {most:,} or less, or for another strategy" if most else "ask for another strategy"
        raise InvalidArgument(f"{message}: {advice}", rule="value")
    enough = _SIMULATED_FRAMES * (1 - loss) / (total * job.receivers)
    return int(min(max(enough, _LEAST_TRIALS), _MOST_TRIALS, _MAX_WORK / (frames * job.receivers)))


def simulate(strategy: str, job: Job, trials: int, seed: int) -> Delivery:
    """What a strategy took in so many simulated deliveries: means, and quantiles, of those.

    Raises:
        InvalidArgument, LinkError: as `deliver`.

    >>> from plada_codec.links.profiles import link
    >>> from plada_codec.links.loss import BurstyLoss
    >>> job = Job(link=link("uwm-5k"), object_bytes=960, frames=4, frame_bytes=248, extra=2, loss=BurstyLoss(0.2, 5))
    >>> found = simulate("nack", job, trials=500, seed=1)
    >>> print(f"{found.frames:.2f} frames, {found.wall_p99_s:.2f} s, by {found.method}")
    5.72 frames, 7.32 s, by simulation
    """
    check_range("trials", trials, 1)
    _, simulation = _strategy(strategy)
    return _delivery(strategy, job, simulation(job, trials, np.random.default_rng(seed)))


_Formula: TypeAlias = Callable[[Job], Course | None]


def _strategy(name: str) -> tuple[_Formula, Simulation]:
    if name not in _STRATEGIES:
        raise InvalidArgument(f"no strategy {name!r}: there are {', '.join(STRATEGIES)}", rule="value")
    return _STRATEGIES[name]


def _delivery(strategy: str, job: Job, course: Course) -> Delivery:
    energy_j = joules_per_bit = None
    if job.link.tx_power_w is not None:
        energy_j = job.link.tx_power_w * course.airtime_s + (job.link.rx_power_w or 0.0) * course.waiting_s
        if course.completion >= 0.5:
            joules_per_bit = energy_j / (8 * job.object_bytes * course.completion)
    return Delivery(
        strategy=strategy,
        frames=course.frames,
        sent_bytes=course.sent_bytes,
        overhead=course.sent_bytes / job.object_bytes - 1,
        airtime_s=course.airtime_s,
        waiting_s=course.waiting_s,
        wall_mean_s=course.wall_mean_s,
        wall_p50_s=course.wall_s(0.5),
        wall_p99_s=course.wall_s(0.99),
        wall_s=course.wall_s(job.probability),
        energy_j=energy_j,
        joules_per_bit=joules_per_bit,
        completion=course.completion,
        method=course.method,
        symbols=course.symbols,
        announces=course.announces,
    )


# Without a return channel: what is sent is fixed, and it is enough, or not.


def _single(job: Job) -> Course:
    """Section 5.2."""
    loss, sizes = job.air_loss, job.sizes_bytes
    first = int(sizes[0])
    arrive = (1 - loss.frame_loss(first)) / (1 - loss.after(first)[0])
    for size, count in job.counts.items():
        arrive *= (1 - loss.after(size)[0]) ** count
    done = np.zeros(len(sizes))
    done[-1] = arrive**job.receivers
    return fixed_course(job, sizes, done, EXACT)


def _one_way(job: Job) -> Course:
    """Section 5.5."""
    code, coded, of_announce, sizes = one_way_sequence(job)
    undecoded = np.concatenate([np.ones(job.frames), code.undecoded()])
    failed = undecoded[np.minimum(np.cumsum(~of_announce), len(undecoded) - 1)]
    method = EXACT
    if job.announce_parts:
        failed = either(failed, code.unannounced_so_far(coded)[np.cumsum(of_announce)])
        if job.loss.memory and job.loss.frame_loss(job.frame_bytes):
            method = APPROXIMATE
    with np.errstate(divide="ignore"):
        done = np.exp(job.receivers * np.log1p(-failed))
    return fixed_course(job, sizes, done, method, symbols=coded.symbols, announces=coded.announces)


# With a return channel: the sender goes on until it knows that all have the object.


def _stop_and_wait(job: Job) -> Course:
    """Section 5.3."""
    link, counts, waiting_s = job.link, job.counts, job.waiting_s()
    first, last = job.runs[0][0], job.runs[-1][0]
    airtimes_s = {size: link.frame_airtime_s(size) for size in counts}
    failures = {
        size: surplus(
            {size: count}, job.air_loss, job.return_loss, job.receivers, after_an_arrival=size != first
        ).trimmed()
        for size, count in counts.items()
    }
    tries = {size: job.receivers * count + failures[size].mean for size, count in counts.items()}
    frames = sum(tries.values())
    airtime_s = sum(number * airtimes_s[size] for size, number in tries.items())

    if link.contact_s is None and math.prod(sorted(len(each.weights) for each in failures.values())[:-1]) <= _MAX_SUMS:
        success_s = {size: link.step_s(airtimes_s[size], waiting_s) for size in counts}
        failure_s = {size: link.step_s(airtimes_s[size], waiting_s + link.retry_s) for size in counts}
        least_s = sum(job.receivers * count * success_s[size] for size, count in counts.items())
        least_s += link.span_s(airtimes_s[last]) + waiting_s - success_s[last]
        wall_mean_s = least_s + sum(failures[size].mean * failure_s[size] for size in counts)
        method = EXACT

        def wall_s(probability: float) -> float:
            return least_s + quantile_of_sum([(failures[size], failure_s[size]) for size in counts], probability)
    else:
        failed = surplus(counts, job.air_loss, job.return_loss, job.receivers)
        numbers = failed.first + np.arange(len(failed.weights))
        turns = job.receivers * counts.total() + numbers
        walls_s = link.schedule_s(turns, airtime_s / frames, airtimes_s[last], waiting_s) + numbers * link.retry_s
        wall_mean_s = float(walls_s @ failed.weights)
        method = EXACT if len(counts) == 1 and not link.retry_s else APPROXIMATE

        def wall_s(probability: float) -> float:
            return quantile(walls_s, failed.weights, probability)

    return Course(
        frames=frames,
        sent_bytes=sum(number * size for size, number in tries.items()),
        airtime_s=airtime_s,
        waiting_s=frames * waiting_s,
        completion=1.0,
        wall_mean_s=wall_mean_s,
        wall_s=wall_s,
        method=method,
    )


def _nack(job: Job) -> Course | None:
    """Section 5.4: where nothing at all is lost, or one burst holds all frames and losses are independent.

    Limits of the link can make a sender pause even after the answers, and when depends on each burst's last frame.
    """
    link = job.link
    if link.contact_s is not None:
        return None
    if not job.return_loss and not any(job.air_loss.frame_loss(size) for size in job.counts):
        return _lossless_nack(job)
    limited = link.duty_cycle is not None or link.messages_per_day is not None
    if limited or job.loss.memory or job.counts.total() > job.burst_frames:
        return None
    return _nack_of_one_burst(job)


def _lossless_nack(job: Job) -> Course:
    sizes = job.sizes_bytes
    distinct, places = np.unique(sizes, return_inverse=True)
    airtimes_s = [job.link.frame_airtime_s(int(size)) for size in distinct]
    waiting_s = job.waiting_s(job.receivers)
    steps_s = np.array([job.link.step_s(airtime_s) for airtime_s in airtimes_s])[places]
    ends = slice(job.burst_frames - 1, None, job.burst_frames)
    steps_s[ends] = np.array([job.link.step_s(airtime_s, waiting_s) for airtime_s in airtimes_s])[places[ends]]
    wall_s = float(steps_s[:-1].sum()) + job.link.span_s(airtimes_s[places[-1]]) + waiting_s
    return Course(
        frames=len(sizes),
        sent_bytes=int(sizes.sum()),
        airtime_s=float(np.array(airtimes_s)[places].sum()),
        waiting_s=-(-len(sizes) // job.burst_frames) * waiting_s,
        completion=1.0,
        wall_mean_s=wall_s,
        wall_s=lambda probability: wall_s,
        method=EXACT,
    )


def _nack_of_one_burst(job: Job) -> Course | None:
    counts, waiting_s = job.counts, job.waiting_s(job.receivers)
    airtimes_s = {size: job.link.frame_airtime_s(size) for size in counts}
    losses = {size: job.air_loss.frame_loss(size) for size in counts}
    # After so many rounds it is all but sure that no receiver misses a frame.
    rounds = enough_tries(max(losses.values()), counts.total() * job.receivers)
    most_lists = rounds * enough_tries(job.return_loss, job.receivers)
    if most_lists * rounds * counts.total() > _MAX_ENTRIES:
        return None
    had = {size: (1 - loss ** np.arange(rounds + 1.0)) ** job.receivers for size, loss in losses.items()}
    sent = {size: count * float(np.sum(1 - had[size])) for size, count in counts.items()}
    # How likely so many rounds (rows) are enough, and the frames take so long in them (columns).
    within, busy_s = np.ones((rounds + 1, 1)), np.zeros(1)
    for size, count in counts.items():
        least, within_of_size = tries_within_rounds(np.diff(had[size], prepend=0.0), count)
        if most_lists * within.shape[1] * within_of_size.shape[1] > _MAX_ENTRIES:
            return None
        within = (within[:, :, None] * within_of_size[:, None, :]).reshape(rounds + 1, -1)
        numbers = least + np.arange(within_of_size.shape[1])
        busy_s = np.add.outer(busy_s, numbers * airtimes_s[size]).ravel()
    joint = _lists_of_rounds(rounds, job) @ np.clip(np.diff(within, axis=0, prepend=0.0), 0.0, 1.0)
    lists, places = np.nonzero(joint > TINY / joint.size)
    weights = joint[lists, places]
    walls_s = busy_s[places] + lists * waiting_s + (lists - 1) * job.link.retry_s
    return Course(
        frames=sum(sent.values()),
        sent_bytes=sum(number * size for size, number in sent.items()),
        airtime_s=sum(number * airtimes_s[size] for size, number in sent.items()),
        waiting_s=float(lists @ weights) * waiting_s,
        completion=1.0,
        wall_mean_s=float(walls_s @ weights),
        wall_s=lambda probability: quantile(walls_s, weights, probability),
        method=EXACT,
    )


def _lists_of_rounds(rounds: int, job: Job) -> _Floats:
    """How likely so many NACK lists of all (rows) are sent in so many rounds (columns): one for each that arrives."""
    most = enough_tries(job.return_loss, job.receivers)
    had = (1 - job.return_loss ** np.arange(most + 1.0)) ** job.receivers
    lists = np.zeros((rounds * most + 1, rounds + 1))
    lists[0, 0] = 1.0
    for number in range(rounds):
        lists[:, number + 1] = np.convolve(lists[:, number], np.diff(had, prepend=0.0))[: len(lists)]
    return lists


#: Section 5: by name, the formulas of a strategy (which give None where only a simulation helps), and its simulation.
_STRATEGIES: dict[str, tuple[_Formula, Simulation]] = {
    "single": (_single, simulated_single),
    "stop-and-wait": (_stop_and_wait, simulated_stop_and_wait),
    "nack": (_nack, simulated_nack),
    "one-way": (_one_way, simulated_one_way),
}
STRATEGIES = tuple(_STRATEGIES)
