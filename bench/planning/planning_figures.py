"""Figures from frontier.csv, transfer.csv and exhaustive.csv: the planner beside the paper's rules, and bars.

    python -m bench.planning.planning_figures

writes frontier.md, frontier-bars.csv and frontier.png to bench/results, from those of the three files that exist.
A baseline's best setting is the one with the highest mean accuracy on the test images themselves, among the settings
that fit with every seed: no client could choose so well. The planner chooses without the test images.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.accuracy.accuracy_figures import spearman
from bench.accuracy.run import BUDGETS, SEEDS, STRIDE, TARGETS
from bench.bars import Bar, geometric_mean
from bench.planning.run import FIXED_RULES, KEEP, PAPERS_CODING, PLANNER
from bench.planning.transfer import BUDGET_BYTES, PAYLOADS, PROXIES, STUDENTS
from bench.plots import save
from bench.table import RESULTS, Row, read_rows, write_rows
from plada_codec.files import atomic_write

_COMMAND = "python -m bench.planning.planning_figures"
_BEST_STRIDE, _PAPERS_BEST = "best stride that fits", "paper's best setting, paper's coding"
#: Methods that are compared at equal bytes.
_COMPARED = (PLANNER, *FIXED_RULES, _BEST_STRIDE, _PAPERS_BEST)
#: Budgets at which the bars apply.
_JUDGED_BUDGETS = tuple(budget for budget in BUDGETS if budget >= 1_000)
#: Colour, marker and line of each method in the plot (Okabe and Ito 2008).
_STYLES = {
    PLANNER: ("#D55E00", "o", "-"),
    "lowest energy": ("#0072B2", "s", "-"),
    "Safety-Net -0.2": ("#56B4E9", "D", "-"),
    _BEST_STRIDE: ("#009E73", "^", "-"),
    _PAPERS_BEST: ("#000000", "v", "--"),
}
_PROXIES = "proxies"
#: Columns of exhaustive.csv. The best of hundreds on held-out images is partly lucky; test images show how much.
_IMAGES = {"held-out": "held_out_accuracy", "test": "accuracy"}


@dataclass(frozen=True)
class RunGroup:
    """Runs that differ only in their seed. Accuracies are shares, 0 .. 1.

    Attributes:
        accuracies: accuracy of the student, by seed.
        payload_bytes, paper_bytes: size in our coding and in the paper's, by seed.
        selections: human-readable name of the selection that was sent, by seed.
    """

    target: str
    method: str
    keep: str
    stride: str
    budget_bytes: int
    accuracies: dict[int, float]
    payload_bytes: dict[int, int]
    paper_bytes: dict[int, int]
    selections: dict[int, str]

    @property
    def is_complete(self) -> bool:
        return set(self.accuracies) == set(SEEDS)

    @property
    def by_seed(self) -> list[float]:
        return [self.accuracies[seed] for seed in sorted(self.accuracies)]

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.by_seed))


def run_groups(rows: Iterable[Row]) -> list[RunGroup]:
    """Group the rows of frontier.csv that differ only in their seed."""
    found: dict[tuple[str, ...], RunGroup] = {}
    for row in rows:
        key = (row["target"], row["method"], row["keep"], row["stride"], row["budget_bytes"])
        cell = found.setdefault(key, RunGroup(*key[:4], int(row["budget_bytes"]), {}, {}, {}, {}))
        seed = int(row["seed"])
        cell.accuracies[seed] = float(row["accuracy"])
        cell.payload_bytes[seed] = int(row["payload_bytes"])
        cell.paper_bytes[seed] = int(row["paper_bytes"])
        cell.selections[seed] = row["selection"]
    return list(found.values())


def at_budget(found: list[RunGroup], target: str, method: str, budget: int) -> RunGroup | None:
    """The best runs of a compared method within a budget of bytes; None until they are measured."""
    here = [cell for cell in found if cell.target == target and cell.is_complete]
    if method == _BEST_STRIDE:
        fitting = [c for c in here if c.method == STRIDE and max(c.payload_bytes.values()) <= budget]
    elif method == _PAPERS_BEST:
        papers = (*FIXED_RULES, *(rule + PAPERS_CODING for rule in FIXED_RULES))
        fitting = [c for c in here if c.method in papers and max(c.paper_bytes.values()) <= budget]
    else:
        fitting = [c for c in here if (c.method, c.budget_bytes) == (method, budget)]
    return max(fitting, key=lambda cell: cell.accuracy, default=None)


def mean_over_targets(found: list[RunGroup], method: str, budget: int) -> list[float] | None:
    """Mean accuracy over the targets, by seed; None until all targets are measured."""
    of_targets = [at_budget(found, target, method, budget) for target in TARGETS]
    if any(cell is None for cell in of_targets):
        return None
    return [float(np.mean([cell.accuracies[seed] for cell in of_targets if cell])) for seed in SEEDS]


# Tables


@dataclass(frozen=True)
class Measurements:
    """The measurements: grouped rows of frontier.csv, and rows of transfer.csv and of exhaustive.csv."""

    found: list[RunGroup]
    transfer: list[Row]
    exhaustive: list[Row]

    @classmethod
    def read(cls) -> Measurements:
        """Read the files that exist in bench/results."""
        frontier, transfer, exhaustive = (
            read_rows(path) if (path := RESULTS / f"{name}.csv").exists() else []
            for name in ("frontier", "transfer", "exhaustive")
        )
        return cls(run_groups(frontier), transfer, exhaustive)


def figures() -> str:
    """The part of docs/figures.md about planning."""
    measured = Measurements.read()
    plot_line = "![the planner's frontier](../bench/results/frontier.png)\n"
    parts = (_means(measured.found), _bars_table(bars(measured)), _transfer(measured.transfer), plot_line)
    return "\n".join(filter(None, parts))


def tables(measured: Measurements) -> str:
    """All tables, as Markdown."""
    found = measured.found
    of_frontier = (_means(found), _bars_table(bars(measured)), _targets(found), _strides(found), _chosen(found))
    return "\n".join(filter(None, (*of_frontier, _transfer(measured.transfer))))


def _means(found: list[RunGroup]) -> str:
    lines = [
        "The planner at equal bytes: accuracy in % of students that are none of its proxies. Each cell is the mean",
        "over three targets ± its standard deviation over seeds. Strides and the paper's settings are the best that",
        "fit, chosen on the test images. The planner sees held-out images only.",
        "",
        *_head("sent"),
    ]
    lines += [
        _line([method, *(_percent(mean_over_targets(found, method, budget)) for budget in BUDGETS)])
        for method in _COMPARED
    ]
    return "\n".join(lines) + "\n"


def _targets(found: list[RunGroup]) -> str:
    lines = ["The same for each target.", "", *_head("target", "sent")]
    for target, method in itertools.product(TARGETS, _COMPARED):
        at = [at_budget(found, target, method, budget) for budget in BUDGETS]
        lines.append(_line([target, method, *(_percent(cell.by_seed if cell else None) for cell in at)]))
    return "\n".join(lines) + "\n"


def _strides(found: list[RunGroup]) -> str:
    strides = sorted({int(c.stride) for c in found if c.method == STRIDE}, reverse=True)
    lines = [
        "Every stride, all kept: accuracy in %, mean ± spread over seeds; largest payload in bytes.",
        "",
        _line(["target", *(f"stride {stride}" for stride in strides)]),
        "|---" * (len(strides) + 1) + "|",
    ]
    for target in TARGETS:
        by_stride = {int(c.stride): c for c in found if (c.target, c.method) == (target, STRIDE) and c.is_complete}
        texts = [
            f"{_percent(cell.by_seed)}; {max(cell.payload_bytes.values()):,} B" if cell else "-"
            for cell in map(by_stride.get, strides)
        ]
        lines.append(_line([target, *texts]))
    return "\n".join(lines) + "\n"


def _chosen(found: list[RunGroup]) -> str:
    lines = ["The planner's choices, seed by seed.", "", *_head("target", "seed")]
    for target, seed in itertools.product(TARGETS, SEEDS):
        here = {c.budget_bytes: c for c in found if (c.target, c.method) == (target, PLANNER)}
        texts = [here[b].selections.get(seed, "-") if b in here else "-" for b in BUDGETS]
        lines.append(_line([target, str(seed), *texts]))
    return "\n".join(lines) + "\n"


def _transfer(rows: list[Row]) -> str:
    counts = Counter(row["target"] for row in rows)
    targets = [target for target in TARGETS if counts[target] == len(PAYLOADS) * len(STUDENTS)]
    if not targets:
        return ""
    lines = [
        "Do other students agree with the proxies? The table shows Spearman's rank correlation with the mean",
        f"accuracy of the proxies, over {len(PAYLOADS)} payloads of {BUDGET_BYTES:,} bytes; the advantage of the",
        "planner's payload over the better of the paper's rules, in points, mean over these targets; and its share",
        "of the proxies' advantage. One seed, test images.",
        "",
        _line(["student", *targets, "advantage", "of the proxies'"]),
        "|---" * (len(targets) + 3) + "|",
    ]
    accuracies: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        student = _PROXIES if row["student"] in PROXIES else row["student"]
        so_far = accuracies.setdefault((student, row["target"]), dict.fromkeys(PAYLOADS, 0.0))
        so_far[row["payload"]] += float(row["accuracy"]) / (len(PROXIES) if student == _PROXIES else 1)
    whole = {
        student: 100 * float(np.mean([_advantage(accuracies[student, target]) for target in targets]))
        for student in (_PROXIES, *(name for name in STUDENTS if name not in PROXIES))
    }
    for student, advantage in whole.items():
        ranks = [_agreement(accuracies[_PROXIES, target], accuracies[student, target]) for target in targets]
        model = STUDENTS[student].recipe.model if student in STUDENTS else ", ".join(PROXIES)
        texts = [f"{rank:.2f}" for rank in ranks]
        lines.append(
            _line([f"{student} ({model})", *texts, f"{advantage:+.1f}", f"{100 * advantage / whole[_PROXIES]:.0f}%"])
        )
    return "\n".join(lines) + "\n"


def _advantage(accuracies: dict[str, float]) -> float:
    return accuracies[PLANNER] - max(accuracies[rule] for rule in FIXED_RULES)


def _agreement(one: dict[str, float], other: dict[str, float]) -> float:
    return spearman([(one[name], other[name]) for name in PAYLOADS])


def _bars_table(reached: list[Bar]) -> str:
    lines = ["| goal | bar | reached | |", "|---|---|---|---|"]
    lines += [_line([bar.what, bar.bar, bar.reached or "-", bar.met]) for bar in reached]
    return "\n".join(lines) + "\n"


def _head(*titles: str) -> list[str]:
    names = [*titles, *(f"{budget:,} B" for budget in BUDGETS)]
    return [_line(names), "|---" * len(names) + "|"]


def _line(texts: list[str]) -> str:
    return f"| {' | '.join(texts)} |"


def _percent(by_seed: list[float] | None) -> str:
    return "-" if by_seed is None else f"{100 * np.mean(by_seed):.1f} ± {100 * np.std(by_seed, ddof=1):.1f}"


# Bars


def bars(measured: Measurements) -> list[Bar]:
    """Compare the measurements with the bars of issue 6."""
    return [
        *(_ahead(measured.found, rule) for rule in FIXED_RULES),
        _not_behind(measured.found),
        *(_bytes_saved(measured.found, rule) for rule in FIXED_RULES),
        *(_near_the_best(measured.exhaustive, *images) for images in _IMAGES.items()),
    ]


def _ahead(found: list[RunGroup], rule: str) -> Bar:
    """The planner's margin over a rule, mean over targets and seeds."""
    what, bar = f"planner minus {rule}, 1,000 to 8,000 bytes", ">= +3 points at each budget"
    margins = {}
    for budget in _JUDGED_BUDGETS:
        ours, theirs = (mean_over_targets(found, method, budget) for method in (PLANNER, rule))
        if ours is None or theirs is None:
            return Bar(what, bar, "", "not measured")
        margins[budget] = 100 * (np.array(ours) - theirs)
    worst = min(margins.values(), key=lambda margin: float(margin.mean()))
    each = ", ".join(f"{margin.mean():+.1f}" for margin in margins.values())
    reached = f"{each} (standard error of the least: {worst.std(ddof=1) / math.sqrt(len(worst)):.1f})"
    return Bar(what, bar, reached, "met" if worst.mean() >= 3 else "missed")


def _not_behind(found: list[RunGroup]) -> Bar:
    """The planner's least margin over the better of the two rules, mean over seeds, of all targets and budgets."""
    what, bar = "planner minus the better of both rules, 1,000 to 8,000 bytes, worst target", ">= -1 point"
    margins = {}
    for target, budget in itertools.product(TARGETS, _JUDGED_BUDGETS):
        ours, *theirs = (at_budget(found, target, method, budget) for method in (PLANNER, *FIXED_RULES))
        if ours is None or any(cell is None for cell in theirs):
            return Bar(what, bar, "", "not measured")
        margins[target, budget] = 100 * (ours.accuracy - max(cell.accuracy for cell in theirs if cell))
    (target, budget), worst = min(margins.items(), key=lambda item: item[1])
    return Bar(what, bar, f"{worst:+.1f}", "met" if worst >= -1 else "missed", f"{target}, {budget:,} B")


def _bytes_saved(found: list[RunGroup], rule: str) -> Bar:
    """The planner's bytes for the accuracy of a rule at keep 10%, over those that the paper's coding takes for it."""
    what = f"bytes for the accuracy that {rule} has at keep 10%, planner / paper, geometric mean over targets"
    ratios = []
    for target in TARGETS:
        paper = [c for c in found if (c.target, c.method, c.keep) == (target, rule, KEEP) and c.is_complete]
        curve = [at_budget(found, target, PLANNER, budget) for budget in BUDGETS]
        if not paper or any(cell is None for cell in curve):
            return Bar(what, "<= 0.65", "", "not measured")
        points = [(float(np.mean(list(c.payload_bytes.values()))), c.accuracy) for c in curve if c]
        ratios.append(bytes_for(points, paper[0].accuracy) / float(np.mean(list(paper[0].paper_bytes.values()))))
    mean = geometric_mean(ratios)
    each = ", ".join(f"{target} {ratio:.2f}" for target, ratio in zip(TARGETS, ratios, strict=True))
    return Bar(what, "<= 0.65", f"{mean:.3f} ({each})", "met" if mean <= 0.65 else "missed")


def _near_the_best(rows: list[Row], images: str, column: str) -> Bar:
    """Distance of the planner's choice from the candidate that is best on held-out images."""
    what, bar = f"best of an exhaustive search minus the planner's choice, on {images} images", "<= 1 point"
    measured = [row for row in rows if row[column]]
    chosen = [row for row in measured if row["is_planner_choice"] == "1"]
    if not chosen:
        return Bar(what, bar, "", "not measured")
    best = max(measured, key=lambda row: float(row["held_out_accuracy"]))
    short = 100 * (float(best[column]) - float(chosen[0][column]))
    reached = f"{short:.1f} (the best of {len(measured)}: {best['selection']}; chosen: {chosen[0]['selection']})"
    return Bar(what, bar, reached, "met" if short <= 1 else "missed", chosen[0]["target"])


def bytes_for(points: list[tuple[float, float]], accuracy: float) -> float:
    """Bytes at which a curve first reaches an accuracy, on straight lines over the logarithm of bytes.

    Args:
        points: (bytes, accuracy), sorted by bytes.
        accuracy: the accuracy to reach.

    Returns:
        The bytes of the first point if its accuracy suffices; infinity if no accuracy suffices.
    """
    before: tuple[float, float] | None = None
    for size, reached in points:
        if reached >= accuracy:
            if before is None:
                return size
            share = (accuracy - before[1]) / (reached - before[1])
            return math.exp(math.log(before[0]) + share * (math.log(size) - math.log(before[0])))
        # Nobody sends a larger payload that teaches less
        before = (size, max(reached, before[1]) if before else reached)
    return math.inf


# Plot


def plot(found: list[RunGroup], folder: Path) -> None:
    """Accuracy against bytes, the mean of the targets and each of them: frontier.png."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    def by_seed(title: str, method: str, budget: int) -> list[float] | None:
        if title not in TARGETS:
            return mean_over_targets(found, method, budget)
        cell = at_budget(found, title, method, budget)
        return cell.by_seed if cell else None

    titles = ("mean of the targets", *TARGETS)
    figure, axes = plt.subplots(1, len(titles), figsize=(17, 5.5), layout="constrained")
    for axis, title in zip(axes, titles, strict=True):
        for method, (colour, marker, line) in _STYLES.items():
            points = [(budget, values) for budget in BUDGETS if (values := by_seed(title, method, budget))]
            axis.errorbar(
                [budget for budget, _ in points],
                [100 * np.mean(values) for _, values in points],
                [100 * np.std(values, ddof=1) for _, values in points],
                color=colour,
                marker=marker,
                linestyle=line,
                markersize=5,
                linewidth=2.5 if method == PLANNER else 1.2,
                capsize=2,
                label=method,
            )
        axis.set(title=title, xlabel="budget (bytes)", xscale="log")
        axis.set_xticks(BUDGETS, [f"{budget:,}" for budget in BUDGETS])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy on the target's test images (%)")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
    figure.suptitle("What students learn within a budget (bars: spread over seeds)")
    save(figure, folder / "frontier.png")
    plt.close(figure)


def main() -> None:
    """Write bars, tables and the plot."""
    measured = Measurements.read()
    reached = bars(measured)
    write_rows(RESULTS / "frontier-bars.csv", _COMMAND, [asdict(bar) for bar in reached], (), ("bench",))
    plot(measured.found, RESULTS)
    with atomic_write(RESULTS / "frontier.md") as file:
        file.write(
            f"# Accuracy of the planner's payloads, from frontier.csv (`{_COMMAND}`)\n\n{tables(measured)}".encode()
        )
    for bar in reached:
        print(f"{bar.met:12} {bar.what}: {bar.reached} ({bar.where})")


if __name__ == "__main__":
    main()
