"""Measure how fast names of images become numbers: `python -m bench.names`.

Writes bench/results/names.csv; needs nothing; takes a minute. A reference set of a million names, such as
`n01440764/n01440764_000012345.JPEG`, and a CSV file with all of them in random order. *Names* is the mapping alone,
`image_numbers`; *table* is `interop.read` of the file, which does the same and all else. Each is measured in a process
of its own, whose peak memory counts, imports and the source included. Times are CPU seconds of that process, so that a
busy machine matters less.
"""

from __future__ import annotations

import io
import multiprocessing
import random
import resource
import time
from functools import partial
from typing import Any

from bench.table import RESULTS, write_rows
from plada_codec import interop
from plada_codec.reference import ListedImages, image_numbers

IMAGES = 1_000_000
CLASSES = 1_000
#: How a table names images: the whole path, the path without its suffix, the file, the file without its suffix.
KINDS = ("path", "path without suffix", "file", "file without suffix")
BAR_S, BAR_MB = 5.0, 1_000.0


class Names(ListedImages):
    """A reference set of names alone."""

    def __init__(self) -> None:
        super().__init__("names")
        for i in range(IMAGES):
            synset = f"n{1_440_764 + i % CLASSES:08}"
            self._add(f"{synset}/{synset}_{i:09}.JPEG")

    def _read(self, i: int) -> bytes:
        raise NotImplementedError


def asked(images: Names, kind: str) -> list[str]:
    """The names of all images in a kind, in random order."""
    names = [images.name(i) for i in random.Random(0).sample(range(IMAGES), IMAGES)]
    if kind.startswith("file"):
        names = [name.partition("/")[2] for name in names]
    return [name.removesuffix(".JPEG") for name in names] if kind.endswith("without suffix") else names


def measure(kind: str, what: str) -> dict[str, Any]:
    """Measure in this process, which must be new; return a row."""
    images = Names()
    names = asked(images, kind)
    if what == "names":
        before = time.process_time()
        numbers = image_numbers(images, names, str)
        time_s = time.process_time() - before
    else:
        file = io.BytesIO(
            "".join(["filename,label\n", *(f"{name},{i % 9}\n" for i, name in enumerate(names))]).encode()
        )
        del names
        before = time.process_time()
        payload = interop.read(
            file, "csv", reference_size=IMAGES, num_classes=9, image_numbers=partial(image_numbers, images)
        )
        time_s = time.process_time() - before
        numbers = payload.indices
    assert len(set(numbers.tolist())) == IMAGES
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    met = "met" if time_s <= BAR_S and peak_mb <= BAR_MB else "missed"
    row = {"kind": kind, "what": what, "names": IMAGES, "cpu_s": f"{time_s:.2f}", "peak_mb": f"{peak_mb:.0f}"}
    return row | {"bar_s": BAR_S, "bar_mb": BAR_MB, "met": met if what == "names" else "stated"}


def main() -> None:
    """Measure every kind, and write the rows."""
    spawn = multiprocessing.get_context("spawn")
    rows = []
    for kind in KINDS:
        for what in ("names", "table"):
            with spawn.Pool(1) as pool:
                rows.append(pool.apply(measure, (kind, what)))
            print(rows[-1])
    write_rows(RESULTS / "names.csv", "python -m bench.names", rows, packages=("numpy",))


if __name__ == "__main__":
    main()
