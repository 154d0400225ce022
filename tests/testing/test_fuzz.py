"""Faults that fuzzing once found stay fixed, and the fuzzer itself works."""

from __future__ import annotations

import random

from hypothesis import settings

from fuzz.decoders import FOUND, disagreement, mutate, seed_inputs


def test_decoders_agree_on_past_findings_of_the_fuzzer() -> None:
    for path in FOUND.glob("*.plada"):
        assert disagreement(path.read_bytes()) is None, path


def test_decoders_agree_on_mutated_vectors() -> None:
    chance = random.Random(0)
    payloads = seed_inputs()
    assert len(payloads) > 700
    for _ in range(20 * settings().max_examples):
        assert disagreement(mutate(chance.choice(payloads), chance.choice(payloads), chance)) is None
