"""Narrow links: how long frames take on them, and where each number comes from (spec/link-budget.md sections 1 to 3).

    >>> modem = link("lorawan-eu868-dr5")
    >>> round(modem.frame_airtime_s(222), 6)
    0.368896
    >>> round(modem.schedule_s(23, 0.368896), 2)  # of wall time: the duty cycle is 1%
    811.94
    >>> modem.numbers["mtu_bytes"]
    Number(value=222, unit='B', mark='verified', note='of the application')

The profiles are in links.toml. All times are in seconds, sizes in bytes, distances in metres, powers in watts.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import LinkError

#: Section 1.2: how far a number can be relied on.
MARKS = ("verified", "secondary", "unverified", "assumed", "option")
#: Section 2.3: from symbols of this length on, LoRa uses its low data rate optimisation.
LOW_DATA_RATE_S = 0.016
#: Section 2.3: the most that a LoRa packet holds, the link's header included.
LORA_PACKET_BYTES = 255
#: Section 2.4.
JANUS_CHIP_S = 0.00625
JANUS_WAKE_UP_S = 0.475
JANUS_CARGO_BYTES = 4096
DAY_S = 86_400
#: Of a quotient that ought to be whole.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Number:
    """A number of a profile, and where it comes from.

    Attributes:
        value: in `unit`.
        unit: SI, or "B" for bytes, "" for plain numbers and ratios.
        mark: one of MARKS.
        note: what is to be known about it, or "".
    """

    value: float
    unit: str
    mark: str
    note: str = ""


class _Bounds(NamedTuple):
    """What a number may be: its unit, least and largest value, and whether it is a whole number."""

    unit: str
    least: float
    largest: float
    whole: bool = False


#: Beyond these, a number is a mistake.
_POSITIVE, _ABSURD = 1e-9, 1e15
_BOUNDS = {
    "rate_bps": _Bounds("bit/s", _POSITIVE, _ABSURD),
    "frame_time_s": _Bounds("s", _POSITIVE, _ABSURD),
    "spreading_factor": _Bounds("", 7, 12, whole=True),
    "bandwidth_hz": _Bounds("Hz", _POSITIVE, _ABSURD),
    "coding_rate": _Bounds("", 1, 4, whole=True),
    "preamble": _Bounds("", 1, 65_535, whole=True),
    "header_bytes": _Bounds("B", 0, 255, whole=True),
    "mtu_bytes": _Bounds("B", 1, _ABSURD, whole=True),
    "frame_packets": _Bounds("", 1, _ABSURD, whole=True),
    "speed_m_per_s": _Bounds("m/s", _POSITIVE, _ABSURD),
    "one_way_delay_s": _Bounds("s", 0, _ABSURD),
    "max_range_m": _Bounds("m", _POSITIVE, _ABSURD),
    "turnaround_s": _Bounds("s", 0, _ABSURD),
    "duty_cycle": _Bounds("", _POSITIVE, 1),
    "messages_per_day": _Bounds("1/d", _POSITIVE, _ABSURD),
    "contact_s": _Bounds("s", _POSITIVE, _ABSURD),
    "period_s": _Bounds("s", _POSITIVE, _ABSURD),
    "retry_s": _Bounds("s", 0, _ABSURD),
    "loss": _Bounds("", 0, 1),
    "tx_power_w": _Bounds("W", 0, _ABSURD),
    "rx_power_w": _Bounds("W", 0, _ABSURD),
}
#: What a profile says besides its numbers.
_OTHERS = {"name": str, "model": str, "padded": bool, "unicast": bool, "note": str}


class _Checked:
    """A dataclass whose numbers are within _BOUNDS."""

    def __post_init__(self) -> None:
        for name, value in _numbers_of(self).items():
            bounds = _BOUNDS[name]
            known = isinstance(value, int if bounds.whole else (int, float)) and not isinstance(value, bool)
            if not (known and bounds.least <= value <= bounds.largest):
                what = "a whole number" if bounds.whole else "a number"
                limits = f"{what} from {bounds.least:.3g} to {bounds.largest:.3g}"
                raise LinkError(f"{name} must be {limits}, not {value!r}", rule="value")


@dataclass(frozen=True)
class ConstantRate(_Checked):
    """Packets of any length at `rate_bps` (section 2.1)."""

    rate_bps: float
    max_packet_bytes: ClassVar[int | None] = None

    def airtime_s(self, packet_bytes: int) -> float:
        """Seconds that a packet of `packet_bytes` is on the air."""
        return 8 * packet_bytes / self.rate_bps


@dataclass(frozen=True)
class FixedTime(_Checked):
    """Packets of `frame_time_s`, whatever is in them (section 2.2)."""

    frame_time_s: float
    max_packet_bytes: ClassVar[int | None] = None

    def airtime_s(self, packet_bytes: int) -> float:
        """Seconds that a packet is on the air."""
        return self.frame_time_s


@dataclass(frozen=True)
class Lora(_Checked):
    """LoRa time on air (section 2.3; Semtech AN1200.13).

    Attributes:
        spreading_factor: 7 to 12.
        bandwidth_hz: such as 125,000.
        coding_rate: 1 to 4, for 4/5 to 4/8.
        preamble: symbols of the preamble, without the 4.25 that are always there.
        header_bytes: what the link adds to a packet; 13 for LoRaWAN.
        crc: whether the packet has a CRC.
        implicit_header: whether the packet goes without LoRa's own header.

    >>> round(Lora(12, 125_000).airtime_s(51), 6)
    2.793472
    """

    spreading_factor: int
    bandwidth_hz: float
    coding_rate: int = 1
    preamble: int = 8
    header_bytes: int = 13
    crc: bool = True
    implicit_header: bool = False

    @property
    def max_packet_bytes(self) -> int:
        """The most that a packet carries, besides the link's header."""
        return LORA_PACKET_BYTES - self.header_bytes

    def airtime_s(self, packet_bytes: int) -> float:
        """Seconds that a packet of `packet_bytes`, and the link's header, is on the air."""
        symbol_s = (1 << self.spreading_factor) / self.bandwidth_hz
        bits = 8 * (packet_bytes + self.header_bytes) - 4 * self.spreading_factor + 28
        bits += 16 * self.crc - 20 * self.implicit_header
        block_bits = 4 * (self.spreading_factor - 2 * (symbol_s >= LOW_DATA_RATE_S))
        symbols = 8 + max(math.ceil(bits / block_bits) * (self.coding_rate + 4), 0)
        return (self.preamble + 4.25 + symbols) * symbol_s


@dataclass(frozen=True)
class Janus(_Checked):
    """JANUS, the NATO standard of underwater acoustics (section 2.4; STANAG 4748), at 11.5 kHz.

    Attributes:
        wake_up: whether wake-up tones come before each packet.

    >>> round(Janus().airtime_s(480), 6)
    49.675
    """

    wake_up: bool = True
    max_packet_bytes: ClassVar[int | None] = JANUS_CARGO_BYTES

    def airtime_s(self, packet_bytes: int) -> float:
        """Seconds that a packet of `packet_bytes` of cargo is on the air."""
        cargo_chips = 16 * (packet_bytes + 1) if packet_bytes > 0 else 0
        return JANUS_CHIP_S * (32 + 144 + cargo_chips) + (JANUS_WAKE_UP_S if self.wake_up else 0)


Model = ConstantRate | FixedTime | Lora | Janus
_MODELS: dict[str, type[Model]] = {
    "constant-rate": ConstantRate,
    "fixed-time": FixedTime,
    "lora": Lora,
    "janus": Janus,
}


@dataclass(frozen=True, kw_only=True)
class Link(_Checked):
    """A link: a profile of links.toml, or one with numbers of the user's (section 1).

    What the profile does not know is None; what cannot be computed without it raises LinkError, rule `option`, with the
    option to give.

    Attributes:
        id: the profile's name, such as "umodem-fsk0".
        name: the link's name, for people.
        model: how long a packet is on the air.
        mtu_bytes: the most that a packet of the link carries.
        frame_packets: the most packets that a frame may span; 1 but where packets are too small for frames.
        padded: whether packets are always `mtu_bytes` long.
        unicast: whether the sender reaches one receiver at a time.
        speed_m_per_s: of the waves, where it matters.
        one_way_delay_s: besides distance / speed.
        max_range_m: how far the link reaches.
        turnaround_s: from the end of a reception to the start of an answer.
        duty_cycle: the share of the time that a sender may be on the air, above 0, at most 1.
        messages_per_day: how many packets a sender may send.
        contact_s: length of a contact window; one begins every `period_s`, the first at once.
        period_s: see above. Both or neither are given.
        retry_s: from a failed attempt to the next one.
        loss: share of the frames that are lost.
        tx_power_w: what the sender draws while it sends.
        rx_power_w: what it draws while it waits.
        numbers: the provenance of each of these numbers and of those of `model`, by name.
        note: what is to be known about the profile.
    """

    id: str
    name: str
    model: Model | None = None
    mtu_bytes: int | None = None
    frame_packets: int = 1
    padded: bool = False
    unicast: bool = False
    speed_m_per_s: float | None = None
    one_way_delay_s: float = 0
    max_range_m: float | None = None
    turnaround_s: float = 0
    duty_cycle: float | None = None
    messages_per_day: float | None = None
    contact_s: float | None = None
    period_s: float | None = None
    retry_s: float = 0
    loss: float | None = None
    tx_power_w: float | None = None
    rx_power_w: float | None = None
    numbers: Mapping[str, Number] = field(default_factory=lambda: MappingProxyType({}), hash=False, repr=False)
    note: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        most = self.model.max_packet_bytes if self.model else None
        if self.mtu_bytes is not None and most is not None and self.mtu_bytes > most:
            message = f"{self.id} has packets of at most {most} bytes, and an MTU of {self.mtu_bytes} is more"
            raise LinkError(message, rule="value")
        if (self.contact_s is None) != (self.period_s is None):
            raise LinkError("contact_s and period_s go together", rule="value")
        if self.contact_s is not None and self.period_s is not None and self.contact_s > self.period_s:
            raise LinkError(
                f"contacts of {self.contact_s:g} s do not fit a period of {self.period_s:g} s", rule="value"
            )

    @property
    def max_frame_bytes(self) -> int:
        """The longest frame. Raises LinkError, rule `option`, where the profile leaves the MTU open."""
        if self.mtu_bytes is None:
            raise LinkError(f"{self.id} has no MTU of its own: say it with --mtu", rule="option")
        return self.mtu_bytes * self.frame_packets

    @property
    def packet_bytes(self) -> int | None:
        """The length of every packet, where all are of one, as they are padded or of a fixed time; else None."""
        return self.mtu_bytes if self.padded or isinstance(self.model, FixedTime) else None

    def frame_airtime_s(self, frame_bytes: int) -> float:
        """Seconds that a frame of `frame_bytes` is on the air, in all packets that it takes.

        Raises:
            LinkError: rule `frame-bytes`, if it is empty or longer than the link's longest; rule `option`, if the
                profile leaves open what is needed.

        >>> link("umodem-fsk0").frame_airtime_s(20)
        3.2
        """
        if self.model is None:
            raise LinkError(f"{self.id} has no data rate of its own: say it with --rate", rule="option")
        if frame_bytes < 1:
            raise LinkError(f"a frame has at least 1 byte, not {frame_bytes}", rule="frame-bytes")
        if self.mtu_bytes is None and not self.padded and self.frame_packets == 1:
            return self.model.airtime_s(frame_bytes)
        if frame_bytes > self.max_frame_bytes:
            message = f"{self.id} takes frames of at most {self.max_frame_bytes} bytes, not {frame_bytes}"
            raise LinkError(message, rule="frame-bytes")
        mtu = self.max_frame_bytes // self.frame_packets
        full, rest = divmod(frame_bytes, mtu)
        if rest and self.padded:
            full, rest = full + 1, 0
        return full * self.model.airtime_s(mtu) + (self.model.airtime_s(rest) if rest else 0)

    def answer_airtime_s(self, answer_bytes: int) -> float:
        """Seconds that an acknowledgement or a NACK list is on the air: as a frame, but not padded (section 2.6).

        >>> link("umodem-psk5").answer_airtime_s(8), link("umodem-psk5").frame_airtime_s(8)
        (0.0128, 3.2768)
        """
        return replace(self, padded=False).frame_airtime_s(answer_bytes)

    def delay_s(self, distance_m: float | None) -> float:
        """Seconds from the end of a frame at the sender to its end at a receiver, `distance_m` away (None: 0 m).

        Raises:
            LinkError: rule `value`, if that is negative, infinite or NaN.

        >>> link("uwm-5k").delay_s(3000)
        2.0
        """
        if distance_m is not None and not 0 <= distance_m < math.inf:
            raise LinkError(f"distance_m must be 0 or more, not {distance_m:g}", rule="value")
        if distance_m is None or self.speed_m_per_s is None:
            return self.one_way_delay_s
        return self.one_way_delay_s + distance_m / self.speed_m_per_s

    def span_s(self, airtime_s: float) -> float:
        """Seconds from the start of a frame of this airtime to its end, pauses between its packets included."""
        packet_s = self._packet_s(airtime_s)
        return (airtime_s - packet_s) * self._pace(airtime_s) + packet_s

    def step_s(self, airtime_s: float, waiting_s: float = 0.0) -> float:
        """Seconds from the start of a frame to that of the next one (section 3.2), if answers are waited for so long.

        >>> round(link("sigfox-rc1").step_s(18), 1)  # three messages, of 140 a day
        1851.4
        """
        return max(airtime_s * self._pace(airtime_s), self.span_s(airtime_s) + waiting_s)

    @overload
    def schedule_s(
        self, count: int, airtime_s: float, last_airtime_s: float | None = None, waiting_s: float = 0.0
    ) -> float: ...
    @overload
    def schedule_s(
        self,
        count: NDArray[np.int64],
        airtime_s: float,
        last_airtime_s: float | None = None,
        waiting_s: float = 0.0,
    ) -> NDArray[np.float64]: ...
    def schedule_s(
        self,
        count: int | NDArray[np.int64],
        airtime_s: float,
        last_airtime_s: float | None = None,
        waiting_s: float = 0.0,
    ) -> float | NDArray[np.float64]:
        """Seconds from the start of the first of `count` frames to the end of the last, without delay (section 3).

        Frames go back to back, as far as duty cycle, quota and contact windows allow.

        Args:
            count: number of frames, 1 or more; or an array of such numbers.
            airtime_s: of each frame but the last.
            last_airtime_s: of the last frame; None: as the others.
            waiting_s: how long answers are waited for after each frame, the last one included.

        Raises:
            LinkError: rule `contact`, if a frame and its answers are longer than a contact window.

        >>> dr5 = link("lorawan-eu868-dr5")
        >>> round(dr5.schedule_s(23, dr5.frame_airtime_s(222), dr5.frame_airtime_s(116)), 3)
        811.786
        """
        step_s = self.step_s(airtime_s, waiting_s)
        last_span_s = self.span_s(airtime_s if last_airtime_s is None else last_airtime_s) + waiting_s
        before = np.asarray(count, dtype=np.float64) - 1  # frames before the last one
        start_s = before * step_s
        if self.contact_s is not None and self.period_s is not None:
            span_s = self.span_s(airtime_s) + waiting_s
            start_s = _start_in_contact_s(before, step_s, span_s, last_span_s, self.contact_s, self.period_s)
        end_s: NDArray[np.float64] = start_s + last_span_s
        return end_s if isinstance(count, np.ndarray) else float(end_s)

    def start_s(self, ready_s: NDArray[np.float64], span_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """When what takes `span_s` starts, if it could at `ready_s`: then, or with the next contact (section 3.3).

        Raises:
            LinkError: rule `contact`, if it is longer than a contact window.
        """
        if self.contact_s is None or self.period_s is None:
            return ready_s
        _check_span(float(span_s.max()), self.contact_s)
        into_contact_s = ready_s - np.floor(ready_s / self.period_s + _ROUNDING) * self.period_s
        fits = into_contact_s + span_s <= self.contact_s * (1 + _ROUNDING)
        return np.where(fits, ready_s, _next_contact_s(ready_s, self.period_s))

    def _pace(self, airtime_s: float) -> float:
        """Seconds that go by for each second on the air, where frames take `airtime_s`: 1 without limits."""
        quota = self.messages_per_day * self._packet_s(airtime_s) / DAY_S if self.messages_per_day else 1
        return 1 / min(self.duty_cycle or 1, quota, 1)

    def _packet_s(self, airtime_s: float) -> float:
        """The airtime of each packet of a frame that takes `airtime_s`: that of a full one, if it has several."""
        if self.frame_packets == 1 or self.model is None or self.mtu_bytes is None:
            return airtime_s
        return min(airtime_s, self.model.airtime_s(self.mtu_bytes))

    def replaced(self, **values: Any) -> Link:
        """The link with other `values` of its attributes or of its model's, marked "option"; None takes one away.

        A `rate_bps` makes it a link of constant rate, a `frame_time_s` one of fixed time, whatever it was.

        Raises:
            LinkError: rule `value`, if there is no such number in this link, or it cannot have that value.

        >>> link("custom").replaced(rate_bps=463, mtu_bytes=64).frame_airtime_s(64)
        1.1058315334773219
        """
        own = {name: value for name, value in values.items() if name in vars(self)}
        others = {name: value for name, value in values.items() if name not in own}
        changed = replace(self, model=self._other_model(others) if others else self.model, **own)
        kept = {name: number for name, number in self.numbers.items() if name not in values}
        options = {name: Number(value, _BOUNDS[name].unit, "option") for name, value in changed._values().items()}
        return replace(changed, numbers=MappingProxyType({name: kept.get(name, options[name]) for name in options}))

    def _other_model(self, values: dict[str, Any]) -> Model:
        if None in values.values():
            raise LinkError(f"{self.id} cannot be without {' and '.join(sorted(values))}", rule="value")
        if values.keys() == {"rate_bps"}:
            return ConstantRate(**values)
        if values.keys() == {"frame_time_s"}:
            return FixedTime(**values)
        if self.model is not None and values.keys() <= vars(self.model).keys():
            return replace(self.model, **values)
        raise LinkError(f"{self.id} has no {' and '.join(sorted(values))}", rule="value")

    def _values(self) -> dict[str, float]:
        """The numbers that are known, by name, those of the model included."""
        return _numbers_of(self.model) | _numbers_of(self)


def links() -> dict[str, Link]:
    """All profiles, by id, in the order of links.toml.

    >>> [id for id, profile in links().items() if profile.unicast]
    ['sigfox-rc1', 'iridium-sbd-9603']
    """
    return dict(_profiles())


def link(id: str) -> Link:
    """The profile `id`. Raises LinkError, rule `link`, with the nearest name, if there is none.

    >>> link("umodem-fsk0").tx_power_w
    50
    """
    profiles = _profiles()
    if id not in profiles:
        near = get_close_matches(id.lower(), profiles, n=1)
        hint = f"did you mean {near[0]}? Links are" if near else "links are"
        raise LinkError(f"there is no link {id!r}: {hint} {', '.join(profiles)}", rule="link")
    return profiles[id]


def read_profiles(text: str) -> dict[str, Link]:
    """The profiles that a TOML document holds, by id (section 1.1). Raises LinkError (`profile`) if it is wrong."""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LinkError(f"the profiles are not TOML: {error}", rule="profile") from None
    return {id: _read_profile(id, table) for id, table in tables.items()}


@cache
def _profiles() -> dict[str, Link]:
    return read_profiles(Path(__file__).with_name("links.toml").read_text(encoding="utf-8"))


def _read_profile(id: str, table: Any) -> Link:
    try:
        numbers = {name: _read_number(name, entry) for name, entry in table.items() if name not in _OTHERS}
        others = {name: _read_other(name, table[name]) for name in _OTHERS if name in table}
        own = {name: number.value for name, number in numbers.items() if name in Link.__dataclass_fields__}
        of_model = {name: number.value for name, number in numbers.items() if name not in own}
        model = _read_model(others.pop("model", None), of_model)
        found = Link(id=id, model=model, **others, **own)  # type: ignore[arg-type]  # just checked
    except (AttributeError, TypeError):
        raise LinkError(f"profile {id} is not a table of a name and numbers", rule="profile") from None
    except LinkError as error:
        raise LinkError(f"profile {id}: {error.args[0]}", rule="profile") from None
    defaults = {
        name: Number(value, _BOUNDS[name].unit, "assumed", "the default") for name, value in found._values().items()
    }
    return replace(found, numbers=MappingProxyType(defaults | numbers))


def _read_other(name: str, value: Any) -> Any:
    if not isinstance(value, _OTHERS[name]):
        raise LinkError(f"{name} must be a {_OTHERS[name].__name__}, not {value!r}", rule="profile")
    return value


def _read_number(name: str, entry: Any) -> Number:
    if name not in _BOUNDS:
        raise LinkError(f"there is no number {name}", rule="profile")
    try:
        number = Number(**entry)
    except TypeError:
        message = f"{name} must have a value, a unit, a mark, perhaps a note, and nothing else"
        raise LinkError(message, rule="profile") from None
    if type(number.value) not in (int, float) or not isinstance(number.note, str):
        raise LinkError(f"{name} must be a number and its note a str, not {entry}", rule="profile")
    if number.unit != _BOUNDS[name].unit:
        raise LinkError(f"the unit of {name} must be {_BOUNDS[name].unit!r}, not {number.unit!r}", rule="profile")
    if number.mark not in MARKS[:-1]:
        raise LinkError(
            f"the mark of {name} must be one of {', '.join(MARKS[:-1])}, not {number.mark!r}", rule="profile"
        )
    return number


def _read_model(kind: str | None, values: Mapping[str, Any]) -> Model | None:
    if kind is None and not values:
        return None
    if kind not in _MODELS:
        raise LinkError(f"there is no model {kind!r}: there are {', '.join(_MODELS)}", rule="profile")
    try:
        return _MODELS[kind](**values)
    except TypeError:
        message = f"the model {kind} does not go with {', '.join(values) or 'no numbers'}"
        raise LinkError(message, rule="profile") from None


def _numbers_of(of: object) -> dict[str, float]:
    """The attributes of a link or a model that are numbers and known, by name."""
    known = {} if of is None else vars(of)
    return {name: value for name, value in known.items() if name in _BOUNDS and value is not None}


def _start_in_contact_s(
    before: NDArray[np.float64], step_s: float, span_s: float, last_span_s: float, contact_s: float, period_s: float
) -> NDArray[np.float64]:
    """When the frame starts that comes after `before` others, where frames must lie within contacts (section 3.3)."""
    _check_span(max(span_s, last_span_s), contact_s)
    per_contact = 1 + math.floor((contact_s - span_s) / step_s + _ROUNDING)
    cycles, place = np.divmod(before - 1, per_contact)  # of the last frame but one
    after_s = (place + 1) * step_s
    fits = (before > 0) & (after_s + last_span_s <= contact_s * (1 + _ROUNDING))
    cycle_s = _next_contact_s(np.asarray(per_contact * step_s), period_s)
    return cycles * cycle_s + np.where(fits, after_s, _next_contact_s(after_s, period_s))


def _next_contact_s(after_s: NDArray[np.float64], period_s: float) -> NDArray[np.float64]:
    return np.ceil(after_s / period_s - _ROUNDING) * period_s


def _check_span(span_s: float, contact_s: float) -> None:
    if span_s > contact_s:
        raise LinkError(f"a frame takes {span_s:.4g} s, and a contact has {contact_s:g} s", rule="contact")
