"""What accuracy.csv says: means and spreads, tables, agreement of the kinds of student, bars, plots.

    python -m bench.accuracy_figures

writes accuracy-summary.csv, accuracy-bars.csv, accuracy.md and the plots to bench/results. A spread is the standard
deviation over seeds (n - 1 in the denominator).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy import (
    ALL_IMAGES,
    BUDGET_RULES,
    BUDGETS,
    KEEP_RATES,
    KINDS,
    PIXELS,
    PROBE,
    RANDOM_LABELS,
    RULES,
    STRIDES,
    TARGETS,
    VARIANT_BUDGETS,
    VARIANT_RULE,
    VARIANTS,
    WEIGHTS,
)
from bench.bars import Bar
from bench.plots import save
from bench.table import RESULTS, Row, read_rows, write_rows
from plada_codec.files import atomic_write

_COMMAND = "python -m bench.accuracy_figures"
#: Colour, marker and line of each method in the plots (Okabe and Ito 2008): payloads of labels solid, the rest dashed.
_STYLES = {
    "lowest energy": ("#D55E00", "o", "-"),
    "Safety-Net 0": ("#0072B2", "s", "-"),
    "Safety-Net -0.2": ("#56B4E9", "D", "-"),
    "inverse": ("#999999", "v", "-"),
    "stride": ("#009E73", "^", "-"),
    "random images": ("#CC79A7", "P", "--"),
    "k-centre images": ("#E69F00", "X", "--"),
    "tiny network": ("#000000", "<", "--"),
    "pruned network": ("#000000", ">", ":"),
    PROBE: ("#000000", "*", "--"),
    RANDOM_LABELS: ("#999999", ".", ":"),
}


@dataclass(frozen=True)
class Cell:
    """What the seeds of one row of the plan come to. Accuracies are shares, 0 .. 1; bytes are means."""

    kind: str
    target: str
    method: str
    keep: str
    stride: str
    budget_bytes: str
    seeds: int
    accuracy: float
    spread: float
    payload_bytes: float
    paper_bytes: float
    kept: float

    @property
    def selection(self) -> tuple[str, str, str, str]:
        """What was sent, whoever learnt from it."""
        return self.method, self.keep, self.stride, self.budget_bytes


def cells(rows: Iterable[Row]) -> list[Cell]:
    """The rows of accuracy.csv, the seeds of each taken together."""
    groups: dict[tuple[str, str, str, str, str, str], list[Row]] = {}
    for row in rows:
        key = (row["kind"], row["target"], row["method"], row["keep"], row["stride"], row["budget_bytes"])
        groups.setdefault(key, []).append(row)
    return [
        Cell(
            *key,
            len(group),
            _mean(group, "accuracy"),
            float(np.std([float(row["accuracy"]) for row in group], ddof=1)) if len(group) > 1 else float("nan"),
            _mean(group, "payload_bytes"),
            _mean(group, "paper_bytes"),
            _mean(group, "kept"),
        )
        for key, group in groups.items()
    ]


def _mean(rows: list[Row], name: str) -> float:
    return float(np.mean([float(row[name] or "nan") for row in rows]))


def tables(found: list[Cell]) -> str:
    """All tables, as Markdown."""
    at_equal_bytes = (_equal_bytes(found, kind) for kind in ("pixels", "frozen"))
    return "\n".join((_rules(found), *at_equal_bytes, _variants(found), _agreement(found)))


def figures() -> str:
    """The README's part."""
    found = cells(read_rows(RESULTS / "accuracy.csv"))
    plot = "![accuracy against bytes](bench/results/accuracy-pixels.png)\n"
    return "\n".join((_equal_bytes(found, "pixels"), _agreement(found), plot))


def _rules(found: list[Cell]) -> str:
    lines = [
        "Accuracy in % on the target's test images, mean ± spread over seeds, of a small network trained from scratch",
        "on what each selection labels, and the payload's bytes.",
        "",
        "| selection | kept | " + " | ".join(TARGETS) + " |",
        "|---|---|" + "---|" * len(TARGETS),
    ]
    selections = [(method, keep, "1", "0") for method in RULES for keep in KEEP_RATES]
    selections += [("stride", "1", str(stride), "0") for stride in STRIDES]
    selections += [("stride, lowest energy", keep, stride, "0") for stride in ("20", "5") for keep in ("0.5", "0.25")]
    selections += [("everything", "1", "1", "0"), (ALL_IMAGES, "", "1", "0")]
    for selection in selections:
        method, keep, stride, _ = selection
        kept = f"{100 * float(keep):g}%" if keep else ""
        if stride != "1":
            kept += f" of every {stride}th"
        lines.append(f"| {method} | {kept} | " + " | ".join(_texts(found, "pixels", selection)) + " |")
    lines += [
        f"| the teacher |  | {' | '.join(_texts(found, 'frozen', ('teacher', '', '1', '0')))} |",
    ]
    return "\n".join(lines) + "\n"


def _texts(found: list[Cell], kind: str, selection: tuple[str, ...]) -> list[str]:
    by_target = {cell.target: cell for cell in found if cell.kind == kind and cell.selection == selection}
    return [_text(by_target.get(target)) for target in TARGETS]


def _text(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    size = f"; {cell.payload_bytes:,.0f} B" if cell.payload_bytes and cell.budget_bytes == "0" else ""
    return _percent(cell) + size


def _percent(cell: Cell) -> str:
    spread = "" if np.isnan(cell.spread) else f" ± {100 * cell.spread:.1f}"
    return f"{100 * cell.accuracy:.1f}{spread}"


#: What is compared at equal bytes, for each kind of student.
_AT_EQUAL_BYTES = {
    "pixels": (*BUDGET_RULES, *PIXELS, *WEIGHTS, RANDOM_LABELS),
    "frozen": (*BUDGET_RULES, *PIXELS, PROBE, RANDOM_LABELS),
}


def _equal_bytes(found: list[Cell], kind: str) -> str:
    lines = [
        f"Accuracy in %, mean ± spread over seeds, of students of the kind *{kind}* at equal bytes: of each sort the",
        "largest that fits the budget (a dash where nothing fits).",
        "",
        "| target | what is sent | " + " | ".join(f"{budget:,} B" for budget in BUDGETS) + " |",
        "|---|---|" + "---|" * len(BUDGETS),
    ]
    for target, method in itertools.product(TARGETS, _AT_EQUAL_BYTES[kind]):
        by_budget = {c.budget_bytes: c for c in found if (c.kind, c.target, c.method) == (kind, target, method)}
        texts = [_text(by_budget.get(str(budget))) for budget in BUDGETS]
        lines.append(f"| {target} | {method} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def _variants(found: list[Cell]) -> str:
    lines = [
        f"What Appendix D adds, within the same bytes ({VARIANT_RULE}; in brackets the number of kept images: what is",
        "sent besides labels leaves room for fewer).",
        "",
        "| target | bytes | hard labels | " + " | ".join(VARIANTS) + " |",
        "|---|---|---|" + "---|" * len(VARIANTS),
    ]
    at = {(c.target, c.method, c.budget_bytes): c for c in found if c.kind == "pixels"}
    for target, budget in itertools.product(TARGETS, VARIANT_BUDGETS):
        methods = [VARIANT_RULE, *(f"{VARIANT_RULE}, {variant}" for variant in VARIANTS)]
        shown = [at.get((target, method, str(budget))) for method in methods]
        texts = ["-" if cell is None else f"{_percent(cell)} ({cell.kept:,.0f})" for cell in shown]
        lines.append(f"| {target} | {budget:,} | {' | '.join(texts)} |")
    return "\n".join(lines) + "\n"


def agreement(found: list[Cell], one: str, other: str, target: str) -> tuple[float, int]:
    """Spearman's rank correlation of two kinds of student over the payloads that both learnt from, and their number."""
    from scipy.stats import spearmanr

    accuracies: list[dict[tuple[str, ...], float]] = [
        {c.selection: c.accuracy for c in found if (c.kind, c.target) == (kind, target) and _is_payload(c)}
        for kind in (one, other)
    ]
    shared = sorted(accuracies[0].keys() & accuracies[1].keys())
    if len(shared) < 3:
        return float("nan"), len(shared)
    return float(spearmanr(*([side[key] for key in shared] for side in accuracies)).statistic), len(shared)


def _is_payload(cell: Cell) -> bool:
    return cell.method not in (*PIXELS, *WEIGHTS, PROBE, RANDOM_LABELS, ALL_IMAGES, "teacher")


def _agreement(found: list[Cell]) -> str:
    pairs = list(itertools.combinations(KINDS, 2))
    lines = [
        "Do the kinds of student agree on which payload teaches more? Spearman's rank correlation of mean accuracies",
        "(in brackets the number of payloads that both learnt from).",
        "",
        "| target | " + " | ".join(f"{one} / {other}" for one, other in pairs) + " |",
        "|---|" + "---|" * len(pairs),
    ]
    for target in TARGETS:
        values = [agreement(found, *pair, target) for pair in pairs]
        lines.append(f"| {target} | " + " | ".join(f"{value:.2f} ({count})" for value, count in values) + " |")
    return "\n".join(lines) + "\n"


def bars(rows: list[Row]) -> list[Bar]:
    """What issue 4 asks of the results, and what was reached."""
    found = cells(rows)
    reached = []
    for target in TARGETS:
        reached += [_ahead(found, "pixels", target, other) for other in (*PIXELS, *WEIGHTS)]
        reached += [_ahead(found, "frozen", target, other) for other in (*PIXELS, PROBE)]
        reached.append(_at_chance(rows, target))
    return reached


def _ahead(found: list[Cell], kind: str, target: str, other: str) -> Bar:
    """Whether the better of our rules is ahead of `other` at every budget."""
    behind = []
    margins = []
    for budget in BUDGETS:
        here = {c.method: c for c in found if (c.kind, c.target, c.budget_bytes) == (kind, target, str(budget))}
        ours = [here[rule].accuracy for rule in BUDGET_RULES if rule in here]
        if ours and other in here:
            margins.append(100 * (max(ours) - here[other].accuracy))
            if margins[-1] <= 0:
                behind.append(f"{budget:,} B")
    return Bar(
        what=f"{kind}: ahead of {other} up to 8,000 bytes",
        bar="> 0 points",
        reached=f"{min(margins):+.1f} to {max(margins):+.1f} points" if margins else "",
        met="not measured" if not margins else "missed" if behind else "met",
        where=target + (f"; behind at {', '.join(behind)}" if behind else ""),
    )


def _at_chance(rows: list[Row], target: str) -> Bar:
    """Students of random labels: their mean over seeds and budgets, in standard errors from 1 / C."""
    chosen = [row for row in rows if row["target"] == target and row["method"] == RANDOM_LABELS]
    accuracies = np.array([float(row["accuracy"]) for row in chosen if row["kind"] == "pixels"])
    if len(accuracies) < 2:
        return Bar("random labels: at chance", "|z| <= 3", "", "not measured", target)
    chance = 1 / int(chosen[0]["classes"].split("/")[1])
    z = (accuracies.mean() - chance) / (accuracies.std(ddof=1) / np.sqrt(len(accuracies)))
    what = f"{100 * accuracies.mean():.1f}% of {len(accuracies)} students, chance {100 * chance:.1f}%, z = {z:+.1f}"
    return Bar("random labels: at chance", "|z| <= 3", what, "met" if abs(z) <= 3 else "missed", target)


def plot(found: list[Cell], folder: Path) -> None:
    """Accuracy against bytes for each kind of student that has the whole table: accuracy-KIND.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    for kind in ("pixels", "frozen"):
        figure, axes = plt.subplots(1, len(TARGETS), figsize=(15, 5.5), layout="constrained")
        for panel, target in zip(axes, TARGETS, strict=True):
            here = [cell for cell in found if cell.kind == kind and cell.target == target]
            for method, (colour, marker, line) in _STYLES.items():
                points = sorted(
                    (c for c in here if c.method == method and c.payload_bytes), key=lambda c: c.payload_bytes
                )
                panel.errorbar(
                    [c.payload_bytes for c in points],
                    [100 * c.accuracy for c in points],
                    [100 * np.nan_to_num(c.spread) for c in points],
                    color=colour,
                    marker=marker,
                    linestyle=line,
                    markersize=5,
                    linewidth=1.2,
                    capsize=2,
                    label=method,
                )
            panel.set(title=target, xlabel="bytes sent", xscale="log")
            panel.grid(alpha=0.3)
        axes[0].set_ylabel("accuracy on the target's test images (%)")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=6, frameon=False)
        figure.suptitle(f"What students learn from as many bytes (student: {kind}; bars: spread over seeds)")
        save(figure, folder / f"accuracy-{kind}.png")
        plt.close(figure)


def main() -> None:
    """Writes summary, bars and plots."""
    rows = read_rows(RESULTS / "accuracy.csv")
    found = cells(rows)
    reached = bars(rows)
    write_rows(RESULTS / "accuracy-summary.csv", _COMMAND, [_rounded(cell) for cell in found])
    write_rows(RESULTS / "accuracy-bars.csv", _COMMAND, [asdict(bar) for bar in reached])
    plot(found, RESULTS)
    with atomic_write(RESULTS / "accuracy.md") as file:
        file.write(f"# What students learn, from accuracy.csv (`{_COMMAND}`)\n\n{tables(found)}".encode())
    for bar in reached:
        print(f"{bar.met:12} {bar.what}: {bar.reached} ({bar.where})")


def _rounded(cell: Cell) -> dict[str, Any]:
    return asdict(cell) | {
        "accuracy": f"{cell.accuracy:.4f}",
        "spread": "" if np.isnan(cell.spread) else f"{cell.spread:.4f}",
        "payload_bytes": f"{cell.payload_bytes:.0f}",
        "paper_bytes": "" if np.isnan(cell.paper_bytes) else f"{cell.paper_bytes:.0f}",
        "kept": f"{cell.kept:.0f}",
    }


if __name__ == "__main__":
    main()
