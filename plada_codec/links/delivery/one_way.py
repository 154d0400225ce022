"""The strategy `one-way`: coded frames, as many as all receivers need (spec/link-budget.md section 5.5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from plada_codec.links.delivery.base import Strategy
from plada_codec.links.delivery.job import DeliveryJob
from plada_codec.links.delivery.one_way_plan import OneWayPlan, OneWayPlanner, either
from plada_codec.links.delivery.outcome import (
    APPROXIMATION,
    CLOSED_FORM,
    SIMULATION,
    DeliveryOutcome,
    outcome_of_fixed_frames,
)
from plada_codec.links.delivery.simulation import SimulatedChannels


class OneWay(Strategy):
    """Symbols and announces, planned so that all receivers get the object with the probability asked for."""

    summary = "coded frames, as many as all receivers need, without answers"
    section = "5.5"
    is_coded = True

    def compute(self, job: DeliveryJob) -> DeliveryOutcome:
        planner, plan, is_announce, sizes = _sequence(job)
        decoding_failure = np.concatenate([np.ones(job.frames), planner.decoding_failure()])
        failed = decoding_failure[np.minimum(np.cumsum(~is_announce), len(decoding_failure) - 1)]
        method = CLOSED_FORM
        if job.announce_parts:
            failed = either(failed, planner.announce_failure_by_frame(plan)[np.cumsum(is_announce)])
            if job.loss.memory and job.loss.frame_loss(job.frame_bytes):
                method = APPROXIMATION
        with np.errstate(divide="ignore"):
            done = np.exp(job.receivers * np.log1p(-failed))
        return outcome_of_fixed_frames(job, sizes, done, method, symbols=plan.symbols, announces=plan.announces)

    def simulate(self, job: DeliveryJob, trials: int, random: np.random.Generator) -> DeliveryOutcome:
        _, plan, is_announce, sizes = _sequence(job)
        shape = (trials, job.receivers)
        channels = SimulatedChannels(job.air_loss, sizes, shape, random)
        symbols, all_arrived = np.zeros(shape, np.int64), np.ones(shape, np.bool_)
        part_missing = np.ones((*shape, job.announce_parts), np.bool_)
        number = part = 0
        done = np.zeros(len(sizes))
        for frame, announces in enumerate(is_announce):
            lost = channels.lost(frame)
            if announces:
                part_missing[:, :, part] &= lost
                part = (part + 1) % job.announce_parts
            else:
                number += 1
                symbols += ~lost
                all_arrived &= ~lost | (number > job.frames)
            decoded = (symbols >= job.frames + job.extra_symbols) | all_arrived & (number >= job.frames)
            done[frame] = np.mean((decoded & ~part_missing.any(axis=2)).all(axis=1))
        return outcome_of_fixed_frames(job, sizes, done, SIMULATION, symbols=plan.symbols, announces=plan.announces)


class _Sequence(NamedTuple):
    """The frames that a one-way sender sends, in order.

    Attributes:
        planner: the planner that has found the plan.
        plan: the numbers of symbols and announces.
        is_announce: whether each frame is part of an announce.
        sizes_bytes: the length of each frame.
    """

    planner: OneWayPlanner
    plan: OneWayPlan
    is_announce: NDArray[np.bool_]
    sizes_bytes: NDArray[np.int64]


def _sequence(job: DeliveryJob) -> _Sequence:
    planner = OneWayPlanner(
        job.frames, job.extra_symbols, job.frame_bytes, job.announce_parts, job.announce_frame_bytes, job.air_loss
    )
    plan = planner.cheapest(job.probability, job.receivers, job.link.frame_airtime_s)
    parts_before = np.repeat(plan.symbols_before, job.announce_parts)
    is_announce = np.insert(np.zeros(plan.symbols, np.bool_), parts_before, True)
    sizes = np.where(is_announce, job.announce_frame_bytes, job.frame_bytes)
    if plan.symbols == job.frames:
        sizes[np.flatnonzero(~is_announce)[-1]] = job.runs[-1][0]
    return _Sequence(planner, plan, is_announce, sizes)
