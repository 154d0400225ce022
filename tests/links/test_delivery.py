"""Formulas of the strategies agree with exact fractions, worked examples, simulations and sequences of events."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from plada_codec.errors import InvalidArgument, LinkError
from plada_codec.links.delivery.deliveries import compute_delivery, simulate_delivery
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.one_way_plan import OneWayPlan, OneWayPlanner, plan_one_way
from plada_codec.links.delivery.registry import STRATEGIES
from plada_codec.links.link import Link
from plada_codec.links.loss import BitErrors, BurstyLoss, IndependentLoss, Loss
from plada_codec.links.profiles import link, links
from tests.helpers.examples import examples

#: 5000 bit/s, the modem of example 5; and one with which a frame of n bytes takes n seconds.
MODEM = link("custom").replaced(rate_bps=5000, mtu_bytes=1000, speed_m_per_s=1500, tx_power_w=8, rx_power_w=1)
SLOW = link("custom").replaced(rate_bps=8, mtu_bytes=1000)


def job(loss: Loss | float = 0.0, link: Link = MODEM, **others: Any) -> DeliveryJob:
    """Example 5 of the specification, but for `others`."""
    given = {"object_bytes": 5000, "frames": 20, "frame_bytes": 264, "extra_symbols": 2, "distance_m": 3000.0}
    loss = loss if isinstance(loss, Loss) else IndependentLoss(loss)
    return DeliveryJob(link=link, loss=loss, **{**given, **others})


#: A frame takes 1 s, an answer nothing: wall time counts frames.
def counted(loss: Loss, **others: Any) -> DeliveryJob:
    return job(loss, SLOW, frame_bytes=1, acknowledgement_bytes=0, distance_m=None, **others)


# Worked examples


def test_stop_and_wait_takes_the_mean_time_of_example_5() -> None:
    assert f"{compute_delivery('stop-and-wait', job(0.1)).wall_mean_s:.2f}" == "98.56"


def test_one_way_takes_the_symbols_and_the_time_of_example_5() -> None:
    found = compute_delivery("one-way", job(0.1, probability=0.999))
    assert found.symbols == found.frames == 31
    assert f"{found.completion:.5f}" == "0.99939"
    assert f"{found.wall_s:.2f}" == "15.09"
    assert compute_delivery("one-way", job(0.2, probability=0.999)).symbols == 38


def test_one_way_is_six_times_as_fast_as_stop_and_wait_in_example_5() -> None:
    waiting, coded = (
        compute_delivery("stop-and-wait", job(0.1)),
        compute_delivery("one-way", job(0.1, probability=0.999)),
    )
    assert f"{waiting.wall_mean_s / coded.wall_s:.1f}" == "6.5"


def test_stop_and_wait_takes_the_times_of_example_4() -> None:
    datac3 = link("hf-datac3")
    plain = job(0.0, datac3, frames=40, frame_bytes=126, acknowledgement_bytes=0)
    assert f"{compute_delivery('single', plain).wall_s:.1f}" == "127.6"
    assert f"{compute_delivery('stop-and-wait', replace(plain, loss=IndependentLoss(0.26))).wall_mean_s:.1f}" == "172.4"


def test_a_delivery_takes_the_energy_of_example_3() -> None:
    modem = link("umodem-fsk0")
    found = compute_delivery("single", job(0.0, modem, frames=157, frame_bytes=32, distance_m=None))
    assert (round(found.wall_s, 6), round(found.energy_j or 0, 3)) == (502.4, 25_120)
    assert f"{found.joules_per_bit:.3f}" == "0.628"


def test_a_delivery_under_a_duty_cycle_takes_the_times_of_example_1() -> None:
    lora = link("lorawan-eu868-dr5")
    asked = job(0.0, lora, frames=23, frame_bytes=222, last_frame_bytes=116)
    found = compute_delivery("single", asked)
    assert (f"{found.airtime_s:.3f}", f"{found.wall_s:.3f}") == ("8.331", "811.786")
    assert compute_delivery("one-way", asked).wall_s == found.wall_s


# Against exact fractions


def exactly_arrived(frames: int, after_arrived: Fraction, after_lost: Fraction, start_lost: Fraction) -> list[Fraction]:
    """P(0, 1, 2, ... of so many frames arrive), by going through the two states of the channel."""
    arrived = {(0, True): start_lost, (0, False): 1 - start_lost}  # (arrivals, last one lost)
    for number in range(frames):
        following: dict[tuple[int, bool], Fraction] = {}
        for (count, was_lost), likely in arrived.items():
            lost = after_lost if was_lost else after_arrived
            # Before the first frame, the state is that of the first frame itself.
            lost = Fraction(int(was_lost)) if number == 0 else lost
            for is_lost, chance in ((True, lost), (False, 1 - lost)):
                key = (count + (not is_lost), is_lost)
                following[key] = following.get(key, Fraction(0)) + likely * chance
        arrived = following
    return [
        sum((arrived.get((count, last), Fraction(0)) for last in (True, False)), Fraction(0))
        for count in range(frames + 1)
    ]


def chain(loss: Loss) -> tuple[Fraction, Fraction, Fraction]:
    after_arrived, after_lost = (Fraction(value) for value in loss.conditional_loss(1))
    return after_arrived, after_lost, after_arrived / (1 - after_lost + after_arrived)


def exact_frames_for(needed: int, loss: Loss, probability: float, most: int = 40) -> int:
    """The smallest number of frames of which `needed` arrive with this probability; too many, or a tie, are not it."""
    for frames in range(needed, most + 1):
        likely = float(sum(exactly_arrived(frames, *chain(loss))[needed:], Fraction(0)))
        assume(abs(likely - probability) > 1e-9)
        if likely > probability:
            return frames
    assume(False)
    raise AssertionError


losses = st.one_of(
    st.floats(0, 0.8).map(IndependentLoss),
    st.tuples(st.floats(0, 0.7), st.floats(1, 6)).map(lambda drawn: BurstyLoss(drawn[0], drawn[1] / (1 - drawn[0]))),
)
probabilities = st.floats(0.01, 0.999)


@given(losses, st.integers(1, 8), probabilities)
def test_one_way_sends_the_fewest_symbols_that_suffice(loss: Loss, needed: int, probability: float) -> None:
    expected = exact_frames_for(needed, loss, probability)
    found = compute_delivery("one-way", counted(loss, frames=needed, extra_symbols=0, probability=probability))
    assert found.symbols == expected
    exact = float(sum(exactly_arrived(expected, *chain(loss))[needed:], Fraction(0)))
    assert found.completion == pytest.approx(exact, abs=1e-11)


@given(losses, st.integers(1, 5), st.integers(1, 3), st.integers(0, 8))
def test_the_first_symbols_alone_suffice_and_any_others_take_some_more(
    loss: Loss, frames: int, extra: int, more: int
) -> None:
    sent = frames + more
    after_arrived, after_lost, start_lost = chain(loss)
    enough = sum(exactly_arrived(sent, *chain(loss))[frames + extra :])
    first = (1 - start_lost) * (1 - after_arrived) ** (frames - 1)
    few = sum(exactly_arrived(more + 1, after_arrived, after_lost, Fraction(0))[1 : extra + 1])
    probability = float(enough + first * few)
    assume(1e-6 < probability < 0.999_999)
    found = compute_delivery(
        "one-way", counted(loss, frames=frames, extra_symbols=extra, probability=probability * (1 - 1e-9))
    )
    assert found.symbols is not None
    assert found.symbols <= sent
    assert found.completion >= probability * (1 - 2e-9)
    slightly_more = compute_delivery(
        "one-way", counted(loss, frames=frames, extra_symbols=extra, probability=probability * (1 + 1e-9))
    )
    assert slightly_more.symbols is not None
    assert slightly_more.symbols > sent or slightly_more.completion > probability


@given(losses, st.integers(1, 6), st.floats(0.01, 0.99))
def test_quantiles_of_stop_and_wait_are_those_of_an_exact_count_of_frames(
    loss: Loss, frames: int, probability: float
) -> None:
    expected = exact_frames_for(frames, loss, probability)
    found = compute_delivery("stop-and-wait", counted(loss, frames=frames, probability=probability))
    assert found.wall_s == pytest.approx(expected)


@given(losses, st.integers(1, 12))
def test_a_single_shot_arrives_if_every_frame_does(loss: Loss, frames: int) -> None:
    found = compute_delivery("single", counted(loss, frames=frames))
    assert found.completion == pytest.approx(float(exactly_arrived(frames, *chain(loss))[frames]), rel=1e-9)


@given(st.floats(0, 0.7), st.floats(0, 0.7), st.integers(1, 10), st.integers(1, 4))
def test_lost_acknowledgements_divide_the_mean(loss: float, return_loss: float, frames: int, receivers: int) -> None:
    found = compute_delivery("stop-and-wait", job(loss, frames=frames, return_loss=return_loss, receivers=receivers))
    tries = frames * receivers / (1 - loss) / (1 - return_loss)
    assert found.frames == pytest.approx(tries)
    assert found.wall_mean_s == pytest.approx(tries * (0.4224 + 0.0128 + 4))


@given(st.floats(0.01, 0.5), st.integers(1, 6), st.integers(1, 4), probabilities)
def test_rounds_of_nack_lists_go_on_until_the_last_receiver_has_all(
    loss: float, frames: int, receivers: int, probability: float
) -> None:
    """With frames that take next to no time, wall time counts rounds: the maximum of geometric distributions."""
    fast = MODEM.replaced(rate_bps=1e12)
    found = compute_delivery(
        "nack",
        job(loss, fast, frames=frames, receivers=receivers, probability=probability, distance_m=750.0),
    )
    met = [(1 - loss**rounds) ** (frames * receivers) for rounds in range(80)]
    assume(all(abs(chance - probability) > 1e-9 for chance in met))
    assert found.method == "closed form"
    assert found.wall_s == pytest.approx(next(r for r, chance in enumerate(met) if chance >= probability), abs=1e-6)


@pytest.mark.parametrize(
    ("frames", "loss"), [(5_000, 1e-9), (5_000, 0.3), (56_403, 1e-6), (56_403, 0.3), (20_000, 0.9)]
)
def test_binomial_tails_of_large_objects_are_sound(frames: int, loss: float) -> None:
    """Against the sum of the binomial distribution's logarithms, from the largest term outwards."""
    found = compute_delivery("one-way", job(loss, frames=frames, extra_symbols=0, probability=0.999))
    assert found.symbols is not None
    for symbols, enough in ((found.symbols, True), (found.symbols - 1, False)):
        arrived = np.arange(symbols + 1)
        logs = np.log((symbols - arrived[:-1]) / (arrived[:-1] + 1) * (1 - loss) / loss)
        terms = symbols * math.log(loss) + np.array([0.0, *accumulate(logs.tolist())])
        complete = math.fsum(np.exp(terms - terms.max())[frames:]) / math.fsum(np.exp(terms - terms.max()))
        assert (complete >= 0.999) == enough
        if enough:
            assert found.completion == pytest.approx(complete, abs=1e-8)


# Formulas against simulations

JOBS = {
    "example 5": job(0.1),
    "heavy loss": job(0.6, frames=8),
    "receivers": job(0.3, frames=10, receivers=7),
    "lost answers": job(0.2, frames=10, return_loss=0.3),
    "announces": job(0.3, frames=10, announce_parts=1, announce_frame_bytes=46),
    "announces of parts, receivers": job(0.3, frames=6, announce_parts=5, announce_frame_bytes=16, receivers=3),
    "bit errors": job(BitErrors(2e-4), frames=12, last_frame_bytes=50, announce_parts=2, announce_frame_bytes=30),
    "one frame": job(0.4, frames=1, extra_symbols=0, receivers=4, return_loss=0.2),
    "bursts": job(BurstyLoss(0.3, 4), frames=12),
    "bursts, receivers, lost answers": job(BurstyLoss(0.2, 6), frames=8, receivers=4, return_loss=0.2),
    "duty cycle": job(0.2, MODEM.replaced(duty_cycle=0.1), frames=10),
    "duty cycle that waiting absorbs": job(0.2, MODEM.replaced(duty_cycle=0.5), frames=10),
    "quota": job(0.2, MODEM.replaced(messages_per_day=1000), frames=10),
    "contacts": job(0.2, MODEM.replaced(contact_s=20, period_s=500), frames=10),
    "retries": job(0.2, MODEM.replaced(retry_s=60), frames=10, return_loss=0.1),
    "turnaround": job(0.2, MODEM.replaced(turnaround_s=3), frames=10),
    "several lengths and limits": job(
        0.2, MODEM.replaced(duty_cycle=0.1, retry_s=9), frames=10, announce_parts=2, announce_frame_bytes=46
    ),
    "packets of a frame": job(
        0.2,
        link("sigfox-rc1").replaced(retry_s=900),
        frames=3,
        frame_bytes=36,
        announce_parts=2,
        announce_frame_bytes=9,
    ),
    "several bursts": job(0.2, frames=10, receivers=2, nack_burst_frames=4),
    "lost lists, no other loss": job(0.0, frames=10, return_loss=0.4, receivers=3),
}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_formulas_and_simulations_agree(strategy: str, name: str) -> None:
    formula = compute_delivery(strategy, JOBS[name])
    batches = [simulate_delivery(strategy, JOBS[name], trials=150, seed=seed) for seed in range(20)]
    assert all(batch.method == "simulation" for batch in batches)
    if formula.method == "simulation":
        assert strategy not in ("one-way", "stop-and-wait", "single")
        return
    for field in ("frames", "sent_bytes", "airtime_s", "waiting_s", "wall_mean_s"):
        means = np.array([getattr(batch, field) for batch in batches])
        if math.isfinite(expected := getattr(formula, field)):
            assert abs(means.mean() - expected) <= 6 * means.std() / math.sqrt(19) + 1e-9 * expected, field
    completed = np.mean([batch.completion for batch in batches])
    expected = formula.completion
    assert abs(completed - expected) <= 6 * math.sqrt(expected * (1 - expected) / 3000) + 3 / 3000
    for field in ("wall_p50_s", "wall_p99_s"):
        if math.isfinite(expected := getattr(formula, field)):
            quantiles = sorted(getattr(batch, field) for batch in batches)
            assert quantiles[0] * (1 - 1e-9) <= expected <= quantiles[-1] * (1 + 1e-9), field


def test_bursts_and_announces_are_approximated_on_the_safe_side() -> None:
    """For all receivers together, and within the noise of 3000 trials."""
    for burst, parts, receivers in ((3.0, 1, 1), (8.0, 2, 1), (8.0, 1, 10), (50.0, 1, 1)):
        asked = job(BurstyLoss(0.3, burst), announce_parts=parts, announce_frame_bytes=46, receivers=receivers)
        formula, simulated = (
            compute_delivery("one-way", asked),
            simulate_delivery("one-way", asked, trials=3000, seed=1),
        )
        assert formula.method == "approximation"
        assert simulated.completion >= formula.completion - 6 * math.sqrt(0.01 / 3000)
        assert simulated.wall_p50_s <= formula.wall_p50_s


@pytest.mark.parametrize(
    ("frames", "parts", "burst", "probability", "sizes", "enough"),
    [(21, 1, 50, 0.99, (256, 46), (213, 32)), (4, 2, 20, 0.95, (28, 28), (38, 8))],
)
def test_bursts_do_not_make_a_sender_send_twice_as_much_as_is_enough(
    frames: int,
    parts: int,
    burst: float,
    probability: float,
    sizes: tuple[int, int],
    enough: tuple[int, int],
) -> None:
    """`enough` symbols and announces were found by simulation."""
    found = plan_one_way(
        frames,
        2,
        BurstyLoss(0.3, burst),
        probability,
        announce_parts=parts,
        frame_bytes=sizes[0],
        announce_frame_bytes=sizes[1],
    )

    def spent(symbols: int, announces: int) -> int:
        return symbols * sizes[0] + announces * parts * sizes[1]

    assert spent(found.symbols, found.announces) < 1.4 * spent(*enough)
    assert found.announces < 1.4 * enough[1]


@given(st.floats(0.05, 0.7), st.floats(1.5, 50), st.integers(1, 60), st.integers(2, 30))
def test_an_announce_is_missed_if_the_channel_is_lost_at_each_of_its_copies(
    rate: float, burst: float, symbols: int, announces: int
) -> None:
    """Against powers of the channel's transition matrix, frame by frame in the order of the specification."""
    loss = BurstyLoss(rate, burst / (1 - rate))
    after_arrived, after_lost = loss.conditional_loss(1)
    step = np.array([[1 - after_arrived, after_arrived], [1 - after_lost, after_lost]])
    before = [number * symbols // (announces - 1) for number in range(announces)]
    state = np.array([0.0, loss.frame_loss(1)])  # the first announce is lost
    missed = [state.sum()]
    for gap in np.diff(before):
        state = state @ np.linalg.matrix_power(step, int(gap) + 1) * [0, 1]
        missed.append(state.sum())
    planner, plan = OneWayPlanner(1, 0, 1, 1, 1, loss), OneWayPlan(symbols, announces)
    assert planner.announce_failure(plan) == pytest.approx(missed[-1], rel=1e-9, abs=1e-12)
    assert planner.announce_failure_by_frame(plan) == pytest.approx(np.array([1.0, *missed]), rel=1e-9, abs=1e-12)


def test_the_longest_bursts_take_no_time_to_plan() -> None:
    plan = plan_one_way(20, 2, BurstyLoss(0.5, 10_000), announce_parts=1, frame_bytes=256, announce_frame_bytes=46)
    assert 10_000 < plan.symbols < 100_000


# Against events: a sender that waits for answers, one event after the other

#: Airtime dominates, and an announce has another length than data, the last frame a third one.
MIXED = {
    "janus": job(0.1, link("janus-11k5"), frames=1, frame_bytes=308, announce_parts=1, announce_frame_bytes=46),
    "one large frame": job(0.3, SLOW, frames=1, frame_bytes=1000, announce_parts=1, announce_frame_bytes=46),
    "three lengths": job(0.3, SLOW, frames=4, last_frame_bytes=700, announce_parts=2, announce_frame_bytes=30),
    "receivers": job(0.2, SLOW, frames=2, last_frame_bytes=9, announce_parts=1, announce_frame_bytes=46, receivers=3),
    "lost answers": job(
        0.2, SLOW.replaced(retry_s=77), frames=2, announce_parts=1, announce_frame_bytes=46, return_loss=0.3
    ),
    "bursts": job(BurstyLoss(0.3, 4), SLOW, frames=3, last_frame_bytes=900, announce_parts=1, announce_frame_bytes=46),
    "bit errors in padding": job(
        BitErrors(2e-4), SLOW.replaced(mtu_bytes=300, padded=True), frames=3, announce_parts=1, announce_frame_bytes=46
    ),
    "duty cycle": job(
        0.2, SLOW.replaced(duty_cycle=0.2), frames=3, last_frame_bytes=900, announce_parts=1, announce_frame_bytes=46
    ),
    "quota and packets": job(
        0.2, link("sigfox-rc1"), frames=2, frame_bytes=36, announce_parts=2, announce_frame_bytes=9, return_loss=0.1
    ),
}


class Clock:
    """The clock of one sender: duty cycle and quota make packets pause, and a frame starts after all answers."""

    def __init__(self, asked: DeliveryJob, random: Random) -> None:
        self.job, self.random = asked, random
        self.start_s = self.end_s = 0.0
        self.lost: dict[int, bool] = {}

    def send(self, frame_bytes: int) -> None:
        link = self.job.link
        mtu, air_s = link.mtu_bytes or 0, getattr(link.model, "airtime_s", None)
        assert air_s is not None
        at_s = max(self.start_s, self.end_s)
        for begin in range(0, frame_bytes, mtu):
            packet_s = air_s(mtu if link.padded else min(mtu, frame_bytes - begin))
            self.end_s = at_s + packet_s
            at_s += max(packet_s / (link.duty_cycle or 1), 86_400 / (link.messages_per_day or math.inf), packet_s)
        self.start_s = at_s

    def wait(self, answers: int, failed: bool) -> None:
        link = self.job.link
        answer_s = getattr(link.model, "airtime_s")(self.job.acknowledgement_bytes)  # noqa: B009
        self.end_s += 2 * (link.delay_s(self.job.distance_m) + link.turnaround_s) + answers * answer_s
        self.known_s = self.end_s
        self.end_s += link.retry_s * failed

    def loses(self, receiver: int, frame_bytes: int) -> bool:
        link = self.job.link
        if isinstance(self.job.loss, BitErrors) and link.padded and link.mtu_bytes:
            frame_bytes += -frame_bytes % link.mtu_bytes
        arrived, lost = self.job.loss.conditional_loss(frame_bytes)
        if receiver in self.lost:
            self.lost[receiver] = self.random.random() < (lost if self.lost[receiver] else arrived)
        else:
            self.lost[receiver] = self.random.random() < arrived / (1 - lost + arrived)
        return self.lost[receiver]


def lengths(asked: DeliveryJob) -> list[int]:
    last = asked.last_frame_bytes or asked.frame_bytes
    return [asked.announce_frame_bytes] * asked.announce_parts + [asked.frame_bytes] * (asked.frames - 1) + [last]


def stop_and_wait_by_events(asked: DeliveryJob, random: Random) -> float:
    clock = Clock(asked, random)
    for receiver in range(asked.receivers):
        for frame_bytes in lengths(asked):
            failed = True
            while failed:
                clock.send(frame_bytes)
                failed = clock.loses(receiver, frame_bytes) | (random.random() < asked.return_loss)
                clock.wait(1, failed)
    return clock.known_s


def nack_by_events(asked: DeliveryJob, random: Random) -> float:
    clock = Clock(asked, random)
    waiting = [(frame_bytes, set(range(asked.receivers))) for frame_bytes in lengths(asked)]
    while waiting:
        burst, waiting = waiting[: asked.nack_burst_frames], waiting[asked.nack_burst_frames :]
        missed = []
        for frame_bytes, receivers in burst:
            clock.send(frame_bytes)
            lost = {receiver for receiver in range(asked.receivers) if clock.loses(receiver, frame_bytes)}
            if receivers & lost:
                missed.append((frame_bytes, receivers & lost))
        silent = asked.receivers
        while silent:
            silent = sum(random.random() < asked.return_loss for _ in range(silent))
            clock.wait(asked.receivers, failed=silent > 0 or bool(missed))
        waiting = missed + waiting
    return clock.known_s


@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("strategy", ["stop-and-wait", "nack"])
def test_wall_times_of_frames_of_several_lengths_are_those_of_events(strategy: str, name: str) -> None:
    by_events = {"stop-and-wait": stop_and_wait_by_events, "nack": nack_by_events}[strategy]
    random, trials = Random(1), 4000
    walls_s = np.array([by_events(MIXED[name], random) for _ in range(trials)])
    for found in (
        compute_delivery(strategy, MIXED[name]),
        simulate_delivery(strategy, MIXED[name], trials=2000, seed=1),
    ):
        for probability, wall_s in ((0.5, found.wall_p50_s), (0.99, found.wall_p99_s)):
            noise = 6 * math.sqrt(probability * (1 - probability) * (1 / trials + 1 / 2000))
            assert np.mean(walls_s <= wall_s * (1 + 1e-9)) >= probability - noise
            assert np.mean(walls_s < wall_s * (1 - 1e-9)) <= probability + noise
        assert found.wall_mean_s == pytest.approx(walls_s.mean(), abs=6 * walls_s.std() * math.sqrt(2 / 2000))
    if strategy == "stop-and-wait":
        assert compute_delivery(strategy, MIXED[name]).method == "closed form"


def test_quantiles_of_thousands_of_receivers_are_approximated() -> None:
    asked = replace(MIXED["three lengths"], receivers=3000)
    found = compute_delivery("stop-and-wait", asked)
    assert found.method == "approximation"
    exact = compute_delivery("stop-and-wait", replace(asked, receivers=500))
    assert exact.method == "closed form"
    assert found.wall_p50_s == pytest.approx(6 * exact.wall_p50_s, rel=0.01)


# Limits

SHIPPED = [
    profile if profile.mtu_bytes else profile.replaced(mtu_bytes=200, rate_bps=500) for profile in links().values()
]


@pytest.mark.parametrize("shipped", SHIPPED, ids=lambda shipped: shipped.id)
@examples(0.5)
@given(st.integers(1, 40), st.integers(0, 3), st.data())
def test_without_loss_no_strategy_is_faster_than_sending_each_frame_once(
    shipped: Link, frames: int, parts: int, data: st.DataObject
) -> None:
    longest = shipped.max_frame_bytes
    asked = job(
        link=shipped,
        frames=frames,
        frame_bytes=data.draw(st.integers(1, longest)),
        last_frame_bytes=data.draw(st.none() | st.integers(1, longest)),
        announce_parts=parts,
        announce_frame_bytes=data.draw(st.integers(1, longest)),
        distance_m=data.draw(st.sampled_from([None, 1000.0])),
        acknowledgement_bytes=data.draw(st.sampled_from([0, 8])),
    )
    single = compute_delivery("single", asked)
    packet_s = shipped.frame_airtime_s(min(longest, shipped.mtu_bytes or longest))
    packets = sum(-(-size // (shipped.mtu_bytes or longest)) for size in lengths(asked))
    for strategy in STRATEGIES:
        found = compute_delivery(strategy, asked)
        if strategy != "one-way":
            assert found.wall_s >= single.wall_s * (1 - 1e-12)
            assert found.wall_p50_s == pytest.approx(found.wall_p99_s) == pytest.approx(found.wall_mean_s)
        if shipped.duty_cycle is not None and found.frames == single.frames:
            assert found.wall_s * shipped.duty_cycle >= (found.airtime_s - packet_s) * (1 - 1e-9)
        if shipped.messages_per_day is not None and strategy != "one-way" and found.frames == single.frames:
            assert found.wall_s / 86_400 * shipped.messages_per_day >= (packets - 1) * (1 - 1e-9)


def test_pauses_between_packets_count_in_acknowledged_frames_too() -> None:
    asked = job(link=link("sigfox-rc1"), frames=1, frame_bytes=30)
    single = compute_delivery("single", asked)
    assert single.wall_s == pytest.approx(2 * 86_400 / 140 + 6)
    for strategy in ("stop-and-wait", "nack"):
        assert compute_delivery(strategy, asked).wall_s == pytest.approx(single.wall_s + 6)


def test_a_failed_round_is_retried_as_late_as_a_failed_frame() -> None:
    patient = job(0.3, MODEM.replaced(retry_s=60), frames=1, extra_symbols=0)
    assert compute_delivery("nack", patient).wall_p99_s == pytest.approx(
        compute_delivery("stop-and-wait", patient).wall_p99_s
    )
    assert compute_delivery("nack", patient).wall_p99_s > 3 * 60


def test_bit_errors_count_in_the_padding_of_a_packet() -> None:
    loss, modem = BitErrors(1e-4), link("umodem-psk5")
    asked = job(loss, modem, frames=1, frame_bytes=50, extra_symbols=0)
    assert compute_delivery("single", asked).completion == pytest.approx(1 - loss.frame_loss(2048))
    assert compute_delivery("stop-and-wait", asked).frames == pytest.approx(1 / (1 - loss.frame_loss(2048)))
    assert simulate_delivery("single", asked, trials=3000, seed=1).completion == pytest.approx(
        1 - loss.frame_loss(2048), abs=0.06
    )
    with pytest.raises(InvalidArgument, match="99% is the most"):
        job(BitErrors(3e-4), modem, frames=1, frame_bytes=9)


def test_a_link_to_one_receiver_is_not_for_several() -> None:
    for id in ("sigfox-rc1", "iridium-sbd-9603"):
        assert job(link=link(id), frame_bytes=12).receivers == 1
        with pytest.raises(LinkError, match=f"{id} reaches one receiver at a time, not 2") as error:
            job(link=link(id), frame_bytes=12, receivers=2)
        assert error.value.rule == "value"


def test_an_answer_to_padded_frames_is_short() -> None:
    asked = job(link=link("umodem-psk5"), frames=1, frame_bytes=2048, distance_m=None)
    assert compute_delivery("stop-and-wait", asked).waiting_s == pytest.approx(8 * 8 / 5000)


def test_a_million_frames_are_no_more_work_than_a_thousand() -> None:
    asked = job(0.1, SLOW, frames=1_048_320, frame_bytes=9, last_frame_bytes=5)
    assert compute_delivery("stop-and-wait", asked).frames == pytest.approx(1_048_320 / 0.9)
    assert compute_delivery("nack", replace(asked, loss=IndependentLoss(0))).frames == 1_048_320


# Choosing what to send


@given(
    st.floats(0.01, 0.6),
    st.integers(2, 12),
    st.integers(1, 4),
    st.integers(1, 30),
    st.floats(0.5, 0.999),
    st.integers(9, 300),
)
def test_no_cheaper_pair_of_symbols_and_announces_reaches_the_probability(
    loss: float, frames: int, parts: int, receivers: int, probability: float, announce_bytes: int
) -> None:
    def sureness(symbols: int, announces: int) -> float:
        arrived = [
            math.comb(symbols, count) * (1 - loss) ** count * loss ** (symbols - count)
            for count in range(frames, symbols + 1)
        ]
        announced = (1 - loss**announces) ** parts
        return (math.fsum(arrived) * announced) ** receivers

    def cost(symbols: int, announces: int) -> int:
        return 256 * symbols + announce_bytes * parts * announces

    found = plan_one_way(
        frames,
        0,
        IndependentLoss(loss),
        probability,
        receivers,
        frame_bytes=256,
        announce_parts=parts,
        announce_frame_bytes=announce_bytes,
    )
    assert sureness(found.symbols, found.announces) >= probability * (1 - 1e-9)
    for announces in range(1, 40):
        for symbols in range(frames, 120):
            if cost(symbols, announces) >= cost(found.symbols, found.announces):
                break
            assert sureness(symbols, announces) <= probability * (1 + 1e-9)


@given(st.integers(1, 2_000), st.integers(1, 40), st.integers(1, 1_000), st.floats(0.01, 0.999))
def test_a_link_that_loses_nothing_takes_every_frame_once(
    frames: int, parts: int, receivers: int, probability: float
) -> None:
    asked = job(
        frames=frames, announce_parts=parts, announce_frame_bytes=9, receivers=receivers, probability=probability
    )
    found = compute_delivery("one-way", asked)
    assert (found.symbols, found.announces, found.completion) == (frames, 1, 1.0)
    assert found.wall_mean_s == pytest.approx(found.wall_p50_s) == pytest.approx(found.airtime_s + 2)
    for strategy in ("single", "nack"):
        assert compute_delivery(strategy, asked).frames == frames + parts
    assert compute_delivery("stop-and-wait", asked).frames == pytest.approx((frames + parts) * receivers)


@given(st.floats(0.01, 0.7), st.integers(1, 100), st.integers(1, 50))
def test_more_loss_and_more_receivers_never_take_less(loss: float, frames: int, receivers: int) -> None:
    base = job(loss, frames=frames, receivers=receivers)
    for strategy in ("stop-and-wait", "one-way"):
        here = compute_delivery(strategy, base)
        for worse in (replace(base, loss=IndependentLoss(loss + 0.1)), replace(base, receivers=receivers + 1)):
            assert compute_delivery(strategy, worse).frames >= here.frames * (1 - 1e-9)


def test_all_receivers_share_frames_except_with_stop_and_wait() -> None:
    one, many = job(0.2), job(0.2, receivers=40)
    growth = {
        strategy: compute_delivery(strategy, many).frames / compute_delivery(strategy, one).frames
        for strategy in STRATEGIES
    }
    assert growth["single"] == 1
    assert growth["stop-and-wait"] == pytest.approx(40)
    assert 1 < growth["one-way"] < 1.3
    assert 1 < growth["nack"] < 4


# Energy


def test_energy_is_of_sending_and_of_waiting() -> None:
    found = compute_delivery("stop-and-wait", job(0.1))
    assert found.energy_j == pytest.approx(8 * found.airtime_s + found.waiting_s)
    assert found.joules_per_bit == pytest.approx((8 * found.airtime_s + found.waiting_s) / 40_000)
    unpowered = compute_delivery("stop-and-wait", job(0.1, MODEM.replaced(tx_power_w=None)))
    assert (unpowered.energy_j, unpowered.joules_per_bit) == (None, None)
    deaf = compute_delivery("stop-and-wait", job(0.1, MODEM.replaced(rx_power_w=None)))
    assert deaf.energy_j == pytest.approx(8 * found.airtime_s)


def test_joules_per_bit_are_divided_by_the_probability_of_arrival() -> None:
    found = compute_delivery("single", job(0.1, frames=5))
    assert found.joules_per_bit == pytest.approx(8 * found.airtime_s / 40_000 / 0.9**5)
    assert (found.wall_p50_s < math.inf, found.wall_mean_s) == (True, math.inf)


def test_there_are_no_joules_per_bit_if_completion_is_below_one_half() -> None:
    for asked in (job(0.1), job(0.99, frames=200)):
        found = compute_delivery("single", asked)
        assert (found.energy_j == 8 * found.airtime_s, found.joules_per_bit, found.wall_p50_s) == (True, None, math.inf)


# Simulations of compute_delivery


def test_deliveries_in_several_nack_bursts_are_simulated_with_a_fixed_seed() -> None:
    asked = job(0.1, frames=100)
    found = compute_delivery("nack", asked)
    assert found.method == "simulation"
    assert found == compute_delivery("nack", asked)
    assert found.frames == pytest.approx(100 / 0.9, rel=0.01)
    assert compute_delivery("nack", replace(asked, nack_burst_frames=100)).method == "closed form"


@pytest.mark.parametrize("loss", [IndependentLoss(0.1), IndependentLoss(0.9), BurstyLoss(0.5, 10)], ids=repr)
def test_a_simulation_with_too_many_receivers_is_refused_with_the_largest_number(loss: Loss) -> None:
    asked = job(loss, frames=100)
    with pytest.raises(InvalidArgument, match="1,000,000 receivers is too much to simulate: ask for") as error:
        compute_delivery("nack", replace(asked, receivers=1_000_000))
    assert error.value.rule == "value"
    assert compute_delivery("nack", replace(asked, receivers=2)).method == "simulation"


def test_a_simulation_of_very_long_bursts_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="nack with 1 receiver is too much to simulate: ask for another strategy"):
        compute_delivery("nack", job(BurstyLoss(0.5, 10_000), frames=100))


# Bad input


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"frames": 0}, "value"),
        ({"frames": 1_048_321}, "value"),
        ({"frames": 10**15}, "value"),
        ({"object_bytes": 0}, "value"),
        ({"extra_symbols": -1}, "value"),
        ({"receivers": 0}, "value"),
        ({"nack_burst_frames": 0}, "value"),
        ({"acknowledgement_bytes": -1}, "value"),
        ({"announce_parts": -1}, "value"),
        ({"distance_m": -1.0}, "value"),
        ({"distance_m": math.nan}, "value"),
        ({"distance_m": math.inf}, "value"),
        ({"probability": 0.0}, "value"),
        ({"probability": 1.0}, "value"),
        ({"probability": math.nan}, "value"),
        ({"return_loss": 1.0}, "value"),
        ({"return_loss": -0.1}, "value"),
        ({"return_loss": math.nan}, "value"),
        ({"loss": IndependentLoss(0.995)}, "loss"),
        ({"loss": BitErrors(0.1)}, "loss"),
    ],
)
def test_a_delivery_job_with_an_impossible_value_is_refused(wrong: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        replace(job(), **wrong)
    assert error.value.rule == rule
    assert "\n" not in str(error.value)


def test_a_probability_that_no_code_can_promise_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="ask for less"):
        plan_one_way(20, 2, IndependentLoss(0.1), probability=1 - 1e-12)


def test_an_unknown_strategy_is_refused_with_the_names_of_all() -> None:
    with pytest.raises(InvalidArgument, match="no strategy 'pigeon': there are one-way, nack, stop-and-wait, single"):
        compute_delivery("pigeon", job())


def test_a_simulation_of_no_trials_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="trials must be 1 or more"):
        simulate_delivery("single", job(), trials=0, seed=0)


def test_frames_that_the_link_does_not_take_are_refused() -> None:
    for strategy in STRATEGIES:
        with pytest.raises(LinkError, match="frames of at most 256 bytes, not 264"):
            compute_delivery(strategy, job(0.1, link("uwm-5k")))
