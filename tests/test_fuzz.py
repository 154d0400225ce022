"""What fuzzing once found stays mended, and the fuzzer itself works."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from fuzz.decoders import FOUND, disagreement, mutated

VECTORS = Path(__file__).parent.parent / "spec" / "vectors" / "valid"


@pytest.mark.parametrize("path", sorted(FOUND.glob("*.plada")), ids=lambda path: path.stem)
def test_decoders_agree_on_what_fuzzing_once_found(path: Path) -> None:
    assert disagreement(path.read_bytes()) is None


def test_decoders_agree_on_mutated_vectors() -> None:
    chance = random.Random(0)
    corpus = [path.read_bytes() for path in sorted(VECTORS.glob("*.plada")) if path.stat().st_size < 4_096]
    for _ in range(2_000):
        assert disagreement(mutated(chance.choice(corpus), chance.choice(corpus), chance)) is None
