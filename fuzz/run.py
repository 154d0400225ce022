"""Fuzz readers: `python -m fuzz.run [TARGET ...] --minutes 20`; `make fuzz` runs all targets.

Each target changes its seeds and its corpus without end. An input that reaches new lines joins the corpus. An input
that raises another error than a PladaError goes to fuzz/found, and the exit code is 1. At the end of a target, the
corpus is minimised: it keeps the shortest inputs that together reach what all of them reach, beside the seeds. With
`--record`, the tables of fuzz/README.md then say what was reached.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import random
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from fuzz.lines import Line, reached, reader_lines
from fuzz.paths import CORPUS, FOUND, ROOT
from fuzz.structures import mutated
from fuzz.targets import TARGETS, Target
from plada_codec.errors import PladaError, PladaWarning

#: The most memory that a process may take above what it has after its imports.
_MEMORY_BYTES = 2 << 30
#: Seconds of one input that are a finding.
_SLOW_S = 20.0
#: Longer inputs are not kept: they cost time, and a shorter one reaches the same lines.
_MAX_CORPUS_BYTES = 8_192
#: The name of the file with the input that is being read.
_RUNNING = "running"


def finding(target: Target, blob: bytes) -> str | None:
    """Read an input; describe what is wrong, None if nothing is."""
    started_s = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", PladaWarning)
            target.check(blob)
    except PladaError:
        pass
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:200]
    spent_s = time.process_time() - started_s
    return f"it takes {spent_s:.0f} s" if spent_s > _SLOW_S else None


def inputs(folder: Path, name: str) -> list[bytes]:
    """The inputs of a target that are kept in a folder, in the order of their names."""
    return [path.read_bytes() for path in sorted((folder / name).glob("*")) if path.name != _RUNNING]


def _noted(name: str, blob: bytes) -> None:
    """Note the input that is read next: a library may end the process."""
    path = FOUND / name / _RUNNING
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)


def reach(target: Target, blob: bytes) -> tuple[set[Line], str | None]:
    """The lines of the reader that an input reaches, and what is wrong."""
    with reached(target.files) as lines:
        wrong = finding(target, blob)
    return lines, wrong


def minimised(target: Target, seeds: list[bytes], kept: list[bytes]) -> list[bytes]:
    """The shortest inputs that, with the seeds, reach what all of them reach."""
    have: set[Line] = set()
    for blob in seeds:
        have |= reach(target, blob)[0]
    chosen = []
    for blob in sorted(kept, key=lambda blob: (len(blob), blob)):
        lines = reach(target, blob)[0]
        if not lines <= have:
            have |= lines
            chosen.append(blob)
    return chosen


def fuzz(name: str, minutes: float, rng: random.Random) -> tuple[int, int]:
    """Fuzz a target for so many minutes of CPU time; return the numbers of inputs and of findings."""
    target = TARGETS[name]
    seeds = target.seeds()
    kept = inputs(CORPUS, name)
    have: set[Line] = set()
    tried = found = 0
    for blob in [*seeds, *kept]:
        lines, wrong = reach(target, blob)
        have |= lines
        found += _keep(name, blob, wrong)
    end_s = time.process_time() + 60 * minutes
    while time.process_time() < end_s:
        pool = kept if kept and rng.random() < 0.5 else seeds
        blob = mutated(target.structure, rng.choice(pool), rng.choice(seeds), rng)
        _noted(name, blob)
        lines, wrong = reach(target, blob)
        tried += 1
        found += _keep(name, blob, wrong)
        if not lines <= have and wrong is None and len(blob) <= _MAX_CORPUS_BYTES:
            have |= lines
            kept.append(blob)
    _write_corpus(name, minimised(target, seeds, kept))
    return tried, found


def _keep(name: str, blob: bytes, wrong: str | None) -> int:
    if wrong is None:
        return 0
    path = FOUND / name / hashlib.sha256(blob).hexdigest()[:16]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    print(f"{path.relative_to(ROOT)}: {wrong!r}", flush=True)
    return 1


def _write_corpus(name: str, kept: list[bytes]) -> None:
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*"):
        path.unlink()
    for blob in kept:
        (folder / hashlib.sha256(blob).hexdigest()[:16]).write_bytes(blob)


def coverage(files: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The number of lines of each file that the seeds and the corpora of all targets reach, and of all its lines."""
    lines = {file: reader_lines(file) for file in files}
    have: set[Line] = set()
    for name, target in TARGETS.items():
        if lines.keys() & set(target.files):
            for blob in [*target.seeds(), *inputs(CORPUS, name)]:
                have |= reach(target, blob)[0]
    return {file: (len(have & every), len(every)) for file, every in lines.items()}


def record(name: str, minutes: float, tried: int) -> None:
    """Write the rows of a target and of its files in the tables of fuzz/README.md; minutes and inputs add up."""
    path = ROOT / "fuzz" / "README.md"
    rows = path.read_text(encoding="utf-8").splitlines()

    def place(key: str) -> int:
        return next(number for number, row in enumerate(rows) if row.startswith(f"| `{key}` |"))

    cells = [cell.strip() for cell in rows[place(name)].split("|")]
    minutes, tried = minutes + float(cells[3]), tried + int(cells[4].replace(",", ""))
    rows[place(name)] = f"| `{name}` | {TARGETS[name].what} | {minutes:.1f} | {tried:,} |"
    for file, (hit, every) in coverage(TARGETS[name].files).items():
        rows[place(file)] = f"| `{file}` | {hit} of {every} | {100 * hit // every}% |"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def main() -> None:
    """Fuzz the targets one after the other."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.run", description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"default: all of {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=20, help="of CPU time for each target; default: 20")
    parser.add_argument("--seed", type=int, help="repeats a run")
    parser.add_argument("--record", action="store_true", help="write the tables of fuzz/README.md")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {unknown.pop()}: there are {', '.join(TARGETS)}")
    failed = False
    for name in options.targets or TARGETS:
        failed |= not _succeeds(partial(_fuzz_and_record, name, options.minutes, options.seed, options.record), name)
    sys.exit(failed)


def _fuzz_and_record(name: str, minutes: float, seed: int | None, is_recorded: bool) -> bool:
    """Fuzz a target; return whether nothing was found."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    tried, found = fuzz(name, minutes, random.Random(seed))
    print(f"{name}: {tried:,} inputs, {found} found", flush=True)
    if is_recorded:
        record(name, minutes, tried)
    return found == 0


def _succeeds(work: Callable[[], bool], name: str) -> bool:
    """Run the work of a target in a process of its own, so that a library that ends the process is a finding."""
    process = multiprocessing.get_context("fork").Process(target=lambda: sys.exit(not work()))
    process.start()
    process.join()
    running = FOUND / name / _RUNNING
    if process.exitcode not in (0, 1) and running.exists():
        _keep(name, running.read_bytes(), f"the process ended with exit code {process.exitcode}")
    running.unlink(missing_ok=True)
    return process.exitcode == 0


if __name__ == "__main__":
    main()
