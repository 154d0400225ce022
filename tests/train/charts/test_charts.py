"""Charts are well-formed for any data, draw nothing outside, and differ in shape wherever they differ in colour."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_train.charts.svg import NARROW, WIDE, Scale, baseline_shapes, energies_svg, frontier_finding, frontier_svg
from plada_train.charts.values import Histogram, Point

SVG = "{http://www.w3.org/2000/svg}"
BASELINES = ("lowest energy", "Safety-Net -0.2", "stride")
points = st.builds(
    Point,
    st.integers(16, 200_000),
    st.floats(0, 1),
    st.sampled_from(("candidates", *BASELINES)),
    st.text(max_size=20),
    is_frontier=st.booleans(),
)


def within(svg: str) -> bool:
    """Whether all circles, lines, paths and bars lie within the chart."""
    root = ElementTree.fromstring(svg)
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    across, down = [left], [top]
    for mark in root.iter():
        here = {key: float(value) for key, value in mark.attrib.items() if re.fullmatch(r"c?[xy][12]?", key)}
        across += [value for key, value in here.items() if "x" in key]
        down += [value for key, value in here.items() if "y" in key]
        corners = re.findall(r"[ML](\S+?) ([^LZ\s]+)", mark.attrib.get("d", ""))
        across += [float(x) for x, _ in corners]
        down += [float(y) for _, y in corners]
    return left <= min(across) and max(across) <= left + width and top <= min(down) and max(down) <= top + height


@given(st.floats(1e-3, 1e6), st.floats(1, 1e4), st.booleans(), st.integers(6, 12))
def test_ticks_are_few_and_within_the_scale(low: float, factor: float, is_log: bool, most: int) -> None:
    scale = Scale.around([low, low * factor], 0, 100, is_log=is_log)
    ticks = scale.ticks(most)
    assert 2 <= len(ticks) <= most
    assert ticks == sorted(set(ticks))
    assert all(-1e-6 <= scale(tick) <= 100 + 1e-6 for tick in ticks)


@given(st.lists(st.floats(1, 1e6), min_size=2), st.booleans())
def test_a_scale_keeps_the_order_of_values_and_leaves_room(values: list[float], is_log: bool) -> None:
    scale = Scale.around(values, 0, 100, is_log=is_log)
    places = [scale(value) for value in sorted(values)]
    assert places == sorted(places)
    assert places[0] > 0
    assert places[-1] < 100


@given(st.lists(points, max_size=12), st.sampled_from((WIDE, NARROW)), st.booleans())
def test_a_frontier_is_well_formed_and_all_of_it_can_be_seen(drawn: list[Point], width: int, standalone: bool) -> None:
    svg = frontier_svg(drawn, standalone=standalone, width=width)
    root = ElementTree.fromstring(svg)
    assert len(list(root.iter(f"{SVG}g"))) == len(drawn)
    assert (
        root.findtext(f"{SVG}desc") == frontier_finding(drawn).replace("\n", " ")
        or not frontier_finding(drawn).isprintable()
    )
    assert within(svg)


def test_baselines_differ_in_shape_and_in_colour() -> None:
    shapes = baseline_shapes([Point(1000, 0.5, series, "") for series in ("candidates", *BASELINES)])
    assert set(shapes) == set(BASELINES)
    assert len({shape for shape, _ in shapes.values()}) == len({mark for _, mark in shapes.values()}) == len(BASELINES)
    svg = frontier_svg([Point(1000, 0.5, series, series) for series in BASELINES])
    assert all(f">{series}</text>" in svg for series in BASELINES)


def test_a_standalone_chart_is_a_file_of_its_own_in_light_and_dark() -> None:
    root = ElementTree.fromstring(frontier_svg([Point(1000, 0.5, "candidates", "a")], standalone=True))
    assert root.tag == f"{SVG}svg"
    assert "prefers-color-scheme: dark" in (root.findtext(f"{SVG}style") or "")
    assert root.findtext(f"{SVG}title") == "Accuracy against bytes"


def test_the_finding_says_what_was_chosen_and_the_best_of_each_baseline() -> None:
    drawn = [
        Point(990, 0.41, "candidates", "energy + loss", is_chosen=True),
        Point(400, 0.1, "stride", "a"),
        Point(980, 0.2, "stride", "b"),
    ]
    assert frontier_finding(drawn) == (
        "Candidates shown: 3. The chosen candidate, energy + loss, reaches 41.0% with 990 bytes. "
        "Baselines reach, at best: stride 20.0% with 980 bytes."
    )


@pytest.mark.parametrize("cut", [-math.inf, -3.0, 0.5, math.inf])
def test_a_cut_is_drawn_within_the_chart(cut: float) -> None:
    histogram = Histogram((-3.0, -2.0, 0.0), (5, 0), (0, 0), cut)
    assert within(energies_svg(histogram, "energies", "none is kept", NARROW))
