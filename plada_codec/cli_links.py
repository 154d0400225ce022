"""The command `plada budget`: how long links take for a file, what that costs, how much fits."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from plada_codec.errors import InvalidPayload, PladaError
from plada_codec.terminal import json_option, option_group, print_table, quantity, read_bytes

if TYPE_CHECKING:
    from plada_codec.budget import Budget, Conditions
    from plada_codec.links import Link
    from plada_codec.loss import Loss

    Rows: TypeAlias = Mapping[str, tuple[Link, Conditions]]

_Result = TypeVar("_Result")

_BEST = "best"
_PLOT_SUFFIXES = (".svg", ".png")


def _contact(ctx: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    length, slash, period = text.partition("/")
    if not slash:
        raise click.BadParameter(f"{text!r} does not say how often: 8 hours a day are '8 h/24 h'")
    seconds = quantity("seconds")
    return seconds(ctx, parameter, length), seconds(ctx, parameter, period)


def _frame_bytes(ctx: click.Context, parameter: click.Parameter, text: str | None) -> int | str | None:
    size: int | str | None = text if text == _BEST else quantity("size_bytes")(ctx, parameter, text)
    return size


def _option(name: str, reader: str, metavar: str, help: str) -> Callable[[Any], Any]:
    return click.option(name, callback=quantity(reader), metavar=metavar, help=help)


_conditions_options = option_group(
    _option("--loss", "ratio", "P", "Share of frames that is lost.  [default: the profile's, or 0]"),
    click.option("--burst", type=float, metavar="B", help="With --loss: mean length of a burst of losses, in frames."),
    _option("--ber", "ratio", "P", "Bit error rate, instead of --loss; shows the best frame size."),
    _option("--distance", "metres", "D", "To the farthest receiver, such as '3 km'.  [default: 0]"),
    click.option("--receivers", type=click.IntRange(1), default=1, show_default=True, metavar="R"),
    click.option(
        "--probability",
        callback=quantity("ratio"),
        default="99%",
        show_default=True,
        metavar="Q",
        help="That all receivers have the object.",
    ),
    click.option(
        "--strategy", metavar="NAME", help="single, stop-and-wait, nack or one-way.  [default: one-way, or all]"
    ),
    click.option(
        "--frame-bytes", callback=_frame_bytes, metavar="F", help="Longest frame, or 'best'.  [default: the link's]"
    ),
    _option("--header-bytes", "size_bytes", "H", "Plain pieces behind such a header, instead of PLADA frames."),
    click.option("--padded", is_flag=True, help="With --header-bytes: the last piece is as long as the others."),
    click.option(
        "--ack-bytes",
        callback=quantity("size_bytes"),
        default="8",
        show_default=True,
        metavar="A",
        help="Length of an acknowledgement or NACK list; 0 if the link's own.",
    ),
)
#: Options that say numbers of the link, and which (--contact says two more).
_NUMBERS = {
    "rate": "rate_bps",
    "frame_time": "frame_time_s",
    "mtu": "mtu_bytes",
    "delay": "one_way_delay_s",
    "turnaround": "turnaround_s",
    "duty_cycle": "duty_cycle",
    "tx_power": "tx_power_w",
    "rx_power": "rx_power_w",
}
_link_options = option_group(
    _option("--rate", "bits_per_second", "RATE", "Data rate, such as '463 bit/s'."),
    _option("--frame-time", "seconds", "TIME", "Or a time that every packet takes."),
    _option("--mtu", "size_bytes", "SIZE", "Longest packet."),
    _option("--delay", "seconds", "TIME", "One way, besides that of the distance."),
    _option("--turnaround", "seconds", "TIME", "From receiving to sending."),
    _option("--duty-cycle", "ratio", "D", "Share of the time that one may send."),
    click.option("--contact", callback=_contact, metavar="TIMES", help="Contact windows, such as '8 h/24 h'."),
    _option("--tx-power", "watts", "POWER", "Drawn while sending."),
    _option("--rx-power", "watts", "POWER", "Drawn while waiting."),
)


@click.command()
@click.argument("source", metavar="[FILE]", required=False)
@_option("--bytes", "size_bytes", "N", "Size of what is sent, instead of a file.")
@click.option("--link", "ids", multiple=True, metavar="ID", help="A profile, or custom; repeatable.  [default: all]")
@_option("--within", "seconds", "TIME", "Say what arrives in that time, such as '20 min'.")
@click.option("--max-bytes", is_flag=True, help="With --within: print how many bytes fit.")
@_conditions_options
@_link_options
@json_option
@click.option("-v", "--verbose", is_flag=True, help="List every number used, and where it comes from.")
@click.option("--plot", metavar="OUT", help="Plot bytes against time: an .svg or .png file.")
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

    One link is shown with all strategies: everything once (single), each frame until it is acknowledged
    (stop-and-wait), bursts of frames and lists of what is missing (nack), and as many coded frames as all receivers
    need, without a return link (one-way). Several links are shown with one-way.

    \b
    Examples:
      plada budget --bytes 5000 --link uwm-5k --distance '3 km' --loss 10% --probability 99.9%
      plada budget task.plada --within '20 min' --loss 33%
      plada budget --link nanomodem-v3 --loss 30% --receivers 40 --within '20 min' --max-bytes
      plada budget task.plada --link custom --rate '463 bit/s' --mtu 64 --ber 1e-4 --frame-bytes best -v
    """  # noqa: D301
    best = said["frame_bytes"] == _BEST
    if max_bytes and (source is not None or bytes is not None or best or plot or verbose):
        raise click.UsageError("--max-bytes excludes a file, --bytes, --frame-bytes best, --plot and -v.")
    if max_bytes and within is None:
        raise click.UsageError("--max-bytes needs --within.")
    if not max_bytes and (source is None) == (bytes is None):
        raise click.UsageError("Say what is to be sent: a file, or --bytes.")
    if bytes == 0:
        raise click.UsageError("--bytes 0: there is nothing to send.")
    if plot is not None and Path(plot).suffix not in _PLOT_SUFFIXES:
        raise click.UsageError(f"--plot {plot}: its name must end in {' or '.join(_PLOT_SUFFIXES)}.")
    with _usage_errors():
        from plada_codec.budget import best_frame_bytes, budget
        from plada_codec.budget import max_bytes as most_bytes

        rows = _rows(_links(ids, said), _conditions(said), said["strategy"] or ("one-way" if max_bytes else None))
        if max_bytes and within is not None:
            _print_max_bytes(*_each(rows, lambda link, conditions: most_bytes(link, within, conditions)), as_json)
            return
        size = _size(source) if bytes is None else bytes
        best_frames: dict[str, int] = {}
        left_out: dict[str, str] = {}
        if best or said["ber"] is not None:
            best_frames, left_out = _each(rows, partial(best_frame_bytes, size))
        if best:
            rows = {
                label: (link, replace(conditions, frame_bytes=best_frames[label]))
                for label, (link, conditions) in rows.items()
                if label in best_frames
            }
        found, failed = _each(rows, partial(budget, size))
        left_out |= failed
    if as_json:
        _print_json(found, left_out, best_frames, within)
    else:
        _print_tables(found, left_out, best_frames, within, verbose)
    if plot is not None:
        from plada_codec.budget_plot import plot_budgets
        from plada_codec.progress import progress_bar

        with progress_bar("plotting") as progress:
            plot_budgets({label: rows[label] for label in found}, plot, size, within, progress)


def _size(source: str | None) -> int:
    size = len(read_bytes(source or "-"))
    if size == 0:
        raise InvalidPayload(f"{source}: it is empty, there is nothing to send", rule="object")
    return size


def _links(ids: tuple[str, ...], said: Mapping[str, Any]) -> list[Link]:
    """The links to compare, with the numbers that options say."""
    from plada_codec.links import link, links

    numbers = {number: said[option] for option, number in _NUMBERS.items() if said[option] is not None}
    if said["contact"] is not None:
        numbers["contact_s"], numbers["period_s"] = said["contact"]
    if numbers and not ids:
        raise click.UsageError("Numbers of a link need its name: --link ID, such as --link custom.")
    return [link(id).replaced(**numbers) for id in ids] or list(links().values())


def _conditions(said: Mapping[str, Any]) -> Conditions:
    from plada_codec.budget import Conditions

    if said["padded"] and said["header_bytes"] is None:
        raise click.UsageError("--padded needs --header-bytes: PLADA frames are of one length.")
    return Conditions(
        loss=_loss(said),
        distance_m=said["distance"],
        receivers=said["receivers"],
        probability=said["probability"],
        frame_bytes=None if said["frame_bytes"] == _BEST else said["frame_bytes"],
        header_bytes=said["header_bytes"],
        padded=said["padded"],
        acknowledgement_bytes=said["ack_bytes"],
    )


def _loss(said: Mapping[str, Any]) -> Loss | None:
    from plada_codec.loss import BitErrors, BurstyLoss, IndependentLoss

    rate, burst_frames, ber = said["loss"], said["burst"], said["ber"]
    if ber is not None:
        if rate is not None or burst_frames is not None:
            raise click.UsageError("--ber excludes --loss and --burst.")
        return BitErrors(ber)
    if burst_frames is None:
        return None if rate is None else IndependentLoss(rate)
    if rate is None:
        raise click.UsageError("--burst needs --loss.")
    return BurstyLoss(rate, burst_frames)


def _rows(chosen: list[Link], conditions: Conditions, strategy: str | None) -> Rows:
    """What is compared, by label: all strategies on one link, unless one is said; else the links."""
    from plada_codec.delivery import STRATEGIES

    if len(chosen) == 1 and strategy is None:
        return {each: (chosen[0], replace(conditions, strategy=each)) for each in STRATEGIES}
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


def _print_max_bytes(fit: Mapping[str, int], left_out: Mapping[str, str], as_json: bool) -> None:
    """The bare number of a single link, for command substitution."""
    if as_json:
        click.echo(json.dumps({"max_bytes": fit, "left_out": left_out}, indent=2))
    elif len(fit) > 1 or left_out:
        print_table(["link", "bytes that fit"], [(label, str(size)) for label, size in fit.items()])
        click.echo("\n".join(left_out.values()))
    else:
        [(label, size)] = fit.items()
        if size == 0:
            raise InvalidPayload(f"not one byte gets over {label} in this time", rule="object")
        click.echo(size)


def _print_json(
    found: Mapping[str, Budget], left_out: Mapping[str, str], best: Mapping[str, int], within: float | None
) -> None:
    budgets = [
        each.as_dict() | {"best_frame_bytes": best.get(label), "fits": None if within is None else each.fits(within)}
        for label, each in found.items()
    ]
    click.echo(json.dumps({"budgets": budgets, "left_out": left_out}, indent=2))


def _print_tables(
    found: Mapping[str, Budget],
    left_out: Mapping[str, str],
    best: Mapping[str, int],
    within: float | None,
    verbose: bool,
) -> None:
    from plada_codec.units import show_joules

    link_ids = {each.link.id for each in found.values()}
    title = "link" if link_ids == found.keys() else link_ids.pop()
    probability = next(iter(found.values())).conditions.probability
    columns: dict[str, Callable[[str, Budget], str]] = {
        title: lambda label, each: label,
        "frame": lambda label, each: f"{each.job.frame_bytes} B",
        "best": lambda label, each: f"{best[label]} B",
        "frames": lambda label, each: f"{each.delivery.frames:.4g}",
        "airtime": lambda label, each: _duration(each.delivery.airtime_s),
        "wall p50": lambda label, each: _duration(each.delivery.wall_p50_s),
        "wall p99": lambda label, each: _duration(each.delivery.wall_p99_s),
        f"wall p{100 * probability:.6g}": lambda label, each: _duration(each.delivery.wall_s),
        "energy": lambda label, each: _known(each.delivery.energy_j, show_joules),
        "J/bit": lambda label, each: _known(each.delivery.joules_per_bit, "{:.3g}".format),
        "complete": lambda label, each: f"{each.delivery.completion:.2%}",
        "fits": lambda label, each: "yes" if within is not None and each.fits(within) else "no",
    }
    if not best:
        del columns["best"]
    if within is None:
        del columns["fits"]
    print_table(list(columns), [tuple(show(*row) for show in columns.values()) for row in found.items()])
    notes: dict[str, list[str]] = {}
    for label, each in found.items():
        for note in each.notes:
            notes.setdefault(note, []).append(label)
    for note, labels in notes.items():
        click.echo(f"{', '.join(labels)}: {note}")
    for reason in left_out.values():
        click.echo(reason)
    if verbose:
        _print_trace(found)


def _print_trace(found: Mapping[str, Budget]) -> None:
    """Where the numbers come from; what strategies on one link have in common is said once."""
    link = None
    for label, each in found.items():
        used = each.results if each.link is link else (*each.inputs, *each.results)
        rows = [(number.name, _plain(number.value), number.unit, number.source, number.note) for number in used]
        click.echo()
        print_table([label, "value", "unit", "from", "note"], rows)
        link = each.link


def _plain(value: float | str) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)


def _duration(value: float) -> str:
    from plada_codec.units import show_seconds

    return show_seconds(value) if math.isfinite(value) else "never"


def _known(value: float | None, show: Callable[[float], str]) -> str:
    return "-" if value is None else show(value)


@contextmanager
def _usage_errors() -> Iterator[None]:
    """What a link or frames of it cannot be is wrong usage."""
    from plada_codec.units import BadLink

    try:
        yield
    except PladaError as error:
        if isinstance(error, BadLink) or error.rule == "frame-bytes":
            raise click.UsageError(str(error.args[0])) from None
        raise
