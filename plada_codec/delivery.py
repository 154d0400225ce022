"""What it takes to deliver an object over a lossy link: frames, time and energy of four strategies.

    job = Job(link=link("uwm-5k"), object_bytes=5000, frames=20, frame_bytes=264, extra=2,
              loss=IndependentLoss(0.1), distance_m=3000)
    deliver("one-way", job).wall_p99_s
    deliver("stop-and-wait", job).wall_p99_s

The formulas are those of spec/link-budget.md section 5; `simulate` plays the same rules frame by frame.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from plada_codec.chances import TINY, enough_tries, rounds_and_frames, surplus
from plada_codec.links import BadLink, Link
from plada_codec.loss import Loss

__all__ = ["MAX_LOSS", "STRATEGIES", "Coded", "Delivery", "Job", "deliver", "one_way", "simulate"]

_Floats: TypeAlias = NDArray[np.float64]
_Ints: TypeAlias = NDArray[np.int64]
_Bools: TypeAlias = NDArray[np.bool_]

#: Section 4: what loses more is not a link, and asks for sums over millions of frames.
MAX_LOSS = 0.99
#: Section 5.5: the least that a receiver may be asked to fail. The code itself fails once in 2^24 receptions.
_LEAST_FAILURE = 1e-9
#: Section 5.4: how many entries of a joint distribution are summed up, rather than simulated.
_MAX_ENTRIES = 4_000_000
#: Section 5.6: trials of a simulation that `deliver` needs: as many as make this many frames, within limits.
_SIMULATED_FRAMES, _LEAST_TRIALS, _MOST_TRIALS = 2_000_000, 200, 2_000


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is to be delivered, over which link, how surely.

    Attributes:
        link: the link.
        object_bytes: length of the object.
        frames: K, how many data frames make the object.
        frame_bytes: length of a data frame, with all headers.
        last_frame_bytes: length of the K-th one; None: as the others.
        extra: h, how many frames more than K a receiver of coded frames needs, unless it has the first K: 2 for
            RaptorQ, 0 for K = 1 or a perfect code.
        announce_parts: how many frames an announce has; 0: there is none.
        announce_frame_bytes: length of those.
        loss: which frames are lost.
        distance_m: to the receivers.
        receivers: R, how many of them.
        probability: with which all of them must have the object.
        return_loss: how likely an acknowledgement or a NACK list is lost, independently of all else.
        acknowledgement_bytes: length of those; 0: the link's own, which take no time.
        burst_frames: how many frames are sent before a NACK list is waited for.

    Raises:
        BadLink: (`value`) if a number is out of its range; (`loss`) if more than MAX_LOSS of the frames are lost.
    """

    link: Link
    object_bytes: int
    frames: int
    frame_bytes: int
    last_frame_bytes: int | None = None
    extra: int = 0
    announce_parts: int = 0
    announce_frame_bytes: int = 0
    loss: Loss
    distance_m: float | None = None
    receivers: int = 1
    probability: float = 0.99
    return_loss: float = 0.0
    acknowledgement_bytes: int = 8
    burst_frames: int = 32

    def __post_init__(self) -> None:
        _at_least(1, object_bytes=self.object_bytes, burst_frames=self.burst_frames)
        _at_least(0, acknowledgement_bytes=self.acknowledgement_bytes)
        _check_coding(self.frames, self.extra, self.announce_parts, self.receivers, self.probability)
        if not 0 <= self.return_loss <= MAX_LOSS:
            raise BadLink(f"return_loss must be 0 to {MAX_LOSS}, not {self.return_loss:g}", rule="value")
        for frame_bytes in self.sizes_bytes:
            _check_loss(self.loss, frame_bytes)

    @property
    def sizes_bytes(self) -> tuple[int, ...]:
        """The length of each frame, an announce and the K data frames, in the order of sending."""
        last = self.frame_bytes if self.last_frame_bytes is None else self.last_frame_bytes
        return (*(self.announce_frame_bytes,) * self.announce_parts, *(self.frame_bytes,) * (self.frames - 1), last)

    @property
    def answer_s(self) -> float:
        """Airtime of an acknowledgement, or of a NACK list."""
        return self.link.frame_airtime_s(self.acknowledgement_bytes) if self.acknowledgement_bytes else 0.0

    def waiting_s(self, answers: int = 1) -> float:
        """From the end of a frame until its sender has so many answers and may send again."""
        return 2 * (self.link.delay_s(self.distance_m) + self.link.turnaround_s) + answers * self.answer_s


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
        joules_per_bit: energy / (8 * object_bytes * completion); None also where nothing is delivered.
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


@dataclass(frozen=True)
class Coded:
    """How much a one-way sender sends: so many different symbols, and so many announces among them."""

    symbols: int
    announces: int


def deliver(strategy: str, job: Job) -> Delivery:
    """What a strategy takes: by its formulas where there are some, else by a simulation of fixed seed.

    Raises:
        BadLink: (`value`) if there is no such strategy, or the job asks for too much; (rules of `Link`) if the link
            does not take such frames, or lacks a number.

    >>> from plada_codec.links import link
    >>> from plada_codec.loss import IndependentLoss
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> job = Job(link=modem, object_bytes=5000, frames=20, frame_bytes=264, extra=2,
    ...           loss=IndependentLoss(0.1), distance_m=3000, probability=0.999)
    >>> round(deliver("stop-and-wait", job).wall_mean_s, 2), round(deliver("one-way", job).wall_s, 2)
    (98.56, 15.09)
    """
    formula, simulation = _strategy(strategy)
    course = formula(job)
    if course is None:
        frames = len(job.sizes_bytes) * job.receivers / (1 - job.loss.frame_loss(job.frame_bytes))
        trials = min(max(int(_SIMULATED_FRAMES / frames), _LEAST_TRIALS), _MOST_TRIALS)
        course = simulation(job, trials, np.random.default_rng(0))
    return _delivery(strategy, job, course)


def simulate(strategy: str, job: Job, trials: int, seed: int) -> Delivery:
    """What a strategy took in so many simulated deliveries: means, and quantiles, of those.

    Raises:
        BadLink: as `deliver`.
    """
    _at_least(1, trials=trials)
    _, simulation = _strategy(strategy)
    return _delivery(strategy, job, simulation(job, trials, np.random.default_rng(seed)))


def one_way(
    frames: int,
    extra: int,
    loss: Loss,
    probability: float = 0.99,
    receivers: int = 1,
    *,
    announce_parts: int = 0,
    frame_bytes: int = 1,
    announce_frame_bytes: int = 1,
    airtime_s: Callable[[int], float] = float,
) -> Coded:
    """The symbols and announces of least airtime with which all receivers get the object (section 5.5).

    Args:
        frames: K, how many symbols make the object.
        extra: how many more a receiver needs, unless it has the first K.
        loss: which frames are lost.
        probability: with which all receivers must get it.
        receivers: how many there are.
        announce_parts: how many frames an announce has; 0: there is none.
        frame_bytes: length of the frame of a symbol.
        announce_frame_bytes: length of a frame of an announce.
        airtime_s: the airtime of a frame, by its length; by default in proportion to it.

    Raises:
        BadLink: (`value`) if a number is out of its range; (`loss`) if more than MAX_LOSS of the frames are lost.

    >>> from plada_codec.loss import IndependentLoss
    >>> [one_way(20, 2, IndependentLoss(rate), 0.999).symbols for rate in (0, 0.1, 0.2)]
    [20, 31, 38]
    >>> one_way(20, 2, IndependentLoss(0.3), 0.99, receivers=40, announce_parts=1, frame_bytes=256,
    ...         announce_frame_bytes=46)
    Coded(symbols=48, announces=8)
    """
    _check_coding(frames, extra, announce_parts, receivers, probability)
    _check_loss(loss, frame_bytes)
    if announce_parts:
        _check_loss(loss, announce_frame_bytes)
    code = _Code(frames, extra, frame_bytes, announce_parts, announce_frame_bytes, loss)
    return code.cheapest(probability, receivers, airtime_s)


def _strategy(name: str) -> tuple[_Formula, _Simulation]:
    if name not in _STRATEGIES:
        raise BadLink(f"no strategy {name!r}: there are {', '.join(STRATEGIES)}", rule="value")
    return _STRATEGIES[name]


def _at_least(least: int, **values: int) -> None:
    for name, value in values.items():
        if value < least:
            raise BadLink(f"{name} must be {least} or more, not {value}", rule="value")


def _check_coding(frames: int, extra: int, announce_parts: int, receivers: int, probability: float) -> None:
    _at_least(1, frames=frames, receivers=receivers)
    _at_least(0, extra=extra, announce_parts=announce_parts)
    if not 0 < probability < 1:
        raise BadLink(f"a probability is above 0 and below 1, not {probability:g}", rule="value")


def _check_loss(loss: Loss, frame_bytes: int) -> None:
    if (lost := loss.frame_loss(frame_bytes)) > MAX_LOSS:
        raise BadLink(
            f"{lost:.6%} of the frames of {frame_bytes} bytes are lost: {MAX_LOSS:.0%} is the most", rule="loss"
        )


@dataclass(frozen=True, kw_only=True)
class _Course:
    """How a strategy goes: the fields of Delivery, and the wall time by the probability with which it is met."""

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


_Formula: TypeAlias = Callable[[Job], _Course | None]
_Simulation: TypeAlias = Callable[[Job, int, np.random.Generator], _Course]


def _delivery(strategy: str, job: Job, course: _Course) -> Delivery:
    energy_j = joules_per_bit = None
    if job.link.tx_power_w is not None:
        energy_j = job.link.tx_power_w * course.airtime_s + (job.link.rx_power_w or 0.0) * course.waiting_s
        if course.completion > 0:
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


# Without a return channel (sections 5.2 and 5.5): what is sent is fixed, and it is enough, or not.


def _sent_once(job: Job, sizes_bytes: Sequence[int], done: _Floats, method: str, coded: Coded | None = None) -> _Course:
    """The course of a fixed sequence of frames, with the probability that all receivers have enough after each."""
    airtime_by_size_s = {size: job.link.frame_airtime_s(size) for size in set(sizes_bytes)}
    airtimes_s = np.array([airtime_by_size_s[size] for size in sizes_bytes])
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
    return _Course(
        frames=len(sizes_bytes),
        sent_bytes=sum(sizes_bytes),
        airtime_s=float(ends_s[-1]),
        waiting_s=0.0,
        completion=float(done[-1]),
        wall_mean_s=wall_mean_s,
        wall_s=wall_s,
        method=method,
        symbols=coded.symbols if coded else None,
        announces=coded.announces if coded else None,
    )


def _single(job: Job) -> _Course:
    sizes = job.sizes_bytes
    arrive = (1 - job.loss.frame_loss(sizes[0])) * math.prod(1 - job.loss.after(size)[0] for size in sizes[1:])
    done = np.zeros(len(sizes))
    done[-1] = arrive**job.receivers
    return _sent_once(job, sizes, done, "closed form")


def _simulated_single(job: Job, trials: int, random: np.random.Generator) -> _Course:
    sizes = job.sizes_bytes
    channels = _Channels(job.loss, sizes, (trials, job.receivers), random)
    missed = np.zeros((trials, job.receivers), np.bool_)
    for frame in range(len(sizes)):
        missed |= channels.lost(frame)
    done = np.zeros(len(sizes))
    done[-1] = np.mean(~missed.any(axis=1))
    return _sent_once(job, sizes, done, "simulation")


@dataclass(frozen=True)
class _Code:
    """What a one-way sender sends of an object, and what becomes of it at a receiver; see `one_way`."""

    frames: int
    extra: int
    frame_bytes: int
    announce_parts: int
    announce_frame_bytes: int
    loss: Loss

    def cheapest(self, probability: float, receivers: int, airtime_s: Callable[[int], float]) -> Coded:
        failure = -math.expm1(math.log(probability) / receivers)
        if failure < _LEAST_FAILURE:
            message = f"a probability of {probability} for {receivers} receivers is more than the code can promise"
            raise BadLink(f"{message}: ask for less", rule="value")
        undecoded = self.undecoded()

        def symbols(failure: float) -> int:
            return self.frames + int(np.argmax(undecoded <= failure + TINY))

        least = symbols(failure)
        if not self.announce_parts:
            return Coded(least, 0)
        symbol_s, announce_s = airtime_s(self.frame_bytes), self.announce_parts * airtime_s(self.announce_frame_bytes)
        best_s, best = math.inf, Coded(least, 1)
        for announces in itertools.count(1):
            if least * symbol_s + announces * announce_s >= best_s:
                break
            unannounced = float(self.unannounced(announces)[-1])
            if unannounced < failure:
                coded = Coded(symbols((failure - unannounced) / (1 - unannounced)), announces)
                spent_s = coded.symbols * symbol_s + announces * announce_s
                if spent_s < best_s:
                    best_s, best = spent_s, coded
        return best

    def undecoded(self) -> _Floats:
        """How likely a receiver cannot decode the object from the first K, K + 1, ... symbols; the last entry is 0."""
        needed = self.frames + self.extra
        some = surplus({self.frame_bytes: needed}, self.loss)
        symbols = np.arange(self.frames, needed + some.first + len(some.weights) + 1)
        undecoded = some.exceeds(symbols - needed)
        if self.extra:
            # The first K arrive, and then too few: that is enough all the same.
            after_arrived, _ = self.loss.after(self.frame_bytes)
            first_arrive = (1 - self.loss.frame_loss(self.frame_bytes)) * (1 - after_arrived) ** (self.frames - 1)
            few = surplus({self.frame_bytes: self.extra}, self.loss, after_an_arrival=True)
            undecoded -= first_arrive * few.exceeds(symbols - needed)
        return np.clip(undecoded, 0.0, 1.0)

    def unannounced(self, announces: int) -> _Floats:
        """How likely a receiver has no whole announce after 0, 1, 2, ... frames of so many announces."""
        lost = self.loss.frame_loss(self.announce_frame_bytes)
        # Where losses come in bursts, a part and its next copy are so many frames apart, or more.
        apart = self.announce_parts + self.frames // max(announces - 1, 1)
        again = lost + (1 - lost) * self.loss.memory**apart
        missed = np.array([1.0, *(lost * again**copies for copies in range(announces + 1))])
        copies, parts = np.divmod(np.arange(announces * self.announce_parts + 1), self.announce_parts)
        had = (1 - missed[copies + 1]) ** parts * (1 - missed[copies]) ** (self.announce_parts - parts)
        return np.asarray(1.0 - had)


def _one_way_sequence(job: Job) -> tuple[_Code, Coded, _Bools, list[int]]:
    """What a one-way sender sends: the code, the numbers, which frames are of an announce, and all lengths."""
    code = _Code(job.frames, job.extra, job.frame_bytes, job.announce_parts, job.announce_frame_bytes, job.loss)
    coded = code.cheapest(job.probability, job.receivers, job.link.frame_airtime_s)
    # Spec/plada-frames-1.md section 5: the first announce before the first symbol, the last one behind the last.
    before = np.arange(coded.announces) * coded.symbols // max(coded.announces - 1, 1)
    of_announce = np.insert(np.zeros(coded.symbols, np.bool_), np.repeat(before, job.announce_parts), True)
    sizes = np.where(of_announce, job.announce_frame_bytes, job.frame_bytes).tolist()
    if coded.symbols == job.frames:
        sizes[int(np.flatnonzero(~of_announce)[-1])] = job.sizes_bytes[-1]
    return code, coded, of_announce, sizes


def _one_way(job: Job) -> _Course:
    code, coded, of_announce, sizes = _one_way_sequence(job)
    undecoded = np.concatenate([np.ones(job.frames), code.undecoded()])
    failed = undecoded[np.minimum(np.cumsum(~of_announce), len(undecoded) - 1)]
    method = "closed form"
    if job.announce_parts:
        unannounced = code.unannounced(coded.announces)[np.cumsum(of_announce)]
        failed = failed + unannounced - failed * unannounced
        if job.loss.memory and job.loss.frame_loss(job.frame_bytes):
            method = "approximation"
    with np.errstate(divide="ignore"):
        done = np.exp(job.receivers * np.log1p(-failed))
    return _sent_once(job, sizes, done, method, coded)


def _simulated_one_way(job: Job, trials: int, random: np.random.Generator) -> _Course:
    _, coded, of_announce, sizes = _one_way_sequence(job)
    channels = _Channels(job.loss, sizes, (trials, job.receivers), random)
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
    return _sent_once(job, sizes, done, "simulation", coded)


# With a return channel (sections 5.3 and 5.4): the sender goes on until it knows that all have the object.


def _until_known(
    job: Job,
    *,
    frames: float,
    sent_bytes: float,
    airtime_s: float,
    waiting_s: float,
    busy_s: _Floats,
    weights: _Floats,
    method: str,
) -> _Course:
    """The course of a sender that sends and waits in turn: means, and how long it is busy how likely."""
    turn_s = float(busy_s @ weights) / frames
    turns = np.maximum(np.rint(busy_s / turn_s), 1).astype(np.int64)
    walls_s = busy_s + _pauses_s(job.link, turns, turn_s, airtime_s / frames)
    order = np.argsort(walls_s)
    met = np.cumsum(weights[order])

    def wall_s(probability: float) -> float:
        return float(walls_s[order[min(int(np.searchsorted(met, probability - TINY)), len(order) - 1)]])

    return _Course(
        frames=frames,
        sent_bytes=sent_bytes,
        airtime_s=airtime_s,
        waiting_s=waiting_s,
        completion=1.0,
        wall_mean_s=float(walls_s @ weights),
        wall_s=wall_s,
        method=method,
    )


def _pauses_s(link: Link, turns: _Ints, turn_s: float, airtime_s: float) -> _Floats:
    """What duty cycle, quota and contact windows add to so many turns of `turn_s`, each with a frame (section 5.1)."""
    unlimited = replace(link, contact_s=None, period_s=None)
    step_s = unlimited.schedule_s(2, airtime_s) - unlimited.schedule_s(1, airtime_s)
    share = min(turn_s / step_s, 1.0)
    limited = replace(link, model=None, frame_packets=1, messages_per_day=None, duty_cycle=share)
    pauses_s: _Floats = limited.schedule_s(turns, turn_s) - turns * turn_s
    return pauses_s


def _stop_and_wait(job: Job) -> _Course:
    counts = Counter(job.sizes_bytes)
    extra = surplus(counts, job.loss, job.return_loss, job.receivers)
    needed = len(job.sizes_bytes) * job.receivers
    tries = needed + extra.first + np.arange(len(extra.weights))
    arrive = {size: (1 - job.loss.frame_loss(size)) * (1 - job.return_loss) for size in counts}
    sent = {size: count * job.receivers / arrive[size] for size, count in counts.items()}
    # Nothing is known of the channel when a receiver's turn comes: with memory, its first frame takes longer.
    first = job.sizes_bytes[0]
    after_arrived, after_lost = job.loss.after(first)
    sent[first] += job.receivers * (job.loss.frame_loss(first) - after_arrived) / (1 - after_lost)
    frames = sum(sent.values())
    airtime_s = sum(count * job.link.frame_airtime_s(size) for size, count in sent.items())
    return _until_known(
        job,
        frames=frames,
        sent_bytes=sum(count * size for size, count in sent.items()),
        airtime_s=airtime_s,
        waiting_s=frames * job.waiting_s(),
        busy_s=tries * (airtime_s / frames + job.waiting_s()) + (tries - needed) * job.link.retry_s,
        weights=extra.weights,
        method="closed form",
    )


def _simulated_stop_and_wait(job: Job, trials: int, random: np.random.Generator) -> _Course:
    sizes = job.sizes_bytes
    shape = (trials, job.receivers)
    channels = _Channels(job.loss, sizes, shape, random)
    airtimes_s = np.array([job.link.frame_airtime_s(size) for size in sizes])
    sent = np.zeros((len(sizes), trials))
    for frame in range(len(sizes)):
        pending = np.ones(shape, np.bool_)
        while pending.any():
            sent[frame] += pending.sum(axis=1)
            pending &= channels.lost(frame, pending) | (random.random(shape) < job.return_loss)
    tries, airtime_s = sent.sum(axis=0), airtimes_s @ sent
    waiting_s = tries * job.waiting_s()
    retries_s = (tries - len(sizes) * job.receivers) * job.link.retry_s
    return _simulated(job, tries, sizes @ sent, airtime_s, waiting_s, airtime_s + waiting_s + retries_s)


def _simulated(
    job: Job, frames: _Floats, sent_bytes: _Floats, airtime_s: _Floats, waiting_s: _Floats, busy_s: _Floats
) -> _Course:
    """The course of what became of each trial."""
    return _until_known(
        job,
        frames=float(frames.mean()),
        sent_bytes=float(sent_bytes.mean()),
        airtime_s=float(airtime_s.mean()),
        waiting_s=float(waiting_s.mean()),
        busy_s=busy_s,
        weights=np.full(len(busy_s), 1 / len(busy_s)),
        method="simulation",
    )


def _nack(job: Job) -> _Course | None:
    """By formula where nothing at all is lost, or where one burst holds all frames and losses are independent."""
    counts = Counter(job.sizes_bytes)
    count = len(job.sizes_bytes)
    losses = {size: job.loss.frame_loss(size) for size in counts}
    if not any(losses.values()) and not job.return_loss:
        mean_tries = dict.fromkeys(counts, 1.0)
        lists, tries, weights = np.array([-(-count // job.burst_frames)]), np.array([count]), np.ones(1)
    elif job.loss.memory or count > job.burst_frames:
        return None
    else:
        # After so many rounds it is all but sure that no receiver misses a frame.
        rounds = enough_tries(max(losses.values()), count * job.receivers)
        most_lists = rounds * enough_tries(job.return_loss, job.receivers)
        if most_lists * rounds * count > _MAX_ENTRIES:
            return None
        had = {size: (1 - loss ** np.arange(rounds + 1.0)) ** job.receivers for size, loss in losses.items()}
        mean_tries = {size: float(np.sum(1 - had[size])) for size in counts}
        joint = rounds_and_frames([(np.diff(had[size], prepend=0.0), number) for size, number in counts.items()])
        joint = _lists_of_rounds(rounds, job) @ joint
        lists, tries = np.nonzero(joint > TINY / joint.size)
        weights = joint[lists, tries]
    sent = {size: number * mean_tries[size] for size, number in counts.items()}
    frames = sum(sent.values())
    airtime_s = sum(number * job.link.frame_airtime_s(size) for size, number in sent.items())
    waits_s = lists * job.waiting_s(job.receivers)
    return _until_known(
        job,
        frames=frames,
        sent_bytes=sum(number * size for size, number in sent.items()),
        airtime_s=airtime_s,
        waiting_s=float(waits_s @ weights),
        busy_s=tries * (airtime_s / frames) + waits_s,
        weights=weights,
        method="closed form",
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


def _simulated_nack(job: Job, trials: int, random: np.random.Generator) -> _Course:
    sizes = job.sizes_bytes
    places = min(job.burst_frames, len(sizes))
    channels = _Channels(job.loss, sizes, (trials, job.receivers), random)
    # Each place of the burst has a frame until all receivers have it, then the next one.
    frame = np.zeros((trials, places), np.int64)
    missing = np.zeros((trials, places, job.receivers), np.bool_)
    begun = np.zeros(trials, np.int64)
    lists, sent, sent_bytes, airtime_s = np.zeros((4, trials))
    sizes_bytes = np.array(sizes)
    airtimes_s = np.array([job.link.frame_airtime_s(size) for size in sizes])
    while True:
        free = ~missing.any(axis=2)
        following = begun[:, None] + np.cumsum(free, axis=1) - 1
        starts = free & (following < len(sizes))
        frame[starts] = following[starts]
        missing[starts] = True
        begun += starts.sum(axis=1)
        sends = np.any(missing, axis=2)
        if not sends.any():
            break
        for place in range(places):
            missing[:, place] &= channels.lost(frame[:, place, None], sends[:, place, None])
        sent += sends.sum(axis=1)
        sent_bytes += (sizes_bytes[frame] * sends).sum(axis=1)
        airtime_s += (airtimes_s[frame] * sends).sum(axis=1)
        lists += random.geometric(1 - job.return_loss, (trials, job.receivers)).max(axis=1) * sends.any(axis=1)
    waiting_s: _Floats = lists * job.waiting_s(job.receivers)
    return _simulated(job, sent, sent_bytes, airtime_s, waiting_s, airtime_s + waiting_s)


class _Channels:
    """Channels side by side, each with the same loss and independent of the others.

    Args:
        loss: what they lose.
        sizes_bytes: the sizes of the frames that will be sent.
        shape: of the array of channels.
        random: where chance comes from.
    """

    def __init__(
        self, loss: Loss, sizes_bytes: Sequence[int], shape: tuple[int, ...], random: np.random.Generator
    ) -> None:
        self._random = random
        self._after_arrived, self._after_lost = np.array([loss.after(size) for size in sizes_bytes]).T
        self._lost: _Bools = random.random(shape) < loss.frame_loss(sizes_bytes[0])

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


#: Section 5: by name, the formulas of a strategy (which give None where only a simulation helps), and its simulation.
_STRATEGIES: dict[str, tuple[_Formula, _Simulation]] = {
    "single": (_single, _simulated_single),
    "stop-and-wait": (_stop_and_wait, _simulated_stop_and_wait),
    "nack": (_nack, _simulated_nack),
    "one-way": (_one_way, _simulated_one_way),
}
STRATEGIES = tuple(_STRATEGIES)
