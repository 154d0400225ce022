"""Budgets: the time and energy of a delivery over a link, and the bytes that fit (spec/link-budget.md section 6).

    >>> from plada_codec.links.loss import IndependentLoss
    >>> from plada_codec.links.profiles import link
    >>> conditions = Conditions(loss=IndependentLoss(0.1), distance_m=3000)
    >>> found = budget(5000, link("uwm-5k"), conditions)
    >>> round(found.delivery.wall_s, 2)
    14.12
    >>> [f"{number.name} = {number.value} {number.unit} ({number.source})" for number in found.inputs][:2]
    ['object_bytes = 5000 B (option)', 'distance_m = 3000 m (option)']

All times are in seconds, sizes in bytes, distances in metres.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from dataclasses import asdict, dataclass, replace
from typing import Any

from plada_codec.errors import InvalidArgument, PladaError
from plada_codec.frames.frame import MAX_FRAME_BYTES
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.budgets.layout import FrameLayout, frame_layout
from plada_codec.links.budgets.trace import TracedNumber, inputs_of, results_of
from plada_codec.links.delivery.deliveries import Delivery, compute_delivery
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.link import Link
from plada_codec.links.loss import IndependentLoss


@dataclass(frozen=True)
class Budget:
    """The budget of an object on a link.

    Attributes:
        link: the link.
        conditions: the conditions of the delivery.
        frame_bytes: the longest frame that may be sent: the one asked for, the best, or the link's longest.
        job: the frames that are delivered.
        delivery: the cost of the delivery.
        best_frame_bytes: the result of `best_frame_bytes`, if it was asked for; else None.
    """

    link: Link
    conditions: Conditions
    frame_bytes: int
    job: DeliveryJob
    delivery: Delivery
    best_frame_bytes: int | None = None

    def fits(self, within_s: float) -> bool:
        """Whether the object arrives within so many seconds, with the probability asked for (section 6.3)."""
        return self.delivery.wall_s <= within_s

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks to read before one relies on the budget."""
        distance_m, range_m = self.conditions.distance_m, self.link.max_range_m
        # A sentence of the profile's note that asks for an option has no point if the number is known.
        known = {"--contact": self.link.contact_s, "--mtu": self.link.mtu_bytes}
        sentences = re.split(r"(?<=\.) ", self.link.note)
        wanted = [each for each in sentences if all(known[option] is None for option in known if option in each)]
        notes = [" ".join(wanted)] if any(wanted) else []
        if distance_m is not None and range_m is not None and distance_m > range_m:
            notes.append(f"{distance_m:g} m is beyond its range of {range_m:g} m")
        if distance_m is not None and self.link.speed_m_per_s is None:
            notes.append("without a speed of its waves (--speed), the distance costs no time")
        return tuple(notes)

    @property
    def inputs(self) -> tuple[TracedNumber, ...]:
        """The numbers that the budget used: conditions, numbers of the link, frames."""
        return inputs_of(self)

    @property
    def results(self) -> tuple[TracedNumber, ...]:
        """The numbers that the budget found, also those that are unknown."""
        return results_of(self)

    def as_dict(self) -> dict[str, Any]:
        """All of the budget, for JSON: numbers in SI units, None for an unknown one, "never" for an infinite time."""
        return {
            "link": self.link.id,
            "object_bytes": self.job.object_bytes,
            "frame_bytes": self.frame_bytes,
            "data_frame_bytes": self.job.frame_bytes,
            "best_frame_bytes": self.best_frame_bytes,
            **{name: _tidy(value) for name, value in asdict(self.delivery).items()},
            "notes": list(self.notes),
            "inputs": [vars(number) | {"value": _tidy(number.value)} for number in self.inputs],
            "results": [vars(number) | {"value": _tidy(number.value)} for number in self.results],
        }


def budget(object_bytes: int, link: Link, conditions: Conditions = Conditions()) -> Budget:
    """The budget of an object of `object_bytes` bytes on `link`.

    Raises:
        LinkError: (`option`) if the profile leaves open a number that is needed; (`frame-bytes`) if frames are longer
            than the link takes, or bare pieces do not fit them; (`contact`) if a frame is longer than a contact.
        InvalidArgument: (`object`) if the object is empty; (`frame-bytes`) if PLADA frames are too short for it;
            (`value`, `loss`) as `DeliveryJob` and `compute_delivery`.
        LimitExceeded: (`limits`) if the object is longer than PLADA frames can carry.

    At 3 km, with a tenth of the frames lost, one-way coding is 8.5 times as fast as stop-and-wait, with probability
    99.9% (section 7):

    >>> from plada_codec.links.loss import IndependentLoss
    >>> from plada_codec.links.profiles import link
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> at_3_km = Conditions(loss=IndependentLoss(0.1), distance_m=3000, probability=0.999)
    >>> for strategy in "stop-and-wait", "one-way":
    ...     conditions = replace(at_3_km, strategy=strategy, piece_header_bytes=8, padded_pieces=True)
    ...     found = budget(5000, modem, conditions).delivery
    ...     print(f"{strategy}: {found.frames:.1f} frames, {found.airtime_s:.1f} s on the air, {found.wall_s:.2f} s")
    stop-and-wait: 22.2 frames, 9.4 s on the air, 128.62 s
    one-way: 31.0 frames, 13.1 s on the air, 15.09 s
    """
    frame_bytes = _longest_frame_bytes(object_bytes, link, conditions)
    job = _job(link, conditions, object_bytes, frame_layout(object_bytes, frame_bytes, conditions))
    best = frame_bytes if conditions.frame_bytes == "best" else None
    return Budget(link, conditions, frame_bytes, job, compute_delivery(conditions.strategy, job), best)


def max_bytes(link: Link, within_s: float, conditions: Conditions = Conditions()) -> int:
    """The number of bytes that fit: N bytes arrive within `within_s` seconds, and N + 1 do not (section 6.3).

    It is 0 if not one byte arrives in time. An object that just fills its frames may take longer than a longer object
    that needs one frame more, which makes all frames shorter. So the largest object with one frame fewer than N bytes
    need must arrive in time, too.

    Raises:
        InvalidArgument: (`value`) if `within_s` is no time, or if `conditions.frame_bytes` is "best".
        InvalidArgument, LinkError: as `budget`.

    >>> from plada_codec.links.loss import IndependentLoss
    >>> from plada_codec.links.profiles import link
    >>> max_bytes(link("nanomodem-v3"), 20 * 60, Conditions(loss=IndependentLoss(0.3), receivers=40))
    39144
    """
    if not 0 <= within_s < math.inf:
        raise InvalidArgument(f"within_s must be 0 or more, not {within_s:g}", rule="value")
    if conditions.frame_bytes == "best":
        raise InvalidArgument("frames can be the best for one object only: give their length", rule="value")

    def frames(size: int) -> int:
        return frame_layout(size, _longest_frame_bytes(size, link, conditions), conditions).frames

    def arrives(size: int) -> bool:
        try:
            return budget(size, link, conditions).fits(within_s)
        except PladaError:  # it is too long to be sent at all
            return False

    def too_long(size: int) -> bool:
        if not arrives(size):
            return True
        filled = bisect_left(range(1, size), frames(size), key=frames)
        return filled > 0 and not arrives(filled)

    budget(1, link, conditions)  # raises if the conditions are wrong
    largest = 1
    while not too_long(largest):
        largest *= 2
    return bisect_left(range(1, largest), True, key=too_long)


def best_frame_bytes(object_bytes: int, link: Link, conditions: Conditions) -> int:
    """The length of the longest frame, up to the link's longest, with which the object arrives first (section 6.4).

    Lengths are compared by the wall time with the probability asked for, then by airtime, then by themselves. Short
    frames spend more on headers, long ones lose more to bit errors: `conditions.loss` should be BitErrors.

    Raises:
        InvalidArgument, LimitExceeded, LinkError: as `budget`.

    >>> from plada_codec.links.loss import BitErrors
    >>> from plada_codec.links.profiles import link
    >>> best_frame_bytes(5000, link("uwm-5k"), Conditions(loss=BitErrors(1e-4)))
    63
    """
    longest = _longest_frame_bytes(object_bytes, link, replace(conditions, frame_bytes=None))
    seen: set[FrameLayout] = set()
    candidates: list[tuple[float, int, DeliveryJob]] = []
    best: tuple[float, float, int] | None = None
    problem: PladaError | None = None
    for length in range(1, longest + 1):
        try:
            layout = frame_layout(object_bytes, length, conditions)
            if layout not in seen:
                seen.add(layout)
                job = _job(link, conditions, object_bytes, layout)
                candidates.append((_least_wall_s(job), length, job))
        except PladaError as error:  # too short for the object, or so long that almost nothing arrives
            problem = error
    # Lengths that may be the best come first. Those that cannot be the best are not computed.
    for least_s, length, job in sorted(candidates, key=lambda candidate: candidate[:2]):
        if best is not None and least_s > best[0]:
            break
        try:
            delivery = compute_delivery(conditions.strategy, job)
        except PladaError as error:
            problem = error
        else:
            cost = delivery.wall_s, delivery.airtime_s, length
            best = cost if best is None else min(best, cost)
    if best is None:
        assert problem is not None
        raise problem
    return best[2]


def _least_wall_s(job: DeliveryJob) -> float:
    """A lower bound of the wall time, for any strategy.

    K frames arrive among the first n with a probability of at most n (1 - p) / K (Markov's inequality).
    """
    frames = job.frames - (job.last_frame_bytes is not None)
    arrive = 1 - job.air_loss.frame_loss(job.frame_bytes)
    sent = max(math.ceil(job.probability * frames / arrive), 1)
    airtime_s = job.link.frame_airtime_s(job.frame_bytes if frames else job.last_frame_bytes or 1)
    return job.link.schedule_s(sent, airtime_s) + job.link.delay_s(job.distance_m)


def _longest_frame_bytes(object_bytes: int, link: Link, conditions: Conditions) -> int:
    """The longest frame that may be sent. For a link that leaves its MTU open, the conditions must have a length."""
    if conditions.frame_bytes is None:
        return min(link.max_frame_bytes, MAX_FRAME_BYTES)
    if conditions.frame_bytes == "best":
        return best_frame_bytes(object_bytes, link, conditions)
    link.frame_airtime_s(conditions.frame_bytes)  # raises if the link does not take such frames
    return conditions.frame_bytes


def _job(link: Link, conditions: Conditions, object_bytes: int, layout: FrameLayout) -> DeliveryJob:
    return DeliveryJob(
        link=link,
        object_bytes=object_bytes,
        **layout._asdict(),
        loss=IndependentLoss(link.loss or 0.0) if conditions.loss is None else conditions.loss,
        distance_m=conditions.distance_m,
        receivers=conditions.receivers,
        probability=conditions.probability,
        return_loss=conditions.return_loss,
        acknowledgement_bytes=conditions.acknowledgement_bytes,
        nack_burst_frames=conditions.nack_burst_frames,
    )


def _tidy(value: Any) -> Any:
    """Twelve digits: more than is known, and fewer than rounding errors spoil."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return "never"
    tidy = float(f"{value:.12g}")
    return int(tidy) if tidy.is_integer() else tidy
