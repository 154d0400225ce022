"""The output of `plada budget` for people: a table, remarks on it, and the numbers behind it."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping

import click

from plada_codec.cli.terminal import print_table
from plada_codec.errors import printable
from plada_codec.links.budgets.budget import Budget
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.delivery.registry import BASELINE_STRATEGY, DEFAULT_STRATEGY
from plada_codec.links.link import Link
from plada_codec.links.units import show_joules, show_seconds

#: A wider table leaves out its least important columns. Longer lines are folded.
_TABLE_COLUMNS, _LINE_COLUMNS = 80, 100
#: Between two columns of a table.
_GAP_COLUMNS = 2
#: The column of the wall time that half of the deliveries meet.
_HALF = "wall 50%"


def print_budgets(budgets: Mapping[str, Budget], left_out: Mapping[str, str], within_s: float | None) -> None:
    """Print a table of budgets, and remarks to read before one relies on it.

    Args:
        budgets: the budgets, by the label of their row: the id of a link, or the strategy on a single link.
        left_out: the reason for each row that has no budget, by its label.
        within_s: the time within which the object should arrive; None: any time.
    """
    columns = _columns(budgets, within_s)
    print_table(list(columns), list(zip(*columns.values(), strict=True)))
    lines = [*_remarks(budgets, columns), *left_out_lines(left_out)]
    lines += assumption_lines((each.link, each.conditions) for each in budgets.values())
    if lines:
        click.echo()
    print_lines(lines)


def _remarks(budgets: Mapping[str, Budget], columns: Mapping[str, list[str]]) -> Iterator[str]:
    """Remarks on the table: a comparison, the meaning of columns, notes of the links."""
    fast, slow = DEFAULT_STRATEGY, BASELINE_STRATEGY
    if {fast, slow} <= budgets.keys():
        ratio = budgets[slow].delivery.wall_s / budgets[fast].delivery.wall_s
        if ratio < 1:
            fast, slow = slow, fast
        times = max(ratio, 1 / ratio)
        shown = f"{times:,.{1 if times < 10 else 0}f}"
        if shown != "1.0":
            yield f"{fast} is {shown} times as fast as {slow}"
    if _HALF in columns and any(each.delivery.wall_p50_s < each.delivery.airtime_s for each in budgets.values()):
        yield f"{_HALF} can be less than airtime: receivers can decode before the sender has sent all frames"
    notes: dict[str, dict[str, None]] = {}
    for each in budgets.values():
        for note in each.notes:
            notes.setdefault(note, {})[each.link.id] = None
    for note, ids in notes.items():
        yield f"{', '.join(ids)}: {note}"


def _columns(budgets: Mapping[str, Budget], within_s: float | None) -> dict[str, list[str]]:
    """The columns of the table, by title, without those that say nothing, and those for which there is no room."""
    shown = list(budgets.values())
    probability = shown[0].conditions.probability
    link_ids = {each.link.id for each in shown}
    wall = f"wall {100 * probability:.6g}%"
    columns = {
        "link" if link_ids == budgets.keys() else link_ids.pop(): list(budgets),
        "frame": [f"{each.job.frame_bytes} B" for each in shown],
        "best": ["-" if each.best_frame_bytes is None else f"{each.best_frame_bytes} B" for each in shown],
        "frames": [_count(each.delivery.frames) for each in shown],
        "airtime": [_duration(each.delivery.airtime_s) for each in shown],
        _HALF: [_duration(each.delivery.wall_p50_s) for each in shown],
        wall: [_duration(each.delivery.wall_s) for each in shown],
        "fits": ["yes" if within_s is not None and each.fits(within_s) else "no" for each in shown],
        "complete": [f"{each.delivery.completion:.2%}" for each in shown],
        "energy": ["-" if each.delivery.energy_j is None else show_joules(each.delivery.energy_j) for each in shown],
    }
    silent = {
        "best": all(each.best_frame_bytes is None for each in shown),
        _HALF: wall != _HALF and columns[_HALF] == columns[wall],
        "fits": within_s is None,
        "complete": all(each.delivery.completion >= probability for each in shown),
        "energy": all(each.delivery.energy_j is None for each in shown),
    }
    columns = {title: cells for title, cells in columns.items() if not silent.get(title)}
    # The best length of frames says nothing without the length of the frames.
    for least in (*(() if "best" in columns else ("frame",)), _HALF, "complete", "energy"):
        if least != wall and _width(columns) > _TABLE_COLUMNS:
            columns.pop(least, None)
    return columns


def _width(columns: Mapping[str, list[str]]) -> int:
    return sum(max(map(len, (title, *cells))) + _GAP_COLUMNS for title, cells in columns.items()) - _GAP_COLUMNS


def print_trace(budgets: Mapping[str, Budget]) -> None:
    """Print the source of every number; numbers that all budgets share are printed once."""
    traces = {label: (*each.inputs, *each.results) for label, each in budgets.items()}
    first = next(iter(traces.values()))
    common = tuple(each for each in first if len(traces) > 1 and all(each in trace for trace in traces.values()))
    parts = {"all of them": common} if common else {}
    parts |= {label: tuple(each for each in trace if each not in common) for label, trace in traces.items()}
    for label, part in parts.items():
        rows = [(each.name, _plain(each.value), each.unit, each.source, each.note) for each in part]
        click.echo()
        print_table([label, "value", "unit", "from", "note"], rows, text=(0, 2, 3, 4))


def _plain(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.7g}" if math.isfinite(value) else "never"


def _count(value: float) -> str:
    return f"{value:.4g}" if value < 1000 else f"{value:,.0f}"


def _duration(value: float) -> str:
    return show_seconds(value) if math.isfinite(value) else "never"


def assumption_lines(rows: Iterable[tuple[Link, Conditions]]) -> list[str]:
    """A line about conditions that matter and were not given, with the options to give; no line if there are none."""
    rows = list(rows)
    options = {}
    if any(conditions.loss is None and link.loss is None for link, conditions in rows):
        options["no loss"] = "--loss 10%"
    if any(conditions.distance_m is None and link.speed_m_per_s is not None for link, conditions in rows):
        options["no distance"] = "--distance '3 km'"
    return [f"{' and '.join(options)} assumed: try {' '.join(options.values())}"] if options else []


def left_out_lines(left_out: Mapping[str, str]) -> Iterator[str]:
    """One line for all rows that are left out for the same reason."""
    reasons: dict[str, list[str]] = {}
    for label, reason in left_out.items():
        reasons.setdefault(reason.removeprefix(label).lstrip(": "), []).append(label)
    for reason, labels in reasons.items():
        yield f"left out: {', '.join(labels)} ({reason})"


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, folded if they are long."""
    for line in lines:
        click.echo(textwrap.fill(printable(line), _LINE_COLUMNS, subsequent_indent="  ", break_on_hyphens=False))
