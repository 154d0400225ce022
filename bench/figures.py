"""The figures of the README, from the committed CSVs: `python -m bench.figures` puts them in their place."""

from __future__ import annotations

import csv
from pathlib import Path

from plada_codec.files import atomic_write

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- figures -->\n", "<!-- /figures -->\n"


def figures() -> str:
    """The README's part between the two marks."""
    return f"{_sizes()}\n{_speed()}\n{_first_light()}"


def _sizes() -> str:
    rows = [row for row in _rows("size.csv") if row["rule"].startswith("keep ")]
    rules = list(dict.fromkeys(row["rule"] for row in rows))
    lines = [
        "Whole payload in bytes, container and 8-byte digest included (profile `small`), and in brackets as a share of "
        "the paper's best\nlayout under zstd-19: lowest energy on three real teachers' scores of 100,000 images.",
        "",
        "| corpus | " + " | ".join(rule.removeprefix("keep ") + " kept" for rule in rules) + " |",
        "|---" * (len(rules) + 1) + "|",
    ]
    for corpus in dict.fromkeys(row["corpus"] for row in rows):
        cells = [f"{row['small_bytes']} ({float(row['ratio']):.2f})" for row in rows if row["corpus"] == corpus]
        lines.append(f"| {corpus} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _speed() -> str:
    rows = [row for row in _rows("speed.csv") if row["what"] not in ("zstd-19", "brotli -11")]
    lines = [
        f"Time and peak memory at {int(rows[0]['reference_size']):,} images (calibrated CUB-200), as ratios to zstd-19 "
        "and brotli -11 compressing\nthe paper's bitmap layout (or, with all kept, its labels), in one run:",
        "",
        "| kept | what | bytes | time / zstd-19 | time / brotli -11 | memory above the input |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {int(row['kept']):,} | {row['what']} | {int(row['bytes']):,} | {float(row['time_over_zstd19']):.2f} | "
        f"{float(row['time_over_brotli11']):.3f} | {float(row['peak_memory_mb']):.0f} MB |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _first_light() -> str:
    rows = _rows("first-light.csv")
    lines = [
        "First light: students on real images from a reference set of 40,000 (frozen ImageNet features, a trained last "
        "layer). Frozen\nfeatures flatter random choices of images; end-to-end students are still to be measured.",
        "",
        "| target | selection | kept | payload bytes | paper's zstd-19 | teacher | student |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['target']} | {row['rule']} | {row['kept']} | {row['payload_bytes']} | {row['paper_zstd_bytes']} | "
        f"{100 * float(row['teacher_accuracy']):.1f}% | {100 * float(row['student_accuracy']):.1f}% |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def _rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "bench" / "results" / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def main() -> None:
    """Rewrites the README's figures."""
    readme = ROOT / "README.md"
    before, rest = readme.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    with atomic_write(readme) as file:
        file.write((before + BEGIN + figures() + END + after).encode())


if __name__ == "__main__":
    main()
