"""The command `plada budget`: delivery times over links, their cost, and the bytes that fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import click

from plada_codec.cli.budget.options import (
    BEST,
    NUMBER_OF_OPTION,
    OPTION_OF_NUMBER,
    BudgetCommand,
    conditions_options,
    link_options,
    output_option,
)
from plada_codec.cli.terminal import check_not_input, complain, loss_of, print_table, quantity, read_bytes, usage_errors
from plada_codec.errors import InvalidArgument, PladaError

if TYPE_CHECKING:
    from plada_codec.links.budgets.budget import Budget
    from plada_codec.links.budgets.conditions import Conditions
    from plada_codec.links.link import Link
    from plada_codec.links.loss import Loss

    Rows: TypeAlias = Mapping[str, tuple[Link, Conditions]]

_Result = TypeVar("_Result")

_PLOT_SUFFIXES = (".svg", ".png")
_MORE_EXAMPLES = """
    \b
    More examples:
      plada budget task.plada --within '20 min' --loss 33%
      plada budget --link nanomodem-v3 --loss 30% --receivers 40 --within '20 min' --max-bytes
      plada budget task.plada --link custom --rate '463 bit/s' --mtu 64 --ber 1e-4 --frame-bytes best -v
"""


@click.command(cls=BudgetCommand, epilog=_MORE_EXAMPLES)
@click.argument("source", metavar="[FILE]", required=False)
@click.option("--bytes", callback=quantity("size_bytes"), metavar="N", help="Number of bytes to send, instead of FILE.")
@click.option(
    "--link",
    "ids",
    multiple=True,
    metavar="ID",
    help="Id of a link, the beginning of several ids, or custom; repeatable.  [default: all]",
)
@click.option(
    "--strategy",
    metavar="NAME",
    help="One of the strategies below.  [default: all of them on one link, one-way on several]",
)
@click.option(
    "--within",
    callback=quantity("seconds"),
    metavar="TIME",
    help="Show whether the file arrives within this time, such as '20 min'.",
)
@click.option("--max-bytes", is_flag=True, help="Print the number of bytes that arrive within --within.")
@conditions_options
@link_options
@output_option(
    "--json", "as_json", is_flag=True, help='Print JSON, in SI units: null is unknown, "never" an infinite time.'
)
@output_option("-v", "--verbose", is_flag=True, help="List every number used, and its source.")
@output_option("--plot", metavar="OUT", help="Plot bytes against time: an .svg or .png file.")
def budget(
    source: str | None,
    bytes: int | None,
    ids: tuple[str, ...],
    within: float | None,
    max_bytes: bool,
    as_json: bool,
    verbose: bool,
    plot: str | None,
    **options: Any,
) -> None:
    """Compute the time and cost of a delivery over narrow links.

    \b
    Example:
      plada budget --bytes 5000 --link uwm-5k --distance '3 km' --loss 10% --probability 99.9%

    One link is shown with all strategies, several links with one-way. In the example, over 3 km of water, one-way is
    9.1 times as fast as stop-and-wait.
    """  # noqa: D301
    best = options["frame_bytes"] == BEST
    if max_bytes and (source is not None or bytes is not None or best or plot or verbose):
        raise click.UsageError(
            "--max-bytes excludes a file, --bytes, --frame-bytes best, --plot and -v (--json has every number)."
        )
    if max_bytes and within is None:
        raise click.UsageError("--max-bytes needs --within.")
    if not max_bytes and (source is None) == (bytes is None):
        raise click.UsageError("Give either a file, or --bytes.")
    if bytes == 0:
        raise click.UsageError("--bytes 0: there is nothing to send.")
    if plot is not None and Path(plot).suffix not in _PLOT_SUFFIXES:
        raise click.UsageError(f"--plot {plot}: its name must end in {' or '.join(_PLOT_SUFFIXES)}.")
    if plot is not None and source is not None:
        check_not_input(plot, source)
    with usage_errors(OPTION_OF_NUMBER):
        rows = _rows(_links(ids, options), _conditions(options), options["strategy"], all_strategies=not max_bytes)
        if max_bytes and within is not None:
            _show_max_bytes(rows, within, as_json)
            return
        size = _size(source) if bytes is None else bytes
        found, left_out = _budgets(rows, size, with_best_frames=options["ber"] is not None and not best)
    if as_json:
        budgets = [each.as_dict() | {"fits": None if within is None else each.fits(within)} for each in found.values()]
        click.echo(json.dumps({"budgets": budgets, "left_out": left_out}, indent=2))
    else:
        from plada_codec.cli.budget.tables import print_budgets, print_trace

        print_budgets(found, left_out, within)
        if verbose:
            print_trace(found)
    if plot is not None:
        from plada_codec.cli.budget.plot import plot_budgets
        from plada_codec.progress import progress_bar

        with progress_bar("plotting") as progress:
            # All sizes are plotted with the frames that are best for this size.
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


def _links(ids: tuple[str, ...], options: Mapping[str, Any]) -> list[Link]:
    """The links to compare, with the numbers that options set."""
    from plada_codec.links.profiles import link, links

    if options["rate"] is not None and options["packet_time"] is not None:
        raise click.UsageError("--rate and --packet-time exclude each other.")
    numbers = {number: options[option] for option, number in NUMBER_OF_OPTION.items() if options[option] is not None}
    if options["contact"] is not None:
        numbers["contact_s"], numbers["period_s"] = options["contact"]
    if both := numbers.keys() & options["set"].keys():
        raise click.UsageError(f"--set {both.pop()}: another option sets it, too.")
    numbers |= options["set"]
    if not ids:
        if numbers:
            raise click.UsageError("Numbers of a link need its name: --link ID, such as --link custom.")
        return [each for id, each in links().items() if id != "custom"]
    chosen = {
        id: link(id)
        for start in ids
        for id in ([each for each in links() if start and start not in links() and each.startswith(start)] or [start])
    }
    return [each.replaced(**numbers) for each in chosen.values()]


def _conditions(options: Mapping[str, Any]) -> Conditions:
    from plada_codec.links.budgets.conditions import Conditions

    if options["padded"] and options["header_bytes"] is None:
        raise click.UsageError("--padded needs --header-bytes: PLADA frames all have one length.")
    return Conditions(
        loss=_loss(options),
        distance_m=options["distance"],
        receivers=options["receivers"],
        probability=options["probability"],
        frame_bytes=options["frame_bytes"],
        piece_header_bytes=options["header_bytes"],
        padded_pieces=options["padded"],
        acknowledgement_bytes=options["ack_bytes"],
        return_loss=options["return_loss"],
        nack_burst_frames=options["nack_burst"],
    )


def _loss(options: Mapping[str, Any]) -> Loss | None:
    from plada_codec.links.loss import BitErrors

    rate, burst_frames, ber = options["loss"], options["burst"], options["ber"]
    if ber is not None:
        if rate is not None or burst_frames is not None:
            raise click.UsageError("--ber excludes --loss and --burst.")
        return BitErrors(ber)
    if rate is not None:
        return loss_of(rate, burst_frames)
    if burst_frames is not None:
        raise click.UsageError("--burst needs --loss.")
    return None


def _rows(chosen: list[Link], conditions: Conditions, strategy: str | None, *, all_strategies: bool) -> Rows:
    """The rows to compare, by label: the links; or all strategies, if there is one link and no strategy is named."""
    from plada_codec.links.delivery.registry import DEFAULT_STRATEGY, STRATEGIES

    if all_strategies and len(chosen) == 1 and strategy is None:
        return {name: (chosen[0], replace(conditions, strategy=name)) for name in STRATEGIES}
    return {link.id: (link, replace(conditions, strategy=strategy or DEFAULT_STRATEGY)) for link in chosen}


def _budgets(rows: Rows, size: int, *, with_best_frames: bool) -> tuple[dict[str, Budget], dict[str, str]]:
    """The budgets, by label, several links by wall time; and the reason for each row that has none."""
    from plada_codec.links.budgets.budget import best_frame_bytes, budget

    found, left_out = _each(rows, partial(budget, size))
    if len({each.link.id for each in found.values()}) > 1:
        found = dict(sorted(found.items(), key=lambda row: row[1].delivery.wall_s))
    if with_best_frames:
        best_frames, _ = _each({label: rows[label] for label in found}, partial(best_frame_bytes, size))
        found = {label: replace(each, best_frame_bytes=best_frames.get(label)) for label, each in found.items()}
    return found, left_out


def _each(rows: Rows, compute: Callable[[Link, Conditions], _Result]) -> tuple[dict[str, _Result], dict[str, str]]:
    """The result of each row, and the reason for each row that has none. An error if no row has a result."""
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


def _show_max_bytes(rows: Rows, within: float, as_json: bool) -> None:
    """Print the bytes that fit: the bare number of a single link, for command substitution."""
    from plada_codec.cli.budget.tables import left_out_lines, print_lines
    from plada_codec.links.budgets.budget import budget, max_bytes

    fit, left_out = _each(rows, lambda link, conditions: max_bytes(link, within, conditions))
    if as_json:
        budgets = [budget(size, *rows[label]).as_dict() for label, size in fit.items() if size]
        click.echo(json.dumps({"max_bytes": fit, "left_out": left_out, "budgets": budgets}, indent=2))
    elif len(fit) > 1 or left_out:
        print_table(["link", "bytes that fit"], [(label, str(size)) for label, size in fit.items()])
        print_lines(left_out_lines(left_out))
    else:
        [(label, size)] = fit.items()
        if size == 0:
            raise InvalidArgument(f"not one byte gets over {label} in this time", rule="object")
        click.echo(size)
    _remark(rows, fit)


def _remark(rows: Rows, fit: Mapping[str, int]) -> None:
    """Print on standard error why no more bytes fit, if not for lack of time, and the assumptions."""
    from plada_codec.cli.budget.tables import assumption_lines
    from plada_codec.links.budgets.budget import budget

    for label, size in fit.items():
        link, conditions = rows[label]
        try:
            budget(size + 1, link, conditions)
        except PladaError as error:
            complain(f"{label}: there is time for more, but {error.args[0]}")
    for line in assumption_lines(rows[label] for label in fit):
        complain(line)
