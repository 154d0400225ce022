"""The strategy `nack`: bursts of frames, and lists of the missing ones (spec/link-budget.md section 5.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plada_codec.links.delivery.base import Strategy
from plada_codec.links.delivery.distributions import TINY, enough_tries, quantile, tries_within_rounds
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.outcome import CLOSED_FORM, DeliveryOutcome
from plada_codec.links.delivery.simulation import SimulatedChannels, SimulatedSender

#: Section 5.4: a joint distribution with more entries is not summed up, but simulated.
_MAX_ENTRIES = 4_000_000


class Nack(Strategy):
    """Bursts of frames; after each burst, every receiver sends a list of the frames that it misses."""

    summary = "bursts of frames, and lists of the missing ones"
    section = "5.4"
    waits_for_answers = True
    conditions = ("acknowledgement_bytes", "return_loss", "nack_burst_frames")

    def compute(self, job: DeliveryJob) -> DeliveryOutcome | None:
        """There are formulas if nothing at all is lost, or one burst holds all frames and losses are independent.

        Limits of the link can make a sender pause even after the answers. The length of the pause depends on the last
        frame of each burst.
        """
        link = job.link
        if link.contact_s is not None:
            return None
        if not job.return_loss and not any(job.air_loss.frame_loss(size) for size in job.counts):
            return _outcome_without_loss(job)
        limited = link.duty_cycle is not None or link.messages_per_day is not None
        if limited or job.loss.memory or job.counts.total() > job.nack_burst_frames:
            return None
        return _outcome_of_one_burst(job)

    def simulate(self, job: DeliveryJob, trials: int, random: np.random.Generator) -> DeliveryOutcome:
        sizes = job.sizes_bytes
        places = min(job.nack_burst_frames, len(sizes))
        channels = SimulatedChannels(job.air_loss, sizes, (trials, job.receivers), random)
        sender = SimulatedSender(job, sizes, trials, answers=job.receivers)
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
                return sender.outcome()
            last = places - 1 - np.argmax(sends[:, ::-1], axis=1)
            for place in range(places):
                sender.send(frame[:, place], sends=sends[:, place], waits=sends[:, place] & (last == place))
                missing[:, place] &= channels.lost(frame[:, place, None], sends[:, place, None])
            lists = random.geometric(1 - job.return_loss, (trials, job.receivers)).max(axis=1) * sends.any(axis=1)
            for number in range(1, int(lists.max())):
                sender.wait_again(lists > number)
            sender.retry(np.asarray(missing.any(axis=(1, 2))))


def _outcome_without_loss(job: DeliveryJob) -> DeliveryOutcome:
    sizes = job.sizes_bytes
    distinct, places = np.unique(sizes, return_inverse=True)
    airtimes_s = [job.link.frame_airtime_s(int(size)) for size in distinct]
    waiting_s = job.waiting_s(job.receivers)
    steps_s = np.array([job.link.step_s(airtime_s) for airtime_s in airtimes_s])[places]
    ends = slice(job.nack_burst_frames - 1, None, job.nack_burst_frames)
    steps_s[ends] = np.array([job.link.step_s(airtime_s, waiting_s) for airtime_s in airtimes_s])[places[ends]]
    wall_s = float(steps_s[:-1].sum()) + job.link.span_s(airtimes_s[places[-1]]) + waiting_s
    return DeliveryOutcome(
        frames=len(sizes),
        sent_bytes=int(sizes.sum()),
        airtime_s=float(np.array(airtimes_s)[places].sum()),
        waiting_s=-(-len(sizes) // job.nack_burst_frames) * waiting_s,
        completion=1.0,
        wall_mean_s=wall_s,
        wall_s=lambda probability: wall_s,
        method=CLOSED_FORM,
    )


def _outcome_of_one_burst(job: DeliveryJob) -> DeliveryOutcome | None:
    counts, waiting_s = job.counts, job.waiting_s(job.receivers)
    airtimes_s = {size: job.link.frame_airtime_s(size) for size in counts}
    losses = {size: job.air_loss.frame_loss(size) for size in counts}
    # After this number of rounds it is almost certain that no receiver misses a frame.
    rounds = enough_tries(max(losses.values()), counts.total() * job.receivers)
    most_lists = rounds * enough_tries(job.return_loss, job.receivers)
    if most_lists * rounds * counts.total() > _MAX_ENTRIES:
        return None
    had = {size: (1 - loss ** np.arange(rounds + 1.0)) ** job.receivers for size, loss in losses.items()}
    sent = {size: count * float(np.sum(1 - had[size])) for size, count in counts.items()}
    # Probability that a number of rounds (rows) is enough, and that the frames take a time in them (columns).
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
    return DeliveryOutcome(
        frames=sum(sent.values()),
        sent_bytes=sum(number * size for size, number in sent.items()),
        airtime_s=sum(number * airtimes_s[size] for size, number in sent.items()),
        waiting_s=float(lists @ weights) * waiting_s,
        completion=1.0,
        wall_mean_s=float(walls_s @ weights),
        wall_s=lambda probability: quantile(walls_s, weights, probability),
        method=CLOSED_FORM,
    )


def _lists_of_rounds(rounds: int, job: DeliveryJob) -> NDArray[np.float64]:
    """Probability that all receivers together need a number of turns of lists (rows) in a number of rounds (columns).

    A turn is repeated until a list of each receiver has arrived.
    """
    most = enough_tries(job.return_loss, job.receivers)
    had = (1 - job.return_loss ** np.arange(most + 1.0)) ** job.receivers
    lists = np.zeros((rounds * most + 1, rounds + 1))
    lists[0, 0] = 1.0
    for number in range(rounds):
        lists[:, number + 1] = np.convolve(lists[:, number], np.diff(had, prepend=0.0))[: len(lists)]
    return lists
