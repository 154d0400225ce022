"""Mutate the payload vectors and compare the codec with the plain decoder: `python -m fuzz.decoders`.

Both must accept an input with the same result, or refuse it by the same rule. Neither may raise any other error. An
input that breaks this is kept in fuzz/found, and the tests replay it. The program prints its progress and each such
input; its exit code is 1 if there was one.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import zlib
from pathlib import Path

from plada_codec import Limits, PladaError, decode

ROOT = Path(__file__).parent.parent
FOUND = ROOT / "fuzz" / "found"
sys.path.insert(0, str(ROOT / "spec" / "decoder"))
import plada_decode as oracle  # noqa: E402

#: Low limits, so that a large number in a header costs no time.
LIMITS = {"max_kept": 5_000, "max_soft_label_values": 20_000}
#: Bytes at the boundaries of varints and signed numbers.
BOUNDARY_BYTES = (0x00, 0x01, 0x02, 0x7F, 0x80, 0x81, 0xFE, 0xFF)


def disagreement(blob: bytes) -> str | None:
    """Describe the difference of codec and plain decoder on `blob`; None if they agree."""
    try:
        payload = decode(blob, Limits(**LIMITS))
        codes = [None if array is None else array.tolist() for array in (payload.soft_labels, payload.weights)]
        ours: object = (
            payload.indices.tolist(),
            payload.labels.tolist(),
            payload.class_names,
            *codes,
            payload.class_check,
        )
    except PladaError as error:
        ours = (error.kind, error.rule)
    except Exception as error:
        return f"the codec raised {error!r}"
    try:
        decoded = oracle.decode(blob, oracle.Limits(**LIMITS))
        names = None if decoded.class_names is None else tuple(decoded.class_names)
        codes = [decoded.soft_labels, decoded.weights]
        theirs: object = (decoded.indices, decoded.labels, names, *codes, decoded.class_check)
    except oracle.DecodeError as error:
        theirs = (error.kind, error.rule)
    except Exception as error:
        return f"the plain decoder raised {error!r}"
    return None if ours == theirs else f"codec {str(ours)[:60]}, plain decoder {str(theirs)[:60]}"


def seed_inputs() -> list[bytes]:
    """The payload vectors below 4 KiB, valid or not, ordered by path."""
    vectors = [path.read_bytes() for path in sorted((ROOT / "spec" / "vectors" / "payload").glob("*/*.plada"))]
    return [blob for blob in vectors if len(blob) < 4_096]


def mutate(blob: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change `blob` in a few places, some by pieces of `other`; repair the checksum three times in four."""
    data = bytearray(blob)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = min(len(data), int(rng.expovariate(1 / 16))) if rng.random() < 0.5 else rng.randint(0, len(data))
        length = rng.randint(1, 4)
        operation = rng.randrange(5)
        if operation == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif operation == 1 and at < len(data):
            data[at] = rng.choice(BOUNDARY_BYTES)
        elif operation == 2:
            del data[at : at + length]
        elif operation == 3:
            data[at:at] = rng.randbytes(length)
        elif other:
            start = rng.randrange(len(other))
            data[at : at + length] = other[start : start + 2 * length]
    if rng.random() < 0.75 and len(data) > 4:
        data[-4:] = zlib.crc32(data[:-4]).to_bytes(4, "little")
    return bytes(data)


def main() -> None:
    """Fuzz for a number of minutes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    payloads = seed_inputs()
    end = time.monotonic() + 60 * options.minutes
    tried = found = 0
    while time.monotonic() < end:
        for _ in range(1_000):
            blob = mutate(rng.choice(payloads), rng.choice(payloads), rng)
            difference = disagreement(blob)
            if difference:
                found += 1
                path = FOUND / f"{hashlib.sha256(blob).hexdigest()[:16]}.plada"
                path.write_bytes(blob)
                print(f"{path.relative_to(ROOT)}: {difference}")
        tried += 1_000
        if sys.stderr.isatty():
            print(f"\r{tried} inputs, {found} found", end="", file=sys.stderr)
    print(f"{tried} inputs, {found} found")
    if found:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
