"""What fuzzing once found stays mended, and the fuzzer itself works."""

from __future__ import annotations

import random

from hypothesis import settings

from fuzz.decoders import FOUND, disagreement, mutated
from tests.helpers.paths import PAYLOAD_VECTORS


def test_decoders_agree_on_what_fuzzing_once_found() -> None:
    for path in FOUND.glob("*.plada"):
        assert disagreement(path.read_bytes()) is None, path


def test_decoders_agree_on_mutated_vectors() -> None:
    chance = random.Random(0)
    corpus = [
        path.read_bytes() for path in sorted(PAYLOAD_VECTORS.glob("valid/*.plada")) if path.stat().st_size < 4_096
    ]
    for _ in range(20 * settings().max_examples):
        assert disagreement(mutated(chance.choice(corpus), chance.choice(corpus), chance)) is None
