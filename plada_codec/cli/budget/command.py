"""The command `plada budget`: how long links take for a file, what that costs, how much fits."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from plada_codec.cli.terminal import (
    complain,
    finite,
    loss_of,
    option_group,
    print_table,
    quantity,
    read_bytes,
    usage_errors,
)
from plada_codec.errors import InvalidArgument, PladaError

if TYPE_CHECKING:
    from plada_codec.links.budget import Budget, Conditions
    from plada_codec.links.link import Link
    from plada_codec.links.loss import Loss

    Rows: TypeAlias = Mapping[str, tuple[Link, Conditions]]

_Result = TypeVar("_Result")

_BEST = "best"
_PLOT_SUFFIXES = (".svg", ".png")


class _Option(click.Option):
    """An option that the help lists in a group."""

    def __init__(self, *arguments: Any, group: str, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.group = group


class _Grouped(click.Command):
    """A command whose help lists options in groups, the others first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if isinstance(parameter, click.Option) and record is not None:
                groups.setdefault(getattr(parameter, "group", "Options"), []).append(record)
        for group, records in groups.items():
            with formatter.section(group):
                formatter.write_dl(records)


_Reader: TypeAlias = Callable[[click.Context, click.Parameter, Any], Any]


def _above_zero(reader: str) -> _Reader:
    """A callback as `quantity`, that refuses 0."""

    def read(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
        value = quantity(reader)(ctx, parameter, text)
        if value == 0:
            raise click.BadParameter("0 is not possible: it must be more")
        return value

    return read


def _share(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    value = quantity("ratio")(ctx, parameter, text)
    if value is not None and value > 1:
        raise click.BadParameter(f"{text} is more than 1, which is all: write 30% or 0.3")
    return value


def _duty_cycle(ctx: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    value = _share(ctx, parameter, text)
    if value == 0:
        raise click.BadParameter("0 is not possible: it must be more, and at most 100%")
    return value


def _contact(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    length, slash, period = text.partition("/")
    if not slash:
        raise click.BadParameter(f"{text!r} does not say how often: 8 hours a day are '8 h/24 h'")
    seconds = _above_zero("seconds")
    return seconds(ctx, parameter, length), seconds(ctx, parameter, period)


def _frame_bytes(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | str | None:
    size: int | str | None = text if text == _BEST else quantity("size_bytes")(ctx, parameter, text)
    return size


#: The function of plada_codec.links.units that reads a number of a link, by its unit; others are plain, or in per cent.
_READERS = {
    "s": "seconds",
    "m": "metres",
    "m/s": "metres_per_second",
    "bit/s": "bits_per_second",
    "W": "watts",
    "B": "size_bytes",
}


def _settings(ctx: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> dict[str, float]:
    """The numbers of a link that --set says."""
    if not texts:
        return {}
    from plada_codec.links.link import all_quantities, all_switches

    numbers, switches = all_quantities(), all_switches()
    known = numbers.keys() | switches.keys()
    settings = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, such as messages_per_day=140")
        if name not in known:
            near = get_close_matches(name, sorted(known), n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise click.BadParameter(f"links have no {name!r}: {hint}")
        unit = numbers[name].unit if name in numbers else ""
        number = quantity(_READERS.get(unit, "ratio"))(ctx, parameter, value)
        if name in switches and number not in (0, 1):
            raise click.BadParameter(f"{name} is 1 or 0, for yes or no, not {value}")
        settings[name] = int(number) if float(number).is_integer() else number
    return settings


_delivery_option = partial(click.option, cls=_Option, group="Loss, distance, receivers")
_frames_option = partial(click.option, cls=_Option, group="Frames and answers")
_link_option = partial(click.option, cls=_Option, group="Numbers of the links that --link names")
_output_option = partial(click.option, cls=_Option, group="Output")

_conditions_options = option_group(
    _delivery_option(
        "--loss", callback=_share, metavar="P", help="Share of frames that is lost.  [default: the profile's, or 0]"
    ),
    _delivery_option(
        "--burst", type=float, callback=finite, metavar="B", help="With --loss: mean length of a burst, in frames."
    ),
    _delivery_option(
        "--ber", callback=_share, metavar="P", help="Bit error rate, instead of --loss; shows the best frame size."
    ),
    _delivery_option(
        "--distance",
        callback=quantity("metres"),
        metavar="D",
        help="To the farthest receiver, such as '3 km'.  [default: 0]",
    ),
    _delivery_option(
        "--receivers", type=int, default=1, show_default=True, metavar="R", help="All of whom must have the object."
    ),
    _delivery_option(
        "--probability",
        callback=_share,
        default="99%",
        show_default=True,
        metavar="Q",
        help="That all receivers have it.",
    ),
    _frames_option(
        "--frame-bytes", callback=_frame_bytes, metavar="F", help="Longest frame, or 'best'.  [default: the link's]"
    ),
    _frames_option(
        "--header-bytes",
        callback=quantity("size_bytes"),
        metavar="H",
        help="Bare pieces behind headers of H bytes, instead of PLADA frames.",
    ),
    _frames_option("--padded", is_flag=True, help="With --header-bytes: the last piece is as long as the others."),
    _frames_option(
        "--ack-bytes",
        callback=quantity("size_bytes"),
        default="8",
        show_default=True,
        metavar="A",
        help="Length of an acknowledgement or NACK list; 0 if the link's own.",
    ),
    _frames_option(
        "--return-loss", callback=_share, default="0", show_default=True, metavar="P", help="Share of those lost."
    ),
    _frames_option(
        "--nack-burst",
        type=click.IntRange(1),
        default=32,
        show_default=True,
        metavar="M",
        help="Frames between two NACK lists.",
    ),
)
#: Options that say numbers of the link, and which (--contact says two more).
_NUMBERS = {
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
#: Options that say other numbers that may be out of their range.
_OPTION_OF = {number: option for option, number in _NUMBERS.items()} | {
    "receivers": "receivers",
    "return_loss": "return_loss",
    "acknowledgement_bytes": "ack_bytes",
}
_link_options = option_group(
    *(
        _link_option(name, callback=read, metavar=metavar, help=help)
        for name, read, metavar, help in (
            ("--rate", _above_zero("bits_per_second"), "RATE", "Data rate, such as '463 bit/s'."),
            ("--packet-time", _above_zero("seconds"), "TIME", "Or a time that every packet takes."),
            ("--mtu", _above_zero("size_bytes"), "SIZE", "Longest packet."),
            ("--speed", _above_zero("metres_per_second"), "SPEED", "Of its waves, such as '1500 m/s'."),
            ("--delay", quantity("seconds"), "TIME", "One way, besides that of the distance."),
            ("--turnaround", quantity("seconds"), "TIME", "From receiving to sending."),
            ("--duty-cycle", _duty_cycle, "D", "Share of the time that one may send."),
            ("--contact", _contact, "TIMES", "Contact windows, such as '8 h/24 h'."),
            ("--tx-power", quantity("watts"), "POWER", "Drawn while sending."),
            ("--rx-power", quantity("watts"), "POWER", "Drawn while waiting."),
        )
    ),
    _link_option(
        "--set",
        callback=_settings,
        multiple=True,
        metavar="NAME=VALUE",
        help="Another number, by its name in -v, such as messages_per_day=70; repeatable.",
    ),
)


@click.command(cls=_Grouped)
@click.argument("source", metavar="[FILE]", required=False)
@click.option("--bytes", callback=quantity("size_bytes"), metavar="N", help="Size of what is sent, instead of a file.")
@click.option(
    "--link",
    "ids",
    multiple=True,
    metavar="ID",
    help="A profile, how several begin, or custom; repeatable.  [default: all]",
)
@click.option(
    "--strategy", metavar="NAME", help="one-way, nack, stop-and-wait or single.  [default: one-way, or all on one link]"
)
@click.option(
    "--within", callback=quantity("seconds"), metavar="TIME", help="Say what arrives in that time, such as '20 min'."
)
@click.option("--max-bytes", is_flag=True, help="With --within: print how many bytes fit.")
@_conditions_options
@_link_options
@_output_option(
    "--json", "as_json", is_flag=True, help='Print JSON, in SI units: null is unknown, "never" a time without end.'
)
@_output_option("-v", "--verbose", is_flag=True, help="List every number used, and where it comes from.")
@_output_option("--plot", metavar="OUT", help="Plot bytes against time: an .svg or .png file.")
def budget(
    source: str | None,
    bytes: int | None,
    ids: tuple[str, ...],
    within: float | None,
    max_bytes: bool,
    as_json: bool,
    verbose: bool,
    plot: str | None,
    **said: Any,
) -> None:
    """How long links take for a file, what that costs, and how much fits.

    One link is shown with all strategies: as many coded frames as all receivers need, without a return link (one-way),
    bursts of frames and lists of what is missing (nack), each frame until it is acknowledged (stop-and-wait), and
    everything once (single). Several links are shown with one-way. In the first example, over 3 km of water,
    one-way is 9.1 times as fast as stop-and-wait.

    \b
    Examples:
      plada budget --bytes 5000 --link uwm-5k --distance '3 km' --loss 10% --probability 99.9%
      plada budget task.plada --within '20 min' --loss 33%
      plada budget --link nanomodem-v3 --loss 30% --receivers 40 --within '20 min' --max-bytes
      plada budget task.plada --link custom --rate '463 bit/s' --mtu 64 --ber 1e-4 --frame-bytes best -v
    """  # noqa: D301
    best = said["frame_bytes"] == _BEST
    if max_bytes and (source is not None or bytes is not None or best or plot or verbose):
        raise click.UsageError(
            "--max-bytes excludes a file, --bytes, --frame-bytes best, --plot and -v (--json has every number)."
        )
    if max_bytes and within is None:
        raise click.UsageError("--max-bytes needs --within.")
    if not max_bytes and (source is None) == (bytes is None):
        raise click.UsageError("Say what is to be sent: a file, or --bytes.")
    if bytes == 0:
        raise click.UsageError("--bytes 0: there is nothing to send.")
    if plot is not None and Path(plot).suffix not in _PLOT_SUFFIXES:
        raise click.UsageError(f"--plot {plot}: its name must end in {' or '.join(_PLOT_SUFFIXES)}.")
    with usage_errors(_OPTION_OF):
        from plada_codec.links.budget import best_frame_bytes, budget
        from plada_codec.links.budget import max_bytes as most_bytes

        rows = _rows(_links(ids, said), _conditions(said), said["strategy"] or ("one-way" if max_bytes else None))
        if max_bytes and within is not None:
            fit, left_out = _each(rows, lambda link, conditions: most_bytes(link, within, conditions))
            if as_json:
                fitting = [budget(size, *rows[label]).as_dict() for label, size in fit.items() if size]
                click.echo(json.dumps({"max_bytes": fit, "left_out": left_out, "budgets": fitting}, indent=2))
            else:
                _print_max_bytes(fit, left_out)
            _remark(rows, fit)
            return
        size = _size(source) if bytes is None else bytes
        found, left_out = _each(rows, partial(budget, size))
        if len({each.link.id for each in found.values()}) > 1:
            found = dict(sorted(found.items(), key=lambda row: row[1].delivery.wall_s))
        if said["ber"] is not None and not best:
            best_frames, _ = _each({label: rows[label] for label in found}, partial(best_frame_bytes, size))
            found = {label: replace(each, best_frame_bytes=best_frames.get(label)) for label, each in found.items()}
    if as_json:
        _print_json(found, left_out, within)
    else:
        from plada_codec.cli.budget.tables import print_budgets, print_trace

        print_budgets(found, left_out, within)
        if verbose:
            print_trace(found)
    if plot is not None:
        from plada_codec.cli.budget.plot import plot_budgets
        from plada_codec.progress import progress_bar

        with progress_bar("plotting") as progress:
            # The frames that are best for this size are plotted, not others for each size.
            plotted = {
                label: (each.link, replace(each.conditions, frame_bytes=each.frame_bytes) if best else each.conditions)
                for label, each in found.items()
            }
            plot_budgets(plotted, plot, size, within, progress)


def _size(source: str | None) -> int:
    size = len(read_bytes(source or "-"))
    if size == 0:
        raise InvalidArgument(f"{source}: it is empty, there is nothing to send", rule="object")
    return size


def _links(ids: tuple[str, ...], said: Mapping[str, Any]) -> list[Link]:
    """The links to compare, with the numbers that options say."""
    from plada_codec.links.profiles import link, links

    if said["rate"] is not None and said["packet_time"] is not None:
        raise click.UsageError("--rate and --packet-time exclude each other.")
    numbers = {number: said[option] for option, number in _NUMBERS.items() if said[option] is not None}
    if said["contact"] is not None:
        numbers["contact_s"], numbers["period_s"] = said["contact"]
    if both := numbers.keys() & said["set"].keys():
        raise click.UsageError(f"--set {both.pop()} is said by an option of its own, too.")
    numbers |= said["set"]
    if not ids:
        if numbers:
            raise click.UsageError("Numbers of a link need its name: --link ID, such as --link custom.")
        return [each for id, each in links().items() if id != "custom"]
    chosen = {
        id: link(id)
        for asked in ids
        for id in ([each for each in links() if asked and asked not in links() and each.startswith(asked)] or [asked])
    }
    return [each.replaced(**numbers) for each in chosen.values()]


def _conditions(said: Mapping[str, Any]) -> Conditions:
    from plada_codec.links.budget import Conditions

    if said["padded"] and said["header_bytes"] is None:
        raise click.UsageError("--padded needs --header-bytes: PLADA frames are of one length.")
    return Conditions(
        loss=_loss(said),
        distance_m=said["distance"],
        receivers=said["receivers"],
        probability=said["probability"],
        frame_bytes=said["frame_bytes"],
        piece_header_bytes=said["header_bytes"],
        padded_pieces=said["padded"],
        acknowledgement_bytes=said["ack_bytes"],
        return_loss=said["return_loss"],
        nack_burst_frames=said["nack_burst"],
    )


def _loss(said: Mapping[str, Any]) -> Loss | None:
    from plada_codec.links.loss import BitErrors

    rate, burst_frames, ber = said["loss"], said["burst"], said["ber"]
    if ber is not None:
        if rate is not None or burst_frames is not None:
            raise click.UsageError("--ber excludes --loss and --burst.")
        return BitErrors(ber)
    if rate is not None:
        return loss_of(rate, burst_frames)
    if burst_frames is not None:
        raise click.UsageError("--burst needs --loss.")
    return None


def _rows(chosen: list[Link], conditions: Conditions, strategy: str | None) -> Rows:
    """What is compared, by label: all strategies on one link, unless one is said; else the links."""
    from plada_codec.links.delivery.strategies import STRATEGIES

    if len(chosen) == 1 and strategy is None:
        return {each: (chosen[0], replace(conditions, strategy=each)) for each in reversed(STRATEGIES)}
    return {link.id: (link, replace(conditions, strategy=strategy or "one-way")) for link in chosen}


def _each(rows: Rows, compute: Callable[[Link, Conditions], _Result]) -> tuple[dict[str, _Result], dict[str, str]]:
    """What there is to say of each row, and why there is nothing of some. An error, if there is nothing at all."""
    from plada_codec.progress import progress_bar

    results: dict[str, _Result] = {}
    errors: dict[str, PladaError] = {}
    with progress_bar("computing") as progress:
        for done, (label, row) in enumerate(rows.items()):
            progress(done, len(rows))
            try:
                results[label] = compute(*row)
            except PladaError as error:
                errors[label] = error
    if not results:
        raise next(iter(errors.values()))
    messages = {label: str(error.args[0]) for label, error in errors.items()}
    return results, {label: text if text.startswith(label) else f"{label}: {text}" for label, text in messages.items()}


def _print_max_bytes(fit: Mapping[str, int], left_out: Mapping[str, str]) -> None:
    """The bare number of a single link, for command substitution."""
    from plada_codec.cli.budget.tables import left_out_lines, print_lines

    if len(fit) > 1 or left_out:
        print_table(["link", "bytes that fit"], [(label, str(size)) for label, size in fit.items()])
        print_lines(left_out_lines(left_out))
    else:
        [(label, size)] = fit.items()
        if size == 0:
            raise InvalidArgument(f"not one byte gets over {label} in this time", rule="object")
        click.echo(size)


def _remark(rows: Rows, fit: Mapping[str, int]) -> None:
    """What is to be known of how much fits, on standard error."""
    from plada_codec.cli.budget.tables import assumed
    from plada_codec.links.budget import budget

    for label, size in fit.items():
        link, conditions = rows[label]
        try:
            budget(size + 1, link, conditions)
        except PladaError as error:
            complain(f"{label}: there is time for more, but {error.args[0]}")
    for line in assumed(rows[label] for label in fit):
        complain(line)


def _print_json(found: Mapping[str, Budget], left_out: Mapping[str, str], within: float | None) -> None:
    budgets = [each.as_dict() | {"fits": None if within is None else each.fits(within)} for each in found.values()]
    click.echo(json.dumps({"budgets": budgets, "left_out": left_out}, indent=2))
