"""Changes of bytes and of text, by chance: the smallest steps of all fuzzing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

#: Bytes at the boundaries of varints and signed numbers.
BOUNDARY_BYTES = (0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xFE, 0xFF)
#: Numbers at the boundaries of types, and what stands for a missing one.
_WORDS = tuple(
    b"0 1 -1 +1 01 255 256 32767 65535 65536 2147483648 4294967296 9223372036854775807 18446744073709551616 1.0 1.5 "
    b"1e3 1e400 nan inf -0.0 null true \"\" '' [] {} , ; : \t \r \n \r\n # \x00 \xff \xef\xbb\xbf \xe2\x80\xae "
    b"\xed\xa0\x80 index label class image name".split(b" ")
)
_Edit: TypeAlias = Callable[[bytes, bytes, random.Random], bytes]
_TOKENS = re.compile(rb"[A-Za-z_]+|\d+|\s|.", re.DOTALL)
_BOUNDARY_NUMBERS = (0, 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1)


def mutated_bytes(blob: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change bytes in a few places, some by pieces of `other`; half of the places are near the beginning."""
    data = bytearray(blob)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = min(len(data), int(rng.expovariate(1 / 16))) if rng.random() < 0.5 else rng.randint(0, len(data))
        length = rng.randint(1, 4)
        operation = rng.randrange(6)
        if operation == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif operation == 1 and at < len(data):
            data[at] = rng.choice(BOUNDARY_BYTES)
        elif operation == 2:
            del data[at : at + length]
        elif operation == 3:
            data[at:at] = rng.randbytes(length)
        elif operation == 4:
            size, order = rng.choice((2, 4, 8)), rng.choice(("little", "big"))
            number = rng.choice(_BOUNDARY_NUMBERS) % (1 << 8 * size)
            data[at : at + size] = number.to_bytes(size, order)  # type: ignore[arg-type]  # one of two literals
        elif other:
            start = rng.randrange(len(other))
            data[at : at + length] = other[start : start + 2 * length]
    return bytes(data)


def mutated_text(text: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change words, numbers and marks in a few places; rarely, bytes."""
    if rng.random() < 0.1:
        return mutated_bytes(text, other, rng)
    return b"".join(mutated_list(_TOKENS.findall(text), _TOKENS.findall(other), rng, _edited_word))


def mutated_list(
    parts: Sequence[bytes], others: Sequence[bytes], rng: random.Random, edit: _Edit = mutated_bytes
) -> list[bytes]:
    """Edit, drop, repeat, swap parts, or take some of another input."""
    data = list(parts)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randint(0, len(data))
        operation = rng.randrange(8)
        if at == len(data) or operation == 0:
            data.insert(at, rng.choice(others) if others else b"")
        elif operation == 1:
            del data[at : at + rng.choice((1, 1, 3))]
        elif operation == 2:
            data[at:at] = [data[at]] * rng.choice((1, 1, 3, 40))
        elif operation == 3:
            to = rng.randrange(len(data))
            data[at], data[to] = data[to], data[at]
        else:
            data[at] = edit(data[at], rng.choice(others) if others else b"", rng)
    return data


def _edited_word(word: bytes, other: bytes, rng: random.Random) -> bytes:
    return rng.choice(_WORDS) if rng.random() < 0.7 else other
