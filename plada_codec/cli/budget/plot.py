"""The plot of `plada budget`: the wall time of objects of all sizes, a line for each link or strategy."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from plada_codec.errors import PladaError
from plada_codec.extras import extra_module
from plada_codec.files import atomic_write
from plada_codec.links.budgets.budget import budget
from plada_codec.links.budgets.conditions import Conditions
from plada_codec.links.link import Link
from plada_codec.links.units import show_bytes, show_seconds
from plada_codec.progress import Progress, no_progress

#: The range of sizes of the plot, and the number of sizes that are computed.
_LEAST_BYTES, _LARGEST_BYTES, _SIZES = 10, 100_000, 60
#: Colours of Okabe and Ito (2008), distinct to people of any colour vision. Lines of one colour differ in style.
_COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES = ("-", "--", ":")
_GREY = "#777777"
#: The least distance of two labels, as a share of the height of the plot.
_LABEL_GAP = 0.032
#: The wall times that the axis shows, if they are in its range.
_TIMES = {
    "0.1 s": 0.1,
    "1 s": 1,
    "10 s": 10,
    "1 min": 60,
    "10 min": 600,
    "1 h": 3600,
    "6 h": 6 * 3600,
    "1 d": 86_400,
    "7 d": 7 * 86_400,
    "30 d": 30 * 86_400,
    "1 year": 365 * 86_400,
}


def plot_budgets(
    rows: Mapping[str, tuple[Link, Conditions]],
    path: str | PathLike[str],
    object_bytes: int,
    within_s: float | None = None,
    progress: Progress = no_progress,
) -> None:
    """Plot bytes against the wall time with the probability asked for, log-log, a labelled line for each row.

    Args:
        rows: the links and conditions to plot, by label.
        path: an .svg or .png file. It is complete, or does not exist.
        object_bytes: a size to mark.
        within_s: a time to mark; None: no time.
        progress: called with the number of finished lines, and the number of all lines.

    Raises:
        Unavailable: (rule extra) if matplotlib is not installed.
        FileError: if the file cannot be written.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # users need not know that its cache cannot be kept
    matplotlib = extra_module("matplotlib", "plot")
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    probability = next(iter(rows.values()))[1].probability
    largest = max(_LARGEST_BYTES, 2 * object_bytes)
    sizes = np.unique(np.geomspace(_LEAST_BYTES, largest, _SIZES).round().astype(int))
    figure, axes = plt.subplots(figsize=(10, 7), layout="constrained")
    ends: list[_End] = []
    never: list[str] = []
    for number, (label, (link, conditions)) in enumerate(rows.items()):
        progress(number, len(rows))
        walls_s = np.array([_wall_s(int(size), link, conditions) for size in sizes])
        known = np.isfinite(walls_s)
        if not known.any():
            never.append(label)
            continue
        colour, style = _COLOURS[number % len(_COLOURS)], _STYLES[number // len(_COLOURS) % len(_STYLES)]
        axes.plot(sizes[known], walls_s[known], color=colour, linestyle=style, linewidth=1.5)
        ends.append(_End(label, colour, int(sizes[known][-1]), float(walls_s[known][-1])))
    axes.axvline(object_bytes, color=_GREY, linewidth=0.8)
    mark: dict[str, Any] = {"color": _GREY, "fontsize": 9, "textcoords": "offset points"}
    at_bottom, at_left = ("data", "axes fraction"), ("axes fraction", "data")
    axes.annotate(show_bytes(object_bytes), (object_bytes, 0), (3, 4), xycoords=at_bottom, **mark)
    if within_s is not None:
        axes.axhline(within_s, color=_GREY, linewidth=0.8)
        axes.annotate(f"within {show_seconds(within_s)}", (0, within_s), (4, 3), xycoords=at_left, **mark)
    axes.set(xscale="log", yscale="log", xlabel="object", ylabel="wall time", xlim=(sizes[0], sizes[-1]))
    decades = [10.0**power for power in range(1, math.floor(math.log10(largest)) + 1)]
    axes.set_xticks(decades, [show_bytes(decade) for decade in decades])
    low_s, high_s = axes.get_ylim()
    times = {name: time_s for name, time_s in _TIMES.items() if low_s <= time_s <= high_s}
    axes.set_yticks([*times.values()], [*times])
    axes.minorticks_off()
    axes.set_ylim(low_s, high_s)
    axes.grid(alpha=0.3)
    link_ids = {link.id for link, _ in rows.values()}
    where = f"{link_ids.pop()}: time" if len(link_ids) == 1 else "Time"
    title = f"{where} until all receivers have an object, with probability {probability:.6g}"
    axes.set_title(f"{title}; never: {', '.join(never)}" if never else title)
    _label(axes, ends)
    image = io.BytesIO()
    figure.savefig(image, format=Path(path).suffix[1:], dpi=150)
    plt.close(figure)
    with atomic_write(path) as file:
        file.write(image.getvalue())


class _End(NamedTuple):
    """The end of a line."""

    label: str
    colour: str
    bytes: int
    wall_s: float


def _label(axes: Any, ends: list[_End]) -> None:
    """Write the labels at the right, in the order of the ends of the lines, moved apart and joined to their lines."""
    low, high = np.log(axes.get_ylim())
    ends = sorted(ends, key=lambda end: end.wall_s)
    wanted = [(math.log(end.wall_s) - low) / (high - low) for end in ends]
    heights = _apart(wanted)
    for end, height in zip(ends, heights, strict=True):
        axes.annotate(
            end.label,
            (end.bytes, end.wall_s),
            (1.03, height),
            textcoords="axes fraction",
            va="center",
            fontsize=9,
            color=end.colour,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": end.colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0}
            | {"relpos": (0, 0.5)},
        )


def _apart(heights: list[float]) -> list[float]:
    """Rising heights, moved as little as possible so that they are _LABEL_GAP apart, and at most 1."""
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + _LABEL_GAP) if moved else height)
    most = 1.0
    for index in reversed(range(len(moved))):
        moved[index] = min(moved[index], most)
        most = moved[index] - _LABEL_GAP
    return moved


def _wall_s(object_bytes: int, link: Link, conditions: Conditions) -> float:
    """The wall time; infinite also if the object cannot be sent at all."""
    try:
        return budget(object_bytes, link, conditions).delivery.wall_s
    except PladaError:
        return math.inf
