"""Budgets: how long an object takes over a link, what that costs, how much fits (spec/link-budget.md section 6).

    conditions = Conditions(loss=IndependentLoss(0.1), distance_m=3000)
    found = budget(5000, link("uwm-5k"), conditions)
    found.delivery.wall_p99_s, found.inputs
    max_bytes(link("uwm-5k"), 60, conditions)

All times are in seconds, sizes in bytes, distances in metres.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

from plada_codec.delivery import Delivery, Job, deliver
from plada_codec.errors import InvalidPayload, PladaError
from plada_codec.frames.frame import MAX_FRAME_BYTES, MAX_SYMBOLS, OVERHEAD_BYTES
from plada_codec.frames.sending import layout
from plada_codec.links import BadLink, Link
from plada_codec.loss import IndependentLoss, Loss

#: Spec/plada-frames-1.md section 1: an object of K > 1 symbols comes back from any K + 2.
EXTRA_SYMBOLS = 2
#: The section of spec/link-budget.md that has the formulas of each strategy.
_SECTIONS = {"single": "5.2", "stop-and-wait": "5.3", "nack": "5.4", "one-way": "5.5"}
_UNITS = {"_bytes": "B", "_s": "s", "_m": "m", "_j": "J", "joules_per_bit": "J/bit"}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a delivery must do, besides carrying an object over a link (section 6.1).

    Attributes:
        strategy: one of `plada_codec.delivery.STRATEGIES`.
        loss: which frames are lost; None takes the loss rate of the link's profile, or 0 where that has none.
        distance_m: to the farthest receiver; None is 0 m, the delay of the link alone.
        receivers: how many must have the object.
        probability: with which all of them must have it.
        frame_bytes: longest frame; None takes the longest that the link takes.
        header_bytes: None for PLADA frames; else pieces of the object behind so many bytes, and no announce.
        padded: whether the last of such pieces is padded to the length of the others.
        acknowledgement_bytes: length of an acknowledgement, or of a NACK list.
        return_loss: share of those that are lost.
        burst_frames: how many frames go between two NACK lists.
    """

    strategy: str = "one-way"
    loss: Loss | None = None
    distance_m: float | None = None
    receivers: int = 1
    probability: float = 0.99
    frame_bytes: int | None = None
    header_bytes: int | None = None
    padded: bool = False
    acknowledgement_bytes: int = 8
    return_loss: float = 0.0
    burst_frames: int = 32


@dataclass(frozen=True)
class Used:
    """A number that a budget used or found, and where it comes from (section 6.5).

    Attributes:
        name: as in `Link`, `Conditions`, `Job` and `Delivery`.
        value: in `unit`.
        unit: SI, "B" for bytes, "" for plain numbers.
        source: a mark of the profile's ("verified", "secondary", "unverified", "assumed"), "option", "default",
            or "formula".
        note: what the profile says about it, or the section that has the formula.
    """

    name: str
    value: float | str
    unit: str
    source: str
    note: str = ""


@dataclass(frozen=True)
class Budget:
    """What `budget` found.

    Attributes:
        link: the link.
        conditions: what was asked.
        job: what is sent: frames and their lengths.
        delivery: what that takes.
    """

    link: Link
    conditions: Conditions
    job: Job
    delivery: Delivery

    def fits(self, within_s: float) -> bool:
        """Whether all receivers have the object within so many seconds, with the probability asked (section 6.3)."""
        return self.delivery.wall_s <= within_s

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known before one relies on it, a sentence each."""
        distance_m, range_m = self.conditions.distance_m, self.link.max_range_m
        notes = []
        if distance_m is not None and range_m is not None and distance_m > range_m:
            notes.append(f"{distance_m:g} m is beyond its range of {range_m:g} m")
        if distance_m is None and self.link.speed_m_per_s is not None:
            notes.append("no distance is said, so no time is counted for it")
        return tuple(notes)

    @property
    def inputs(self) -> tuple[Used, ...]:
        """The numbers used: options, the profile's, and what the frames come to."""
        profile = (
            Used(name, number.value, number.unit, number.mark, number.note)
            for name, number in self.link.numbers.items()
        )
        return (*_asked(self), *profile, *_cut(self))

    @property
    def results(self) -> tuple[Used, ...]:
        """The numbers found."""
        note = f"{_section(_SECTIONS[self.delivery.strategy])}, {self.delivery.method}"
        found = ((field.name, getattr(self.delivery, field.name)) for field in fields(self.delivery))
        return tuple(
            Used(name, value, _unit(name), "formula", note)
            for name, value in found
            if value is not None and name not in ("strategy", "method")
        )

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON: numbers in SI; None for what is unknown or without end."""
        numbers = {field.name: _json(getattr(self.delivery, field.name)) for field in fields(self.delivery)}
        return {
            "link": self.link.id,
            "object_bytes": self.job.object_bytes,
            "frame_bytes": self.job.frame_bytes,
            **numbers,
            "notes": list(self.notes),
            "inputs": [{name: _json(value) for name, value in vars(used).items()} for used in self.inputs],
            "results": [{name: _json(value) for name, value in vars(used).items()} for used in self.results],
        }


def budget(object_bytes: int, link: Link, conditions: Conditions = Conditions()) -> Budget:
    """How an object of `object_bytes` bytes is delivered over `link`, and what that takes.

    Raises:
        BadLink: (option) if the profile leaves open what is needed; (frame-bytes) if frames are longer than the link
            takes or hold nothing; and as `deliver`.
        InvalidPayload: (object, frame-bytes) as `plada_codec.frames.layout`, for PLADA frames.
        LimitExceeded: (limits) if the object is longer than frames can carry.

    At 3 km, where a tenth of the frames is lost, one-way coding is six times as fast as stop-and-wait (section 7):

    >>> from plada_codec.links import link
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> for strategy in "stop-and-wait", "one-way":
    ...     asked = Conditions(strategy=strategy, loss=IndependentLoss(0.1), distance_m=3000, probability=0.999)
    ...     found = budget(5000, modem, replace(asked, header_bytes=8, padded=True)).delivery
    ...     print(f"{strategy}: {found.frames:.1f} frames, {found.airtime_s:.1f} s on the air, {found.wall_s:.2f} s")
    stop-and-wait: 22.2 frames, 9.4 s on the air, 128.62 s
    one-way: 31.0 frames, 13.1 s on the air, 15.09 s
    """
    job = _job(object_bytes, link, conditions)
    return Budget(link, conditions, job, deliver(conditions.strategy, job))


def max_bytes(link: Link, within_s: float, conditions: Conditions = Conditions()) -> int:
    """How many bytes fit: N arrive within `within_s` seconds, and N + 1 do not; 0 if none does (section 6.3).

    What just fills its frames may take longer than what needs one frame more, as that makes all of them shorter. So it
    is asked also that the largest object with a frame less than N arrives in time.

    Raises:
        BadLink, InvalidPayload: as `budget`.
    """

    def arrives(size: int) -> bool:
        try:
            return budget(size, link, conditions).fits(within_s)
        except PladaError:  # it is too long to be sent at all
            return False

    def too_long(size: int) -> bool:
        if not arrives(size):
            return True
        frames = _job(size, link, conditions).frames
        filled = bisect_left(range(1, size), frames, key=lambda less: _job(less, link, conditions).frames)
        return filled > 0 and not arrives(filled)

    budget(1, link, conditions)  # what is wrong with the conditions is an error
    largest = 1
    while not too_long(largest):
        largest *= 2
    return bisect_left(range(1, largest), True, key=too_long)


def best_frame_bytes(object_bytes: int, link: Link, conditions: Conditions) -> int:
    """The length of frames, up to the link's longest, with which the object arrives first (section 6.4).

    It is the wall time with the probability asked that counts, then the airtime, then the length. Short frames spend
    more on headers, long ones lose more to bit errors: `conditions.loss` should be BitErrors.

    Raises:
        As `budget`.
    """
    longest = _longest(link, replace(conditions, frame_bytes=None))
    lengths: dict[Job, int] = {}
    for length in range(1, longest + 1):
        try:
            lengths.setdefault(_job(object_bytes, link, replace(conditions, frame_bytes=length)), length)
        except PladaError:  # too short for the object, or so long that all but nothing arrives
            if length == longest and not lengths:
                raise

    def cost(job: Job) -> tuple[float, float, int]:
        delivery = deliver(conditions.strategy, job)
        return delivery.wall_s, delivery.airtime_s, lengths[job]

    return lengths[min(lengths, key=cost)]


def _longest(link: Link, conditions: Conditions) -> int:
    """The longest frame that may be sent. A link that leaves its MTU open needs a length from the conditions."""
    if conditions.frame_bytes is None:
        return min(link.max_frame_bytes, MAX_FRAME_BYTES)
    link.frame_airtime_s(conditions.frame_bytes)  # refuses what the link does not take
    return conditions.frame_bytes


def _job(object_bytes: int, link: Link, conditions: Conditions) -> Job:
    """The frames of an object (section 6.2)."""
    longest = _longest(link, conditions)
    last_frame_bytes: int | None = None
    announce_parts = announce_frame_bytes = 0
    if conditions.header_bytes is None:
        cut = layout(object_bytes, longest)
        frames, frame_bytes = cut.symbols, cut.frame_bytes
        announce_parts, announce_frame_bytes = cut.announce_parts, cut.part_bytes + OVERHEAD_BYTES
    else:
        frames, frame_bytes, last_frame_bytes = _pieces(object_bytes, longest, conditions)
    return Job(
        link=link,
        object_bytes=object_bytes,
        frames=frames,
        frame_bytes=frame_bytes,
        last_frame_bytes=last_frame_bytes,
        extra=EXTRA_SYMBOLS if frames > 1 else 0,
        announce_parts=announce_parts,
        announce_frame_bytes=announce_frame_bytes,
        loss=_loss(link, conditions),
        distance_m=conditions.distance_m,
        receivers=conditions.receivers,
        probability=conditions.probability,
        return_loss=conditions.return_loss,
        acknowledgement_bytes=conditions.acknowledgement_bytes,
        burst_frames=conditions.burst_frames,
    )


def _pieces(object_bytes: int, longest: int, conditions: Conditions) -> tuple[int, int, int | None]:
    """Number of frames, their length, and the last one's where it is another, of pieces behind a header."""
    header_bytes = conditions.header_bytes or 0
    room = longest - header_bytes
    if room < 1:
        message = f"frames of {longest} bytes hold nothing behind a header of {header_bytes}: the smallest have"
        raise BadLink(f"{message} {header_bytes + 1}", rule="frame-bytes")
    if object_bytes < 1:
        raise InvalidPayload("an object of 0 bytes cannot be sent", rule="object")
    frames = -(-object_bytes // room)
    if frames > MAX_SYMBOLS:
        message = f"{object_bytes} bytes are {frames} pieces of {room}, and more than {MAX_SYMBOLS} are not computed"
        raise BadLink(message, rule="frame-bytes")
    if frames == 1 and not conditions.padded:
        return 1, object_bytes + header_bytes, None
    # Symbols of a code are of one length.
    whole = conditions.padded or conditions.strategy == "one-way"
    return frames, longest, None if whole else object_bytes - (frames - 1) * room + header_bytes


def _loss(link: Link, conditions: Conditions) -> Loss:
    return IndependentLoss(link.loss or 0.0) if conditions.loss is None else conditions.loss


def _asked(found: Budget) -> Iterator[Used]:
    """The options, and the loss where the profile has none."""
    yield Used("object_bytes", found.job.object_bytes, "B", "option")
    for field in fields(Conditions):
        value = getattr(found.conditions, field.name)
        if value is not None and field.name not in ("strategy", "loss"):
            yield Used(field.name, value, _unit(field.name), "default" if value == field.default else "option")
    if found.conditions.loss is not None:
        yield Used("loss", repr(found.conditions.loss), "", "option")
    elif found.link.loss is None:
        yield Used("loss", 0, "", "default", "neither the profile nor an option says it")


def _cut(found: Budget) -> Iterator[Used]:
    """The frames, and what the link makes of one."""
    link, job = found.link, found.job
    rules = "spec/plada-frames-1.md, 5" if found.conditions.header_bytes is None else _section("6.2")
    yield Used("data_frames", job.frames, "", "formula", rules)
    yield Used("data_frame_bytes", job.frame_bytes, "B", "formula", rules)
    if job.announce_parts:
        yield Used("announce_parts", job.announce_parts, "", "formula", rules)
        yield Used("announce_frame_bytes", job.announce_frame_bytes, "B", "formula", rules)
    yield Used("frame_airtime_s", link.frame_airtime_s(job.frame_bytes), "s", "formula", _section("2"))
    yield Used("delay_s", link.delay_s(job.distance_m), "s", "formula", _section("2.5"))
    yield Used("frame_loss", job.loss.frame_loss(job.frame_bytes), "", "formula", _section("4"))


def _section(number: str) -> str:
    return f"spec/link-budget.md, {number}"


def _unit(name: str) -> str:
    """The unit that a name ends with."""
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
