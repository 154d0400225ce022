"""Budgets: how long an object takes over a link, what that costs, how much fits (spec/link-budget.md section 6).

    >>> from plada_codec.links.profiles import link
    >>> conditions = Conditions(loss=IndependentLoss(0.1), distance_m=3000)
    >>> found = budget(5000, link("uwm-5k"), conditions)
    >>> round(found.delivery.wall_s, 2)
    14.12
    >>> [f"{used.name} = {used.value} {used.unit} ({used.source})" for used in found.inputs][:2]
    ['object_bytes = 5000 B (option)', 'distance_m = 3000 m (option)']

All times are in seconds, sizes in bytes, distances in metres.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, NamedTuple

from plada_codec.errors import InvalidArgument, LinkError, PladaError
from plada_codec.frames.frame import MAX_FRAME_BYTES, MAX_SYMBOLS
from plada_codec.frames.sending import EXTRA_SYMBOLS, layout, longest_symbol_bytes
from plada_codec.links.delivery.job import check_range
from plada_codec.links.delivery.strategies import Delivery, Job, deliver
from plada_codec.links.link import Link
from plada_codec.links.loss import IndependentLoss, Loss
from plada_codec.links.profiles import links

#: Section 6.1.
MAX_RECEIVERS = 1_000_000
#: The section that has the formulas of each strategy.
_SECTIONS = {"single": "5.2", "stop-and-wait": "5.3", "nack": "5.4", "one-way": "5.5"}
#: Strategies whose senders wait for answers.
_ANSWERED = ("stop-and-wait", "nack")
_UNITS = {"_bytes": "B", "_s": "s", "_m": "m", "_j": "J", "joules_per_bit": "J/bit"}


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What a delivery must do, besides carrying an object over a link (section 6.1).

    Attributes:
        strategy: one of `plada_codec.links.delivery.strategies.STRATEGIES`.
        loss: which frames are lost; None takes the loss rate of the link's profile, or 0 where that has none.
        distance_m: to the farthest receiver; None is 0 m, the delay of the link alone.
        receivers: how many must have the object, 1 to MAX_RECEIVERS.
        probability: with which all of them must have it.
        frame_bytes: longest frame; None takes the longest that the link takes, "best" what `best_frame_bytes` finds.
        piece_header_bytes: None for PLADA frames; else bare pieces behind so many bytes, and no announce.
        padded_pieces: whether the last of such pieces is padded to the length of the others.
        acknowledgement_bytes: length of an acknowledgement, or of a NACK list.
        return_loss: share of those that are lost.
        nack_burst_frames: how many frames go between two NACK lists.

    Raises:
        InvalidArgument: (value) if there are less or more receivers, or pieces have headers of less than 0 bytes.
    """

    strategy: str = "one-way"
    loss: Loss | None = None
    distance_m: float | None = None
    receivers: int = 1
    probability: float = 0.99
    frame_bytes: int | Literal["best"] | None = None
    piece_header_bytes: int | None = None
    padded_pieces: bool = False
    acknowledgement_bytes: int = 8
    return_loss: float = 0.0
    nack_burst_frames: int = 32

    def __post_init__(self) -> None:
        if not 1 <= self.receivers <= MAX_RECEIVERS:
            raise InvalidArgument(f"receivers must be 1 to {MAX_RECEIVERS:,}, not {self.receivers:,}", rule="value")
        check_range("piece_header_bytes", self.piece_header_bytes or 0, 0)


@dataclass(frozen=True)
class Used:
    """A number that a budget used or found, and where it comes from (section 6.5).

    Attributes:
        name: as in `Link`, its model, `Conditions` and `Delivery`; or section 6.5. No two of a budget have the same.
        value: in `unit`; None if it is unknown.
        unit: SI, "B" for bytes, "" for plain numbers.
        source: a mark of the profile's ("verified", "secondary", "unverified", "assumed"), "profile" for what it says
            without one, "option", "default", "formula", or the method of what was found.
        note: what the profile says about it, or the section that has the formula.
    """

    name: str
    value: float | None
    unit: str
    source: str
    note: str = ""


@dataclass(frozen=True)
class Budget:
    """What `budget` found.

    Attributes:
        link: the link.
        conditions: what was asked.
        frame_bytes: the longest frame that might be sent: the one asked for, the best, or the link's longest.
        job: what is sent: frames and their lengths.
        delivery: what that takes.
        best_frame_bytes: what `best_frame_bytes` found, where it was asked; None where it was not.
    """

    link: Link
    conditions: Conditions
    frame_bytes: int
    job: Job
    delivery: Delivery
    best_frame_bytes: int | None = None

    def fits(self, within_s: float) -> bool:
        """Whether all receivers have the object within so many seconds, with the probability asked (section 6.3)."""
        return self.delivery.wall_s <= within_s

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the link before one relies on it."""
        distance_m, range_m = self.conditions.distance_m, self.link.max_range_m
        said = {"--contact": self.link.contact_s, "--mtu": self.link.mtu_bytes}
        sentences = re.split(r"(?<=\.) ", self.link.note)
        wanted = [each for each in sentences if all(said[option] is None for option in said if option in each)]
        notes = [" ".join(wanted)] if any(wanted) else []
        if distance_m is not None and range_m is not None and distance_m > range_m:
            notes.append(f"{distance_m:g} m is beyond its range of {range_m:g} m")
        if distance_m is not None and self.link.speed_m_per_s is None:
            notes.append("without a speed of its waves (--speed), the distance costs no time")
        return tuple(notes)

    @property
    def inputs(self) -> tuple[Used, ...]:
        """The numbers used: options, the profile's, and what the frames come to."""
        return (*_asked(self), *_of_link(self), *_of_frames(self))

    @property
    def results(self) -> tuple[Used, ...]:
        """The numbers found, also those that are unknown, but for `symbols`, `announces` and the best frames."""
        method, note = self.delivery.method, _section(_SECTIONS[self.delivery.strategy])
        found = ((field.name, getattr(self.delivery, field.name)) for field in fields(self.delivery))
        results = tuple(
            Used(name, value, _unit(name), method, note)
            for name, value in found
            if name not in ("strategy", "method") and not (value is None and name in ("symbols", "announces"))
        )
        if self.best_frame_bytes is None:
            return results
        return (*results, Used("best_frame_bytes", self.best_frame_bytes, "B", "formula", _section("6.4")))

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON: numbers in SI, None for what is unknown, "never" for a time without end."""
        numbers = {field.name: getattr(self.delivery, field.name) for field in fields(self.delivery)}
        return {
            "link": self.link.id,
            "object_bytes": self.job.object_bytes,
            "frame_bytes": self.frame_bytes,
            "data_frame_bytes": self.job.frame_bytes,
            "best_frame_bytes": self.best_frame_bytes,
            **{name: _tidy(value) for name, value in numbers.items()},
            "notes": list(self.notes),
            "inputs": [vars(used) | {"value": _tidy(used.value)} for used in self.inputs],
            "results": [vars(used) | {"value": _tidy(used.value)} for used in self.results],
        }


def budget(object_bytes: int, link: Link, conditions: Conditions = Conditions()) -> Budget:
    """How an object of `object_bytes` bytes is delivered over `link`, and what that takes.

    Raises:
        LinkError: (option) if the profile leaves open what is needed; (frame-bytes) if frames are longer than the link
            takes or hold nothing; and as `deliver`.
        InvalidArgument: (object, frame-bytes) as `plada_codec.frames.layout`, for PLADA frames; (frame-bytes) if frames
            are too short for so long an object.
        LimitExceeded: (limits) if the object is longer than frames can carry.

    At 3 km, where a tenth of the frames is lost, one-way coding is 8.5 times as fast as stop-and-wait with probability
    99.9% (section 7):

    >>> from plada_codec.links.profiles import link
    >>> modem = link("uwm-5k").replaced(mtu_bytes=264)
    >>> for strategy in "stop-and-wait", "one-way":
    ...     asked = Conditions(strategy=strategy, loss=IndependentLoss(0.1), distance_m=3000, probability=0.999)
    ...     found = budget(5000, modem, replace(asked, piece_header_bytes=8, padded_pieces=True)).delivery
    ...     print(f"{strategy}: {found.frames:.1f} frames, {found.airtime_s:.1f} s on the air, {found.wall_s:.2f} s")
    stop-and-wait: 22.2 frames, 9.4 s on the air, 128.62 s
    one-way: 31.0 frames, 13.1 s on the air, 15.09 s
    """
    frame_bytes = _longest(object_bytes, link, conditions)
    job = _job(link, conditions, object_bytes, _cut(object_bytes, frame_bytes, conditions))
    best = frame_bytes if conditions.frame_bytes == "best" else None
    return Budget(link, conditions, frame_bytes, job, deliver(conditions.strategy, job), best)


def max_bytes(link: Link, within_s: float, conditions: Conditions = Conditions()) -> int:
    """How many bytes fit: N arrive within `within_s` seconds, and N + 1 do not; 0 if none does (section 6.3).

    What just fills its frames may take longer than what needs one frame more, as that makes all of them shorter. So it
    is asked also that the largest object with a frame less than N arrives in time.

    Raises:
        InvalidArgument: (value) if `within_s` is no time, or if `conditions.frame_bytes` is "best".
        LinkError, InvalidArgument: as `budget`.

    >>> from plada_codec.links.profiles import link
    >>> asked = Conditions(loss=IndependentLoss(0.3), receivers=40)
    >>> max_bytes(link("nanomodem-v3"), 20 * 60, asked)
    39144
    """
    if not 0 <= within_s < math.inf:
        raise InvalidArgument(f"within_s must be 0 or more, not {within_s:g}", rule="value")
    if conditions.frame_bytes == "best":
        raise InvalidArgument("frames can be the best for one object only: say how long they are", rule="value")

    def frames(size: int) -> int:
        return _cut(size, _longest(size, link, conditions), conditions).frames

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

    >>> from plada_codec.links.profiles import link
    >>> from plada_codec.links.loss import BitErrors
    >>> best_frame_bytes(5000, link("uwm-5k"), Conditions(loss=BitErrors(1e-4)))
    63
    """
    longest = _longest(object_bytes, link, replace(conditions, frame_bytes=None))
    seen: set[_Cut] = set()
    candidates: list[tuple[float, int, Job]] = []
    best: tuple[float, float, int] | None = None
    problem: PladaError | None = None
    for length in range(1, longest + 1):
        try:
            cut = _cut(object_bytes, length, conditions)
            if cut not in seen:
                seen.add(cut)
                job = _job(link, conditions, object_bytes, cut)
                candidates.append((_least_wall_s(job), length, job))
        except PladaError as error:  # too short for the object, or so long that all but nothing arrives
            problem = error
    # Those that may be best come first, and nobody looks at those that cannot.
    for least_s, length, job in sorted(candidates, key=lambda candidate: candidate[:2]):
        if best is not None and least_s > best[0]:
            break
        try:
            delivery = deliver(conditions.strategy, job)
        except PladaError as error:
            problem = error
        else:
            cost = delivery.wall_s, delivery.airtime_s, length
            best = cost if best is None else min(best, cost)
    if best is None:
        assert problem is not None
        raise problem
    return best[2]


def _least_wall_s(job: Job) -> float:
    """What no strategy is faster than.

    K frames arrive among the first n with a probability of at most n (1 - p) / K (Markov's inequality).
    """
    frames = job.frames - (job.last_frame_bytes is not None)
    arrive = 1 - job.air_loss.frame_loss(job.frame_bytes)
    sent = max(math.ceil(job.probability * frames / arrive), 1)
    airtime_s = job.link.frame_airtime_s(job.frame_bytes if frames else job.last_frame_bytes or 1)
    return job.link.schedule_s(sent, airtime_s) + job.link.delay_s(job.distance_m)


class _Cut(NamedTuple):
    """How an object becomes frames: the fields of Job that say so."""

    frames: int
    frame_bytes: int
    last_frame_bytes: int | None = None
    announce_parts: int = 0
    announce_frame_bytes: int = 0
    extra: int = 0


def _longest(object_bytes: int, link: Link, conditions: Conditions) -> int:
    """The longest frame that may be sent. A link that leaves its MTU open needs a length from the conditions."""
    if conditions.frame_bytes is None:
        return min(link.max_frame_bytes, MAX_FRAME_BYTES)
    if conditions.frame_bytes == "best":
        return best_frame_bytes(object_bytes, link, conditions)
    link.frame_airtime_s(conditions.frame_bytes)  # refuses what the link does not take
    return conditions.frame_bytes


def _cut(object_bytes: int, longest: int, conditions: Conditions) -> _Cut:
    """The frames of an object (section 6.2)."""
    if conditions.piece_header_bytes is not None:
        return _pieces(object_bytes, longest, conditions.piece_header_bytes, conditions)
    try:
        cut = layout(object_bytes, longest)
    except InvalidArgument:
        most = MAX_SYMBOLS * longest_symbol_bytes(longest)
        if not 0 < most < object_bytes:
            raise
        message = f"frames of {longest} bytes carry at most {most:,} bytes ({MAX_SYMBOLS:,} symbols)"
        raise InvalidArgument(f"{message}, not {object_bytes:,}", rule="frame-bytes") from None
    return _Cut(cut.symbols, cut.frame_bytes, None, cut.announce_parts, cut.announce_frame_bytes, cut.extra)


def _job(link: Link, conditions: Conditions, object_bytes: int, cut: _Cut) -> Job:
    return Job(
        link=link,
        object_bytes=object_bytes,
        **cut._asdict(),
        loss=IndependentLoss(link.loss or 0.0) if conditions.loss is None else conditions.loss,
        distance_m=conditions.distance_m,
        receivers=conditions.receivers,
        probability=conditions.probability,
        return_loss=conditions.return_loss,
        acknowledgement_bytes=conditions.acknowledgement_bytes,
        burst_frames=conditions.nack_burst_frames,
    )


def _pieces(object_bytes: int, longest: int, header_bytes: int, conditions: Conditions) -> _Cut:
    """Bare pieces, of one length or all but the last one."""
    room = longest - header_bytes
    if room < 1:
        message = f"frames of {longest} bytes hold nothing behind a header of {header_bytes}: the smallest have"
        raise LinkError(f"{message} {header_bytes + 1}", rule="frame-bytes")
    if object_bytes < 1:
        raise InvalidArgument("an object of 0 bytes cannot be sent", rule="object")
    frames = -(-object_bytes // room)
    if frames > MAX_SYMBOLS:
        message = f"frames of {longest} bytes carry at most {MAX_SYMBOLS * room:,} bytes ({MAX_SYMBOLS:,} pieces)"
        raise LinkError(f"{message}, not {object_bytes:,}", rule="frame-bytes")
    if frames == 1 and not conditions.padded_pieces:
        return _Cut(1, object_bytes + header_bytes)
    # Symbols of a code are of one length.
    whole = conditions.padded_pieces or conditions.strategy == "one-way"
    last_frame_bytes = None if whole else object_bytes - (frames - 1) * room + header_bytes
    return _Cut(frames, longest, last_frame_bytes, extra=EXTRA_SYMBOLS if frames > 1 else 0)


def _asked(found: Budget) -> Iterator[Used]:
    """What was asked, as far as the strategy uses it."""
    conditions, strategy = found.conditions, found.conditions.strategy

    def asked(*names: str) -> Iterator[Used]:
        defaults = {field.name: field.default for field in fields(Conditions)}
        for name in names:
            value = getattr(conditions, name)
            yield Used(name, value, _unit(name), "default" if value == defaults[name] else "option")

    yield Used("object_bytes", found.job.object_bytes, "B", "option")
    if found.link.speed_m_per_s is not None:
        source = "default" if conditions.distance_m is None else "option"
        yield Used("distance_m", conditions.distance_m or 0, "m", source)
    yield from asked("receivers", "probability")
    if conditions.frame_bytes == "best":
        yield Used("frame_bytes", found.frame_bytes, "B", "formula", f"the best, {_section('6.4')}")
    elif conditions.frame_bytes is None:
        yield Used("frame_bytes", found.frame_bytes, "B", "default", "the link's longest")
    else:
        yield from asked("frame_bytes")
    if conditions.piece_header_bytes is not None:
        yield from asked("piece_header_bytes", "padded_pieces")
    if strategy in _ANSWERED:
        yield from asked("acknowledgement_bytes", "return_loss")
    if strategy == "nack":
        yield from asked("nack_burst_frames")
    if conditions.loss is not None:
        names = {"rate": "loss", "burst_frames": "loss_burst_frames"}
        for name, value in vars(conditions.loss).items():
            yield Used(names.get(name, name), value, "", "option")
    elif found.link.loss is None:
        yield Used("loss", 0, "", "default", "neither the profile nor an option says it")


def _of_link(found: Budget) -> Iterator[Used]:
    """What the profile says, or an option instead, as far as the strategy uses it."""
    link, conditions, model = found.link, found.conditions, found.link.model
    unused = {
        "loss": conditions.loss is not None,
        "frame_packets": link.frame_packets == 1,
        "speed_m_per_s": conditions.distance_m is None,
        "max_range_m": conditions.distance_m is None,
        "turnaround_s": conditions.strategy not in _ANSWERED,
        "rx_power_w": conditions.strategy not in _ANSWERED,
        "retry_s": conditions.strategy not in _ANSWERED,
    }
    for name, number in link.numbers.items():
        if not unused.get(name):
            yield Used(name, number.value, number.unit, number.mark, number.note)
    profile = links().get(link.id, link)
    for part, usual in (link, profile), (model, profile.model):
        for name, switch in ({} if part is None else part.switches()).items():
            value = getattr(part, name)
            is_option = value != getattr(usual, name, value)
            yield Used(name, int(value), "", "option" if is_option else "profile", switch.meaning)
    for name, number in ({} if model is None else model.derived_numbers).items():
        yield Used(name, number.value, number.unit, number.mark, number.note)


def _of_frames(found: Budget) -> Iterator[Used]:
    """The frames, and what the link makes of them."""
    link, job, conditions = found.link, found.job, found.conditions
    rules = "plada-frames-1 5" if conditions.piece_header_bytes is None else _section("6.2")
    lengths = {"data": job.frame_bytes, "last": job.last_frame_bytes, "announce": job.announce_frame_bytes}
    yield Used("data_frames", job.frames, "", "formula", rules)
    if conditions.strategy == "one-way":
        yield Used(
            "extra_symbols",
            job.extra,
            "",
            "formula",
            f"h of {_section('6.2' if conditions.piece_header_bytes is None else '5.5')}",
        )
    if job.announce_parts:
        yield Used("announce_parts", job.announce_parts, "", "formula", rules)
    for of, frame_bytes in lengths.items():
        if frame_bytes:
            airtime_s, loss = link.frame_airtime_s(frame_bytes), job.air_loss.frame_loss(frame_bytes)
            yield Used(f"{of}_frame_bytes", frame_bytes, "B", "formula", rules)
            yield Used(f"{of}_frame_airtime_s", airtime_s, "s", "formula", _section("2"))
            yield Used(f"{of}_frame_loss", loss, "", "formula", _section("4"))
    yield Used("delay_s", link.delay_s(job.distance_m), "s", "formula", _section("2.5"))
    if conditions.strategy in _ANSWERED:
        answer_bytes = conditions.acknowledgement_bytes
        answer_s = link.answer_airtime_s(answer_bytes) if answer_bytes else 0.0
        yield Used("answer_airtime_s", answer_s, "s", "formula", _section("2.6"))


def _section(number: str) -> str:
    return f"link-budget {number}"


def _unit(name: str) -> str:
    """The unit that a name ends with."""
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def _tidy(value: Any) -> Any:
    """Twelve digits are more than is known, and less than rounding errors spoil."""
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return "never"
    tidy = float(f"{value:.12g}")
    return int(tidy) if tidy.is_integer() else tidy
