"""Scores are the paper's formulas; a selection keeps exactly the k lowest energies, or as many as fit."""

from __future__ import annotations

import math
import tempfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from plada_codec import Universe, decode, encode
from plada_codec.errors import PladaError
from plada_train.errors import BadInput
from plada_train.scores import Scores, energy, entropy
from plada_train.selection import RIPPLE, kept_count, ranking, select, universe_of

logit_arrays = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 12)), elements=st.floats(-80, 80, width=32)
)


def scores_of(energies: list[float], num_classes: int = 5, names: tuple[str, ...] | None = None) -> Scores:
    size = len(energies)
    label = (np.arange(size, dtype=np.int32) * 7 + 3) % num_classes
    column = np.array(energies, np.float32)
    return Scores(label, column, column, bytes(range(32)), num_classes, names)


#: Many ties.
scores_of_sets = st.lists(st.integers(-9, 0).map(float), min_size=1, max_size=120).map(scores_of)


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


@settings(max_examples=30)
@given(scores_of_sets, st.sampled_from([None, ("a", "é", "猫", "d d", "e")]))
def test_scores_survive_their_file(scores: Scores, names: tuple[str, ...] | None) -> None:
    scores = Scores(scores.label, scores.energy, scores.entropy, scores.reference_digest, scores.num_classes, names)
    with tempfile.TemporaryDirectory() as folder:
        scores.save(Path(folder, "scores.npz"))
        loaded = Scores.load(Path(folder, "scores.npz"))
    for name in ("label", "energy", "entropy"):
        column = getattr(loaded, name)
        assert column.dtype == getattr(scores, name).dtype
        np.testing.assert_array_equal(column, getattr(scores, name))
    assert loaded.reference_digest == scores.reference_digest
    assert loaded.num_classes == scores.num_classes
    assert loaded.class_names == names


def test_a_file_that_is_not_scores_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.npz"
    with pytest.raises(BadInput, match="not a file of scores"):
        Scores.load(path)
    path.write_bytes(b"PK\x03\x04 no")
    with pytest.raises(BadInput, match="not a file of scores"):
        Scores.load(path)
    good = scores_of([-1.0, -2.0])
    Scores(good.label, good.energy[:1], good.entropy, b"x" * 32, 5, None).save(path)
    with pytest.raises(BadInput, match="different lengths"):
        Scores.load(path)
    Scores(good.label, good.energy * np.nan, good.entropy, b"x" * 32, 5, None).save(path)
    with pytest.raises(BadInput, match="not finite"):
        Scores.load(path)


# --- number of kept images ---


@given(st.decimals(min_value="0.0001", max_value=1, places=4), st.integers(1, 10**8))
def test_kept_is_the_floor_of_rate_times_size_in_exact_arithmetic(rate: Decimal, size: int) -> None:
    exact = int(rate * 10_000) * size // 10_000
    for keep in (str(rate), float(rate)):
        if exact:
            assert kept_count(keep, size) == exact
        else:
            with pytest.raises(BadInput, match="keeps none"):
                kept_count(keep, size)


def test_the_floor_is_not_one_too_low() -> None:
    assert math.floor(0.29 * 100) == 28
    assert kept_count(0.29, 100) == kept_count("0.29", 100) == 29


@pytest.mark.parametrize("keep", [0, 0.0, "0", -0.1, 1.0001, 2, "1e9"])
def test_a_keep_rate_outside_its_range_is_refused(keep: float | str) -> None:
    with pytest.raises(BadInput, match="not above 0 and at most 1"):
        kept_count(keep, 100)


@pytest.mark.parametrize(("offset", "stride"), [(10, 1), (0, 11), (-1, 1), (0, 0)])
def test_a_universe_outside_the_reference_set_is_refused(offset: int, stride: int) -> None:
    with pytest.raises(BadInput, match="do not fit 10 images"):
        universe_of(10, offset, stride)


# --- selection ---


@given(st.lists(st.floats(-50, 50, width=32), min_size=1, max_size=60))
def test_ranking_breaks_ties_by_position(values: list[float]) -> None:
    expected = sorted(range(len(values)), key=lambda i: (values[i], i))
    assert ranking(np.array(values, np.float32)).tolist() == expected


@settings(max_examples=60)
@given(scores_of_sets, st.data())
def test_a_selection_keeps_exactly_the_lowest_energies_of_the_universe(scores: Scores, data: st.DataObject) -> None:
    size = len(scores.label)
    universe = Universe(data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size)))
    candidates = range(universe.offset, size, universe.stride)
    count = data.draw(st.integers(1, len(candidates)))
    payload, encoded = select(scores, f"{count}/{len(candidates)}", universe=universe)
    by_hand = sorted(sorted(candidates, key=lambda i: (scores.energy[i], i))[:count])
    assert payload.indices.tolist() == by_hand
    assert payload.labels.tolist() == scores.label[by_hand].tolist()
    assert payload.universe == universe
    assert payload.reference_digest == scores.reference_digest[:8]
    assert payload.class_names is None
    assert decode(encoded) == payload


@settings(max_examples=15)
@given(scores_of_sets, st.integers(20, 110), st.sampled_from([0.5, 1]))
def test_max_bytes_keeps_the_most_that_fit(scores: Scores, max_bytes: int, keep: float) -> None:
    size = len(scores.label)
    try:
        most = kept_count(keep, size)
    except BadInput:
        return
    sizes = {count: len(select(scores, f"{count}/{size}")[1]) for count in range(1, most + 1)}
    fitting = [count for count in sizes if sizes[count] <= max_bytes]
    if not fitting:
        with pytest.raises(BadInput, match=f"{max_bytes} bytes are too few: one label takes {sizes[1]}"):
            select(scores, keep, max_bytes=max_bytes)
        return
    payload, encoded = select(scores, keep, max_bytes=max_bytes)
    assert len(encoded) == sizes[payload.kept] <= max_bytes
    assert encoded == encode(payload)
    if most in fitting:
        assert payload.kept == most
    assert all(sizes[count] > max_bytes for count in range(payload.kept + 1, min(payload.kept + RIPPLE, most) + 1))


def test_class_names_are_sent_when_asked_for() -> None:
    names = ("a", "b", "c", "d", "e")
    payload, encoded = select(scores_of([-1.0, -2.0], names=names), 1, class_names=True)
    assert decode(encoded).class_names == payload.class_names == names
    with pytest.raises(BadInput, match="no names"):
        select(scores_of([-1.0, -2.0]), 1, class_names=True)


def test_labels_outside_the_classes_are_refused() -> None:
    scores = scores_of([-1.0, -2.0])
    with pytest.raises(PladaError):
        select(Scores(scores.label + 5, scores.energy, scores.entropy, b"", 5, None), 1)
