"""The tables and plots of docs/figures.md, from the committed CSV files: `python -m bench.figures` writes them."""

from __future__ import annotations

from bench.accuracy import accuracy_figures
from bench.bars import by_cell, geometric_mean, size_of, smallest
from bench.corpora import REAL, SPEED_CORPUS
from bench.planning import planning_figures
from bench.table import OURS, RESULTS, ROOT, Row, read_rows
from plada_codec.files import atomic_write

#: The page, and the marks before and after its generated part.
PAGE = ROOT / "docs" / "figures.md"
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"
#: Columns of the table of compressors: title, family of corpora, rule, ending of the corpora's names.
_GROUPS = {
    "real, lowest energy": ("real", "lowest-energy", ""),
    "real, Safety-Net": ("real", "safety-net", ""),
    "real, strides": ("real", "stride", ""),
    "calibrated, 1.3 M images": ("calibrated", "lowest-energy", "@1k"),
    "calibrated, 14.2 M images": ("calibrated", "lowest-energy", "@21k"),
    "shuffled": ("shuffled", "lowest-energy", ""),
}


def figures() -> str:
    """The part of the page between its two marks."""
    plots = "![sizes](../bench/results/size.png)\n\n![times](../bench/results/speed.png)\n"
    size_rows, speed_rows = (read_rows(RESULTS / name) for name in ("size.csv", "speed.csv"))
    frames = f"{_cold(read_rows(RESULTS / 'cold.csv'))}\n{_frames(read_rows(RESULTS / 'frames.csv'))}"
    text = _tables(read_rows(RESULTS / "tables.csv"))
    students = f"## Students\n\n{accuracy_figures.figures()}\n## The planner\n\n{planning_figures.figures()}"
    return f"{tables(size_rows, speed_rows)}\n{plots}\n{students}\n{frames}\n{text}"


def tables(size_rows: list[Row], speed_rows: list[Row]) -> str:
    """The tables of sizes and times."""
    return f"{_sizes(size_rows)}\n{_compressors(size_rows)}\n{_speed(speed_rows)}"


def _sizes(rows: list[Row]) -> str:
    lines = [
        "## Sizes",
        "",
        "Bytes of the whole payload (profile `small`), with container and a digest of 8 bytes. Beside them: the",
        "paper's best layout under zstd-19, and the smallest general-purpose compressor on any layout. The",
        "selections are the lowest energies of three real teachers, of 100,000 images.",
        "",
        "| corpus | kept | ours | paper's zstd-19 | ratio | smallest general-purpose | ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for (corpus, rule, keep), by_compressor in by_cell(rows).items():
        if corpus in REAL and rule == "lowest-energy":
            ours, paper = size_of(by_compressor, OURS), size_of(by_compressor, "paper's zstd")
            peer = smallest(by_compressor, "general-purpose")
            lines.append(
                f"| {corpus} | {100 * float(keep):g}% | {ours:,} | {paper:,} | {ours / paper:.3f} | "
                f"{int(peer['bytes']):,} ({peer['coder']}) | {ours / int(peer['bytes']):.3f} |"
            )
    quoted = []
    for (corpus, _, keep), by_compressor in by_cell(rows).items():
        sizes = [f"{name} {int(row['bytes']):,}" for name, row in by_compressor.items() if row["kind"] == "quoted"]
        if sizes:
            quoted.append(f"{corpus} {100 * float(keep):g}%: {', '.join(sizes)}; ours {size_of(by_compressor, OURS):,}")
    if quoted:
        lines += [
            "",
            "The strongest general compressors take minutes. Their sizes are quoted from ../shared/corpora, and",
            f"were not measured here: {'. '.join(quoted)}.",
        ]
    return "\n".join(lines) + "\n"


def _compressors(rows: list[Row]) -> str:
    """Ratio of each compressor's size to the paper's best, over the cells of a group."""
    ratios: dict[tuple[str, str], dict[str, list[float]]] = {}
    for (corpus, rule, _), by_compressor in by_cell(rows).items():
        for row in by_compressor.values():
            for group, (family, start, end) in _GROUPS.items():
                is_in = row["family"] == family and rule.startswith(start) and corpus.endswith(end)
                if is_in and row["kind"] != "quoted":
                    ratio = int(row["bytes"]) / size_of(by_compressor, "paper's zstd")
                    ratios.setdefault((row["coder"], row["kind"]), {}).setdefault(group, []).append(ratio)
    whole = ratios.get((OURS, "ours"), {})
    lines = [
        "Ratio of each compressor's size to the paper's best layout under zstd-19: geometric means over all keep",
        "rates. A number in brackets is the number of selections, where it is smaller than the group's. Compressors of",
        "indices have no size where all images are kept. Where all of 14.2 million images are kept, only zstd-19 and",
        "brotli -11 were measured, because the others take minutes. The paper's Huffman codes do not count their",
        "tables.",
        "",
        "| compressor | kind | " + " | ".join(f"{group} ({len(whole[group])})" for group in whole) + " |",
        "|---" * (len(whole) + 2) + "|",
    ]
    for (compressor, kind), groups in sorted(ratios.items(), key=lambda item: _rank(item[1], whole)):
        cells = []
        for group, values in whole.items():
            count = len(groups.get(group, ()))
            cells.append(
                "-" if not count else f"{geometric_mean(groups[group]):.3f}" + f" ({count})" * (count < len(values))
            )
        lines.append(f"| {compressor} | {kind} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _rank(groups: dict[str, list[float]], whole: dict[str, list[float]]) -> float:
    """The ratio in the first group that a compressor has."""
    return geometric_mean(next(groups[group] for group in whole if group in groups))


def _speed(rows: list[Row]) -> str:
    lines = [
        "## Times and memory",
        "",
        "14,197,122 images (calibrated CUB-200, lowest energy), one core. Times are ratios to the time of brotli",
        "-11 for compressing the same selection; in brackets, for decoding, to its time for decompressing it.",
        "",
        "| kept | compressor | bytes | encode | decode | encode's memory | decode's memory |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {int(row['kept']):,} | {row['coder']} | {int(row['bytes']):,} | {float(row['encode_over_brotli']):.3g} | "
        f"{float(row['decode_over_brotli_encode']):.2g} ({float(row['decode_over_brotli']):.3g}) | "
        f"{float(row['encode_peak_mb']):.0f} MB | {float(row['decode_peak_mb']):.0f} MB |"
        for row in rows
        if row["corpus"] == SPEED_CORPUS and row["keep"] in ("0.01", "1") and row["what"] == "file"
    ]
    return "\n".join(lines) + "\n"


def _cold(rows: list[Row]) -> str:
    lines = [
        "## First calls",
        "",
        "CPU seconds of a first command, start-up included, before any kernel was compiled; of the next command; of a",
        "later call in one process, with compiled kernels; and of the plain decoder, which is a command in Python too.",
        "Up to some thousand labels kernels are interpreted, above that they are compiled.",
        "",
        "| labels | of images | classes | | first command | next command | same process | plain decoder |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {int(row['kept']):,} | {int(row['reference_size']):,} | {int(row['num_classes']):,} | "
        f"{row['what']} | {float(row['first_s']):.2f} | "
        f"{float(row['later_s']):.2f} | {float(row['warm_s']):.4f} | {row['plain_decoder_s'] or '-'} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _frames(rows: list[Row]) -> str:
    lines = [
        "## Frames",
        "",
        "Reception: the first K + 2 different symbols that arrive bring back an object of K symbols. Speed: a",
        "folder has one file for each frame, 5,300 files for 1,000,000 bytes; the file system takes most of the",
        "time.",
        "",
        "| test | settings | trials | bar | reached |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['what']} | {row['settings']} | {int(row['trials']):,} | {row['bar'] or '-'} | {row['reached']} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _tables(rows: list[Row]) -> str:
    lines = [
        "## Reading tables",
        "",
        "A million rows in memory; CPU seconds of all threads. PLADA's times include all checks and the payload. The",
        "bar is twice the time of numpy.loadtxt and Payload on plain digits. The machine was busy.",
        "",
        "| format | table | bytes | reader | CPU seconds | rows a CPU second | bar | |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['format']} | {row['layout']} | {int(row['bytes']):,} | {row['reader']} | {row['cpu_s']} | "
        f"{int(row['rows_per_cpu_s']):,} | {row['bar_s'] or '-'} | {row['met']} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the generated part of the page."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    with atomic_write(PAGE) as file:
        file.write((before + BEGIN + figures() + END + after).encode())


if __name__ == "__main__":
    main()
