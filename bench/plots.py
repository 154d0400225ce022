"""Plots of size.csv and speed.csv, as PNG. Colours of Okabe and Ito (2008), distinct to people of any colour vision."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from bench.bars import by_cell, geometric_mean, size_of
from bench.corpora import SPEED_CORPUS
from bench.table import OURS, Row
from plada_codec.files import atomic_write

#: Colour, marker and line of each compressor in the plots. Ours share a colour; specialised and baselines are dashed.
_STYLES = {
    OURS: ("#D55E00", "o", "-"),
    "plada fast": ("#D55E00", "s", ":"),
    f"{OURS}, core": ("#D55E00", "^", ":"),
    "zstd-19": ("#000000", "v", "-"),
    "xz -9e": ("#0072B2", "s", "-"),
    "brotli -11": ("#009E73", "D", "-"),
    "PPMd": ("#CC79A7", "P", "-"),
    "bz2 -9": ("#999999", "<", "-"),
    "pcodec": ("#56B4E9", "X", "--"),
    "range compressor (constriction)": ("#E69F00", ">", "--"),
    "interpolative + zstd-19": ("#0072B2", "p", "--"),
    "Elias-Fano + zstd-19": ("#999999", "h", "--"),
}
#: Upper ends of the y axes in the plots of sizes and of times.
_LARGEST_RATIO, _LARGEST_RATIO_TIMED = 1.2, 1.5
#: Family of corpora, ending of their names, title.
_PANELS = (
    ("real", "", "three real teachers, 100,000 images"),
    ("calibrated", "@1k", "ten calibrated, 1,281,167 images"),
)


def plot(size_rows: list[Row], speed_rows: list[Row], folder: Path) -> None:
    """Write size.png and speed.png to `folder`, each if there are rows for it."""
    import matplotlib as mpl

    mpl.use("Agg")
    _plot_sizes(size_rows, folder / "size.png")
    _plot_speed(size_rows, speed_rows, folder / "speed.png")


def _plot_sizes(rows: list[Row], path: Path) -> None:
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(_PANELS), figsize=(12, 6), sharey=True, layout="constrained")
    for panel, (family, ending, title) in zip(axes, _PANELS, strict=True):
        ratios: dict[str, dict[float, list[float]]] = {}
        for (corpus, rule, keep), by_compressor in by_cell(rows).items():
            if corpus.endswith(ending) and rule == "lowest-energy" and by_compressor[OURS]["family"] == family:
                paper = size_of(by_compressor, "paper's zstd")
                for compressor in by_compressor:
                    if compressor in _STYLES:
                        points = ratios.setdefault(compressor, {}).setdefault(100 * float(keep), [])
                        points.append(size_of(by_compressor, compressor) / paper)
        for compressor, (colour, marker, line) in _STYLES.items():
            if compressor in ratios:
                x = sorted(ratios[compressor])
                y = [geometric_mean(ratios[compressor][keep]) for keep in x]
                width = 3 if compressor == OURS else 1.2
                panel.plot(x, y, color=colour, marker=marker, linestyle=line, linewidth=width, label=compressor)
        panel.set(
            title=title, xlabel="images kept, those of lowest energy (%)", xscale="log", ylim=(None, _LARGEST_RATIO)
        )
        ticks = sorted({keep for kept in ratios.values() for keep in kept})
        panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], minor=False)
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("bytes / the paper's best under zstd-19, geometric mean")
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle(f"Bytes of a payload (lower is better; what is above {_LARGEST_RATIO} is left out)")
    save(figure, path)


def _plot_speed(size_rows: list[Row], speed_rows: list[Row], path: Path) -> None:
    from matplotlib import pyplot as plt

    cell = (SPEED_CORPUS, "lowest-energy", "0.01")
    speeds = by_cell(speed_rows).get(cell)
    if speeds is None:
        return
    paper = size_of(by_cell(size_rows)[cell], "paper's zstd")
    figure, panel = plt.subplots(figsize=(12, 6.5), layout="constrained")
    for compressor, row in speeds.items():
        if compressor in _STYLES:
            colour, marker, line = _STYLES[compressor]
            x = [float(row["encode_over_brotli"]), float(row["decode_over_brotli_encode"])]
            y = int(row["bytes"]) / paper
            panel.plot(x, [y, y], color=colour, linestyle=line, linewidth=3 if compressor == OURS else 1.2)
            panel.plot(x[0], y, color=colour, marker=marker, markersize=8, linestyle="", label=compressor)
            panel.plot(x[1], y, color=colour, marker=marker, markersize=8, markerfacecolor="white")
    panel.set(
        title=f"Bytes and time, {int(row['kept']):,} of 14,197,122 images ({SPEED_CORPUS}, lowest energy), one core"
        f" (what is above {_LARGEST_RATIO_TIMED} is left out)",
        xlabel="time / brotli -11's compression (filled: encoding, hollow: decoding)",
        ylabel="bytes / the paper's best under zstd-19",
        xscale="log",
        ylim=(None, _LARGEST_RATIO_TIMED),
    )
    panel.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    save(figure, path)


def save(figure: Any, path: Path) -> None:
    """Write a matplotlib figure as PNG."""
    image = io.BytesIO()
    # The metadata would name the release of the library: without it, equal figures make equal files
    figure.savefig(image, format="png", dpi=110, metadata={"Software": None})
    with atomic_write(path) as file:
        file.write(image.getvalue())
