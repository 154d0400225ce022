"""Compare size.csv and speed.csv with the bars of issue 3."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.corpora import REAL, SPEED_CORPUS
from bench.table import OURS, Row

Cell = tuple[str, str, str]
#: Keep rates of the first bar.
FILTERED = ("0.01", "0.05", "0.1", "0.25")


@dataclass(frozen=True)
class Bar:
    """A goal and its result, a line of bars.csv; `met` is "met", "missed", "stated" (no goal) or "not measured"."""

    what: str
    bar: str
    reached: str
    met: str
    where: str = ""


def by_cell(rows: Iterable[Row], what: str = "file") -> dict[Cell, dict[str, Row]]:
    """Rows by cell (corpus, rule, keep rate) and compressor."""
    cells: dict[Cell, dict[str, Row]] = {}
    for row in rows:
        if row["what"] == what:
            cells.setdefault((row["corpus"], row["rule"], row["keep"]), {})[row["coder"]] = row
    return cells


def size_of(by_compressor: dict[str, Row], compressor: str) -> int:
    return int(by_compressor[compressor]["bytes"])


def smallest(by_compressor: dict[str, Row], kind: str) -> Row:
    """The row with the fewest bytes among the compressors of a kind."""
    return min((row for row in by_compressor.values() if row["kind"] == kind), key=lambda row: int(row["bytes"]))


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def bars(size_rows: list[Row], speed_rows: list[Row]) -> Iterator[Bar]:
    """Compare the measurements with the bars."""
    sizes, speeds = by_cell(size_rows), by_cell(speed_rows)

    def over_paper(cell: Cell) -> float:
        return size_of(sizes[cell], OURS) / size_of(sizes[cell], "paper's zstd")

    def over_peers(cell: Cell) -> float:
        return size_of(sizes[cell], OURS) / int(smallest(sizes[cell], "general-purpose")["bytes"])

    def lowest_energy(corpora: Iterable[str], *keep_rates: str) -> list[Cell]:
        cells = [(corpus, "lowest-energy", keep) for corpus in corpora for keep in keep_rates]
        return [cell for cell in cells if cell in sizes]

    title = "file / paper's zstd-19, geometric mean, real, lowest energy, p in 1, 5, 10, 25%"
    yield _mean(title, 0.81, lowest_energy(REAL, *FILTERED), over_paper, geometric_mean)
    title = "file / paper's zstd-19, geometric mean, real, p = 100%"
    yield _mean(title, 0.885, lowest_energy(REAL, "1"), over_paper, geometric_mean)

    large = [
        cell
        for cell, by_compressor in sizes.items()
        if by_compressor[OURS]["family"] in ("real", "calibrated") and int(by_compressor[OURS]["kept"]) >= 1000
    ]
    title = "file / smallest general-purpose peer, real and calibrated, k >= 1000"
    yield _mean(f"{title}, mean", 0.97, large, over_peers, lambda values: sum(values) / len(values))
    yield _worst(f"{title}, largest", 1.0, large, over_peers)
    shuffled = [cell for cell, by_compressor in sizes.items() if by_compressor[OURS]["family"] == "shuffled"]
    yield _worst("file / smallest general-purpose peer, shuffled, largest", 1.0, shuffled, over_peers)

    for cell, bar in (
        (("clothing10", "lowest-energy", "0.05"), 4290),
        (("clothing10", "lowest-energy", "0.25"), 15_600),
        (("resisc12", "stride-10", "1"), 4030),
        (("clothing10", "stride-10", "1"), 3310),
        (("cifar10", "stride-10", "1"), 3480),
    ):
        cells = [cell] if cell in sizes else []
        yield _worst(f"file, {' '.join(cell)}, bytes", bar, cells, lambda cell: size_of(sizes[cell], OURS), "{:.0f}")

    at_21k = lowest_energy(dict.fromkeys(cell[0] for cell in sizes if cell[0].endswith("@21k")), "0.01")
    title = "file / paper's zstd-19, mean, calibrated, 14.2 million images, 1%"
    yield _mean(title, 0.79, at_21k, over_paper, lambda values: sum(values) / len(values))

    def speed(column: str) -> Callable[[Cell], float]:
        return lambda cell: float(speeds[cell][OURS][column])

    title = "time / brotli -11's compression, 14.2 million images, 1%"
    yield _worst(f"encode {title}", 1.0, at_21k, speed("encode_over_brotli"))
    yield _worst(f"decode {title}", 1.0, at_21k, speed("decode_over_brotli_encode"))
    title = "decode time / brotli -11's decompression, 14.2 million images, 1%"
    yield _worst(title, None, at_21k, speed("decode_over_brotli"), "{:.1f}")
    all_kept = lowest_energy([SPEED_CORPUS], "1")
    for direction in ("encode", "decode"):
        title = f"{direction}, 14.2 million images, all kept, seconds"
        yield _worst(title, 20, all_kept, speed(f"{direction}_s"), "{:.1f}")
    title = "14.2 million images, all kept, time / brotli -11's compression of the labels"
    yield _worst(f"encode, {title}", None, all_kept, speed("encode_over_brotli"))
    yield _worst(f"decode, {title}", None, all_kept, speed("decode_over_brotli_encode"))
    for direction in ("encode", "decode"):
        title = f"{direction}, memory above the arrays, largest, MB"
        yield _worst(title, 100, list(speeds), speed(f"{direction}_peak_mb"), "{:.0f}")


def _mean(
    what: str,
    bar: float,
    cells: list[Cell],
    value: Callable[[Cell], float],
    mean: Callable[[Sequence[float]], float],
) -> Bar:
    if not cells:
        return Bar(what, f"<= {bar:g}", "", "not measured")
    reached = mean([value(cell) for cell in cells])
    return Bar(what, f"<= {bar:g}", f"{reached:.4f}", "met" if reached <= bar else "missed", f"{len(cells)} cells")


def _worst(
    what: str, bar: float | None, cells: list[Cell], value: Callable[[Cell], float], form: str = "{:.4f}"
) -> Bar:
    stated = "" if bar is None else f"<= {bar:g}"
    if not cells:
        return Bar(what, stated, "", "not measured")
    worst = max(cells, key=value)
    reached = value(worst)
    met = "stated" if bar is None else "met" if reached <= bar else "missed"
    return Bar(what, stated, form.format(reached), met, " ".join(worst))
