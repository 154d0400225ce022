"""The planner's parts: candidates, payloads that fill a level, the search, proxies.

Plans made for real are in test_planning_runs.py.
"""

from __future__ import annotations

import io
import json
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from itertools import pairwise
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

pytest.importorskip("torch")

from hypothesis import assume, example, given
from hypothesis import strategies as st
from PIL import Image

from plada_codec import Payload, Universe
from plada_codec.errors import FileError
from plada_codec.reference import ListedImages
from plada_train.data.decoded_images import DecodedImages
from plada_train.data.pixels import decode_square
from plada_train.planning import measurements as measurements_module
from plada_train.planning import search as search_module
from plada_train.planning import workers as workers_module
from plada_train.planning.candidates import axes
from plada_train.planning.candidates.grid import (
    BASELINES,
    LOWEST_ENERGY,
    STRIDE,
    Candidate,
    grid,
    levels,
    rules,
    siblings,
)
from plada_train.planning.measurements import Measurement, MeasurementLog
from plada_train.planning.search import KEEP_ONE_OF, SearchResult, promote, rungs_of, search
from plada_train.planning.workers import FULL, Workers, fill_level
from plada_train.scores.registry import SCORES
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.rule import Rule
from plada_train.selection.safety_net import SafetyNet
from plada_train.training import proxies
from tests.helpers.examples import examples

pytestmark = pytest.mark.training

some_scores = st.lists(st.sampled_from(sorted(SCORES)), min_size=1, max_size=2, unique=True).map(tuple)
some_rules: st.SearchStrategy[Rule] = st.builds(LowestCost, some_scores, st.booleans()) | st.builds(
    SafetyNet, some_scores, st.booleans(), st.sampled_from([0.0, -0.2, 0.5]), st.sampled_from([1, "0.5"])
)
some_candidates = st.builds(
    Candidate,
    some_rules,
    st.builds(Universe, st.integers(0, 3), st.integers(1, 4)),
    st.none() | st.integers(50, 52),
)
#: The whole of a reference set, or a sample of it.
samples = st.builds(Universe, st.just(0), st.integers(1, 40))
sizes = st.integers(1, 10**6)
some_levels = st.lists(st.integers(20, 10_000), min_size=1, max_size=5, unique=True).map(
    lambda bytes_: sorted(bytes_, reverse=True)
)


# --- candidates ---


@given(some_candidates, some_candidates)
def test_keys_are_equal_for_equal_candidates_only(one: Candidate, other: Candidate) -> None:
    assert (one.key == other.key) == (one == other)


def made_grid(
    levels_bytes: list[int], sample: Universe, size: int, budgets: list[int] | None = None
) -> list[Candidate]:
    """A grid of these budgets, or of these levels of one."""
    strides = [min(2**i, ceil(size / sample.stride)) * sample.stride for i, _ in enumerate(levels_bytes)]
    return grid(budgets or levels_bytes, levels_bytes, strides, sample, size)


@given(some_levels, samples, sizes)
def test_a_grid_has_no_repeats_and_each_level_names_a_candidate_once(
    levels_bytes: list[int], sample: Universe, size: int
) -> None:
    candidates = made_grid(levels_bytes, sample, size)
    assert candidates
    assert len(set(candidates)) == len(candidates)
    assert len({(one.name, one.level_bytes) for one in candidates}) == len(candidates)


@given(some_levels, samples, sizes)
def test_the_universes_of_a_grid_and_of_siblings_are_of_the_sample(
    levels_bytes: list[int], sample: Universe, size: int
) -> None:
    for one in made_grid(levels_bytes, sample, size):
        for universe in (one.universe, *(sibling.universe for sibling in siblings(one, sample))):
            assert universe.size(size) >= 1
            is_part = universe.offset % sample.stride == 0 and universe.stride % sample.stride == 0
            assert is_part or (universe == Universe() and "loss" not in one.rule.score)


@given(some_levels, samples, sizes, st.integers(0, 500))
def test_the_levels_of_a_grid_take_turns(levels_bytes: list[int], sample: Universe, size: int, tried: int) -> None:
    filled_levels = [one.level_bytes for one in made_grid(levels_bytes, sample, size) if one.level_bytes is not None]
    turns = [filled_levels[:tried].count(level) for level in levels_bytes]
    assert max(turns) - min(turns) <= 1


@given(some_levels, st.integers(2, 10**6))
def test_a_grid_has_the_baselines_and_begins_with_one(levels_bytes: list[int], size: int) -> None:
    candidates = made_grid(levels_bytes, Universe(), size)
    assert candidates[: len(levels_bytes)] == [Candidate(LOWEST_ENERGY, Universe(), level) for level in levels_bytes]
    assert {one.baseline for one in candidates} == {*BASELINES, STRIDE, None}
    for one in candidates:
        if one.baseline in BASELINES:
            assert (one.rule, one.universe) == (BASELINES[one.baseline], Universe())


@given(some_levels, st.integers(50, 10**6))
def test_for_one_budget_the_first_candidates_have_every_value_of_every_axis(levels_bytes: list[int], size: int) -> None:
    levels_bytes = levels_bytes[:4]
    every, budget = made_grid(levels_bytes, Universe(), size, levels_bytes[:1]), levels_bytes[0]
    assert every[0] == Candidate(LOWEST_ENERGY, Universe(), budget)
    # Three baselines, the usual candidate, and each other value of an axis
    others = sum(len(axis.values) - 1 for axis in axes.AXES) + len(levels_bytes) - 1
    first, usual = every[: 4 + others], every[1]
    changed = [axis.change(usual, value, Universe()) for axis in axes.AXES for value in axis.values]
    filled_levels = [replace(usual, level_bytes=level) for level in levels_bytes]
    assert {one for one in (*changed, *filled_levels) if one is not None} <= set(first)
    assert {one.baseline for one in first} == {*BASELINES, STRIDE, None}


def test_the_usual_value_of_each_axis_is_one_of_its_values_and_changes_nothing() -> None:
    usual = grid([100], [100], [], Universe(), 1_000)[1]
    for axis in axes.AXES:
        assert axis.usual in axis.values
        assert axis.change(usual, axis.usual, Universe()) == usual
    assert all(axis.usual in axis.values for axis in axes.SIBLING_AXES)
    assert max(axes.LEVEL_SHARES) == 1


def test_an_axis_that_is_added_doubles_the_candidates_that_it_can_change(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(candidate: Candidate, reserved: str, sample: Universe) -> Candidate | None:
        if not isinstance(candidate.rule, SafetyNet):
            return candidate if reserved == "1" else None
        return replace(candidate, rule=replace(candidate.rule, reserved=reserved))

    others = tuple(axis for axis in axes.AXES if axis.name != "reserved")
    monkeypatch.setattr(axes, "AXES", others)
    before = [one.name for one in grid([100], [100], [1], Universe(), 1_000)]
    monkeypatch.setattr(axes, "AXES", (*others, axes.Axis("reserved", ("1", "1/2"), "1", change)))
    after = [one.name for one in grid([100], [100], [1], Universe(), 1_000)]
    assert len(set(after)) == len(after)
    assert set(before) <= set(after)
    added = {name.replace(" for 50%", "") for name in set(after) - set(before)}
    assert added == {name for name in before if "Safety-Net" in name}


def test_the_grids_rules_cover_all_planned_scores_both_directions_and_both_selection_rules() -> None:
    found = rules()
    assert len(set(found)) == len(found)
    assert {name for rule in found for name in rule.score} == {name for name in SCORES if SCORES[name].planned}
    assert {len(rule.score) for rule in found} == {1, 2}
    assert {(rule.inverse, isinstance(rule, LowestCost)) for rule in found} == {
        (a, b) for a in (True, False) for b in (True, False)
    }


@given(st.lists(st.integers(30, 10_000), min_size=1, max_size=5), st.integers(1, 30))
def test_levels_are_the_budgets_or_parts_of_the_only_one(budgets: list[int], smallest_bytes: int) -> None:
    found = levels(budgets, smallest_bytes)
    assert found == sorted(set(found), reverse=True)
    assert found[0] == max(budgets)
    assert found[-1] >= smallest_bytes
    if len(set(budgets)) > 1:
        assert set(found) == set(budgets)


@given(some_candidates, samples)
def test_siblings_differ_in_the_universe_only_and_are_of_the_same_stride(one: Candidate, sample: Universe) -> None:
    one = Candidate(one.rule, Universe(0, one.universe.stride * sample.stride), one.level_bytes)
    found = list(siblings(one, sample))
    assert one not in found
    for sibling in found:
        assert (sibling.rule, sibling.level_bytes) == (one.rule, one.level_bytes)
        assert sibling.universe.stride == one.universe.stride or sibling.universe == Universe()


# --- payloads that fill a level ---


class Encoder:
    """Encodes k images in as many bytes as a function says, and counts how often."""

    def __init__(self, size_of: Callable[[int], int]) -> None:
        self.size_of = size_of
        self.encoded: list[int] = []

    def __call__(self, count: int) -> tuple[Payload, bytes]:
        self.encoded.append(count)
        return Payload([0], [0], 1, 1), bytes(self.size_of(count))


@examples(1.5)
@given(
    overhead_bytes=st.integers(1, 2_000),
    bits=st.floats(0.2, 20),
    power=st.floats(0.6, 1),
    most=st.integers(1, 40_000),
    height=st.integers(0, 3),
    level_bytes=st.integers(1, 8_000),
    seed=st.integers(0, 99),
)
@example(overhead_bytes=300, bits=1, power=1, most=40_000, height=0, level_bytes=310, seed=0)
@example(overhead_bytes=1, bits=8, power=1, most=1, height=0, level_bytes=1, seed=0)
def test_a_payload_fills_its_level_in_few_encodings(
    overhead_bytes: int, bits: float, power: float, most: int, height: int, level_bytes: int, seed: int
) -> None:
    ripples = np.random.default_rng(seed).integers(0, height + 1, most + 1)

    def size_of(count: int) -> int:
        return overhead_bytes + int(bits * count**power / 8) + int(ripples[count])

    encoder = Encoder(size_of)
    found = fill_level(encoder, most, level_bytes)
    assert all(1 <= count <= most for count in encoder.encoded)
    assert len(encoder.encoded) < 40
    if found is None:
        assert size_of(1) > level_bytes
        return
    assert len(found) <= level_bytes
    if len(found) < FULL * level_bytes:
        # One more would not have fitted, or there is no more
        count = max(count for count in encoder.encoded if size_of(count) <= level_bytes)
        assert len(found) == size_of(count)
        assert count == most or size_of(count + 1) > level_bytes


@given(st.integers(1, 3_000), st.integers(1, 200), st.data())
def test_a_filled_level_is_not_exceeded_however_sizes_grow(most: int, level_bytes: int, data: st.DataObject) -> None:
    steps = np.random.default_rng(data.draw(st.integers(0, 99))).choice([0, 0, 0, 1, 50], most + 1)
    grown = np.cumsum(steps) + 1
    encoder = Encoder(lambda count: int(grown[count]))
    found = fill_level(encoder, most, level_bytes)
    assert (found is None) == (grown[1] > level_bytes)
    assert found is None or len(found) <= level_bytes
    assert len(encoder.encoded) < 40


# --- the search ---

MODEL = "proxy"


def measurement(accuracy: float, payload_bytes: int) -> Measurement:
    return Measurement(payload_bytes, payload_bytes, {MODEL: accuracy})


LEVELS = [400, 200, 100]
GRID = grid(LEVELS, LEVELS, [1, 2, 4], Universe(), 1_000)[:60]
RUNGS = rungs_of(400)


def silent(rung: int, measured: dict[Candidate, Measurement], share: float) -> None: ...


@st.composite
def results(draw: st.DrawFn) -> dict[Candidate, Measurement | None]:
    """Draw a measurement for each candidate: many are equally accurate, and some candidates do not fit."""
    candidates = GRID[: draw(st.integers(1, len(GRID)))]
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    accuracies = random.integers(0, draw(st.sampled_from([3, 1_000])), len(candidates)) / 1_000
    shares = random.random(len(candidates))
    return {
        one: None if share < 0.1 else measurement(accuracy, max(20, int(share * (one.level_bytes or 500))))
        for one, accuracy, share in zip(candidates, accuracies.tolist(), shares.tolist(), strict=True)
    }


def measured_of(said: dict[Candidate, Measurement | None]) -> dict[Candidate, Measurement]:
    return {one: result for one, result in said.items() if result is not None}


def level_of(said: Measurement) -> int | None:
    return min((level for level in LEVELS if level >= said.payload_bytes), default=None)


class Lab:
    """Measures at once, and records the candidates that it was asked for."""

    def __init__(self, said: dict[Candidate, Measurement | None]) -> None:
        self.said = said
        self.asked: list[tuple[Candidate, int]] = []

    def submit(self, candidate: Candidate, rung: int) -> Future[Measurement | None]:
        self.asked.append((candidate, rung))
        future: Future[Measurement | None] = Future()
        future.set_result(self.said[candidate])
        return future

    def search(
        self, path: Path, until_s: float = 1e9, report: search_module.OnMeasurement = silent, most: int | None = None
    ) -> SearchResult:
        return search(
            list(self.said), LEVELS, MeasurementLog(path), self.submit, 2, until_s, report, rungs=RUNGS, most=most
        )


@pytest.fixture(scope="module")
def path() -> Iterator[Callable[[], Path]]:
    """Make names of files that are not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = iter(range(10**9))
        yield lambda: Path(folder, f"{next(numbers)}.jsonl")


@given(results())
def test_with_time_enough_the_best_of_each_budget_is_found(
    path: Callable[[], Path], said: dict[Candidate, Measurement | None]
) -> None:
    found = Lab(said).search(path())
    assert found.stopped is None
    for budget in LEVELS:
        fitting = [result for result in measured_of(said).values() if result.payload_bytes <= budget]
        winner = found.winner(budget)
        assert (winner is None) == (not fitting)
        if winner is not None:
            best = said[winner]
            assert best is not None
            assert best.payload_bytes <= budget
            assert best.accuracy == max(one.accuracy for one in fitting)


@given(results(), st.integers(1, 80))
def test_a_continued_search_measures_nothing_twice_and_has_the_same_result(
    path: Callable[[], Path], said: dict[Candidate, Measurement | None], reports: int
) -> None:
    begun, whole, file = Lab(said), Lab(said), path()
    left = iter(range(reports))

    def interrupt(rung: int, measured: dict[Candidate, Measurement], share: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    first = begun.search(file, report=interrupt)
    assert first.stopped in ("interrupt", None)
    further = Lab(said)
    second = further.search(file)
    assert max(Counter(begun.asked + further.asked).values()) == 1
    assert second.stopped is None
    expected = whole.search(path())
    assert set(begun.asked + further.asked) == set(whole.asked)
    assert second.candidate_counts == expected.candidate_counts
    assert [list(rung.items()) for rung in second.rungs] == [list(rung.items()) for rung in expected.rungs]
    assert [second.winner(budget) for budget in LEVELS] == [expected.winner(budget) for budget in LEVELS]
    again = Lab(said)
    assert again.search(file).frontier() == expected.frontier()
    assert not again.asked


@given(results(), st.integers(0, 30))
def test_an_interrupt_answers_with_the_best_so_far(
    path: Callable[[], Path], said: dict[Candidate, Measurement | None], reports: int
) -> None:
    lab, left = Lab(said), iter(range(reports))

    def interrupt(rung: int, measured: dict[Candidate, Measurement], share: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    found = lab.search(path(), report=interrupt)
    assume(found.stopped == "interrupt")
    number, last = max((number, rung) for number, rung in enumerate(found.rungs) if rung or number == 0)
    assert set(last) <= {one for one, rung in lab.asked if rung == number}
    for budget in LEVELS:
        fitting = [one.accuracy for rung in found.rungs for one in rung.values() if one.payload_bytes <= budget]
        winner = found.winner(budget)
        assert (winner is None) == (not fitting)
        # Rungs agree here: the best of all is the best so far, though a further rung may not have come to it
        assert winner is None or measured_of(said)[winner].accuracy == max(fitting)


@given(results(), st.integers(1, 59))
def test_an_interrupt_forgets_nothing_that_an_earlier_call_found(
    path: Callable[[], Path], said: dict[Candidate, Measurement | None], count: int
) -> None:
    few, file = dict(list(said.items())[:count]), path()
    assume(any(few.values()))
    before = Lab(few).search(file)

    def interrupt(rung: int, measured: dict[Candidate, Measurement], share: float) -> None:
        raise KeyboardInterrupt

    found = Lab(said).search(file, report=interrupt)
    for budget in LEVELS:
        if (winner := before.winner(budget)) is not None:
            best = found.winner(budget)
            assert best is not None
            assert measured_of(said)[best].accuracy >= measured_of(few)[winner].accuracy


def test_measurements_that_cannot_be_written_are_an_error_of_one_line(tmp_path: Path) -> None:
    log = MeasurementLog(tmp_path / "log")
    (tmp_path / "log").mkdir()
    with pytest.raises(FileError, match=r"^cannot write .*log: Is a directory"):
        log.add(GRID[0], 0, None)


@given(results())
def test_without_time_only_what_is_needed_for_an_answer_is_measured(
    path: Callable[[], Path], said: dict[Candidate, Measurement | None]
) -> None:
    first = list(said)[: len(LEVELS)]
    # As is so of the lowest energies at the largest level
    assume(said[first[0]] is not None)
    lab, file = Lab(said), path()
    found = lab.search(file, until_s=1e-9)
    assert list(found.rungs[0]) == [one for one in first if said[one] is not None]
    assert not any(found.rungs[1:])
    assert found.stopped == "time" or len(said) <= len(LEVELS)
    again = Lab(said)
    assert again.search(file, until_s=1e-9).rungs == found.rungs
    assert not again.asked


@given(results(), st.integers(1, 30), st.integers(0, 99))
def test_the_choice_does_not_depend_on_the_order_in_which_measurements_end(
    path: Callable[[], Path], said: dict[Candidate, Measurement | None], most: int, seed: int
) -> None:
    expected = Lab(said).search(path(), most=most)
    assert expected.stopped is None
    assert list(expected.rungs[0]) == [one for one in list(said)[:most] if said[one] is not None]
    random = np.random.default_rng(seed)
    running: list[tuple[Future[Measurement | None], Measurement | None]] = []

    def submit(candidate: Candidate, rung: int) -> Future[Measurement | None]:
        running.append((Future(), said[candidate]))
        return running[-1][0]

    def wait_for_some(futures: Iterable[Future[Measurement | None]], **options: object) -> Any:
        for _ in range(int(random.integers(1, len(running) + 1))):
            ended, result = running.pop(int(random.integers(len(running))))
            ended.set_result(result)
        return SimpleNamespace(done={future for future in futures if future.done()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_module, "wait", wait_for_some)
        found = search(list(said), LEVELS, MeasurementLog(path()), submit, 3, 1e9, silent, rungs=RUNGS, most=most)
    assert (found.candidate_counts, found.stopped) == (expected.candidate_counts, None)
    assert [list(rung.items()) for rung in found.rungs] == [list(rung.items()) for rung in expected.rungs]
    assert [found.winner(budget) for budget in LEVELS] == [expected.winner(budget) for budget in LEVELS]


def test_a_slow_rung_leaves_time_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(measurements_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    said: dict[Candidate, Measurement | None] = {
        one: measurement(number / 100, one.level_bytes or 400) for number, one in enumerate(GRID)
    }
    lab = Lab(said)

    def submit(candidate: Candidate, rung: int) -> Future[Measurement | None]:
        clock.now += 1
        return lab.submit(candidate, rung)

    until_s = 30
    found = search(GRID, LEVELS, MeasurementLog(tmp_path / "log"), submit, 2, until_s, silent, rungs=RUNGS)
    assert found.stopped == "time"
    assert [rung for _, rung in lab.asked] == sorted(rung for _, rung in lab.asked)
    assert len(found.rungs[0]) == until_s / len(RUNGS)
    assert all(found.rungs)
    assert clock.now <= until_s


@given(most=st.integers(3, 40), workers=st.integers(1, 4), overhead_s=st.sampled_from([0.0, 5.0, 60.0]))
def test_a_search_of_a_given_number_of_candidates_is_not_cut_while_the_time_suffices(
    path: Callable[[], Path], most: int, workers: int, overhead_s: float
) -> None:
    clock = SimpleNamespace(now=0.0)
    lab = Lab({one: measurement(number / 100, 400) for number, one in enumerate(GRID)})

    def submit(candidate: Candidate, rung: int) -> Future[Measurement | None]:
        clock.now += (RUNGS[rung] / 10 + overhead_s) / workers
        return lab.submit(candidate, rung)

    def found(until_s: float) -> SearchResult:
        clock.now = 0.0
        return search(GRID, [400], MeasurementLog(path()), submit, workers, until_s, silent, rungs=RUNGS, most=most)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measurements_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
        whole = found(1e9)
        assert found(clock.now + 1) == whole
    assert whole.stopped is None


@given(results(), st.sets(st.integers(0, len(GRID) - 1)))
def test_a_third_of_each_level_is_promoted_and_the_best_come_first(
    said: dict[Candidate, Measurement | None], always_of: set[int]
) -> None:
    measured, always = measured_of(said), [GRID[i] for i in sorted(always_of)]
    found = promote(measured, LEVELS, always)
    assert len(set(found)) == len(found)
    by_level: dict[int, list[Candidate]] = {}
    for one in measured:
        if (level := level_of(measured[one])) is not None:
            by_level.setdefault(level, []).append(one)
    assert {one for one in found if level_of(measured[one]) is None} <= set(always)
    firsts = found[: len(by_level)]
    assert {level_of(measured[first]) for first in firsts} == set(by_level)
    for first in firsts:
        level = level_of(measured[first])
        assert level is not None
        group = by_level[level]
        assert measured[first].accuracy == max(measured[one].accuracy for one in group)
    accuracies = [measured[first].accuracy for first in firsts]
    assert accuracies == sorted(accuracies, reverse=True)
    assert {one for one in always if one in measured} <= set(found) <= set(measured)
    for group in by_level.values():
        chosen = [one for one in group if one in found and one not in always]
        assert len(chosen) <= ceil(len(group) / KEEP_ONE_OF)
        left = [measured[one].accuracy for one in group if one not in found]
        assert not left or not chosen or min(measured[one].accuracy for one in chosen) >= max(left)


@given(results())
def test_siblings_are_promoted_behind_their_candidate(said: dict[Candidate, Measurement | None]) -> None:
    measured = measured_of(said)

    def more(one: Candidate) -> list[Candidate]:
        return [Candidate(one.rule, Universe(offset, 100 * one.universe.stride), one.level_bytes) for offset in (1, 2)]

    found = promote(measured, LEVELS, more=more)
    places = {one: place for place, one in enumerate(found)}
    for one in promote(measured, LEVELS):
        assert all(places[one] < places[other] for other in more(one))


@given(st.lists(results(), max_size=3), st.integers(1, 500))
def test_the_winner_fits_and_nothing_that_fits_is_better_on_its_rung(
    rungs: list[dict[Candidate, Measurement | None]], budget: int
) -> None:
    found = SearchResult(rungs=[measured_of(rung) for rung in rungs])
    winner = found.winner(budget)
    fitting = [{one: said for one, said in rung.items() if said.payload_bytes <= budget} for rung in found.rungs]
    if winner is None:
        assert not fitting or not fitting[0]
        return
    worths = [{one: (said.accuracy, -said.payload_bytes) for one, said in rung.items()} for rung in fitting]
    assert any(winner in worth and worth[winner] == max(worth.values()) for worth in worths)


@given(results())
def test_the_frontier_is_what_nothing_beats_in_bytes_and_accuracy(said: dict[Candidate, Measurement | None]) -> None:
    rung = measured_of(said)
    frontier = SearchResult(rungs=[rung, {}]).frontier()
    for one, other in pairwise(frontier):
        assert rung[one].payload_bytes < rung[other].payload_bytes
        assert rung[one].accuracy < rung[other].accuracy
    for result in rung.values():
        assert any(
            rung[one].payload_bytes <= result.payload_bytes and rung[one].accuracy >= result.accuracy
            for one in frontier
        )


@given(
    st.lists(st.tuples(st.sampled_from(GRID), st.integers(0, 2), st.none() | st.integers(1, 99)), max_size=8),
    st.floats(0, 1),
)
def test_a_log_loses_only_the_line_that_a_kill_tore(
    path: Callable[[], Path], rows: list[tuple[Candidate, int, int | None]], cut: float
) -> None:
    file = path()
    log = MeasurementLog(file)
    ends: list[int] = []
    for candidate, rung, number in rows:
        log.add(candidate, rung, None if number is None else measurement(number / 99, number))
        # The first line has its end, that of others is written with the next one
        ends.append(file.stat().st_size - (not ends))
    data = file.read_bytes() if rows else b""
    stop = round(cut * len(data))
    file.write_bytes(data[:stop])
    # Of measurements made twice the last counts
    expected = {(one, rung): number for (one, rung, number), end in zip(rows, ends, strict=True) if end <= stop}
    assert_found(MeasurementLog(file), expected)
    another, seconds = MeasurementLog(file), MeasurementLog(file).seconds
    another.add(GRID[0], 2, measurement(0.5, 50))
    assert_found(MeasurementLog(file), expected | {(GRID[0], 2): 50})
    assert MeasurementLog(file).seconds >= seconds - 0.01


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=9),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["search", "seconds", "candidate", "rung", "measurement"]), inner)
        ),
    )
)
def test_a_malformed_line_of_the_log_is_ignored(path: Callable[[], Path], row: Any) -> None:
    file = path()
    MeasurementLog(file).add(GRID[0], 0, measurement(0.5, 50))
    with file.open("ab") as lines:
        lines.write(b"\xff\n" + json.dumps(row).encode())
    assert_found(MeasurementLog(file), {(GRID[0], 0): 50})


@pytest.mark.parametrize(
    "change",
    [{"measurement": {}}, {"measurement": {"kept": 9}}, {"measurement": 5}, {"rung": []}, {"seconds": "9"},
     {"measurement": {"kept": 9, "payload_bytes": "9", "accuracies": {"a": 0.5}}},
     {"measurement": {"kept": 9, "payload_bytes": 9, "accuracies": {}}}],
)  # fmt: skip
def test_a_measurement_in_the_log_that_is_malformed_is_forgotten(tmp_path: Path, change: dict[str, Any]) -> None:
    file = tmp_path / "log"
    MeasurementLog(file).add(GRID[0], 0, measurement(0.5, 50))
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert_found(MeasurementLog(file), {})


def assert_found(log: MeasurementLog, expected: dict[tuple[Candidate, int], int | None]) -> None:
    for one in GRID[:3] + [one for one, _ in expected]:
        for rung in range(3):
            assert log.knows(one, rung) == ((one, rung) in expected)
            number = expected.get((one, rung))
            said = [result.payload_bytes for result in log.measured([one], rung).values()]
            assert said == ([] if number is None else [number])


# --- workers ---


def test_ctrl_c_waits_while_workers_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[object] = []

    class Pool:
        def __init__(self, *_: object) -> None: ...

        def submit(self, work: Callable[[], None]) -> None:
            began.append(signal.getsignal(signal.SIGINT))

    monkeypatch.setattr(workers_module, "ProcessPoolExecutor", Pool)
    before = signal.getsignal(signal.SIGINT)
    Workers(cast("workers_module.PlanContext", None), 3)
    assert began == [signal.SIG_IGN] * 3
    assert signal.getsignal(signal.SIGINT) == before


# --- images and proxies ---


class Pictures(ListedImages):
    """Random images in memory, that counts how often each is read."""

    def __init__(self, count: int, side: int = 9) -> None:
        super().__init__("REF")
        random = np.random.default_rng(0)
        self.reads: Counter[int] = Counter()
        self._data = []
        for i in range(count):
            file = io.BytesIO()
            Image.fromarray(random.integers(0, 256, (side, side + 3, 3), np.uint8)).save(file, "PNG")
            self._data.append(file.getvalue())
            self._add(f"{i}.png")

    def _read(self, i: int) -> bytes:
        self.reads[i] += 1
        return self._data[i]


PICTURES = Pictures(12)
SQUARES = [decode_square(PICTURES, i, 8) for i in range(12)]


@examples(0.3)
@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 11), min_size=1, max_size=20)), max_size=6))
def test_each_image_is_decoded_once_for_all_readers_of_a_folder(asked: list[tuple[bool, list[int]]]) -> None:
    images = Pictures(12)
    with tempfile.TemporaryDirectory() as folder:
        one, other = (DecodedImages(images, bytes(32), Path(folder), 8) for _ in range(2))
        for is_one, numbers in asked:
            rows = (one if is_one else other).pixels(np.array(numbers))
            np.testing.assert_array_equal(rows, np.stack([SQUARES[i] for i in numbers]))
        wanted = {number for _, numbers in asked for number in numbers}
        later = DecodedImages(images, bytes(32), Path(folder), 8).pixels(np.array(sorted(wanted), np.int64))
        np.testing.assert_array_equal(later, np.array([SQUARES[i] for i in sorted(wanted)]).reshape(-1, 8, 8, 3))
        assert set(images.reads) == wanted


@pytest.mark.parametrize("pattern", ["*px.npy", "*-decoded.npy", "*.npy"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:100])])
def test_cache_files_that_are_lost_or_cut_are_made_again(
    tmp_path: Path, pattern: str, damage: Callable[[Path], object]
) -> None:
    numbers = np.arange(12)
    DecodedImages(PICTURES, bytes(32), tmp_path, 8).pixels(numbers)
    for file in tmp_path.glob(pattern):
        damage(file)
    np.testing.assert_array_equal(DecodedImages(PICTURES, bytes(32), tmp_path, 8).pixels(numbers), np.stack(SQUARES))


@given(st.integers(1, 3), st.integers(1, 9), st.integers(2, 5), st.integers(0, 999))
def test_a_labels_loss_is_minus_the_log_of_its_mean_probability(
    models: int, count: int, num_classes: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(num_classes), (models, count))
    labels = random.integers(0, num_classes, count)
    expected = [-np.log(np.mean([p[m][i][label] for m in range(models)])) for i, label in enumerate(labels)]
    found = proxies.label_loss([np.log(one).astype(np.float32) for one in p], labels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_the_loss_of_a_label_that_no_proxy_believes_is_large_and_finite() -> None:
    log_p = np.array([[0, -100]], np.float32)
    assert proxies.label_loss([log_p, log_p], np.array([1])) == pytest.approx([100])


COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200]])


def coloured(labels: np.ndarray, seed: int, side: int = 32) -> np.ndarray:
    """Images of three classes, uint8 [n, S, S, 3], that differ in colour."""
    noise = np.random.default_rng(seed).normal(0, 40, (len(labels), side, side, 3))
    pixels: np.ndarray = np.clip(COLOURS[labels][:, None, None] + noise, 0, 255).astype(np.uint8)
    return pixels


@pytest.mark.parametrize("model", proxies.MODELS)
@pytest.mark.parametrize("count", [1, 90])
def test_training_is_repeatable_and_its_seed_counts(model: str, count: int) -> None:
    labels = np.arange(count) % 3
    pixels = coloured(labels, 0)

    def log_p(seed: int) -> np.ndarray:
        network = proxies.train_proxy(
            model, pixels, labels, 3, steps=3, batch_size=64, seed=seed, flip=True, progress=lambda done, total: None
        )
        return proxies.log_probabilities(network, pixels)

    first = log_p(0)
    assert first.shape == (count, 3)
    np.testing.assert_allclose(np.exp(first).sum(1), 1, atol=1e-5)
    np.testing.assert_array_equal(first, log_p(0))
    assert not np.array_equal(first, log_p(1))


@pytest.mark.parametrize("model", proxies.MODELS)
def test_a_proxy_learns_an_easy_task(model: str) -> None:
    labels = np.arange(120) % 3
    network = proxies.train_proxy(
        model,
        coloured(labels, 0),
        labels,
        3,
        steps=40,
        batch_size=64,
        seed=0,
        flip=True,
        progress=lambda done, total: None,
    )
    test = coloured(labels, 1)
    assert proxies.accuracy(network, test, labels) > 0.9
    predicted = proxies.log_probabilities(network, test).argmax(1)
    assert proxies.accuracy(network, test, predicted) == 1
    assert proxies.accuracy(network, test, (predicted + 1) % 3) == 0
