"""The options of `plada budget` that describe the delivery and the links, and the functions that read them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from plada_codec.cli.terminal import finite, option_group, quantity, share
from plada_codec.errors import InvalidArgument
from plada_codec.links.defaults import (
    DEFAULT_ACKNOWLEDGEMENT_BYTES,
    DEFAULT_NACK_BURST_FRAMES,
    DEFAULT_PROBABILITY,
    DEFAULT_RECEIVERS,
    DEFAULT_RETURN_LOSS,
)

if TYPE_CHECKING:
    from plada_codec.links.numbers import Quantity

_Reader: TypeAlias = Callable[[click.Context, click.Parameter, Any], Any]

#: The value of --frame-bytes that asks for the best length.
BEST = "best"
#: The number of a link that each of these options sets. (--contact sets two more.)
NUMBER_OF_OPTION = {
    "rate": "rate_bps",
    "packet_time": "frame_time_s",
    "mtu": "mtu_bytes",
    "speed": "speed_m_per_s",
    "delay": "one_way_delay_s",
    "turnaround": "turnaround_s",
    "duty_cycle": "duty_cycle",
    "tx_power": "tx_power_w",
    "rx_power": "rx_power_w",
}
#: The option that sets each number that may be outside its range.
OPTION_OF_NUMBER = {number: option for option, number in NUMBER_OF_OPTION.items()} | {
    "receivers": "receivers",
    "return_loss": "return_loss",
    "acknowledgement_bytes": "ack_bytes",
}
#: The function of plada_codec.links.units that reads a number of a link, by its unit.
_READERS = {
    "s": "seconds",
    "m": "metres",
    "m/s": "metres_per_second",
    "bit/s": "bits_per_second",
    "Hz": "hertz",
    "W": "watts",
    "B": "size_bytes",
}


class _GroupOption(click.Option):
    """An option that the help lists in a group."""

    def __init__(self, *arguments: Any, group: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.group = group


class BudgetCommand(click.Command):
    """A command whose help lists options in groups, then the strategies, then more examples."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from plada_codec.links.delivery.registry import STRATEGIES

        with formatter.section("Strategies"):
            formatter.write_dl([(name, f"{strategy.summary}.") for name, strategy in STRATEGIES.items()])
        super().format_epilog(ctx, formatter)


def _above_zero(reader: str) -> _Reader:
    """A callback like `quantity` that refuses 0."""

    def read(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        value = quantity(reader)(ctx, parameter, text)
        if value == 0:
            raise click.BadParameter("it must be more than 0")
        return value

    return read


def _duty_cycle(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    value = share(ctx, parameter, text)
    if value == 0:
        raise click.BadParameter("it must be more than 0, and at most 100%")
    return value


def _contact(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    length, slash, period = text.partition("/")
    if not slash:
        raise click.BadParameter(f"{text!r} has no period: write 8 hours a day as '8 h/24 h'")
    seconds = _above_zero("seconds")
    return seconds(ctx, parameter, length), seconds(ctx, parameter, period)


def _frame_bytes(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | str | None:
    size: int | str | None = text if text == BEST else quantity("size_bytes")(ctx, parameter, text)
    return size


def _settings(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """The numbers and switches of a link that --set sets."""
    if not texts:
        return {}
    from plada_codec.links.link import all_quantities, all_switches

    numbers, switches = all_quantities(), all_switches()
    known = sorted(numbers.keys() | switches.keys())
    settings: dict[str, float] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as messages_per_day=140")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise click.BadParameter(f"links have no {name!r}: {hint}")
        if name in switches:
            if value not in ("0", "1"):
                raise click.BadParameter(f"{name} is 1 or 0, for yes or no, not {value!r}")
            number = float(value)
        elif numbers[name].unit in _READERS:
            number = quantity(_READERS[numbers[name].unit])(ctx, parameter, value)
        else:
            number = _plain_number(name, value, numbers[name])
        settings[name] = int(number) if float(number).is_integer() else number
    return settings


def _plain_number(name: str, text: str, of: Quantity) -> float:
    """A number without a unit; one that is at most 1 may be a percentage."""
    from plada_codec.links.units import ratio

    try:
        if of.largest > 1 and "%" in text:
            raise InvalidArgument("it is no share", rule="unit")
        return ratio(text)
    except InvalidArgument:
        raise click.BadParameter(f"{name} must be {of.bounds}, not {text!r}") from None


_delivery_option = partial(click.option, cls=_GroupOption, group="Loss, distance, receivers")
_frames_option = partial(click.option, cls=_GroupOption, group="Frames and answers")
_link_option = partial(click.option, cls=_GroupOption, group="Numbers of the links named by --link")
output_option = partial(click.option, cls=_GroupOption, group="Output")

conditions_options = option_group(
    _delivery_option(
        "--loss", callback=share, metavar="P", help="Share of the frames that is lost.  [default: the profile's, or 0]"
    ),
    _delivery_option(
        "--burst",
        type=float,
        callback=finite,
        metavar="B",
        help="Mean length of a burst of losses, in frames; needs --loss.",
    ),
    _delivery_option(
        "--ber",
        callback=share,
        metavar="P",
        help="Bit error rate, instead of --loss; also shows the best frame length.",
    ),
    _delivery_option(
        "--distance",
        callback=quantity("metres"),
        metavar="D",
        help="Distance of the farthest receiver, such as '3 km'.  [default: 0]",
    ),
    _delivery_option(
        "--receivers",
        type=int,
        default=DEFAULT_RECEIVERS,
        show_default=True,
        metavar="R",
        help="Number of receivers that must all get the file.",
    ),
    _delivery_option(
        "--probability",
        callback=share,
        default=f"{100 * DEFAULT_PROBABILITY:.6g}%",
        show_default=True,
        metavar="Q",
        help="Probability with which all receivers get the file.",
    ),
    _frames_option(
        "--frame-bytes",
        callback=_frame_bytes,
        metavar="F",
        help="Length of the longest frame in bytes, or 'best'.  [default: the link's]",
    ),
    _frames_option(
        "--header-bytes",
        callback=quantity("size_bytes"),
        metavar="H",
        help="Send bare pieces behind headers of H bytes, instead of PLADA frames.",
    ),
    _frames_option(
        "--padded", is_flag=True, help="Make the last bare piece as long as the others; needs --header-bytes."
    ),
    _frames_option(
        "--ack-bytes",
        callback=quantity("size_bytes"),
        default=f"{DEFAULT_ACKNOWLEDGEMENT_BYTES}",
        show_default=True,
        metavar="A",
        help="Length of an acknowledgement or NACK list in bytes; 0: the link's own.",
    ),
    _frames_option(
        "--return-loss",
        callback=share,
        default=f"{DEFAULT_RETURN_LOSS:g}",
        show_default=True,
        metavar="P",
        help="Share of the acknowledgements or NACK lists that is lost.",
    ),
    _frames_option(
        "--nack-burst",
        type=click.IntRange(1),
        default=DEFAULT_NACK_BURST_FRAMES,
        show_default=True,
        metavar="M",
        help="Number of frames between two NACK lists.",
    ),
)
link_options = option_group(
    *(
        _link_option(name, callback=read, metavar=metavar, help=help)
        for name, read, metavar, help in (
            ("--rate", _above_zero("bits_per_second"), "RATE", "Data rate, such as '463 bit/s'."),
            ("--packet-time", _above_zero("seconds"), "TIME", "Time that every packet takes, instead of --rate."),
            ("--mtu", _above_zero("size_bytes"), "SIZE", "Length of the longest packet."),
            (
                "--speed",
                _above_zero("metres_per_second"),
                "SPEED",
                "Propagation speed of the waves, such as '1500 m/s'.",
            ),
            ("--delay", quantity("seconds"), "TIME", "One-way delay, besides that of the distance."),
            ("--turnaround", quantity("seconds"), "TIME", "Time from receiving to sending."),
            ("--duty-cycle", _duty_cycle, "D", "Share of the time for which a sender may transmit."),
            ("--contact", _contact, "TIMES", "Length and period of contact windows, such as '8 h/24 h'."),
            ("--tx-power", quantity("watts"), "POWER", "Power that the sender draws while it sends."),
            ("--rx-power", quantity("watts"), "POWER", "Power that the sender draws while it waits for answers."),
        )
    ),
    _link_option(
        "--set",
        callback=_settings,
        multiple=True,
        metavar="NAME=VALUE",
        help="Another number of the link, by its name in -v, such as messages_per_day=70; repeatable.",
    ),
)
