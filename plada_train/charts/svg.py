"""Draw charts as SVG from plain values: without scripts or dependencies, and texts stay texts.

Colours and fonts are classes of `charts.css`, so that a chart in a page follows the reader's light or dark scheme; a
standalone file includes the style sheet. A chart is drawn for a width in pixels and not scaled, so that it can be read
on a phone: a page holds it both `WIDE` and `NARROW`, and shows the one that fits. Each chart has a title, and its
finding as a description, for readers who do not see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate, pairwise
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from plada_train.charts.values import Confusion, Histogram, Point, Section

#: Width in pixels of the column of a page on a desktop, and on a phone.
WIDE, NARROW = 680, 340
#: Series of a chart differ in shape and in colour (class series-1 to series-5). Corners are in units of half the size.
SHAPES = {
    "triangle": ((0, -1.2), (1.15, 0.9), (-1.15, 0.9)),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    "wedge": ((0, 1.2), (1.15, -0.9), (-1.15, -0.9)),
    "hourglass": ((-1, -1.1), (1, -1.1), (-1, 1.1), (1, 1.1)),
}
#: Confusions of more classes are drawn without names and numbers.
NAMED_CLASSES = 12
#: Number of colours of a confusion, class heat-0 to heat-5; from `_STRONG_HEAT` on, numbers have the page's colour.
_HEATS, _STRONG_HEAT = 5, 4

#: A character's width, a line's height and the room for a label of the y axis, in pixels.
_CHARACTER, _LINE, _LEFT = 7, 20, 48


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` .. `high` to pixels `start` .. `end`, on a logarithmic scale if `is_log`."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float, *, is_log: bool = False) -> Scale:
        """Make a scale of all `values` with some room on both sides, even if all are equal."""
        known = [math.log(value) if is_log else value for value in values]
        room = max(0.05 * (max(known) - min(known)), 0.01)
        low, high = min(known) - room, max(known) + room
        return cls(math.exp(low), math.exp(high), start, end, True) if is_log else cls(low, high, start, end)

    def __call__(self, value: float) -> float:
        part, whole = value - self.low, self.high - self.low
        if self.is_log:
            part, whole = math.log(value / self.low), math.log(self.high / self.low)
        return self.start + (self.end - self.start) * part / whole

    def ticks(self, most: int) -> list[float]:
        """Round values of the scale, increasing: at most `most`, and at least two if `most` is 6 or more."""
        if self.is_log:
            tens = [10.0**power for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))]
            for digits in ((1, 2, 5), (1,)):
                ticks = [digit * ten for ten in tens for digit in digits if self.low <= digit * ten <= self.high]
                if 2 < len(ticks) <= most:
                    return ticks
        power = math.floor(math.log10((self.high - self.low) / most))
        for step in (digit * 10.0**exponent for exponent in (power, power + 1, power + 2) for digit in (1, 2, 5)):
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            if last - first < most:
                break
        return [step * count for count in range(first, last + 1)]


@dataclass(frozen=True)
class Column:
    """A column of bars: `values` from 0, the texts `shown` beside them, and `css_class`, which colours them."""

    title: str
    values: Sequence[float]
    shown: Sequence[str]
    css_class: str


def frontier_svg(points: Sequence[Point], *, standalone: bool = False, width: int = WIDE) -> str:
    """Draw accuracy against bytes: candidates, baselines, the frontier and the choice (the paper's Figure 5).

    Bytes are on a logarithmic axis. The frontier is a stair: a candidate also fits in more bytes than it
    needs.

    Args:
        points: the planner's candidates, baselines among them; with none, the chart is empty.
        standalone: a file of its own, with its style, rather than a part of a page.
        width: in pixels.
    """
    shapes = baseline_shapes(points)
    keys: list[tuple[str, Callable[[float, float], str]]] = [("candidates", _dot)]
    keys += [(series, _shape_of(*shape)) for series, shape in shapes.items()]
    keys += [("frontier", lambda x, y: _tag("path", d=_line([(x - 7, y), (x + 7, y)]), class_="frontier"))]
    keys += [("chosen", lambda x, y: _tag("circle", cx=x, cy=y, r=6, class_="chosen"))]
    legend, top = _legend(keys, width)
    height = top + width // 4 + 180
    x = Scale.around([point.payload_bytes for point in points] or [1, 1000], _LEFT, width - 16, is_log=True)
    y = Scale.around([point.accuracy for point in points] or [0, 1], height - 44, top + 28)

    stair: list[tuple[float, float]] = []
    for point in sorted((point for point in points if point.is_frontier), key=lambda point: point.payload_bytes):
        here = x(point.payload_bytes), y(point.accuracy)
        stair += [(here[0], stair[-1][1]), here] if stair else [here]
    marks = [_tag("path", d=_line([*stair, (x.end, stair[-1][1])]), class_="frontier")] if stair else []
    rings = []
    for point in sorted(points, key=lambda point: point.series != "candidates"):  # baselines on top
        here = x(point.payload_bytes), y(point.accuracy)
        draw = _shape_of(*shapes[point.series]) if point.series in shapes else _dot
        shown = f"{point.name}: {point.payload_bytes:,} bytes, {point.accuracy:.1%}"
        marks.append(_tag("g", _tag("title", _plain(shown)), draw(*here)))
        if point.is_chosen:
            side, anchor = (12, "start") if here[0] < width / 2 else (-12, "end")
            label = _text(here[0] + side, here[1] - 9, f"chosen: {point.accuracy:.1%}", "strong halo", anchor)
            rings += [_tag("circle", cx=here[0], cy=here[1], r=9, class_="chosen"), label]
    axes = [
        _text(0, top + 12, "accuracy of proxies", "muted"),
        *_y_axis(y, x.end, lambda share: f"{100 * share:.4g}%", 7),
        *_x_axis(x, y.start, lambda count: f"{count:,.0f}", "payload, bytes (logarithmic)"),
    ]
    title = "Accuracy against bytes"
    return _svg(width, height, title, frontier_finding(points), *legend, *axes, *marks, *rings, standalone=standalone)


def frontier_finding(points: Sequence[Point]) -> str:
    """Describe the chart of `frontier_svg` in sentences."""
    found = [f"Candidates shown: {len(points):,}."]
    for point in points:
        if point.is_chosen:
            found.append(
                f"The chosen candidate, {point.name}, reaches {point.accuracy:.1%} with {point.payload_bytes:,} bytes."
            )
    bests = [
        max((point for point in points if point.series == series), key=lambda point: point.accuracy)
        for series in baseline_shapes(points)
    ]
    if bests:
        shown = (f"{best.series} {best.accuracy:.1%} with {best.payload_bytes:,} bytes" for best in bests)
        found.append(f"Baselines reach, at best: {'; '.join(shown)}.")
    return " ".join(found)


def baseline_shapes(points: Iterable[Point]) -> dict[str, tuple[str, str]]:
    """Shape and colour class of each baseline among the points; up to five differ."""
    names = sorted({point.series for point in points} - {"candidates"})
    shapes = list(SHAPES)
    return {name: (shapes[i % len(shapes)], f"series-{i % len(shapes) + 1}") for i, name in enumerate(names)}


def energies_svg(histogram: Histogram, title: str, finding: str, width: int) -> str:
    """Draw two histograms over one axis, of all images and of kept images, with the paper's cut through both.

    Each has its own scale: on a common scale the kept images, about 1% of all, could not be seen.
    """
    panel, gap, top = 96, 30, 44
    x = Scale(histogram.edges[0], histogram.edges[-1], _LEFT, width - 16)
    cut = x(min(max(histogram.cut, x.low), x.high))
    # Texts are on the side with room
    anchor, head_x, head_anchor = ("start", x.end, "end") if cut < width / 2 else ("end", x.start, "start")
    marks: list[str] = []
    heads: list[str] = []
    for place, (what, counts, mark) in enumerate(
        [("labelled", histogram.labelled, "candidates"), ("kept", histogram.kept, "accent")]
    ):
        head = top + place * (panel + gap)
        y = Scale(0, max(*counts, 3), head + panel, head)
        marks += _y_axis(y, x.end, lambda count: f"{count:,.0f}", 3)
        for (left, right), count in zip(pairwise(histogram.edges), counts, strict=True):
            marks.append(_bar(x(left) + 0.5, y(count), x(right) - 0.5, y.start, mark))
        heads.append(_text(head_x, head - 8, f"{what}: {sum(counts):,} images", "muted halo", head_anchor))
    bottom = top + 2 * panel + gap
    label = f"the paper’s cut: {signed(histogram.cut)}"
    marks += [
        _tag("line", x1=cut, x2=cut, y1=18, y2=bottom, class_="cut"),
        _text(cut + (6 if anchor == "start" else -6), 16, label, "strong", anchor),
        *heads,
        *_x_axis(x, bottom, signed, "energy (lower: surer)"),
    ]
    return _svg(width, bottom + 44, title, finding, *marks)


def bars_svg(names: Sequence[str], columns: Sequence[Column], title: str, finding: str, width: int) -> str:
    """Draw rows of horizontal bars, each column on its own scale from 0."""
    left = min(max(map(_room, names)) + 8, 0.3 * width)
    span = (width - left) / len(columns)
    top = 24
    marks = [
        _text(left - 8, top + _LINE * row + 14, _fit(name, left - 8), anchor="end") for row, name in enumerate(names)
    ]
    for place, column in enumerate(columns):
        start = left + place * span
        marks.append(_text(start, 14, _fit(column.title, span - 4), "muted"))
        room = span - _CHARACTER * max(map(len, column.shown)) - 12
        x = Scale(0, max(*column.values, 1e-9), start, start + room)
        for row, (value, shown) in enumerate(zip(column.values, column.shown, strict=True)):
            y = top + _LINE * row
            marks += [_bar(start, y + 3, x(value), y + _LINE - 3, column.css_class), _text(x(value) + 4, y + 14, shown)]
    return _svg(width, top + _LINE * len(names) + 4, title, finding, *marks)


def anatomy_svg(sections: Sequence[Section], title: str, finding: str, width: int) -> str:
    """Draw one bar of all bytes, cut into sections, and a line of text for each section."""
    whole = sum(section.payload_bytes for section in sections)
    ends = list(accumulate((section.payload_bytes for section in sections), initial=0))
    x = Scale(0, max(whole, 1), 0, width)
    marks = []
    for place, (section, (start, end)) in enumerate(zip(sections, pairwise(ends), strict=True)):
        mark, y = ("accent", *(f"series-{i}" for i in range(1, 6)))[place % 6], 64 + _LINE * place
        marks.append(_bar(x(start), 20, max(x(end) - 2, x(start) + 1), 48, mark))
        if x(end) - x(start) > 2 * _CHARACTER:
            marks.append(_text((x(start) + x(end)) / 2, 14, str(place + 1), "muted", "middle"))
        share = f"{section.payload_bytes:,} bytes, {section.payload_bytes / max(whole, 1):.0%}"
        marks += [
            _bar(0, y, 12, y + 12, mark),
            _text(20, y + 11, f"{place + 1}  {_fit(section.name, width - 170)}"),
            _text(width, y + 11, share, anchor="end"),
        ]
    return _svg(width, 64 + _LINE * len(sections), title, finding, *marks)


def confusion_svg(confusion: Confusion, names: Sequence[str], title: str, finding: str) -> str:
    """Draw a heat map of the shares of each true class (row); up to `NAMED_CLASSES` classes, with per cents."""
    is_named = len(names) <= NAMED_CLASSES
    left = min(max(map(_room, names)) + 6, 92) if is_named else 4
    cell, gap = (NARROW - left) / len(names), 1 if is_named else 0
    marks = []
    for row, (name, counts) in enumerate(zip(names, confusion.counts, strict=True)):
        y = left + row * cell
        if is_named:
            marks.append(_text(left - 6, y + cell / 2 + 4, _fit(name, left - 6), anchor="end"))
            # The same name over its column, turned upright if it does not fit
            middle = left + (row + 0.5) * cell
            if left > cell:
                turn = f"rotate(-90 {_number(middle + 4)} {_number(left - 6)})"
                marks.append(_text(middle + 4, left - 6, _fit(name, left - 6), transform=turn))
            else:
                marks.append(_text(middle, left - 6, name, anchor="middle"))
        for column, count in enumerate(counts):
            share = count / max(sum(counts), 1)
            heat, x = math.ceil(_HEATS * share), left + column * cell
            marks.append(_bar(x, y, x + cell - gap, y + cell - gap, f"heat-{heat}"))
            if is_named and count:
                ink = "page" if heat >= _STRONG_HEAT else ""
                marks.append(_text(x + cell / 2, y + cell / 2 + 4, f"{100 * share:.0f}", ink, "middle"))
    return _svg(NARROW, NARROW, title, finding, *marks)


def signed(value: float) -> str:
    """A number with a real minus sign, which is as wide as a plus sign, and which screen readers read."""
    return f"{value:.4g}".replace("-", "−")


def style() -> str:
    """The style sheet of all charts."""
    return files("plada_train.charts").joinpath("charts.css").read_text(encoding="utf-8")


# Parts of charts


def _y_axis(y: Scale, right: float, show: Callable[[float], str], most: int) -> list[str]:
    """Draw lines across the chart, with their values on the left."""
    marks = []
    for tick in y.ticks(most):
        marks.append(_tag("line", x1=_LEFT, x2=right, y1=y(tick), y2=y(tick), class_="grid"))
        marks.append(_text(_LEFT - 8, y(tick) + 4, show(tick), "muted", "end"))
    return marks


def _x_axis(x: Scale, y: float, show: Callable[[float], str], title: str) -> list[str]:
    marks = [_tag("line", x1=x.start, x2=x.end, y1=y, y2=y, class_="axis")]
    for tick in x.ticks(int((x.end - x.start) / 45)):
        marks.append(_tag("line", x1=x(tick), x2=x(tick), y1=y, y2=y + 4, class_="axis"))
        marks.append(_text(x(tick), y + 18, show(tick), "muted", "middle"))
    return [*marks, _text(x.end, y + 38, title, "muted", "end")]


def _legend(keys: Sequence[tuple[str, Callable[[float, float], str]]], width: float) -> tuple[list[str], int]:
    """Draw the legend in lines that are not wider than the chart; return it and its lower end."""
    marks, x, y = [], 0.0, 10
    for name, draw in keys:
        room = 32 + _room(name)
        if x and x + room > width:
            x, y = 0.0, y + _LINE
        marks += [draw(x + 8, y), _text(x + 20, y + 4, name)]
        x += room
    return marks, y + _LINE


def _dot(x: float, y: float) -> str:
    return _tag("circle", cx=x, cy=y, r=3, class_="candidates")


def _shape_of(shape: str, mark: str) -> Callable[[float, float], str]:
    def draw(x: float, y: float) -> str:
        return _tag("path", d=_line([(x + 5 * dx, y + 5 * dy) for dx, dy in SHAPES[shape]]) + "Z", class_=mark)

    return draw


def _line(corners: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in corners)


def _bar(left: float, top: float, right: float, bottom: float, mark: str) -> str:
    return _tag("rect", x=left, y=top, width=max(right - left, 0), height=max(bottom - top, 0), class_=mark)


def _text(x: float, y: float, text: str, class_: str = "", anchor: str = "start", **attributes: str) -> str:
    return _tag("text", _plain(text), x=x, y=y, class_=class_, text_anchor=anchor, **attributes)


def _fit(text: str, room: float) -> str:
    """Shorten a text to a width."""
    if _room(text) <= room:
        return text
    some = text[: max(int(room / _CHARACTER), 1)]
    while some and _room(some) + _CHARACTER > room:
        some = some[:-1]
    return some + "…"


def _room(text: str) -> float:
    """The approximate width of a text, in pixels; Chinese characters and emoji are twice as wide as others."""
    return _CHARACTER * (len(text) + sum(east_asian_width(character) in "WF" for character in text))


def _svg(width: int, height: int, title: str, finding: str, *marks: str, standalone: bool = False) -> str:
    name = f"{re.sub(r'[^a-z]+', '-', title.lower())}-{width}"
    head = [_tag("title", _plain(title), id=name), _tag("desc", _plain(finding), id=f"{name}-finding")]
    margin = 0
    if standalone:
        margin = 16
        head += [_tag("style", escape(style())), _bar(-margin, -margin, width + margin, height + margin, "page")]
    return _tag(
        *("svg", *head, *marks),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{-margin} {-margin} {width + 2 * margin} {height + 2 * margin}",
        width=width + 2 * margin,
        height=height + 2 * margin,
        role="img",
        aria_labelledby=f"{name} {name}-finding",
    )


def _tag(name: str, *inside: str, **attributes: str | float) -> str:
    """Make an XML element with markup in it; empty attributes are left out."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}={quoteattr(value if isinstance(value, str) else _number(value))}"
        for key, value in attributes.items()
        if value != ""
    )
    return f"<{name}{written}>{''.join(inside)}</{name}>" if inside else f"<{name}{written}/>"


def _plain(text: str) -> str:
    """Convert a text to markup, without characters that XML does not allow."""
    return escape("".join(character if character.isprintable() else " " for character in text))


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
