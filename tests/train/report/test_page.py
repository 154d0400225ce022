"""The report's page in a real browser loads nothing, escapes all text, and is legible in light, dark and on a phone."""

from __future__ import annotations

import base64
import io
import json
import random
import re
import shutil
import subprocess
from dataclasses import dataclass, fields, replace
from html import escape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")

from PIL import Image

from plada_train.charts.svg import style
from plada_train.charts.values import Confusion, Histogram, Point, Section
from plada_train.planning.plan_file import Rung
from plada_train.report.contents import (
    Anatomy,
    ClassRow,
    Contents,
    LinkTime,
    MissingPart,
    Percentile,
    RunSummary,
    SearchExtent,
    Thumbnail,
)
from plada_train.report.page import render

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE, DESK = 375, 1280

NAMES = (
    *("airplane", "bridge", "commercial area", "dense residential", "forest", "harbour", "island", "lake"),
    *("mountain", "parking lot", "river", "stadium"),
)


def thumbnail(draw: random.Random, percent: float) -> Thumbnail:
    image, out = Image.new("RGB", (64, 64), tuple(draw.choices(range(256), k=3))), io.BytesIO()
    image.paste(tuple(draw.choices(range(256), k=3)), (16, 16, 48, 48))
    image.save(out, "jpeg")
    data_url = "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
    return Thumbnail(data_url, draw.randrange(40_000), draw.choice(NAMES), percent / 9 - 14, draw.random() < 0.3)


def sample(names: tuple[str, ...] = NAMES, seed: int = 0) -> Contents:
    """A report of realistic size: 12 classes, 120 candidates, 64 images."""
    draw = random.Random(seed)
    points = [
        Point(
            draw.choice((395, 398, 990, 998)) + draw.randrange(-30, 3),
            draw.uniform(0.1, 0.36),
            "candidates",
            f"energy, Safety-Net {i}",
        )
        for i in range(110)
    ]
    for size, gain in ((398, 0), (998, 0.08)):
        points += [
            Point(size, 0.12 + gain, "lowest energy", "energy"),
            Point(size - 1, 0.19 + gain, "Safety-Net -0.2", "energy, Safety-Net -0.2"),
            *(Point(size - 40 + i, 0.16 + gain + i / 500, "stride", f"stride 50, offset {i}") for i in range(3)),
        ]
    points += [
        Point(301, 0.31, "candidates", "loss, Safety-Net 0", is_frontier=True),
        Point(398, 0.35, "candidates", "energy + loss, Safety-Net 0", is_frontier=True),
        Point(991, 0.41, "candidates", "energy + loss, Safety-Net 0", is_frontier=True, is_chosen=True),
    ]
    labelled = tuple(int(4000 * 2 ** (-((i - 14) ** 2) / 60)) for i in range(40))
    kept = tuple(count // 40 if i < 12 else 0 for i, count in enumerate(labelled))
    size = len(names)

    def confusion(who: str, right: float) -> Confusion:
        cells = [[draw.randrange(int(60 * (1 - right)) // 5 + 1) for _ in names] for _ in names]
        for i, row in enumerate(cells):
            row[i] = int(60 * right * draw.uniform(0.6, 1.2))
        return Confusion(who, tuple(map(tuple, cells)))

    return Contents(
        title="resisc12 in 991 bytes",
        summary=RunSummary(
            *(991, 1204, 301, 40_000, size, "energy + loss, Safety-Net 0", 1000, 0.801, 0.412),
            *("convnextv2_tiny", "resnet18"),
        ),
        points=tuple(points),
        links=(
            LinkTime("umodem-fsk0", "WHOI Micromodem, rate 0 (FSK)", 102.4, 103.1, 0.08),
            LinkTime("nanomodem-v3", "Newcastle nanomodem v3", 17.1, 17.4),
            LinkTime("lorawan-eu868-dr0", "LoRaWAN EU868, DR0", 55.9, 5530.2),
            LinkTime("hf-datac4", "FreeDV DATAC4, HF radio", 98.3, 98.3),
            LinkTime("titan-dte", "Titan, direct to Earth", 15.9, 4800.0),
            LinkTime("sigfox-rc1", "Sigfox, RC1", None, None),
        ),
        percentiles=tuple(
            Percentile(percent, tuple(thumbnail(draw, percent) for _ in range(8)))
            for percent in (0, 1, 5, 10, 25, 50, 75, 100)
        ),
        energies=Histogram(tuple(-16 + 0.4 * i for i in range(41)), labelled, kept, -12.93),
        classes=tuple(
            ClassRow(
                name,
                draw.randrange(200, 9000),
                draw.choice((0, 12, 90)),
                draw.randrange(20, 30),
                draw.uniform(300, 900),
            )
            for name in names
        ),
        anatomy=Anatomy(
            (
                Section("container", "what every payload has: magic, sizes, digest, checksum", 31),
                Section("index", "which images are kept", 712),
                Section("labels", "their classes", 190),
                Section("class names", "what the classes are called", 58),
            ),
            26.3,
            5.05,
            18.9,
        ),
        class_names=names,
        confusions=(confusion("teacher", 0.85), confusion("student", 0.5)),
        facts=(
            ("reference", "40,000 images, digest 8457ba14171502e5"),
            ("teacher", "convnextv2_tiny, 224 px, 5 epochs"),
            ("student", "resnet18"),
            ("seeds", "0, 0"),
        ),
        missing=(
            MissingPart("the seconds of the planner", "plan.json is of an older version: run plada-train plan again"),
        ),
        search=SearchExtent((Rung(50, 420, 420), Rung(140, 117, 117)), "time", ("test_resnet", "test_byobnet"), 341),
    )


EMPTY = Contents("nothing", None, (), (), (), None, (), None, (), (), (), ())


class Page(HTMLParser):
    """Tags with their attributes, in order, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(sample()))


def test_the_page_is_one_file_that_loads_nothing(page: Page) -> None:
    html = render(sample())
    assert len(html.encode()) < 3_000_000
    for tag, attributes in page.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "srcset", "xlink:href", "action", "poster", "data"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"url\(|@import", html)
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")


def test_the_page_shows_the_most_important_parts_first(page: Page) -> None:
    order = ["991 bytes", "41.2%", "teacher 80.1%", "chance 8.3%", "17.4 s", "Newcastle nanomodem v3", "301 of 40,000"]
    order += [
        "energy + loss, Safety-Net 0",
        "Why this choice",
        "420 of 420 candidates in 50",
        "On the frontier, no other candidate has fewer bytes",
        "−14.0",
        "−21.0",
        "Glossary",
        "Over each link",
    ]
    assert "The student (resnet18) learns this task from 991 bytes. They say which 301 of 40,000 shared" in page.text
    text = page.text[page.text.index("In short") :]
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_the_page_is_structured_for_screen_readers(page: Page) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.tags:
        assert set(attributes.get("aria-labelledby", "").split()) <= set(ids)
        assert attributes.get("href", "#").removeprefix("#") in {*ids, "", "data:,"}
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for landmark in ("header", "main", "nav", "footer"):
        assert len(page.all(landmark)) == 1
    assert page.all("html")[0]["lang"] == "en"
    assert all(svg["role"] == "img" and svg["aria-labelledby"] for svg in page.all("svg"))
    assert len(page.all("figcaption")) == len(page.all("figure")) > 5
    assert len(page.all("table")) == len(page.all("caption"))
    first = sample().percentiles[0].images[0]
    assert page.all("img")[0]["alt"] == f"{first.label}, energy percentile 0, {'kept' if first.is_kept else 'not kept'}"


def test_names_are_text_and_never_markup() -> None:
    hostile = (
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "{{ 7 * 7 }}",
        "]]>&amp;\x00\ufffe",
        "",
        "' onload='x",
    )
    page = Page(render(replace(sample(hostile), title="</title><script>", facts=(("<b>", "</dl>"),))))
    assert not page.all("script")
    assert {img["src"][:5] for img in page.all("img")} == {"data:"}
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert "<script>alert(1)</script>" in page.text
    assert "{{ 7 * 7 }}" in page.text


@pytest.mark.parametrize("field", [field.name for field in fields(Contents) if field.name != "title"])
def test_the_page_is_made_with_any_part_alone_or_missing(field: str) -> None:
    only = replace(EMPTY, **{field: getattr(sample(), field)})
    without = replace(sample(), **{field: getattr(EMPTY, field)})
    assert len(Page(render(only)).all("h1")) == len(Page(render(without)).all("h1")) == 1


def test_the_page_names_missing_parts_and_the_reasons() -> None:
    why = "there are no scores: run plada-train score"
    text = Page(render(replace(EMPTY, missing=(MissingPart("energies", why),)))).text
    assert text.index("Missing parts") < text.rindex("energies") < text.index(why)
    assert "nothing to show" in Page(render(EMPTY)).text


def test_accuracies_that_are_not_known_are_not_numbers() -> None:
    summary = sample().summary
    assert summary is not None
    unknown = replace(summary, teacher_accuracy=None, student_accuracy=None, budget_bytes=None)
    text = Page(render(replace(sample(), summary=unknown, links=()))).text
    assert "teacher not measured" in text
    assert "None" not in text


def test_the_page_says_how_few_candidates_a_search_measured() -> None:
    points = (Point(396, 0.78, "lowest energy", "lowest energy", is_frontier=True, is_chosen=True, steps=50),)
    search = SearchExtent((Rung(50, 420, 1), Rung(140, 1, 0), Rung(400, 0, 0)), "time", ("test_resnet",), 119)
    text = Page(render(replace(sample(), points=points, search=search))).text
    assert "measured 1 of 420 candidates in 50 training steps of the proxies. The time was too short" in text
    assert "Candidates that were not measured may be better." in text
    assert "optimistic" not in text
    assert "+0.0" not in text


def test_accuracies_after_other_steps_are_not_compared() -> None:
    chosen = Point(396, 0.5, "candidates", "loss (measured in 50 steps)", is_chosen=True, steps=50)
    points = (chosen, Point(396, 0.78, "stride", "every 4th image", steps=140))
    text = Page(render(replace(sample(), points=points))).text
    assert "other steps" in text
    assert "+28.0" not in text


@pytest.mark.parametrize(("word", "is_said"), [("Safety-Net", True), ("Entropy", False), ("Held-out images", True)])
def test_the_glossary_of_the_page_explains_the_words_of_the_page_only(page: Page, word: str, is_said: bool) -> None:
    words = page.text[page.text.index("Glossary") : page.text.index("Over each link")]
    assert (word in words) == is_said


def test_parts_that_lack_the_same_are_named_together() -> None:
    missing = (
        MissingPart("energies", "no scores"),
        MissingPart("anatomy", "no payload"),
        MissingPart("classes", "no scores"),
    )
    grouped = replace(EMPTY, missing=missing).missing_by_reason
    assert grouped == (MissingPart("energies, classes", "no scores"), MissingPart("anatomy", "no payload"))


def test_the_length_of_the_page_is_bounded_for_many_classes() -> None:
    few, many = (len(render(sample(tuple(f"class {i}" for i in range(size))))) for size in (60, 520))
    assert many < few + 300_000


def colours(scheme: str) -> dict[str, tuple[float, ...]]:
    """The style's colours, sRGB 0 .. 1."""
    light, dark = style().split("@media", 1)
    found = re.findall(r"--([\w-]+): #(\w{6});", light if scheme == "light" else light + dark)
    return {name: tuple(int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)) for name, value in found}


def contrast(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(colour: tuple[float, ...]) -> float:
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_the_contrast_of_wcag_aa(scheme: str) -> None:
    of = colours(scheme)
    texts = [("ink", "page"), ("ink", "panel"), ("muted", "page"), ("muted", "panel"), ("accent", "page")]
    texts += [("ink", f"heat-{i}") for i in range(4)] + [("page", f"heat-{i}") for i in (4, 5)]
    marks = [("faint", "page"), ("accent", "page"), *((f"series-{i}", "page") for i in range(1, 6))]
    assert {
        pair: round(contrast(of[pair[0]], of[pair[1]]), 2) for pair in texts if contrast(of[pair[0]], of[pair[1]]) < 4.5
    } == {}
    assert {
        pair: round(contrast(of[pair[0]], of[pair[1]]), 2) for pair in marks if contrast(of[pair[0]], of[pair[1]]) < 3
    } == {}


#: Looks into frames of the page, which is not touched: its policy forbids scripts within, not a look from outside.
MEASURE = r"""
<script>
const rgb = text => text.match(/[\d.]+/g).map(Number);
const luminance = colour => {
  const [r, g, b] = colour.slice(0, 3).map(c => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (...colours) => {
  const [low, high] = colours.map(luminance).sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
};
const behind = (view, element) => {
  const heat = element.closest("svg") && element.previousElementSibling;
  if (heat?.getAttribute("class")?.startsWith("heat")) return rgb(view.getComputedStyle(heat).fill);
  for (; element; element = element.parentElement) {
    const colour = rgb(view.getComputedStyle(element).backgroundColor);
    if (colour.length == 3 || colour[3] > 0) return colour;
  }
  return [255, 255, 255];
};
const measure = frame => {
  const view = frame.contentWindow, page = frame.contentDocument, root = page.documentElement;
  const faint = [], sizes = [], layouts = [...page.querySelectorAll(".wide, .narrow")], images = [...page.images];
  page.querySelectorAll("details").forEach(details => { details.open = true; });
  const texts = page.createTreeWalker(page.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement, svg = element.closest("svg"), own = view.getComputedStyle(element);
    const isShown = texts.currentNode.data.trim() && element.getBoundingClientRect().width;
    if (!isShown || element.closest("title, desc, .unseen")) continue;
    if (contrast(rgb(svg ? own.fill : own.color), behind(view, element)) < 4.5) faint.push(element.outerHTML);
    sizes.push(parseFloat(own.fontSize) * (svg ? svg.getScreenCTM().a : 1));
  }
  return {
    faint, texts: sizes.length, smallest_px: Math.min(...sizes), overflow_px: root.scrollWidth - root.clientWidth,
    background: rgb(view.getComputedStyle(page.body).backgroundColor), images: images.length,
    broken_images: images.filter(image => !image.naturalWidth).length,
    layouts: layouts.length, shown_layouts: layouts.filter(layout => layout.offsetHeight).length,
    first_number_px: page.querySelector(".tiles .value").getBoundingClientRect().top,
  };
};
onload = () => { document.body.textContent = JSON.stringify([...document.querySelectorAll("iframe")].map(measure)); };
</script>
"""


@dataclass(frozen=True)
class Looked:
    """Measurements of pages in a browser that prefers a colour scheme, and the lines of its console."""

    scheme: str
    pages: list[dict[str, Any]]
    log: list[str]


def look(folder: Path, scheme: str, *pages: tuple[int, str]) -> Looked:
    """Open pages in frames of those widths, in pixels."""
    frames = [f'<iframe width="{width}" height="900" srcdoc="{escape(page)}"></iframe>' for width, page in pages]
    looking, style = folder / "look.html", "<style>iframe { border: 0 }</style>"
    looking.write_text(f"<!DOCTYPE html><meta charset=utf-8>{style}{MEASURE}<body>{''.join(frames)}", encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    options += ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"]
    options += [
        f"--user-data-dir={folder / 'profile'}",
        f"--blink-settings=preferredColorScheme={int(scheme == 'light')}",
    ]
    command = [str(CHROMIUM), *options, "--window-size=1400,1000", "--dump-dom", looking.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    measured = json.loads(Page(done.stdout.partition("<body>")[2]).text)
    return Looked(scheme, measured, [line for line in done.stderr.splitlines() if "CONSOLE" in line])


@pytest.fixture(scope="module", params=["light", "dark"])
def looked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    if CHROMIUM is None:
        pytest.skip("there is no chromium, chromium-browser or google-chrome to look at the page with")
    long_names = tuple(f"averylongclassname{i}" * 4 for i in range(60))
    pages = [(PHONE, render(sample())), (DESK, render(sample())), (PHONE, render(sample(long_names)))]
    return look(tmp_path_factory.mktemp("browser"), request.param, *pages)


@pytest.mark.browser
def test_a_browser_has_nothing_to_complain_of(looked: Looked) -> None:
    assert looked.log == []
    assert [(page["images"], page["broken_images"]) for page in looked.pages] == [(64, 0)] * 3


@pytest.mark.browser
def test_no_page_is_wider_than_its_screen(looked: Looked) -> None:
    assert [page["overflow_px"] for page in looked.pages] == [0, 0, 0]


@pytest.mark.browser
def test_every_text_can_be_read(looked: Looked) -> None:
    for page in looked.pages:
        assert page["faint"] == []
        assert page["texts"] > 300
        assert page["smallest_px"] >= 10
        assert (max(page["background"][:3]) < 64) == (looked.scheme == "dark")


@pytest.mark.browser
def test_one_layout_of_each_chart_is_shown_and_the_first_number_at_once(looked: Looked) -> None:
    for page in looked.pages:
        assert page["shown_layouts"] == page["layouts"] / 2 > 0
        assert page["first_number_px"] < 300
