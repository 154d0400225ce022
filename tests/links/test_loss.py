"""Losses have their rate and their bursts, and refuse impossible ones."""

from __future__ import annotations

from itertools import groupby
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plada_codec.errors import InvalidArgument
from plada_codec.links.loss import MAX_BURST_FRAMES, BitErrors, BurstyLoss, IndependentLoss, PaddedLoss

RATES = st.floats(0, 0.95)


def test_bit_error_rates_give_the_frame_losses_of_the_worked_examples() -> None:
    assert f"{BitErrors(1e-4).frame_loss(64):.1%}" == "5.0%"
    assert f"{BitErrors(1e-4).frame_loss(256):.1%}" == "18.5%"


def test_the_smallest_bit_error_rate_is_not_rounded_away() -> None:
    assert BitErrors(1e-20).frame_loss(125) == pytest.approx(1e-17, rel=1e-12)


@given(RATES, st.floats(1, 1_000), st.integers(1, 65_535))
def test_the_mean_loss_is_the_rate(rate: float, factor: float, frame_bytes: int) -> None:
    burst_frames = min(factor / (1 - rate), MAX_BURST_FRAMES)
    assert IndependentLoss(rate).frame_loss(frame_bytes) == rate
    assert BurstyLoss(rate, burst_frames).frame_loss(frame_bytes) == pytest.approx(rate, rel=1e-9)


@given(st.floats(0, 1e-2), st.integers(1, 300), st.integers(1, 2_000))
def test_bit_errors_in_padding_lose_a_frame_too(ber: float, packet_bytes: int, frame_bytes: int) -> None:
    on_air = len(range(0, frame_bytes, packet_bytes)) * packet_bytes
    assert PaddedLoss(BitErrors(ber), packet_bytes).conditional_loss(frame_bytes) == BitErrors(ber).conditional_loss(
        on_air
    )
    bursts = BurstyLoss(0.3, 5)
    assert PaddedLoss(bursts, packet_bytes).conditional_loss(frame_bytes) == bursts.conditional_loss(frame_bytes)
    assert PaddedLoss(bursts, packet_bytes).memory == bursts.memory


@given(RATES)
def test_the_shortest_bursts_are_those_of_independent_losses(rate: float) -> None:
    loss = BurstyLoss(rate, 1 / (1 - rate))
    assert loss.conditional_loss(64) == pytest.approx((rate, rate), abs=1e-12)
    assert loss.memory == pytest.approx(0, abs=1e-12)


def test_a_sampler_has_the_rate_and_the_mean_burst_of_its_loss() -> None:
    lost = BurstyLoss(0.4, burst_frames=5).sampler(Random(3))
    sample = [lost(64) for _ in range(200_000)]
    bursts = [len(list(run)) for state, run in groupby(sample) if state]
    # The mean of n frames of this chain has a deviation of sqrt(0.4 * 0.6 * (1 + m) / (1 - m) / n), m = 2/3.
    assert sum(sample) / len(sample) == pytest.approx(0.4, abs=6 * 0.0025)
    assert sum(bursts) / len(bursts) == pytest.approx(5, abs=6 * 0.036)


def test_a_sampler_of_bit_errors_loses_long_frames_more_often() -> None:
    lost = BitErrors(1e-4).sampler(Random(5))
    for frame_bytes in (64, 256):
        rate = sum(lost(frame_bytes) for _ in range(50_000)) / 50_000
        assert rate == pytest.approx(BitErrors(1e-4).frame_loss(frame_bytes), abs=6 * 0.0018)


@given(RATES, st.integers(0, 1 << 32))
def test_a_sampler_repeats_itself_for_the_same_seed(rate: float, seed: int) -> None:
    loss = BurstyLoss(rate, 100)
    first, second = loss.sampler(Random(seed)), loss.sampler(Random(seed))
    assert [first(9) for _ in range(50)] == [second(9) for _ in range(50)]


def test_a_loss_rate_of_zero_loses_no_frame() -> None:
    for loss in (IndependentLoss(0), BitErrors(0), BurstyLoss(0, 8)):
        lost = loss.sampler(Random(0))
        assert not any(lost(65_535) for _ in range(1_000))


@pytest.mark.parametrize("rate", [1, 1.0])
def test_a_loss_rate_of_one_is_refused(rate: float) -> None:
    for make in (IndependentLoss, BitErrors, lambda rate: BurstyLoss(rate, 5)):
        with pytest.raises(InvalidArgument, match="nothing arrives") as error:
            make(rate)
        assert error.value.rule == "loss"


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_no_probability_is_refused(rate: float) -> None:
    for make in (IndependentLoss, BitErrors, lambda rate: BurstyLoss(rate, 5)):
        with pytest.raises(InvalidArgument, match="0 or more, and less than 1") as error:
            make(rate)
        assert error.value.rule == "loss"


@pytest.mark.parametrize("burst_frames", [0, -1, 1.9, 10_001, float("nan"), float("inf")])
def test_impossible_bursts_are_refused(burst_frames: float) -> None:
    with pytest.raises(InvalidArgument, match=r"2 \(independent losses\) to 10,000") as error:
        BurstyLoss(0.5, burst_frames)
    assert error.value.rule == "loss"
