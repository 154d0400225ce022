"""Measure the first call of a process: `python -m bench.payload.cold`, or `make cold`. Writes cold.csv.

CPU seconds to encode (profile small) and to decode. *first* and *later* are of commands, start-up included: before any
kernel was compiled, and after the first command compiled its kernels. *warm* is of a later call in one process, with
compiled kernels and without start-up. Beside them is the plain decoder, which is a command in Python too. All times
come from one run, so that their ratios hold on other machines, where the seconds differ. Selections are random: runs of
similar images, each with a share that is kept and a favourite class.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.table import RESULTS, ROOT, write_rows
from plada_codec import Payload, interop
from plada_codec.kernels.jit import MODE_VARIABLE
from plada_codec.progress import progress_bar

#: Kept images and classes.
SELECTIONS = ((100, 10), (1_000, 10), (1_000, 1_000), (10_000, 10), (141_971, 10))
#: Images of the reference set for each kept image.
IMAGES_PER_KEPT = 100
TURNS = 3
#: The most kept images for the plain decoder, which takes minutes for more.
MAX_PLAIN_KEPT = 10_000
#: A program that prints the CPU seconds of the fastest of some calls, after one that compiles.
WARM = f"""
import os, sys, time
os.environ["{MODE_VARIABLE}"] = "compiled"
from plada_codec import decode, encode
blob = open(sys.argv[2], "rb").read()
payload = decode(blob)
work = {{"encode": lambda: encode(payload), "decode": lambda: decode(blob)}}[sys.argv[1]]
work()
seconds = []
for _ in range(int(sys.argv[3])):
    start = time.process_time()
    work()
    seconds.append(time.process_time() - start)
print(min(seconds))
"""


def draw_payload(kept: int, num_classes: int) -> Payload:
    """Draw a payload of `kept` images at random."""
    random = np.random.default_rng(kept)
    size, length = IMAGES_PER_KEPT * kept, 500
    shares = np.repeat(random.beta(0.3, 20, size // length), length)
    favourites = np.repeat(random.integers(0, num_classes, size // length), length)
    indices = np.flatnonzero(random.random(len(shares)) < shares)
    while len(indices) < kept:  # too few were drawn
        indices = np.union1d(indices, random.integers(0, len(shares), kept - len(indices)))
    indices = np.sort(random.permutation(indices)[:kept])
    is_favourite = random.random(kept) < 0.7
    labels = np.where(is_favourite, favourites[indices], random.integers(0, num_classes, kept))
    return Payload(indices, labels, size, num_classes)


def cpu_s(command: list[str], **variables: str) -> float:
    """Run a command; return its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Bytecode may be written, as an installed package has it: some environments forbid this in a checkout
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": ""} | variables
    subprocess.run(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_rows(kept: int, num_classes: int, folder: Path, turn_done: Callable[[], None]) -> list[dict[str, Any]]:
    """Measure one selection; return a row for encoding and a row for decoding."""
    selection, blob = folder / "kept.npz", folder / "kept.plada"
    interop.write(draw_payload(kept, num_classes), str(selection))
    plada, plain = [sys.executable, "-m", "plada_codec"], ROOT / "spec" / "decoder" / "plada_decode.py"
    commands = {
        "encode": [*plada, "encode", str(selection), "-o", str(blob)],
        "decode": [*plada, "decode", str(blob), "-o", str(folder / "back.npz")],
    }
    found = []
    for what, command in commands.items():
        seconds: dict[str, list[float]] = {"first": [], "later": [], "plain decoder": []}
        for _ in range(TURNS):
            with tempfile.TemporaryDirectory() as cache:
                for when in ("first", "later"):
                    seconds[when].append(cpu_s(command, NUMBA_CACHE_DIR=cache))
            if kept <= MAX_PLAIN_KEPT:
                seconds["plain decoder"].append(cpu_s([sys.executable, str(plain), str(blob)]))
            turn_done()
        calls = "20" if kept <= MAX_PLAIN_KEPT else "3"
        warm = subprocess.run(
            [sys.executable, "-c", WARM, what, str(blob), calls], cwd=ROOT, capture_output=True, text=True, check=True
        )
        middle = {name: statistics.median(values) if values else None for name, values in seconds.items()}
        first_s, plain_s = middle["first"], middle["plain decoder"]
        assert first_s is not None
        found.append(
            {
                "what": what,
                "kept": kept,
                "num_classes": num_classes,
                "reference_size": IMAGES_PER_KEPT * kept,
                "bytes": blob.stat().st_size,
                "first_s": f"{first_s:.3f}",
                "later_s": f"{middle['later']:.3f}",
                "warm_s": f"{float(warm.stdout):.5f}",
                "plain_decoder_s": "" if plain_s is None else f"{plain_s:.3f}",
                "first_over_plain_decoder": "" if plain_s is None else f"{first_s / plain_s:.2f}",
            }
        )
    return found


def main() -> None:
    done = 0
    with tempfile.TemporaryDirectory() as name, progress_bar("measuring first calls") as progress:

        def turn_done() -> None:
            nonlocal done
            done += 1
            progress(done, 2 * TURNS * len(SELECTIONS))

        found = [row for kept, classes in SELECTIONS for row in measure_rows(kept, classes, Path(name), turn_done)]
    for row in found:
        print(row)
    write_rows(RESULTS / "cold.csv", "python -m bench.payload.cold", found, ("numpy", "numba", "zstandard"))


if __name__ == "__main__":
    main()
