"""Figures from accuracy.csv: means and spreads, tables, agreement of the kinds of student, bars, plots.

    python -m bench.accuracy.accuracy_figures

writes accuracy-summary.csv, accuracy-bars.csv, accuracy.md and the plots to bench/results. A spread is the standard
deviation over seeds (n - 1 in the denominator).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy.run import (
    ALL_IMAGES,
    BUDGET_RULES,
    BUDGETS,
    EVERYTHING,
    K_CENTRE_IMAGES,
    KEEP_RATES,
    KINDS,
    LINEAR_PROBE,
    PRUNED,
    PRUNED_FROM_BYTES,
    RANDOM_IMAGES,
    RANDOM_LABELS,
    RULES,
    SEEDS,
    STRIDE,
    STRIDE_LOWEST,
    STRIDES,
    TARGETS,
    TEACHER,
    TINY,
    VARIANT_BUDGETS,
    VARIANT_RULE,
    VARIANTS,
)
from bench.bars import Bar
from bench.plots import save
from bench.table import RESULTS, Row, read_rows, write_rows
from plada_codec.files import atomic_write

_COMMAND = "python -m bench.accuracy.accuracy_figures"
#: The rule that is compared with methods that send no labels; the first measurements in ../shared/corpora chose it.
JUDGED_RULE = VARIANT_RULE
#: Methods that are compared at equal bytes, for each kind of student.
_AT_EQUAL_BYTES = {
    "pixels": (*BUDGET_RULES, RANDOM_IMAGES, K_CENTRE_IMAGES, PRUNED, TINY, LINEAR_PROBE),
    "frozen": (*BUDGET_RULES, RANDOM_IMAGES, K_CENTRE_IMAGES, LINEAR_PROBE),
}
#: Colour, marker and line of each method in the plots (Okabe and Ito 2008): payloads of labels solid, the rest dashed.
_STYLES = {
    "lowest energy": ("#D55E00", "o", "-"),
    "Safety-Net 0": ("#0072B2", "s", "-"),
    "Safety-Net -0.2": ("#56B4E9", "D", "-"),
    "inverse": ("#999999", "v", "-"),
    STRIDE: ("#009E73", "^", "-"),
    RANDOM_IMAGES: ("#CC79A7", "P", "--"),
    K_CENTRE_IMAGES: ("#E69F00", "X", "--"),
    TINY: ("#000000", "<", "--"),
    PRUNED: ("#000000", ">", ":"),
    LINEAR_PROBE: ("#000000", "*", "--"),
}
_KIND_DESCRIPTIONS = {
    "pixels": "a small network trained from scratch on pixels: the measure",
    "pixels-long": "the same, trained six times as long; one seed",
    "pre-trained": "an ImageNet-trained network, fine-tuned whole",
    "frozen": "a last layer on the teacher's own features: a clone of its function, that **cannot judge a selection**",
}


@dataclass(frozen=True)
class RunGroup:
    """Means over runs that differ only in their seed. `accuracy` is NaN if the budget holds nothing.

    Accuracies are shares, 0 .. 1; `spread` is their standard deviation.
    """

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
        """The selection that was sent, without the kind of student."""
        return self.method, self.keep, self.stride, self.budget_bytes


def run_groups(rows: Iterable[Row]) -> list[RunGroup]:
    """Means over the rows of accuracy.csv that differ only in their seed."""
    groups: dict[tuple[str, str, str, str, str, str], list[Row]] = {}
    for row in rows:
        key = (row["kind"], row["target"], row["method"], row["keep"], row["stride"], row["budget_bytes"])
        groups.setdefault(key, []).append(row)
    return [
        RunGroup(
            *key,
            len(group),
            _mean(group, "accuracy"),
            float(np.std(_values(group, "accuracy"), ddof=1)) if len(group) > 1 else math.nan,
            _mean(group, "payload_bytes"),
            _mean(group, "paper_bytes"),
            _mean(group, "kept"),
        )
        for key, group in groups.items()
    ]


def _values(rows: list[Row], name: str) -> list[float]:
    return [float(row[name] or "nan") for row in rows]


def _mean(rows: list[Row], name: str) -> float:
    return float(np.mean(_values(rows, name)))


# Tables


def tables(found: list[RunGroup]) -> str:
    """All tables, as Markdown."""
    selections = (_selections(found, kind) for kind in KINDS)
    at_equal_bytes = (_equal_bytes(found, kind) for kind in _AT_EQUAL_BYTES)
    return "\n".join((*selections, *at_equal_bytes, _variants(found), _agreement(found)))


def figures() -> str:
    """The part of docs/figures.md about accuracy."""
    found = run_groups(read_rows(RESULTS / "accuracy.csv"))
    plot = "![accuracy against bytes](../bench/results/accuracy-pixels.png)\n"
    return "\n".join((_equal_bytes(found, "pixels"), _variants(found), _agreement(found), plot))


def _selections(found: list[RunGroup], kind: str) -> str:
    lines = [
        f"Students of the kind *{kind}*: {_KIND_DESCRIPTIONS[kind]}.",
        "Accuracy in % on the target's test images, mean ± spread over seeds; the payload's bytes, and in brackets",
        "those of the paper's coding (its smaller layout, zstd-19).",
        "",
        *_head(["labels", "kept", *TARGETS]),
    ]
    wanted = [(method, keep, "1", "0") for method in RULES for keep in KEEP_RATES]
    wanted += [(STRIDE, "1", str(stride), "0") for stride in STRIDES]
    wanted += [(STRIDE_LOWEST, keep, stride, "0") for stride in ("20", "5") for keep in ("0.5", "0.25")]
    wanted += [(EVERYTHING, "1", "1", "0"), (ALL_IMAGES, "", "1", "0"), (TEACHER, "", "1", "0")]
    for method, keep, stride, budget in wanted:
        here = {c.target: c for c in found if c.kind == kind and c.selection == (method, keep, stride, budget)}
        if here:
            kept = f"{100 * float(keep):g}%" if keep else ""
            kept += f" of every {stride}th" if stride != "1" else ""
            lines.append(_line([method, kept, *(_text(here.get(target)) for target in TARGETS)]))
    return "\n".join(lines) + "\n"


def _equal_bytes(found: list[RunGroup], kind: str) -> str:
    lines = [
        f"At equal bytes: accuracy in %, mean ± spread over seeds, of students of the kind *{kind}*. Each row shows",
        "the largest payload that fits the budget, or a dash where none fits. A linear probe needs the teacher's",
        "backbone at the client, and the weights of a network fix its architecture. Labels and images do neither.",
        "",
        *_head(["target", "sent", *(f"{budget:,} B" for budget in BUDGETS)]),
    ]
    for target, method in itertools.product(TARGETS, _AT_EQUAL_BYTES[kind]):
        at = _at_budgets(found, kind, target, method)
        lines.append(_line([target, method, *(_percent(at.get(budget)) for budget in BUDGETS)]))
    return "\n".join(lines) + "\n"


def _at_budgets(found: list[RunGroup], kind: str, target: str, method: str) -> dict[int, RunGroup]:
    """The results of a method by budget. The probe is not a student; it is listed with the frozen students."""
    if method == LINEAR_PROBE:
        kind = "frozen"
    return {int(c.budget_bytes): c for c in found if (c.kind, c.target, c.method) == (kind, target, method)}


def _variants(found: list[RunGroup]) -> str:
    lines = [
        f"Soft labels and weights (Appendix D) within the same bytes: {VARIANT_RULE}, students of the kind *pixels*.",
        "In brackets is the number of kept images; sections besides labels leave room for fewer. Temperatures are",
        "in standard deviations of the energy.",
        "",
        *_head(["target", "bytes", "hard labels", *VARIANTS]),
    ]
    for target, budget in itertools.product(TARGETS, VARIANT_BUDGETS):
        methods = [VARIANT_RULE, *(f"{VARIANT_RULE}, {variant}" for variant in VARIANTS)]
        shown = [_at_budgets(found, "pixels", target, method).get(budget) for method in methods]
        texts = ["-" if cell is None else f"{_percent(cell)} ({cell.kept:,.0f})" for cell in shown]
        lines.append(_line([target, f"{budget:,}", *texts]))
    return "\n".join(lines) + "\n"


def _agreement(found: list[RunGroup]) -> str:
    pairs = list(itertools.combinations(KINDS, 2))
    lines = [
        "Do the kinds of student agree on which payload teaches more? The table shows Spearman's rank correlations",
        "of mean accuracies. The first is over methods that keep equally many images or bytes: the mean of the",
        "groups with three methods or more, whose number is in brackets. The second is over all payloads that both",
        "kinds learnt from; there the number of labels matters most.",
        "",
        *_head(["target", *(f"{one} / {other}" for one, other in pairs)]),
    ]
    for target in TARGETS:
        texts = []
        for one, other in pairs:
            within, groups, over_all, payloads = agreement(found, one, other, target)
            texts.append(f"{within:.2f} ({groups}); {over_all:.2f} ({payloads})".replace("nan", "-"))
        lines.append(_line([target, *texts]))
    return "\n".join(lines) + "\n"


def agreement(found: list[RunGroup], one: str, other: str, target: str) -> tuple[float, int, float, int]:
    """Spearman's rank correlation between the accuracies of two kinds of student.

    Returns:
        Mean correlation over groups of payloads of equal size, number of groups, correlation over all payloads, and
        number of payloads.
    """
    sides: list[dict[tuple[str, ...], float]] = [
        {c.selection: c.accuracy for c in found if (c.kind, c.target) == (kind, target) and _is_payload(c)}
        for kind in (one, other)
    ]
    shared = sorted(sides[0].keys() & sides[1].keys(), key=lambda selection: selection[1:])
    pairs = {selection: (sides[0][selection], sides[1][selection]) for selection in shared}
    groups = [list(group) for _, group in itertools.groupby(shared, key=lambda selection: selection[1:])]
    within = [spearman([pairs[selection] for selection in group]) for group in groups if len(group) > 2]
    return float(np.mean(within)) if within else math.nan, len(within), spearman(list(pairs.values())), len(shared)


def spearman(pairs: list[tuple[float, float]]) -> float:
    """Rank correlation of pairs of values; NaN for fewer than three pairs."""
    from scipy.stats import spearmanr

    return float(spearmanr(*zip(*pairs, strict=True)).statistic) if len(pairs) > 2 else math.nan


def _is_payload(cell: RunGroup) -> bool:
    others = (RANDOM_IMAGES, K_CENTRE_IMAGES, PRUNED, TINY, LINEAR_PROBE, RANDOM_LABELS, ALL_IMAGES, TEACHER)
    return cell.method not in others and not math.isnan(cell.accuracy)


def _head(titles: list[str]) -> list[str]:
    return [_line(titles), "|---" * len(titles) + "|"]


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _text(cell: RunGroup | None) -> str:
    size = ""
    if cell is not None and cell.payload_bytes:
        size = f"; {cell.payload_bytes:,.0f} B ({cell.paper_bytes:,.0f})"
    return _percent(cell) + size


def _percent(cell: RunGroup | None) -> str:
    if cell is None or math.isnan(cell.accuracy):
        return "-"
    return f"{100 * cell.accuracy:.1f}" + ("" if math.isnan(cell.spread) else f" ± {100 * cell.spread:.1f}")


# Bars


def bars(rows: list[Row]) -> list[Bar]:
    """Compare the measurements with the bars of issue 4."""
    found = run_groups(rows)
    reached = []
    for target in TARGETS:
        for kind, methods in _AT_EQUAL_BYTES.items():
            reached += [_ahead(found, kind, target, other) for other in methods if other not in BUDGET_RULES]
        reached += [_at_chance(rows, kind, target) for kind in ("pixels", "frozen")]
    return reached


def _ahead(found: list[RunGroup], kind: str, target: str, other: str) -> Bar:
    """Whether the judged rule is ahead of `other` at every budget that holds an image of `other`."""
    ours, theirs = (_at_budgets(found, kind, target, method) for method in (JUDGED_RULE, other))
    budgets = [budget for budget in BUDGETS if other != PRUNED or budget >= PRUNED_FROM_BYTES]
    title, bar = f"{kind}: {JUDGED_RULE} ahead of {other} up to 8,000 bytes", "> 0 points at each budget"
    seeds = len(SEEDS) if other != LINEAR_PROBE else 1
    complete = all(
        budget in ours and budget in theirs and ours[budget].seeds == len(SEEDS) and theirs[budget].seeds == seeds
        for budget in budgets
    )
    if not complete:
        return Bar(title, bar, "", "not measured", target)
    margins = {
        budget: 100 * (ours[budget].accuracy - theirs[budget].accuracy)
        for budget in budgets
        if not math.isnan(theirs[budget].accuracy)
    }
    behind = [f"{budget:,} B" for budget, margin in margins.items() if margin <= 0]
    worst = min(margins, key=lambda budget: margins[budget])
    error = 100 * math.hypot(*(np.nan_to_num(c.spread) / math.sqrt(c.seeds) for c in (ours[worst], theirs[worst])))
    return Bar(
        title,
        bar,
        f"{margins[worst]:+.1f} to {max(margins.values()):+.1f} points (standard error of the first: {error:.1f})",
        "missed" if behind else "met",
        target + (f"; behind at {', '.join(behind)}" if behind else ""),
    )


def _at_chance(rows: list[Row], kind: str, target: str) -> Bar:
    """Mean accuracy of students of random labels over seeds and budgets, in standard errors from 1 / C."""
    chosen = [row for row in rows if (row["kind"], row["target"], row["method"]) == (kind, target, RANDOM_LABELS)]
    title, bar = f"{kind}: students of random labels at chance", "within 3 standard errors"
    if len(chosen) < len(SEEDS) * len(BUDGETS):
        return Bar(title, bar, "", "not measured", target)
    accuracies = np.array(_values(chosen, "accuracy"))
    chance = 1 / int(chosen[0]["classes"].split("/")[1])
    error = accuracies.std(ddof=1) / math.sqrt(len(accuracies))
    away = (accuracies.mean() - chance) / error
    reached = f"{100 * accuracies.mean():.1f}% of {len(accuracies)} students, chance {100 * chance:.1f}%: {away:+.1f}"
    return Bar(title, bar, reached, "met" if abs(away) <= 3 else "missed", target)


# Plots


def plot(found: list[RunGroup], folder: Path) -> None:
    """Plot accuracy against bytes for each kind of student with a complete table: accuracy-KIND.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    for kind in _AT_EQUAL_BYTES:
        figure, axes = plt.subplots(1, len(TARGETS), figsize=(15, 5.5), layout="constrained")
        for panel, target in zip(axes, TARGETS, strict=True):
            for method, (colour, marker, line) in _STYLES.items():
                if (kind, method) == ("pixels", LINEAR_PROBE):
                    continue
                points = [c for c in found if (c.kind, c.target, c.method) == (kind, target, method)]
                points = sorted((c for c in points if c.payload_bytes), key=lambda c: c.payload_bytes)
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
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
        figure.suptitle(f"What students learn from as many bytes (student: {kind}; bars: spread over seeds)")
        save(figure, folder / f"accuracy-{kind}.png")
        plt.close(figure)


def main() -> None:
    """Write summary, bars, tables and plots."""
    rows = read_rows(RESULTS / "accuracy.csv")
    found = run_groups(rows)
    reached = bars(rows)
    write_rows(RESULTS / "accuracy-summary.csv", _COMMAND, [_rounded(cell) for cell in found], (), ("bench",))
    write_rows(RESULTS / "accuracy-bars.csv", _COMMAND, [asdict(bar) for bar in reached], (), ("bench",))
    plot(found, RESULTS)
    with atomic_write(RESULTS / "accuracy.md") as file:
        file.write(f"# Accuracy of students, from accuracy.csv (`{_COMMAND}`)\n\n{tables(found)}".encode())
    for bar in reached:
        print(f"{bar.met:12} {bar.what}: {bar.reached} ({bar.where})")


def _rounded(cell: RunGroup) -> dict[str, Any]:
    digits = {"accuracy": 4, "spread": 4, "payload_bytes": 0, "paper_bytes": 0, "kept": 0}
    numbers = {name: getattr(cell, name) for name in digits}
    return asdict(cell) | {
        name: "" if math.isnan(number) else f"{number:.{digits[name]}f}" for name, number in numbers.items()
    }


if __name__ == "__main__":
    main()
