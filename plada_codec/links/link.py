"""A link: the airtime of its frames, and the schedule by which they may be sent (spec/link-budget.md 1 to 3).

    >>> from plada_codec.links.profiles import link
    >>> modem = link("lorawan-eu868-dr5")
    >>> round(modem.frame_airtime_s(222), 6)
    0.368896
    >>> round(modem.schedule_s(23, 0.368896), 2)  # of wall time: the duty cycle is 1%
    811.94

All times are in seconds, sizes in bytes, distances in metres, powers in watts.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, overload

import numpy as np
from numpy.typing import NDArray

from plada_codec.errors import InvalidArgument, LinkError
from plada_codec.links.airtime.base import AirtimeModel
from plada_codec.links.airtime.registry import AIRTIME_MODELS, model_of_numbers
from plada_codec.links.contacts import start_in_contact_s, start_of_last_s
from plada_codec.links.numbers import POSITIVE, Number, NumberFields, Quantity, Switch

DAY_S = 86_400


@dataclass(frozen=True, kw_only=True)
class Link(NumberFields):
    """A link: a profile of links.toml, or a profile with some numbers replaced (section 1).

    A number that is None is unknown, or does not apply.

    Attributes:
        id: the profile's id, such as "umodem-fsk0".
        name: the link's name, for people.
        model: the airtime model, with its numbers.
        mtu_bytes: the most bytes that a packet carries.
        frame_packets: the most packets that a frame may span; more than 1 only if packets are too small for frames.
        padded: whether packets are always `mtu_bytes` long.
        unicast: whether the sender reaches one receiver at a time.
        speed_m_per_s: speed of the waves, if it matters.
        one_way_delay_s: delay besides distance / speed.
        max_range_m: the longest distance that the link bridges.
        turnaround_s: from the end of a reception to the start of an answer.
        duty_cycle: the share of the time that a sender may be on the air, above 0, at most 1.
        dwell_time_s: the longest time that a packet may be on the air.
        messages_per_day: the number of packets that a sender may send in a day.
        contact_s: length of a contact window; a window begins in every `period_s`, the first at once.
        period_s: see above. Both are given, or neither.
        retry_s: from a failed try to the next one.
        loss: share of the frames that are lost.
        tx_power_w: power that the sender draws while it sends.
        rx_power_w: power that the sender draws while it waits for answers.
        numbers: each of these numbers, and of those of `model`, with its origin, by name.
        note: a remark on the profile.

    Raises:
        LinkError: (`value`) if a number is outside its bounds, or numbers contradict each other; by the methods and
            properties below, (`option`) if the profile leaves open a number that they need, (`dwell`) if no packet
            keeps the dwell time.
    """

    id: str
    name: str
    model: AirtimeModel | None = None
    mtu_bytes: Annotated[int | None, Quantity("B", 1, whole=True)] = None
    frame_packets: Annotated[int, Quantity("", 1, whole=True)] = 1
    padded: Annotated[bool, Switch("packets are always mtu_bytes long")] = False
    unicast: bool = False
    speed_m_per_s: Annotated[float | None, Quantity("m/s", POSITIVE)] = None
    one_way_delay_s: Annotated[float, Quantity("s")] = 0
    max_range_m: Annotated[float | None, Quantity("m", POSITIVE)] = None
    turnaround_s: Annotated[float, Quantity("s")] = 0
    duty_cycle: Annotated[float | None, Quantity("", POSITIVE, 1)] = None
    dwell_time_s: Annotated[float | None, Quantity("s", POSITIVE)] = None
    messages_per_day: Annotated[float | None, Quantity("1/d", POSITIVE)] = None
    contact_s: Annotated[float | None, Quantity("s", POSITIVE)] = None
    period_s: Annotated[float | None, Quantity("s", POSITIVE)] = None
    retry_s: Annotated[float, Quantity("s")] = 0
    loss: Annotated[float | None, Quantity("", 0, 1)] = None
    tx_power_w: Annotated[float | None, Quantity("W")] = None
    rx_power_w: Annotated[float | None, Quantity("W")] = None
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
            raise LinkError(f"contacts of {self.contact_s:g} s do not fit into {self.period_s:g} s", rule="value")

    @property
    def max_frame_bytes(self) -> int:
        """The longest frame."""
        if self.mtu_bytes is None:
            raise LinkError(f"{self.id} has no MTU of its own: give it with --mtu", rule="option")
        return self._longest_packet_bytes(self.mtu_bytes) * self.frame_packets

    @property
    def packet_bytes(self) -> int | None:
        """The length of all packets, if they have one length: they are padded, or the model says so. Else None."""
        return self.mtu_bytes if self.padded or (self.model and self.model.has_one_length) else None

    def frame_airtime_s(self, frame_bytes: int) -> float:
        """Seconds that a frame of `frame_bytes` is on the air, in all the packets that it spans.

        Raises:
            LinkError: (`frame-bytes`) if the frame is empty, or longer than the link takes.

        >>> from plada_codec.links.profiles import link
        >>> link("umodem-fsk0").frame_airtime_s(20)
        3.2
        """
        if self.model is None:
            raise LinkError(f"{self.id} has no data rate of its own: give it with --rate", rule="option")
        if frame_bytes < 1:
            raise LinkError(f"a frame has at least 1 byte, not {frame_bytes}", rule="frame-bytes")
        if self.mtu_bytes is None and not self.padded and self.frame_packets == 1:
            if self._longest_packet_bytes(frame_bytes) < frame_bytes:
                message = f"{self.id} has no time for {frame_bytes} bytes within {self.dwell_time_s:g} s on the air"
                raise LinkError(f"{message}: send shorter frames", rule="dwell")
            return self.model.airtime_s(frame_bytes)
        if frame_bytes > self.max_frame_bytes:
            message = f"{self.id} takes frames of at most {self.max_frame_bytes} bytes, not {frame_bytes}"
            if self.max_frame_bytes < (self.mtu_bytes or 0) * self.frame_packets:
                message += f": a packet may be on the air for {self.dwell_time_s:g} s"
            raise LinkError(message, rule="frame-bytes")
        mtu = self.max_frame_bytes // self.frame_packets
        full, rest = divmod(frame_bytes, mtu)
        if rest and self.padded:
            full, rest = full + 1, 0
        return full * self.model.airtime_s(mtu) + (self.model.airtime_s(rest) if rest else 0)

    def _longest_packet_bytes(self, most: int) -> int:
        """The longest packet, of at most `most` bytes, that keeps the dwell time (section 2)."""
        if self.model is None or self.dwell_time_s is None or self.model.airtime_s(most) <= self.dwell_time_s:
            return most
        longest = bisect_right(range(1, most + 1), self.dwell_time_s, key=self.model.airtime_s)
        if longest == 0 or self.padded or self.model.has_one_length:
            least = most if self.padded or self.model.has_one_length else 1
            message = f"{self.id} needs {self.model.airtime_s(least):.3g} s for a packet of {least} bytes"
            raise LinkError(f"{message}, and may be on the air for {self.dwell_time_s:g} s", rule="dwell")
        return longest

    def answer_airtime_s(self, answer_bytes: int) -> float:
        """Seconds that an acknowledgement or a NACK list is on the air: as a frame, but never padded (section 2.6).

        >>> from plada_codec.links.profiles import link
        >>> link("umodem-psk5").answer_airtime_s(8), link("umodem-psk5").frame_airtime_s(8)
        (0.0128, 3.2768)
        """
        return replace(self, padded=False).frame_airtime_s(answer_bytes)

    def delay_s(self, distance_m: float | None) -> float:
        """Seconds from the end of a frame at the sender to its end at a receiver, `distance_m` away (None: 0 m).

        Raises:
            InvalidArgument: (`value`) if the distance is negative, infinite or NaN.

        >>> from plada_codec.links.profiles import link
        >>> link("uwm-5k").delay_s(3000)
        2.0
        """
        if distance_m is not None and not 0 <= distance_m < math.inf:
            raise InvalidArgument(f"distance_m must be 0 or more, not {distance_m:g}", rule="value")
        if distance_m is None or self.speed_m_per_s is None:
            return self.one_way_delay_s
        return self.one_way_delay_s + distance_m / self.speed_m_per_s

    def span_s(self, airtime_s: float) -> float:
        """Seconds from the start of a frame of this airtime to its end, pauses between its packets included."""
        packet_s = self._packet_s(airtime_s)
        return (airtime_s - packet_s) * self._pace(airtime_s) + packet_s

    def step_s(self, airtime_s: float, waiting_s: float = 0.0) -> float:
        """Seconds from the start of a frame to the start of the next one (section 3.2).

        Args:
            airtime_s: airtime of the frame.
            waiting_s: time that the sender waits for answers after the frame.

        >>> from plada_codec.links.profiles import link
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
            airtime_s: airtime of each frame but the last.
            last_airtime_s: airtime of the last frame; None: as the others.
            waiting_s: time that the sender waits for answers after each frame, also after the last one.

        Raises:
            LinkError: (`contact`) if a frame and its answers are longer than a contact window.

        >>> from plada_codec.links.profiles import link
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
            start_s = start_of_last_s(before, step_s, span_s, last_span_s, self.contact_s, self.period_s)
        end_s: NDArray[np.float64] = start_s + last_span_s
        return end_s if isinstance(count, np.ndarray) else float(end_s)

    def start_s(self, ready_s: NDArray[np.float64], span_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """The start of frames that take `span_s` and could start at `ready_s`: then, or with a contact (section 3.3).

        Raises:
            LinkError: (`contact`) if a frame is longer than a contact window.
        """
        if self.contact_s is None or self.period_s is None:
            return ready_s
        return start_in_contact_s(ready_s, span_s, self.contact_s, self.period_s)

    def _pace(self, airtime_s: float) -> float:
        """Seconds that pass for each second on the air, if frames take `airtime_s`: 1 without limits."""
        quota = self.messages_per_day * self._packet_s(airtime_s) / DAY_S if self.messages_per_day else 1
        return 1 / min(self.duty_cycle or 1, quota, 1)

    def _packet_s(self, airtime_s: float) -> float:
        """The airtime of each packet of a frame that takes `airtime_s`: of a full packet, if it has several."""
        if self.frame_packets == 1 or self.model is None or self.mtu_bytes is None:
            return airtime_s
        return min(airtime_s, self.model.airtime_s(self._longest_packet_bytes(self.mtu_bytes)))

    def replaced(self, **values: Any) -> Link:
        """The link with other numbers and switches, of its own or of its airtime model, marked "option".

        None removes a number. Numbers that the model does not have, but that are all that another model needs, make a
        link of that model: a `rate_bps` makes it a link of constant rate.

        Raises:
            LinkError: (`value`) if the link has no such number, or it cannot have that value.

        >>> from plada_codec.links.profiles import link
        >>> link("custom").replaced(rate_bps=463, mtu_bytes=64).frame_airtime_s(64)
        1.1058315334773219
        """
        own = {name: value for name, value in values.items() if name in vars(self)}
        of_model = {name: value for name, value in values.items() if name not in own}
        changed = replace(self, model=self._replaced_model(of_model) if of_model else self.model, **own)
        kept = {name: number for name, number in self.numbers.items() if name not in values}
        options = changed.numbers_marked("option")
        return replace(changed, numbers=MappingProxyType({name: kept.get(name, options[name]) for name in options}))

    def _replaced_model(self, values: dict[str, Any]) -> AirtimeModel:
        names = " and ".join(sorted(values))
        if None in values.values():
            raise LinkError(f"{self.id} cannot be without {names}", rule="value")
        if self.model is not None and values.keys() <= vars(self.model).keys():
            return replace(self.model, **values)
        model = model_of_numbers(values)
        if model is None:
            raise LinkError(f"{self.id} has no {names}", rule="value")
        return model

    def numbers_marked(self, mark: str, note: str = "") -> dict[str, Number]:
        """All numbers that are known, those of the model first, each with this mark and note."""
        parts: list[NumberFields] = [self] if self.model is None else [self.model, self]
        return {
            name: Number(value, part.quantities()[name].unit, mark, note)
            for part in parts
            for name, value in part.known_numbers().items()
        }


def all_quantities() -> dict[str, Quantity]:
    """The numbers of links and of all airtime models, by name."""
    of_models = [model.quantities() for model in AIRTIME_MODELS.values()]
    return {name: quantity for numbers in (*of_models, Link.quantities()) for name, quantity in numbers.items()}


def all_switches() -> dict[str, Switch]:
    """The switches of links and of all airtime models, by name."""
    of_models = [model.switches() for model in AIRTIME_MODELS.values()]
    return {name: switch for switches in (*of_models, Link.switches()) for name, switch in switches.items()}
