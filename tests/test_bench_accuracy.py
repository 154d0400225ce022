"""The plan of bench/accuracy.py is what it should measure, and bench/accuracy_figures.py counts right."""

from __future__ import annotations

from typing import Any

import pytest

from bench.accuracy import BUDGETS, KINDS, RULES, SEEDS, STRIDES, TARGETS, Run, plan
from bench.accuracy_figures import agreement, bars, cells, tables
from bench.table import RESULTS, read_rows

PLAN = list(plan())


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
def test_the_whole_table_is_planned_for_every_target_and_seed(kind: str) -> None:
    wanted = {("everything", "1", 1, 0)}
    wanted |= {(rule, keep, 1, 0) for rule in RULES for keep in ("0.01", "0.05", "0.1", "0.25")}
    wanted |= {("stride", "1", stride, 0) for stride in (100, 50, 20, 10, 5)}
    wanted |= {("stride, lowest energy", keep, stride, 0) for stride in (20, 5) for keep in ("0.5", "0.25")}
    others = ("random images", "k-centre images", "random labels", "lowest energy", "Safety-Net 0")
    wanted |= {(method, "", 1, budget) for method in others for budget in (400, 1_000, 2_000, 4_000, 8_000)}
    assert len(SEEDS) >= 3
    for target in TARGETS:
        for seed in SEEDS:
            planned = {
                (run.method, run.keep, run.stride, run.budget_bytes)
                for run in PLAN
                if (run.kind, run.target, run.seed) == (kind, target, seed)
            }
            assert planned >= wanted


def test_all_students_of_a_kind_take_as_many_steps() -> None:
    rows = read_rows(RESULTS / "accuracy.csv")
    for kind in KINDS.values():
        settings = {(row["steps"], row["batch_size"], row["image_size"]) for row in rows if row["kind"] == kind.name}
        assert settings <= {(str(kind.steps), str(kind.recipe.batch_size), str(kind.recipe.image_size))}


def test_a_row_of_the_file_is_found_again_by_its_key() -> None:
    wanted = {run.key for run in PLAN}
    rows = read_rows(RESULTS / "accuracy.csv")
    keys = {tuple(row[name] for name in Run.__dataclass_fields__) for row in rows}
    assert keys <= wanted
    assert len(keys) == len(rows)


def test_mean_and_spread_are_over_seeds() -> None:
    (cell,) = cells(row(seed=seed, accuracy=accuracy) for seed, accuracy in enumerate((0.4, 0.5, 0.6)))
    assert cell.seeds == 3
    assert cell.accuracy == pytest.approx(0.5)
    assert cell.spread == pytest.approx(0.1)


def test_kinds_that_rank_payloads_alike_agree_and_contrary_ones_do_not() -> None:
    rows = []
    for place, keep in enumerate(("0.01", "0.05", "0.1")):
        rows += [
            row(keep=keep, accuracy=0.1 * place),
            row(kind="frozen", keep=keep, accuracy=0.2 * place),
            row(kind="pre-trained", keep=keep, accuracy=-0.3 * place),
        ]
    for other, expected in (("frozen", 1), ("pre-trained", -1)):
        correlation, count = agreement(cells(rows), "pixels", other, "cifar10")
        assert correlation == pytest.approx(expected)
        assert count == 3


def test_a_baseline_that_is_ahead_misses_the_bar_by_name() -> None:
    rows = [row(keep="", budget_bytes=budget, accuracy=0.4) for budget in BUDGETS]
    rows += [row(method="random images", keep="", budget_bytes=budget, accuracy=0.3) for budget in BUDGETS[:-1]]
    rows += [row(method="random images", keep="", budget_bytes=BUDGETS[-1], accuracy=0.45)]
    (bar,) = (
        bar for bar in bars(rows) if bar.what.startswith("pixels: ahead of random") and bar.where.startswith("cifar10")
    )
    assert bar.met == "missed"
    assert "8,000 B" in bar.where


@pytest.mark.parametrize(("accuracies", "met"), [((0.09, 0.1, 0.11), "met"), ((0.3, 0.31, 0.29), "missed")])
def test_random_labels_above_chance_miss_the_bar(accuracies: tuple[float, ...], met: str) -> None:
    rows = [row(seed=seed, method="random labels", accuracy=accuracy) for seed, accuracy in enumerate(accuracies)]
    (bar,) = (bar for bar in bars(rows) if bar.what.startswith("random labels") and bar.where == "cifar10")
    assert bar.met == met


def test_the_tables_show_every_rule_and_budget() -> None:
    text = tables(cells([row()]))
    for name in (*RULES, *(f"{budget:,} B" for budget in BUDGETS), *map(str, STRIDES)):
        assert name in text
