"""Scores follow the paper's formulas; a selection follows its rule exactly, or keeps as many of its images as fit."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings
from dataclasses import fields, replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plada_codec import Payload, Universe, decode, encode
from plada_codec.errors import InputError, MissingClasses, PladaError
from plada_codec.sections.soft_labels import dequantised_concentrations
from plada_codec.sections.weights import dequantised_weights
from plada_train.cli.main import main
from plada_train.scores.energy import energy
from plada_train.scores.entropy import entropy
from plada_train.scores.reference_scores import Scores
from plada_train.selection import registry
from plada_train.selection.counts import kept_count, most_kept, universe_of
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import RIPPLE, select
from plada_train.selection.ranking import consensus, lowest, rank_normalised, ranking
from plada_train.selection.registry import OPTIONS, SELECTION_RULES, make_rule, row_of, rule_from_json, rule_to_json
from plada_train.selection.rule import Rule, selection_name
from plada_train.selection.safety_net import SafetyNet, quotas, safety_net
from plada_train.selection.soft_labels_and_weights import (
    MAX_PRECISION,
    MIN_PRECISION,
    dirichlet_concentrations,
    importance_weights,
)
from tests.helpers.examples import examples

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

pytestmark = pytest.mark.filterwarnings("ignore::plada_codec.errors.MissingClasses")

logit_arrays = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 12)), elements=st.floats(-80, 80, width=32)
)


def scores_of(energies: list[float], num_classes: int = 5, names: tuple[str, ...] | None = None) -> Scores:
    label = (np.arange(len(energies), dtype=np.int32) * 7 + 3) % num_classes
    column = np.array(energies, np.float32)
    return Scores(label, {"energy": column, "entropy": column}, bytes(range(32)), num_classes, names)


@st.composite
def scores_of_sets(draw: DrawFn, distinct: bool = False) -> Scores:
    """Some classes large, some small, some without images; many equal scores, or none."""
    size, num_classes = draw(st.integers(1, 100)), draw(st.integers(1, 8))
    random = np.random.default_rng(draw(st.integers(0, 10**6)))
    label = np.minimum(random.geometric(0.4, size) - 1, num_classes - 1).astype(np.int32)
    columns = [random.permutation(size) if distinct else random.integers(-9, 1, size) for _ in range(2)]
    soft = random.dirichlet(np.ones(num_classes), size)
    soft_sum, own_square_sum = np.zeros((num_classes, num_classes)), np.zeros(num_classes)
    np.add.at(soft_sum, label, soft)
    np.add.at(own_square_sum, label, soft[np.arange(size), label] ** 2)
    return Scores(
        label=label,
        columns={name: column.astype(np.float32) for name, column in zip(("energy", "entropy"), columns, strict=True)},
        reference_digest=bytes(range(32)),
        num_classes=num_classes,
        class_names=None,
        soft_sum=soft_sum,
        own_square_sum=own_square_sum,
    )


alphas = st.sampled_from([1.0, 0.0, -0.2, -1.0, 10.0, -10.0])
shares = st.sampled_from(["0", "0.3", "0.5", "1"])
score_names = st.sampled_from([("energy",), ("entropy",), ("energy", "entropy")])
rules: st.SearchStrategy[Rule] = st.builds(LowestCost, score_names, st.booleans()) | st.builds(
    SafetyNet, score_names, st.booleans(), alphas, shares
)


# --- scores ---


@given(logit_arrays, st.sampled_from([0.5, 1.0, 3.0]))
def test_energy_is_minus_t_times_the_log_of_the_sum_of_exponentials(logits: np.ndarray, temperature: float) -> None:
    by_formula = [-temperature * math.log(math.fsum(math.exp(f / temperature) for f in row)) for row in logits.tolist()]
    np.testing.assert_allclose(energy(logits, temperature), by_formula, rtol=1e-9, atol=1e-9)


@given(logit_arrays, st.sampled_from([0.5, 1.0, 3.0]))
def test_entropy_is_that_of_the_softmax(logits: np.ndarray, temperature: float) -> None:
    for row, got in zip(logits.tolist(), entropy(logits, temperature), strict=True):
        exponentials = [math.exp((f - max(row)) / temperature) for f in row]
        p = [e / math.fsum(exponentials) for e in exponentials]
        assert got == pytest.approx(-math.fsum(q * math.log(q) for q in p if q > 0), abs=1e-9)
        assert -1e-9 <= got <= math.log(len(row)) + 1e-9


def test_scores_of_huge_logits_are_finite() -> None:
    logits = np.array([[1e30, -1e30, 0], [3e38, 3e38, 3e38]], np.float32)
    assert np.isfinite(energy(logits)).all()
    assert entropy(logits).tolist() == pytest.approx([0, math.log(3)])


# --- number of kept images ---


@given(st.decimals(min_value="0.0001", max_value=1, places=4), st.integers(1, 10**8))
def test_kept_is_the_floor_of_rate_times_size_in_exact_arithmetic(rate: Decimal, size: int) -> None:
    exact = int(rate * 10_000) * size // 10_000
    for keep in (str(rate), float(rate)):
        if exact:
            assert kept_count(keep, size) == exact
        else:
            with pytest.raises(InputError, match="keeps none"):
                kept_count(keep, size)


def test_a_decimal_rate_is_exact_so_that_29_percent_of_100_are_29() -> None:
    assert math.floor(0.29 * 100) == 28
    assert kept_count(0.29, 100) == kept_count("0.29", 100) == 29


@pytest.mark.parametrize("keep", [0, 0.0, "0", -0.1, 1.0001, 2, "1e9"])
def test_a_keep_rate_outside_its_range_is_refused(keep: float | str) -> None:
    with pytest.raises(InputError, match="not above 0 and at most 1"):
        kept_count(keep, 100)


def test_a_number_or_a_rate_is_given_and_bytes_limit_it() -> None:
    assert most_kept(100, keep="0.5") == most_kept(100, kept=50, max_bytes=9) == 50
    assert most_kept(100, max_bytes=9) == most_kept(100, kept=100) == 100
    with pytest.raises(InputError, match="exclude each other"):
        most_kept(100, keep=1, kept=100)
    with pytest.raises(InputError, match="is needed"):
        most_kept(100)
    for kept in (0, -1, 101):
        with pytest.raises(InputError, match=f"{kept} of 100 images cannot be kept"):
            most_kept(100, kept=kept)


@pytest.mark.parametrize(("offset", "stride"), [(10, 1), (0, 11), (-1, 1), (0, 0)])
def test_a_universe_outside_the_reference_set_is_refused(offset: int, stride: int) -> None:
    with pytest.raises(InputError, match="do not fit 10 images"):
        universe_of(10, offset, stride)


# --- ranks ---

columns = st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=60).map(np.array)


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=60), st.integers(1, 60))
def test_ranking_breaks_ties_by_position(values: list[float], k: int) -> None:
    expected = sorted(range(len(values)), key=lambda i: (values[i], i))
    assert ranking(np.array(values, np.float32)).tolist() == expected
    assert lowest(np.array(values, np.float32), k).tolist() == sorted(expected[:k])


@given(columns)
def test_normalised_ranks_run_from_0_to_1_in_the_order_of_scores(scores: np.ndarray) -> None:
    ranks = rank_normalised(scores)
    expected = np.linspace(0, 1, len(scores)) if len(scores) > 1 else np.zeros(1)
    np.testing.assert_allclose(ranks[ranking(scores)], expected, atol=1e-12)


@given(st.integers(1, 40), st.integers(1, 4), st.integers(0, 999), st.data())
def test_a_consensus_is_in_the_top_of_every_score(size: int, number: int, seed: int, data: st.DataObject) -> None:
    several = np.random.default_rng(seed).integers(0, 12, (number, size))
    costs = consensus(*several)
    orders = [sorted(range(size), key=lambda i, s=s: (s[i], i)) for s in several.tolist()]  # type: ignore[misc]
    worst = [max(order.index(i) for order in orders) for i in range(size)]
    np.testing.assert_allclose(costs, np.array(worst) / max(size - 1, 1), atol=1e-12)
    k = data.draw(st.integers(1, size))
    chosen = set(lowest(costs, k).tolist())
    # The shortest tops that have k images in common hold all that are chosen
    common = next(top for m in range(k, size + 1) if len(top := set.intersection(*(set(o[:m]) for o in orders))) >= k)
    assert chosen <= common


# --- quotas ---

class_counts = st.lists(st.integers(0, 5) | st.integers(0, 3000), min_size=1, max_size=30)


@given(class_counts, st.integers(0, 20_000), alphas)
def test_quotas_share_out_the_whole_budget_and_no_class_gets_more_than_it_has(
    counts: list[int], budget: int, alpha: float
) -> None:
    shares = quotas(counts, budget, alpha)
    assert shares.dtype == np.int64
    assert shares.sum() == min(budget, sum(counts))
    assert ((shares >= 0) & (shares <= counts)).all()


@given(class_counts, st.integers(0, 20_000), alphas)
def test_no_class_with_images_is_lost_if_the_budget_allows(counts: list[int], budget: int, alpha: float) -> None:
    present = np.array(counts) > 0
    assume(budget >= present.sum())
    assert (quotas(counts, budget, alpha)[present] >= 1).all()


@given(class_counts, st.integers(0, 20_000), st.sampled_from([1.0, 0.0, -0.2, -1.0]))
def test_quotas_are_proportional_to_the_power_of_the_class_size(counts: list[int], budget: int, alpha: float) -> None:
    """One factor t fits all: quotas are t n^alpha, within the one that rounding moves; a full class would get more."""
    shares = quotas(counts, budget, alpha)
    beyond_least = [(share, n) for share, n in zip(shares.tolist(), counts, strict=True) if share > 1]
    t_is_above = [(share - 1) / n**alpha for share, n in beyond_least]
    t_is_below = [(share + 1) / n**alpha for share, n in beyond_least if share < n]
    assert max(t_is_above, default=0) <= min(t_is_below, default=math.inf) * (1 + 1e-9)


@examples(1)
@given(class_counts, st.integers(1, 20_000))
def test_alpha_1_keeps_the_proportions_of_the_classes(counts: list[int], budget: int) -> None:
    total = sum(counts)
    assume(budget <= total)
    exact = [Fraction(budget * n, total) for n in counts]
    assume(all(share >= 1 for share in exact if share) or budget < np.count_nonzero(counts))
    for share, wanted in zip(quotas(counts, budget, 1.0).tolist(), exact, strict=True):
        assert abs(share - wanted) < 1


@given(class_counts, st.integers(1, 20_000))
def test_alpha_0_treats_classes_alike_until_they_are_full(counts: list[int], budget: int) -> None:
    shares = quotas(counts, budget, 0.0)
    rest = shares[shares < counts]
    assert (rest >= shares.max() - 1).all()
    # Equal remainders go to the first classes
    assert rest.tolist() == sorted(rest, reverse=True)


@given(class_counts, st.integers(1, 20_000), alphas.filter(bool))
def test_a_class_that_alpha_favours_gets_no_less(counts: list[int], budget: int, alpha: float) -> None:
    shares = dict(zip(counts, quotas(counts, budget, alpha).tolist(), strict=True))
    favoured_last = sorted(set(counts) - {0}, reverse=alpha < 0)
    for less, more in pairwise(favoured_last):
        assert shares[more] >= shares[less] or shares[more] == more


# --- rules ---


def by_hand(scores: Scores, rule: Rule, candidates: list[int], k: int) -> list[int]:
    """Return the images that a rule keeps, computed in the plainest way."""
    sign = -1 if rule.inverse else 1
    orders = [sorted(candidates, key=lambda i, c=scores.column(name): (sign * c[i], i)) for name in rule.score]  # type: ignore[misc]
    order = sorted(candidates, key=lambda i: (max(o.index(i) for o in orders), i))
    chosen: list[int] = []
    if isinstance(rule, SafetyNet):
        of_class = [[i for i in order if scores.label[i] == c] for c in range(scores.num_classes)]
        budget = max(int(Fraction(rule.reserved) * k), min(k, len([images for images in of_class if images])))
        shares = quotas([len(images) for images in of_class], budget, rule.alpha)
        chosen = [i for images, share in zip(of_class, shares, strict=True) for i in images[:share]]
    return sorted(chosen + [i for i in order if i not in chosen][: k - len(chosen)])


@examples(1)
@given(scores_of_sets(), rules, st.data())
def test_a_selection_keeps_the_images_that_its_rule_chooses(scores: Scores, rule: Rule, data: st.DataObject) -> None:
    size = len(scores.label)
    universe = Universe(data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size)))
    candidates = list(range(universe.offset, size, universe.stride))
    count = data.draw(st.integers(1, len(candidates)))
    payload, encoded = select(scores, f"{count}/{len(candidates)}", rule=rule, universe=universe)
    kept = by_hand(scores, rule, candidates, count)
    assert payload.indices.tolist() == kept
    assert payload.labels.tolist() == scores.label[kept].tolist()
    assert payload.kept == count
    assert payload.universe == universe
    assert payload.reference_digest == scores.reference_digest[:8]
    assert (payload.class_names, payload.soft_labels, payload.weights) == (None, None, None)
    assert decode(encoded) == payload
    assert select(scores, kept=count, rule=rule, universe=universe) == (payload, encoded)


@given(scores_of_sets(), st.integers(1, 100), alphas, shares)
def test_safety_net_loses_no_class_that_has_images(scores: Scores, k: int, alpha: float, reserved: str) -> None:
    present = np.unique(scores.label)
    assume(k >= len(present))
    kept = safety_net(scores.column("energy"), scores.label, scores.num_classes, k, alpha, reserved)
    assert len(kept) == min(k, len(scores.label))
    assert np.array_equal(np.unique(scores.label[kept]), present)


@given(scores_of_sets(), st.integers(1, 100), alphas)
def test_safety_net_that_reserves_nothing_only_adds_the_best_of_the_classes_that_the_lowest_scores_lack(
    scores: Scores, k: int, alpha: float
) -> None:
    assume(k >= len(np.unique(scores.label)))
    kept = safety_net(scores.column("energy"), scores.label, scores.num_classes, k, alpha, reserved=0)
    without = lowest(scores.column("energy"), k)
    lacking = np.setdiff1d(scores.label, scores.label[without])
    best = [min(np.flatnonzero(scores.label == c), key=lambda i: (scores.column("energy")[i], i)) for c in lacking]
    assert set(kept) - set(without) == set(best)


@examples(0.6)
@given(scores_of_sets(), rules, st.integers(1, 100))
def test_an_inverse_rule_selects_as_the_rule_does_for_negated_scores(scores: Scores, rule: Rule, k: int) -> None:
    k = min(k, len(scores.label))
    mirrored = replace(scores, columns={name: -column for name, column in scores.columns.items()})
    there = select(scores, kept=k, rule=rule, sections=OptionalSections(weights_tau=1.0))
    assert there == select(
        mirrored, kept=k, rule=replace(rule, inverse=not rule.inverse), sections=OptionalSections(weights_tau=1.0)
    )


@examples(1)
@given(scores_of_sets(distinct=True), rules, st.integers(1, 100), st.randoms(use_true_random=False))
def test_the_order_of_storage_does_not_matter_where_scores_differ(
    scores: Scores, rule: Rule, k: int, random: Any
) -> None:
    rule, k = replace(rule, score=("entropy",)), min(k, len(scores.label))
    moved = np.array(random.sample(range(len(scores.label)), len(scores.label)))
    columns = {name: column[moved] for name, column in scores.columns.items()}
    shuffled = replace(scores, label=scores.label[moved], columns=columns)
    kept = select(scores, kept=k, rule=rule)[0].indices
    assert np.array_equal(np.sort(moved[select(shuffled, kept=k, rule=rule)[0].indices]), kept)


@examples(0.6)
@given(scores_of_sets(), st.integers(0, 10**6), st.integers(1, 100))
def test_scores_of_several_teachers_make_a_consensus_with_the_labels_of_the_first(
    scores: Scores, seed: int, k: int
) -> None:
    size, random = len(scores.label), np.random.default_rng(seed)
    other = replace(
        scores,
        label=random.permutation(scores.label),
        columns={name: random.integers(0, 9, size).astype(np.float32) for name in ("energy", "entropy")},
    )
    rule, k = LowestCost(score=("energy", "entropy")), min(k, size)
    payload = select([scores, other], kept=k, rule=rule)[0]
    cost = consensus(scores.column("energy"), scores.column("entropy"), other.column("energy"), other.column("entropy"))
    assert payload.indices.tolist() == lowest(cost, k).tolist()
    assert payload.labels.tolist() == scores.label[payload.indices].tolist()


def test_scores_of_another_reference_are_refused() -> None:
    scores = scores_of([-1.0, -2.0])
    with pytest.raises(InputError, match="scores are of different reference sets"):
        select([scores, replace(scores, reference_digest=bytes(32))], 1)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"score": ()}, "are energy, entropy, loss"),
        ({"score": ("colour",)}, "are energy, entropy, .*loss"),
        ({"alpha": 10.5}, "alpha 10.5 is not in -10 .. 10"),
        ({"alpha": math.nan}, "alpha nan is not"),
        ({"reserved": 1.5}, "share 1.5 is not in 0 .. 1"),
        ({"reserved": "-0.1"}, "share -0.1 is not in 0 .. 1"),
    ],
)
def test_a_rule_outside_its_range_is_refused(values: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        SafetyNet(**values)


@pytest.mark.parametrize(
    ("rule", "universe", "words"),
    [
        (LowestCost(), Universe(), "lowest energy"),
        (None, Universe(), "every image"),
        (None, Universe(5, 11), "every 11th image from image 5 on"),
        (None, Universe(0, 103), "every 103rd image"),
        (LowestCost(inverse=True), Universe(0, 21), "highest energy, every 21st image"),
        (
            SafetyNet(("energy", "loss"), alpha=-0.2),
            Universe(3, 1),
            "lowest energy + loss, Safety-Net -0.2, every image from image 3 on",
        ),
        (SafetyNet(alpha=0.0, reserved="1/3"), Universe(0, 2), "lowest energy, Safety-Net 0 for 33%, every 2nd image"),
    ],
)
def test_a_selection_has_the_name_that_people_would_say(rule: Rule | None, universe: Universe, words: str) -> None:
    assert selection_name(rule, universe) == words


@given(rules)
def test_a_rule_survives_json(rule: Rule) -> None:
    values = json.loads(json.dumps(rule_to_json(rule)))
    assert list(values)[:4] == ["score", "inverse", "alpha", "reserved"]
    assert rule_from_json(values) == rule


@given(rules)
def test_options_that_are_missing_from_json_have_their_defaults(rule: Rule) -> None:
    values = rule_to_json(rule)
    for name, option in OPTIONS.items():
        if name in values and values[name] == option.default:
            del values[name]
    assert rule_from_json(values) == rule


@pytest.mark.parametrize("values", [{}, {"score": ["energy"]}, {"score": ["energy"], "inverse": False, "colour": 1}])
def test_json_that_is_no_rule_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="in a rule"):
        rule_from_json(values)


def test_each_row_of_the_registry_names_a_rule_with_the_fields_of_its_options() -> None:
    assert len({row.name for row in SELECTION_RULES}) == len(SELECTION_RULES)
    assert len(OPTIONS) == sum(len(row.options) for row in SELECTION_RULES)
    assert [row.name for row in SELECTION_RULES if not row.options] == [SELECTION_RULES[0].name]
    common = {field.name for field in fields(Rule)}
    for row in SELECTION_RULES:
        rule = row.load()
        assert issubclass(rule, Rule)
        assert {field.name for field in fields(rule)} - common == {option.field for option in row.options}


def test_options_choose_one_rule() -> None:
    assert make_rule(("loss",), True, {"alpha": None, "reserved": "1"}) == LowestCost(("loss",), True)
    assert make_rule(("loss",), False, {}) == LowestCost(("loss",))
    assert make_rule(("loss",), False, {"alpha": 0.0}) == SafetyNet(("loss",), alpha=0.0)
    with pytest.raises(InputError, match="--reserved is for --safety-net"):
        row_of({"alpha": None, "reserved": "0.5"})


def test_options_of_two_rules_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    other = registry.Option("--other", "other", float, "P", "Of another rule.")
    row = registry.SelectionRule("other", "", options=(other,))
    monkeypatch.setattr(registry, "SELECTION_RULES", (*SELECTION_RULES, row))
    monkeypatch.setitem(OPTIONS, "other", other)
    assert row_of({"alpha": None, "reserved": "1", "other": 0.5}) == row
    with pytest.raises(InputError, match="--safety-net and --other exclude each other"):
        row_of({"alpha": 0.0, "other": 0.5})


# --- payloads ---


@examples(0.2)
@given(scores_of_sets(), rules, st.integers(20, 110), st.sampled_from(["0.5", "1"]), st.booleans())
def test_max_bytes_keeps_a_number_of_images_that_fits_while_the_next_few_numbers_do_not(
    scores: Scores, rule: Rule, max_bytes: int, keep: str, variants: bool
) -> None:
    size, sections = len(scores.label), OptionalSections(soft_labels=variants, weights_tau=1.0 if variants else None)
    how = {"rule": rule, "sections": sections}
    assume(Fraction(keep) * size >= 1)
    most = kept_count(keep, size)
    sizes = {count: len(select(scores, kept=count, **how)[1]) for count in range(1, most + 1)}  # type: ignore[arg-type]
    fitting = [count for count in sizes if sizes[count] <= max_bytes]
    if not fitting:
        least = min(sizes.values())
        with pytest.raises(InputError, match=f"{max_bytes} bytes are too few: the smallest payload takes {least}"):
            select(scores, keep, max_bytes=max_bytes, **how)  # type: ignore[arg-type]
        return
    payload, encoded = select(scores, keep, max_bytes=max_bytes, **how)  # type: ignore[arg-type]
    assert len(encoded) == sizes[payload.kept] <= max_bytes
    assert encoded == encode(payload)
    if most in fitting:
        assert payload.kept == most
    assert all(sizes[count] > max_bytes for count in range(payload.kept + 1, min(payload.kept + RIPPLE, most) + 1))
    if keep == "1":
        assert select(scores, max_bytes=max_bytes, **how) == (payload, encoded)  # type: ignore[arg-type]


def test_class_names_are_sent_when_asked_for() -> None:
    names = ("a", "b", "c", "d", "e")
    payload, encoded = select(scores_of([-1.0, -2.0], names=names), 1, sections=OptionalSections(class_names=True))
    assert decode(encoded).class_names == payload.class_names == names
    with pytest.raises(InputError, match="no names"):
        select(scores_of([-1.0, -2.0]), 1, sections=OptionalSections(class_names=True))


def test_labels_outside_the_classes_are_refused() -> None:
    scores = scores_of([-1.0, -2.0])
    for rule in (LowestCost(), SafetyNet(alpha=0.0)):
        with pytest.raises(PladaError):
            select(replace(scores, label=scores.label + 5), 1, rule=rule)


def test_missing_classes_are_named() -> None:
    scores = replace(
        scores_of([-4.0, -3.0, -2.0, -1.0], names=("ant", "bee", "cat", "dog", "elk")), label=np.array([3, 3, 0, 1])
    )
    with pytest.warns(MissingClasses) as caught:
        select(scores, kept=2)
    assert [str(warning.message) for warning in caught] == [
        "no image of these classes is kept: ant, bee",
        "no reference image is labelled with these classes: cat, elk",
    ]
    with pytest.warns(MissingClasses) as caught:
        select(replace(scores, class_names=None), kept=3, rule=SafetyNet(alpha=0.0))
    assert [str(warning.message) for warning in caught] == ["no reference image is labelled with these classes: 2, 4"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select(replace(scores, label=np.array([0, 1, 1, 0]), num_classes=2, class_names=("a", "b")), 1)


# --- variants ---


@examples(0.6)
@given(scores_of_sets(), st.integers(1, 100))
def test_soft_labels_are_the_moments_of_the_classes_that_are_used(scores: Scores, k: int) -> None:
    payload, encoded = select(scores, kept=min(k, len(scores.label)), sections=OptionalSections(soft_labels=True))
    alpha = dirichlet_concentrations(scores, payload.labels)
    assert scores.soft_sum is not None
    assert scores.own_square_sum is not None
    for row, c in zip(alpha, sorted(set(payload.labels.tolist())), strict=True):
        n = int((scores.label == c).sum())
        mean, own = scores.soft_sum[c] / n, scores.soft_sum[c, c] / n
        variance = scores.own_square_sum[c] / n - own**2
        precision = own * (1 - own) / variance - 1 if variance > 0 else math.inf
        assert row.sum() == pytest.approx(min(max(precision, MIN_PRECISION), MAX_PRECISION))
        np.testing.assert_allclose(row / row.sum(), mean, rtol=1e-6, atol=1e-9)
    received = decode(encoded)
    assert received == payload
    assert received.soft_labels is not None
    np.testing.assert_allclose(dequantised_concentrations(received.soft_labels), alpha, rtol=0.2, atol=1e-6)


def scores_with_soft_labels(soft: np.ndarray) -> Scores:
    """Of images [n, C] that are all labelled 0."""
    soft_sum, own_square_sum = np.zeros((soft.shape[1],) * 2), np.zeros(soft.shape[1])
    soft_sum[0], own_square_sum[0] = soft.sum(axis=0), (soft[:, 0] ** 2).sum()
    scores = scores_of([0.0] * len(soft), soft.shape[1])
    label = np.zeros(len(soft), np.int32)
    return replace(scores, label=label, soft_sum=soft_sum, own_square_sum=own_square_sum)


def test_a_dirichlet_distribution_is_recognised_by_its_samples() -> None:
    alpha = np.array([12.0, 5.0, 3.0])
    scores = scores_with_soft_labels(np.random.default_rng(0).dirichlet(alpha, 20_000))
    np.testing.assert_allclose(dirichlet_concentrations(scores, scores.label), [alpha], rtol=0.05, atol=0.05)


def test_equal_soft_labels_fit_the_largest_precision_and_opposite_ones_the_smallest() -> None:
    alike = scores_with_soft_labels(np.full((7, 3), [0.7, 0.2, 0.1]))
    expected = [[358.4, 102.4, 51.2]]
    np.testing.assert_allclose(dirichlet_concentrations(alike, alike.label), expected, rtol=1e-6, atol=1e-6)
    sure = scores_with_soft_labels(np.full((7, 3), [1.0, 0.0, 0.0]))
    np.testing.assert_allclose(dirichlet_concentrations(sure, sure.label), [[512.0, 0.0, 0.0]], rtol=1e-6, atol=1e-6)
    torn = scores_with_soft_labels(np.array([[1.0, 0.0], [0.0, 1.0]]))
    np.testing.assert_allclose(dirichlet_concentrations(torn, torn.label), [[0.5, 0.5]], rtol=1e-6, atol=1e-6)


def test_soft_labels_that_are_not_known_are_refused() -> None:
    with pytest.raises(InputError, match="scores of 5 classes have no soft labels"):
        select(scores_of([-1.0, -2.0]), 1, sections=OptionalSections(soft_labels=True))


@given(columns, st.sampled_from([0.1, 1.0, 4.0]), st.sampled_from([0.01, 1.0, 8.0]), st.integers(-99, 99))
def test_importance_weights_are_boltzmann_factors_of_mean_1_in_any_unit_of_the_scores(
    cost: np.ndarray, tau: float, unit: float, zero: int
) -> None:
    weights = importance_weights(cost, tau)
    assert weights.mean() == pytest.approx(1)
    deviation = math.sqrt(math.fsum((s - cost.mean()) ** 2 for s in cost) / len(cost))
    if deviation:
        expected = np.exp(-(cost - cost.min()) / (tau * deviation))
        np.testing.assert_allclose(weights / weights.max(), expected, rtol=1e-6, atol=1e-9)
    else:
        assert (weights == 1).all()
    np.testing.assert_allclose(importance_weights(unit * cost + zero, tau), weights, rtol=1e-6, atol=1e-9)


def test_importance_weights_of_a_temperature_of_0_are_refused() -> None:
    for tau in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match="must be above 0"):
            importance_weights(np.zeros(3), tau)


@examples(0.6)
@given(scores_of_sets(), rules, st.integers(1, 100))
def test_importance_weights_reach_the_payload_in_the_order_of_its_images(scores: Scores, rule: Rule, k: int) -> None:
    payload, encoded = select(
        scores, kept=min(k, len(scores.label)), rule=rule, sections=OptionalSections(weights_tau=0.7)
    )
    received = decode(encoded)
    assert received == payload
    assert received.weights is not None
    cost = rule.cost([scores], np.arange(len(scores.label)))[payload.indices]
    sent, wanted = dequantised_weights(received.weights), importance_weights(cost, 0.7)
    np.testing.assert_allclose(sent / sent.max(), wanted / wanted.max(), rtol=0.5, atol=2**-14)


# --- the command ---


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["select", *arguments], prog_name="plada-train")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    labels = random.geometric(0.4, 300).clip(1, 7) - 1
    soft = random.dirichlet(np.ones(8), 300)
    soft_sum = np.zeros((8, 8))
    np.add.at(soft_sum, labels, soft)
    Scores(
        label=labels.astype(np.int32),
        columns={
            "energy": random.normal(size=300).astype(np.float32) + labels.astype(np.float32),
            "entropy": random.random(300).astype(np.float32),
        },
        reference_digest=bytes(32),
        num_classes=8,
        class_names=tuple("ABCDEFGH"),
        soft_sum=soft_sum,
        own_square_sum=np.bincount(labels, soft[np.arange(300), labels] ** 2, minlength=8).astype(np.float64),
    ).save(tmp_path / "scores")
    return tmp_path


def sent(folder: Path, *options: str) -> Payload:
    """The payload of the command, which is that of the function."""
    result = command(f"--scores={folder / 'scores'}", f"--output={folder / 'p.plada'}", *options)
    assert result.exit_code == 0, result.output
    return decode((folder / "p.plada").read_bytes())


def test_every_option_reaches_the_payload(saved: Path) -> None:
    scores = Scores.load(saved / "scores")
    every = OptionalSections(class_names=True, soft_labels=True, weights_tau=2.0)
    for options, arguments in (
        (["--keep=0.1"], {"keep": "0.1"}),
        (["--kept=7", "--score=entropy"], {"kept": 7, "rule": LowestCost(("entropy",))}),
        (["--max-bytes=60", "--inverse"], {"max_bytes": 60, "rule": LowestCost(inverse=True)}),
        (["--kept=20", "--score=energy", "--score=entropy", "--safety-net=-0.2", "--reserved=0.5"],
         {"kept": 20, "rule": SafetyNet(("energy", "entropy"), alpha=-0.2, reserved="0.5")}),
        (["--kept=20", "--stride=3", "--offset=1"], {"kept": 20, "universe": Universe(1, 3)}),
        (["--keep=1", "--class-names", "--soft-labels", "--importance-weights=2"], {"keep": 1, "sections": every}),
    ):  # fmt: skip
        assert sent(saved, *options) == select(scores, **arguments)[0]
    twice = sent(saved, f"--scores={saved / 'scores'}", "--kept=5")
    assert twice == select([scores, scores], kept=5)[0]


def test_missing_classes_are_a_line_each_and_in_the_json(saved: Path) -> None:
    result = command(f"--scores={saved / 'scores'}", f"--output={saved / 'p.plada'}", "--kept=6", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    payload = decode((saved / "p.plada").read_bytes())
    assert report["kept"] == payload.kept == sum(report["class_counts"]) == 6
    assert report["payload_bytes"] == (saved / "p.plada").stat().st_size
    assert report["class_counts"] == np.bincount(payload.labels, minlength=8).tolist()
    assert report["empty_classes"] == [7]
    missing = [c for c in range(7) if not report["class_counts"][c]]
    assert report["missing_classes"] == missing != []
    names = ", ".join("ABCDEFGH"[c] for c in missing)
    assert result.stderr.splitlines() == [
        f"plada-train: warning: no image of these classes is kept: {names}",
        "plada-train: warning: no reference image is labelled with these classes: H",
    ]


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        ([], 2, "--kept, --keep or --max-bytes is needed"),
        (["--keep=1", "--kept=1"], 2, "exclude each other"),
        (["--kept=1", "--reserved=0.5"], 2, "--reserved is for --safety-net"),
        (["--kept=1", "--score=colour"], 2, "colour"),
        (["--kept=1", "--safety-net=nan"], 2, "not a finite number"),
        (["--kept=1", "--importance-weights=0"], 2, "importance-weights"),
        (["--kept=301"], 1, "301 of 300 images cannot be kept"),
        (["--kept=1", "--safety-net=11"], 1, "alpha 11.0 is not in -10 .. 10"),
        (["--kept=1", "--safety-net=0", "--reserved=2"], 1, "reserved share 2 is not in 0 .. 1"),
        (["--max-bytes=9"], 1, "9 bytes are too few: the smallest payload takes 27"),
    ],
)
def test_an_impossible_selection_is_refused_in_one_line(saved: Path, options: list[str], code: int, text: str) -> None:
    result = command(f"--scores={saved / 'scores'}", f"--output={saved / 'p.plada'}", *options)
    assert result.exit_code == code
    assert result.stderr.count("\n") == 1
    assert text in result.stderr
    assert not (saved / "p.plada").exists()


def test_a_score_that_the_folder_lacks_is_one_line_that_names_the_cure(saved: Path) -> None:
    scores = Scores.load(saved / "scores")
    replace(scores, columns={"energy": scores.column("energy")}).save(saved / "older")
    chosen = [f"--output={saved / 'p.plada'}", "--kept=9"]
    assert command(f"--scores={saved / 'older'}", *chosen).exit_code == 0
    result = command(f"--scores={saved / 'older'}", *chosen, "--score=entropy")
    assert result.exit_code == 1
    cure = "label the reference set again, with `plada-train score` [score]"
    assert result.stderr.splitlines()[-1] == f"plada-train: the scores were made without the entropy: {cure}"


def test_selection_needs_no_torch() -> None:
    code = "import sys, plada_train.selection.payloads; sys.exit(bool({'torch', 'timm', 'PIL'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
