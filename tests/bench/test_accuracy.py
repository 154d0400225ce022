"""The plan of bench/accuracy/run.py follows issue 4, and bench/accuracy/accuracy_figures.py counts correctly."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")


from bench.accuracy.accuracy_figures import agreement, bars, run_groups, tables
from bench.accuracy.run import KINDS, Run, plan, settings_of
from bench.table import RESULTS, read_rows

pytestmark = pytest.mark.training

PLAN = list(plan())
RULES = ("lowest energy", "lowest entropy", "consensus", "inverse", "Safety-Net 0", "Safety-Net -0.2")
BUDGETS = (400, 1_000, 2_000, 4_000, 8_000)
TARGETS = ("resisc12", "clothing10", "cifar10")


def row(**values: Any) -> dict[str, str]:
    whole = {
        "kind": "pixels",
        "target": "cifar10",
        "seed": 0,
        "method": "lowest energy",
        "keep": "0.05",
        "stride": 1,
        "budget_bytes": 0,
        "payload_bytes": 100,
        "paper_bytes": 120,
        "kept": 50,
        "accuracy": 0.5,
        "classes": "10/10",
    }
    return {name: str(value) for name, value in (whole | values).items()}


def test_no_row_is_planned_twice() -> None:
    assert len({run.key for run in PLAN}) == len(PLAN)


@pytest.mark.parametrize("kind", ["pixels", "frozen"])
def test_the_whole_table_is_planned_for_every_target_and_three_seeds(kind: str) -> None:
    wanted = {("everything", "1", 1, 0), ("all target images", "", 1, 0)}
    wanted |= {(rule, keep, 1, 0) for rule in RULES for keep in ("0.01", "0.05", "0.1", "0.25")}
    wanted |= {("stride", "1", stride, 0) for stride in (100, 50, 20, 10, 5)}
    wanted |= {("stride, lowest energy", keep, stride, 0) for stride in (20, 5) for keep in ("0.5", "0.25")}
    others = ("random images", "k-centre images", "random labels", "lowest energy", "Safety-Net 0")
    wanted |= {(method, "", 1, budget) for method in others for budget in BUDGETS}
    variants = ("average soft labels", "Dirichlet targets", "importance weights, tau 1")
    wanted |= {(f"Safety-Net 0, {variant}", "", 1, budget) for variant in variants for budget in (1_000, 4_000)}
    if kind == "pixels":
        wanted |= {("tiny network", "", 1, budget) for budget in BUDGETS}
        wanted |= {("pruned network", "", 1, budget) for budget in BUDGETS if budget >= 4_000}
    for target in TARGETS:
        for seed in range(3):
            assert planned(kind, target, seed) >= wanted


@pytest.mark.parametrize("target", TARGETS)
def test_probe_teacher_and_samples_of_other_kinds_are_planned(target: str) -> None:
    assert planned("frozen", target, 0) >= {("linear probe", "", 1, budget) for budget in (*BUDGETS, 0)}
    for seed in range(3):
        assert ("teacher", "", 1, 0) in planned("frozen", target, seed)
    sample = {(rule, "0.05", 1, 0) for rule in ("lowest energy", "inverse", "Safety-Net 0")}
    for seed in range(3):
        assert planned("pre-trained", target, seed) >= sample | {("stride", "1", 10, 0)}
    assert planned("pixels-long", target, 0) >= sample | {("everything", "1", 1, 0)}


def planned(kind: str, target: str, seed: int) -> set[tuple[str, str, int, int]]:
    return {
        (run.method, run.keep, run.stride, run.budget_bytes)
        for run in PLAN
        if (run.kind, run.target, run.seed) == (kind, target, seed)
    }


def test_every_row_of_accuracy_csv_is_in_the_plan_with_the_same_settings() -> None:
    by_key = {run.key: run for run in PLAN}
    rows = read_rows(RESULTS / "accuracy.csv")
    keys = [tuple(row[name] for name in Run.__dataclass_fields__) for row in rows]
    assert len(set(keys)) == len(keys)
    for key, row in zip(keys, rows, strict=True):
        assert row["settings"] == settings_of(by_key[key])


def test_all_students_of_a_kind_took_as_many_steps() -> None:
    for row in read_rows(RESULTS / "accuracy.csv"):
        if row["method"] not in ("teacher", "linear probe") and row["accuracy"]:
            assert int(row["steps"]) == KINDS[row["kind"]].steps


def test_payloads_fit_their_budgets() -> None:
    for row in read_rows(RESULTS / "accuracy.csv"):
        if int(row["budget_bytes"]) and row["method"] != "random labels":
            assert int(row["payload_bytes"]) <= int(row["budget_bytes"])


def test_mean_and_spread_are_over_seeds() -> None:
    (cell,) = run_groups(row(seed=seed, accuracy=accuracy) for seed, accuracy in enumerate((0.4, 0.5, 0.6)))
    assert cell.seeds == 3
    assert cell.accuracy == pytest.approx(0.5)
    assert cell.spread == pytest.approx(0.1)


def test_a_budget_that_holds_nothing_has_no_accuracy() -> None:
    (cell,) = run_groups([row(accuracy="", payload_bytes=0)])
    assert math.isnan(cell.accuracy)


def ranked(kind: str, order: int) -> list[dict[str, str]]:
    """Return rows in which each keep rate is better than the one before; `order` ranks the three methods."""
    return [
        row(kind=kind, method=method, keep=keep, accuracy=place + order * 0.1 * rank)
        for place, keep in enumerate(("0.01", "0.05", "0.1"))
        for rank, method in enumerate(RULES[:3])
    ]


def test_agreement_on_methods_is_not_that_on_sizes() -> None:
    found = run_groups([*ranked("pixels", 1), *ranked("frozen", -1), *ranked("pre-trained", 1)])
    within, groups, over_all, payloads = agreement(found, "pixels", "frozen", "cifar10")
    assert within == pytest.approx(-1)
    assert groups == 3
    assert over_all > 0.5
    assert payloads == 9
    assert agreement(found, "pixels", "pre-trained", "cifar10")[0] == pytest.approx(1)


def measured(method: str, accuracies: tuple[float, ...], budgets: tuple[int, ...] = BUDGETS) -> list[dict[str, str]]:
    """Rows of all seeds; one accuracy for each budget, or the same for all."""
    each = accuracies if len(accuracies) == len(budgets) else accuracies * len(budgets)
    return [
        row(seed=seed, method=method, keep="", budget_bytes=budget, accuracy=accuracy)
        for seed in range(3)
        for budget, accuracy in zip(budgets, each, strict=True)
    ]


def test_a_baseline_that_is_ahead_misses_the_bar_by_name() -> None:
    rows = [*measured("Safety-Net 0", (0.4,)), *measured("random images", (0.3, 0.3, 0.3, 0.3, 0.45))]
    bar = bar_of(rows, "pixels: Safety-Net 0 ahead of random images")
    assert bar.met == "missed"
    assert "8,000 B" in bar.where


def test_a_bar_is_not_met_before_all_is_measured() -> None:
    rows = [*measured("Safety-Net 0", (0.4,)), *measured("random images", (0.3,))[:-1]]
    assert bar_of(rows, "pixels: Safety-Net 0 ahead of random images").met == "not measured"
    assert bar_of(rows, "pixels: students of random labels").met == "not measured"


@pytest.mark.parametrize(
    ("accuracies", "met"), [((0.09, 0.1, 0.11, 0.1, 0.1), "met"), ((0.3, 0.31, 0.29, 0.3, 0.3), "missed")]
)
def test_random_labels_above_chance_miss_the_bar(accuracies: tuple[float, ...], met: str) -> None:
    assert bar_of(measured("random labels", accuracies), "pixels: students of random labels").met == met


def bar_of(rows: list[dict[str, str]], title: str) -> Any:
    (bar,) = (bar for bar in bars(rows) if bar.what.startswith(title) and bar.where.startswith("cifar10"))
    return bar


def test_the_tables_show_what_was_measured() -> None:
    text = tables(run_groups([row(accuracy=0.123), *measured("Safety-Net 0", (0.4321,))]))
    assert "| lowest energy | 5% | 12.3; 100 B (120) | - | - |" in text
    assert "| cifar10 | Safety-Net 0 | 43.2 ± 0.0 |" in text
