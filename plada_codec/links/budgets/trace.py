"""The numbers behind a budget, each with its source (spec/link-budget.md section 6.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.delivery.registry import strategy_named
from plada_codec.links.profiles import links

if TYPE_CHECKING:
    from plada_codec.links.budgets.budget import Budget

_UNITS = {"_bytes": "B", "_s": "s", "_m": "m", "_j": "J", "joules_per_bit": "J/bit"}
#: Numbers of a link that only a strategy whose sender waits for answers uses.
_OF_ANSWERS = ("turnaround_s", "rx_power_w", "retry_s")
#: Names of fields of loss models that are names of other numbers, too.
_LOSS_NAMES = {"rate": "loss", "burst_frames": "loss_burst_frames"}


@dataclass(frozen=True)
class TracedNumber:
    """A number that a budget used or found, and its source.

    Attributes:
        name: as in `Link`, its model, `Conditions` and `Delivery`; or section 6.5. No two numbers of a budget have the
            same name.
        value: in `unit`; None if it is unknown.
        unit: SI, "B" for bytes, "" for plain numbers.
        source: a mark of the profile ("verified", "secondary", "unverified", "assumed"); "profile", for a switch of the
            profile, which has no mark; "option", "default" or "formula"; or the method that found the number.
        note: the note of the profile, or the section that has the formula.
    """

    name: str
    value: float | None
    unit: str
    source: str
    note: str = ""


def inputs_of(budget: Budget) -> tuple[TracedNumber, ...]:
    """The numbers that a budget used, as far as its strategy needs them: conditions, numbers of the link, frames."""
    return (*_of_conditions(budget), *_of_link(budget), *_of_frames(budget))


def results_of(budget: Budget) -> tuple[TracedNumber, ...]:
    """The numbers that a budget found, also those that are unknown."""
    delivery = budget.delivery
    note = _section(strategy_named(delivery.strategy).section)
    numbers = {field.name: getattr(delivery, field.name) for field in fields(delivery)}
    results = tuple(
        TracedNumber(name, value, _unit(name), delivery.method, note)
        for name, value in numbers.items()
        # Only coded strategies have symbols and announces.
        if name not in ("strategy", "method") and not (value is None and name in ("symbols", "announces"))
    )
    if budget.best_frame_bytes is None:
        return results
    return (*results, TracedNumber("best_frame_bytes", budget.best_frame_bytes, "B", "formula", _section("6.4")))


def _of_conditions(budget: Budget) -> Iterator[TracedNumber]:
    conditions = budget.conditions

    def numbers(*names: str) -> Iterator[TracedNumber]:
        defaults = {field.name: field.default for field in fields(Conditions)}
        for name in names:
            value = getattr(conditions, name)
            yield TracedNumber(name, value, _unit(name), "default" if value == defaults[name] else "option")

    yield TracedNumber("object_bytes", budget.job.object_bytes, "B", "option")
    if budget.link.speed_m_per_s is not None:
        source = "default" if conditions.distance_m is None else "option"
        yield TracedNumber("distance_m", conditions.distance_m or 0, "m", source)
    yield from numbers("receivers", "probability")
    if conditions.frame_bytes == "best":
        yield TracedNumber("frame_bytes", budget.frame_bytes, "B", "formula", f"the best, {_section('6.4')}")
    elif conditions.frame_bytes is None:
        yield TracedNumber("frame_bytes", budget.frame_bytes, "B", "default", "the link's longest")
    else:
        yield from numbers("frame_bytes")
    if conditions.piece_header_bytes is not None:
        yield from numbers("piece_header_bytes", "padded_pieces")
    yield from numbers(*strategy_named(conditions.strategy).conditions)
    if conditions.loss is not None:
        for name, value in vars(conditions.loss).items():
            yield TracedNumber(_LOSS_NAMES.get(name, name), value, "", "option")
    elif budget.link.loss is None:
        yield TracedNumber("loss", 0, "", "default", "neither the profile nor an option says it")


def _of_link(budget: Budget) -> Iterator[TracedNumber]:
    """The numbers and switches of the link and of its airtime model."""
    link, conditions, model = budget.link, budget.conditions, budget.link.model
    unused = {
        "loss": conditions.loss is not None,
        "frame_packets": link.frame_packets == 1,
        "speed_m_per_s": conditions.distance_m is None,
        "max_range_m": conditions.distance_m is None,
        **dict.fromkeys(_OF_ANSWERS, not strategy_named(conditions.strategy).waits_for_answers),
    }
    for name, number in link.numbers.items():
        if not unused.get(name):
            yield TracedNumber(name, number.value, number.unit, number.mark, number.note)
    profile = links().get(link.id, link)
    for part, usual in (link, profile), (model, profile.model):
        for name, switch in ({} if part is None else part.switches()).items():
            value = getattr(part, name)
            is_option = value != getattr(usual, name, value)
            yield TracedNumber(name, int(value), "", "option" if is_option else "profile", switch.meaning)
    for name, number in ({} if model is None else model.derived_numbers).items():
        yield TracedNumber(name, number.value, number.unit, number.mark, number.note)


def _of_frames(budget: Budget) -> Iterator[TracedNumber]:
    """The frames, with their airtime and loss on the link."""
    link, job, conditions = budget.link, budget.job, budget.conditions
    strategy = strategy_named(conditions.strategy)
    is_plada = conditions.piece_header_bytes is None
    rules = "plada-frames-1 5" if is_plada else _section("6.2")
    lengths = {"data": job.frame_bytes, "last": job.last_frame_bytes, "announce": job.announce_frame_bytes}
    yield TracedNumber("data_frames", job.frames, "", "formula", rules)
    if strategy.is_coded:
        note = f"h of {_section('6.2' if is_plada else strategy.section)}"
        yield TracedNumber("extra_symbols", job.extra_symbols, "", "formula", note)
    if job.announce_parts:
        yield TracedNumber("announce_parts", job.announce_parts, "", "formula", rules)
    for kind, frame_bytes in lengths.items():
        if frame_bytes:
            airtime_s, loss = link.frame_airtime_s(frame_bytes), job.air_loss.frame_loss(frame_bytes)
            yield TracedNumber(f"{kind}_frame_bytes", frame_bytes, "B", "formula", rules)
            yield TracedNumber(f"{kind}_frame_airtime_s", airtime_s, "s", "formula", _section("2"))
            yield TracedNumber(f"{kind}_frame_loss", loss, "", "formula", _section("4"))
    yield TracedNumber("delay_s", link.delay_s(job.distance_m), "s", "formula", _section("2.5"))
    if strategy.waits_for_answers:
        answer_bytes = conditions.acknowledgement_bytes
        answer_s = link.answer_airtime_s(answer_bytes) if answer_bytes else 0.0
        yield TracedNumber("answer_airtime_s", answer_s, "s", "formula", _section("2.6"))


def _section(number: str) -> str:
    return f"link-budget {number}"


def _unit(name: str) -> str:
    """The unit that a name ends with."""
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
