"""The plan of bench/planning/run.py follows issue 6, and bench/planning/planning_figures.py counts correctly."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra 'train'")

from hypothesis import given
from hypothesis import strategies as st

from bench.bars import Bar
from bench.planning.planning_figures import Measurements, at_budget, bars, bytes_for, run_groups, tables
from bench.planning.run import PLANNER, Run, plan
from bench.planning.transfer import PAYLOADS, PROXIES, STUDENTS, transfers

pytestmark = pytest.mark.training

PLAN = list(plan())
RULES = ("lowest energy", "Safety-Net -0.2")
BUDGETS = (400, 1_000, 2_000, 4_000, 8_000)
TARGETS = ("resisc12", "clothing10", "cifar10")
SEEDS = (0, 1, 2)


def row(**values: Any) -> dict[str, str]:
    whole = {"keep": "", "stride": 1, "budget_bytes": 0, "payload_bytes": 100, "paper_bytes": 150, "selection": "this"}
    return {name: str(value) for name, value in (whole | values).items()}


def of_all(method: str, accuracy: float, **values: Any) -> list[dict[str, str]]:
    """Rows of a method on all targets, with all seeds."""
    return [
        row(method=method, target=target, seed=seed, accuracy=accuracy, **values)
        for target in TARGETS
        for seed in SEEDS
    ]


def at_budgets(method: str, accuracies: tuple[float, ...]) -> list[dict[str, str]]:
    return [
        one
        for budget, accuracy in zip(BUDGETS, accuracies, strict=True)
        for one in of_all(method, accuracy, budget_bytes=budget, payload_bytes=budget, paper_bytes=budget * 3 // 2)
    ]


def measured(*rows: list[dict[str, str]], exhaustive: tuple[dict[str, str], ...] = ()) -> Measurements:
    return Measurements(run_groups(one for part in rows for one in part), [], list(exhaustive))


def bar_of(what: Measurements, title: str) -> Bar:
    (bar,) = (bar for bar in bars(what) if bar.what.startswith(title))
    return bar


# The plan


def test_no_row_is_planned_twice() -> None:
    assert len({run.key for run in PLAN}) == len(PLAN)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", SEEDS)
def test_planner_rules_and_strides_are_planned_for_every_target_and_seed(target: str, seed: int) -> None:
    planned = {
        (run.method, run.keep, run.stride, run.budget_bytes) for run in PLAN if (run.target, run.seed) == (target, seed)
    }
    wanted = {(method, "", 1, budget) for method in (*RULES, PLANNER) for budget in BUDGETS}
    wanted |= {(f"{rule}, paper's coding", "", 1, budget) for rule in RULES for budget in BUDGETS}
    wanted |= {(rule, "0.1", 1, 0) for rule in RULES}
    wanted |= {("stride", "1", stride, 0) for stride in (100, 50, 20, 10, 5, 3, 2)}
    assert planned == wanted


def test_rows_without_a_planner_are_measured_first() -> None:
    assert all(run.method == PLANNER for run in PLAN[PLAN.index(next(filter(_is_planner, PLAN))) :])


def _is_planner(run: Run) -> bool:
    return run.method == PLANNER


def test_every_student_learns_from_every_payload_that_is_compared() -> None:
    runs = list(transfers())
    assert len({run.key for run in runs}) == len(runs) == len(TARGETS) * len(PAYLOADS) * len(STUDENTS)
    assert (
        len({kind.recipe.model for kind in STUDENTS.values()} - {kind.recipe.model for kind in PROXIES.values()}) == 2
    )


# Compared rows


def test_the_best_stride_is_the_best_of_those_that_fit_with_every_seed() -> None:
    rows = [*of_all("stride", 0.2, stride=50, payload_bytes=400), *of_all("stride", 0.3, stride=20, payload_bytes=900)]
    too_large = of_all("stride", 0.4, stride=10, payload_bytes=1_000)
    too_large[0]["payload_bytes"] = "1001"
    found = run_groups([*rows, *too_large])
    best = at_budget(found, TARGETS[0], "best stride that fits", 1_000)
    assert best is not None
    assert best.stride == "20"
    assert at_budget(found, TARGETS[0], "best stride that fits", 300) is None


def test_the_papers_best_setting_fits_the_budget_in_the_papers_own_coding() -> None:
    rows = [
        *of_all("lowest energy", 0.5, keep="0.05", payload_bytes=900, paper_bytes=1_001),
        *of_all("Safety-Net -0.2", 0.4, keep="0.01", payload_bytes=500, paper_bytes=999),
        *of_all("lowest energy, paper's coding", 0.3, budget_bytes=1_000, paper_bytes=1_000),
    ]
    best = at_budget(run_groups(rows), TARGETS[0], "paper's best setting, paper's coding", 1_000)
    assert best is not None
    assert (best.method, best.keep) == ("Safety-Net -0.2", "0.01")


def test_a_method_that_lacks_a_seed_has_no_result() -> None:
    rows = of_all(PLANNER, 0.5, budget_bytes=400)[:-1]
    assert at_budget(run_groups(rows), TARGETS[-1], PLANNER, 400) is None
    assert at_budget(run_groups(rows), TARGETS[0], PLANNER, 400) is not None


# Bars


@pytest.mark.parametrize(("accuracy", "met"), [(0.33, "met"), (0.32, "missed")])
def test_the_margin_is_that_of_the_worst_budget(accuracy: float, met: str) -> None:
    theirs = [at_budgets(rule, (0.1, 0.3, 0.3, 0.3, 0.3)) for rule in RULES]
    ours = at_budgets(PLANNER, (0.0, 0.4, accuracy + 0.0001, 0.4, 0.4))
    for rule in RULES:
        assert bar_of(measured(ours, *theirs), f"planner minus {rule}").met == met
        assert bar_of(measured(ours, *theirs[:1]), f"planner minus {RULES[1]}").met == "not measured"


def test_the_bar_names_the_target_and_budget_where_the_planner_is_behind() -> None:
    ours = at_budgets(PLANNER, (0.5,) * 5)
    for one in ours:
        if (one["target"], one["budget_bytes"]) == ("clothing10", "2000"):
            one["accuracy"] = "0.28"
    bar = bar_of(measured(ours, *(at_budgets(rule, (0.3,) * 5) for rule in RULES)), "planner minus the better")
    assert (bar.met, bar.reached, bar.where) == ("missed", "-2.0", "clothing10, 2,000 B")


def test_bytes_saved_are_those_of_the_papers_coding() -> None:
    ours = at_budgets(PLANNER, (0.1, 0.2, 0.3, 0.4, 0.5))
    papers = [of_all(rule, 0.3, keep="0.1", payload_bytes=3_000, paper_bytes=4_000) for rule in RULES]
    bar = bar_of(measured(ours, *papers), "bytes for the accuracy that lowest energy")
    assert bar.reached.startswith("0.500 ")
    assert bar.met == "met"


curves = st.lists(st.floats(0, 1), min_size=1, max_size=6).map(
    lambda accuracies: [(100.0 * 2**place, accuracy) for place, accuracy in enumerate(accuracies)]
)


@given(curves, st.floats(0, 1), st.floats(0, 1))
def test_more_accuracy_never_takes_fewer_bytes(points: list[tuple[float, float]], one: float, other: float) -> None:
    assert bytes_for(points, min(one, other)) <= bytes_for(points, max(one, other)) * (1 + 1e-9)


@given(curves)
def test_the_best_accuracy_is_reached_at_the_bytes_of_its_first_point(
    points: list[tuple[float, float]],
) -> None:
    best = max(accuracy for _, accuracy in points)
    first = next(size for size, accuracy in points if accuracy == best)
    assert bytes_for(points, best) == pytest.approx(first)
    assert math.isinf(bytes_for(points, best + 0.01))


@pytest.mark.parametrize(("chosen", "met"), [("0.405", "met"), ("0.39", "missed")])
def test_the_best_of_an_exhaustive_search_is_that_on_held_out_images(chosen: str, met: str) -> None:
    rows = (
        row(is_planner_choice=0, held_out_accuracy="0.4100", accuracy="0.3000", target="resisc12"),
        row(is_planner_choice=1, held_out_accuracy=chosen, accuracy="0.3500", target="resisc12"),
        row(is_planner_choice=0, held_out_accuracy="", accuracy="", target="resisc12"),
    )
    title = "best of an exhaustive search minus the planner's choice, on"
    assert bar_of(measured(exhaustive=rows), f"{title} held-out").met == met
    assert bar_of(measured(exhaustive=rows), f"{title} test").reached.startswith("-5.0 ")
    assert bar_of(measured(), f"{title} test").met == "not measured"


# Tables


def test_the_tables_show_what_was_measured_and_what_was_not() -> None:
    text = tables(measured(at_budgets(PLANNER, (0.1, 0.2, 0.3, 0.4, 0.5)), of_all("stride", 0.25, stride=100)))
    assert "| planner | 10.0 ± 0.0 | 20.0 ± 0.0 | 30.0 ± 0.0 | 40.0 ± 0.0 | 50.0 ± 0.0 |" in text
    assert "| lowest energy | - | - | - | - | - |" in text
    assert "| cifar10 | 25.0 ± 0.0; 100 B |" in text
    assert "| resisc12 | 2 | this | this | this | this | this |" in text


def test_agreement_is_in_ranks_and_the_advantage_over_the_better_rule() -> None:
    rows = [
        row(target=target, payload=payload, student=student, accuracy=accuracy)
        for target in TARGETS
        for student in STUDENTS
        for payload, accuracy in zip(PAYLOADS, _accuracies(student), strict=True)
    ]
    text = tables(Measurements([], rows, []))
    assert "| larger (resnet10t) | 1.00 | 1.00 | 1.00 | +5.0 | 50% |" in text
    assert "| pre-trained (mobilenetv2_100) | -1.00 | -1.00 | -1.00 |" in text


def _accuracies(student: str) -> list[float]:
    """Each is a step better than the one before, the planner's the last."""
    step = {"larger": 0.0125, "pre-trained": -0.0125}.get(student, 0.025)
    return [0.4 + place * step for place in range(len(PAYLOADS))]
