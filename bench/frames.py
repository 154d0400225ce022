"""Measure frames: reception overhead, corruption, interruption, speed: `python -m bench.frames` (`make frames`).

Writes bench/results/frames.csv; needs the extra `frames`, not ../shared; takes about a minute. All random numbers have
fixed seeds; only times, and the moments at which receivers are killed, differ from run to run.

- `reception`: a receiver joins the carousel of an object of K symbols at a random symbol, over a channel that loses
  frames. Do the first K + 2 different symbols that arrive give the object?
- `corruption`: every bit flips at a rate of 1e-3. Is the result the object, no object, or another object?
- `interruption`: a receiver with a state file is killed at a random moment, in the middle of a write. Does the file
  hold all acknowledged frames, and is the object rebuilt after a restart?
- `speed`: CPU seconds, start-up included, of the commands `packetize` and `reassemble`, through a stream and through a
  folder with one file for each frame. The file system takes most of the time for a folder, so the writing of as many
  files has a row too.
"""

from __future__ import annotations

import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from bench.table import RESULTS, write_rows
from plada_codec.errors import PladaError
from plada_codec.frames import Reassembler, Sender, StateFile, carousel, packetize, parse_frame, receive
from plada_codec.frames.fountain import FountainDecoder
from plada_codec.links.loss import BurstyLoss, IndependentLoss, Loss
from plada_codec.progress import Progress, progress_bar
from plada_codec.testing.channel import channel

FRAME_BYTES = 256
RECEPTIONS = 10_000
LOSSES = (0.1, 0.3, 0.6)
BURST_FRAMES = 5.0
#: Numbers K of symbols of the objects, in turn.
SYMBOLS = (2, 5, 20, 60)
#: Symbols beyond K that the bar allows a receiver.
EXTRA = 2
FLIP_RATE = 1e-3
#: An object of few symbols: at this rate, nine of ten frames of 256 bytes are damaged.
FLIPPED_OBJECT_BYTES = 1_000
FLIPPED_FRAMES = 60
KILLS = 200
TURNS = 5
KILLED_OBJECT_BYTES = 50_000
#: The longest pauses: between frames that are fed one by one, and from the last frame to the kill.
PAUSE_S, DELAY_S = 5e-4, 5e-3
#: A receiver of frames on standard input. It acknowledges each new frame with a byte when the frame is on disk.
RECEIVER = """
import os, sys
from plada_codec.frames import Reassembler, StateFile, read_batches, receive
with StateFile(sys.argv[1]) as state:
    for new in receive(read_batches(sys.stdin.buffer, "length"), Reassembler(), state):
        os.write(1, b"+" * len(new))
"""
#: A program that only writes files of the length of frames.
WRITER = """
import sys
from pathlib import Path
for number in range(int(sys.argv[1])):
    Path(f"{number}.frame").write_bytes(bytes(int(sys.argv[2])))
"""


def reception(loss: Loss, symbols: int, seed: int) -> bool:
    """Whether the first `symbols` + 2 different symbols that arrive give the object."""
    draw = random.Random(seed)
    sender = SENDERS.setdefault(symbols, Sender(draw.randbytes(symbols * 248 - 3), FRAME_BYTES))
    stream = carousel(sender, start=draw.randrange(10 * symbols))
    decoder = FountainDecoder(len(sender.data), sender.layout.symbol_bytes)
    seen: set[int] = set()
    for data in channel(stream, loss=loss, seed=seed):
        frame = parse_frame(data)
        if frame.is_announce or frame.id in seen:
            continue
        seen.add(frame.id)
        if decoder.add(frame.id, frame.content) == sender.data:
            return True
        if len(seen) == symbols + EXTRA:
            return False
    raise AssertionError("a carousel has no end")


SENDERS: dict[int, Sender] = {}


def receptions(progress: Progress) -> Iterator[dict[str, Any]]:
    """Measure reception; yield a row for each loss rate, independent and in bursts."""
    cells = [(rate, burst) for rate in LOSSES for burst in (1.0, BURST_FRAMES)]
    for number, (rate, burst) in enumerate(cells):
        loss = IndependentLoss(rate) if burst == 1 else BurstyLoss(rate, burst)
        good = 0
        for trial in range(RECEPTIONS):
            good += reception(loss, SYMBOLS[trial % len(SYMBOLS)], trial)
            progress(number * RECEPTIONS + trial, len(cells) * RECEPTIONS)
        yield row(
            "reception",
            f"loss {rate:g}, bursts of {burst:g}, K of {', '.join(map(str, SYMBOLS))}",
            RECEPTIONS,
            f"{good / RECEPTIONS:.5f}",
            ">= 0.999 from K + 2",
            good >= 0.999 * RECEPTIONS,
        )


def corruption(progress: Progress) -> Iterator[dict[str, Any]]:
    """Measure corruption; yield numbers of receptions with the object, no object, another object, or a traceback."""
    outcomes: dict[str, int] = {"the object": 0, "no object": 0, "another object": 0, "a traceback": 0}
    for trial in range(RECEPTIONS):
        draw = random.Random(trial)
        sender = Sender(draw.randbytes(FLIPPED_OBJECT_BYTES), FRAME_BYTES)
        frames = islice(carousel(sender), FLIPPED_FRAMES)
        reassembler = Reassembler()
        try:
            for frame in channel(frames, loss=IndependentLoss(0.0), flip_rate=FLIP_RATE, seed=trial):
                reassembler.add(frame)
            outcomes["the object" if reassembler.result(sender.tag) == sender.data else "another object"] += 1
        except PladaError:
            outcomes["no object"] += 1
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            outcomes["a traceback"] += 1
        progress(trial, RECEPTIONS)
    for outcome, number in outcomes.items():
        bar = "0" if outcome in ("another object", "a traceback") else ""
        settings = f"flips at {FLIP_RATE:g} a bit: {outcome}"
        yield row("corruption", settings, RECEPTIONS, number, bar, not bar or not number)


def interruption(progress: Progress) -> Iterator[dict[str, Any]]:
    """Measure interruption; yield rows on lost acknowledged frames and on complete objects after kills."""
    kept = whole = lost = 0
    for trial in range(KILLS):
        draw = random.Random(trial)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "object.state"
            data = draw.randbytes(KILLED_OBJECT_BYTES)
            # All frames differ, so that each changes the receiver
            frames = list(dict.fromkeys(packetize(Sender(data, FRAME_BYTES))))
            acknowledged = killed_reception(path, frames, draw)
            # A torn write: the beginning of a frame without its end
            with path.open("ab") as file:
                file.write(b"\xc0" + frames[0][: draw.randrange(len(frames[0]))])
            reassembler = Reassembler()
            with StateFile(path) as state:
                missing = set(frames[:acknowledged]) - set(state.frames)
                for frame in state.frames:
                    reassembler.add(frame)
                for _ in receive([frames], reassembler, state):
                    pass
            lost += len(missing)
            kept += not missing
            whole += reassembler.result() == data
        progress(trial, KILLS)
    what = f"kill -9 and a torn write, {KILLED_OBJECT_BYTES} bytes"
    yield row("interruption", f"{what}: acknowledged frames that are lost", KILLS, lost, "0", lost == 0)
    yield row("interruption", f"{what}: all that was acknowledged is there", KILLS, kept, str(KILLS), kept == KILLS)
    yield row("interruption", f"{what}: the object is identical", KILLS, whole, str(KILLS), whole == KILLS)


def killed_reception(path: Path, frames: list[bytes], draw: random.Random) -> int:
    """Feed frames to a receiver, some one by one and the rest at once, and kill it meanwhile.

    Returns:
        The number of frames that it acknowledged.
    """
    receiver = subprocess.Popen(
        [sys.executable, "-c", RECEIVER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert receiver.stdin is not None
    assert receiver.stdout is not None
    acknowledged = 0
    single = draw.randrange(len(frames))
    for number, frame in enumerate(frames):
        receiver.stdin.write(len(frame).to_bytes(2, "little") + frame)
        if not acknowledged:
            acknowledged = len(receiver.stdout.read(1))  # the receiver is running
        if number < single:
            time.sleep(draw.uniform(0, PAUSE_S))
    time.sleep(draw.uniform(0, DELAY_S))
    receiver.kill()
    receiver.stdin.close()
    acknowledged += len(receiver.stdout.read())
    receiver.wait()
    return acknowledged


def speed(progress: Progress) -> Iterator[dict[str, Any]]:
    """Measure speed; yield the median CPU time for each size of object and each way of sending."""
    for object_bytes, bar_s in ((1_000_000, 1.0), (20_000, 0.3)):
        ways: dict[str, list[float]] = {"a stream": [], "a folder": [], "nothing but writing as many files": []}
        for turn in range(TURNS):
            progress(turn, TURNS)
            for way, times_s in ways.items():
                with tempfile.TemporaryDirectory() as name:
                    times_s.append(cpu_s(Path(name), way, object_bytes))
        for way, times_s in ways.items():
            taken_s = statistics.median(times_s)
            bar = "" if way.startswith("nothing") else f"< {bar_s:g}"
            what = f"packetize and reassemble {object_bytes:,} bytes, CPU seconds with start-up: {way}"
            yield row("speed", what, TURNS, f"{taken_s:.2f}", bar, taken_s < bar_s)


def cpu_s(folder: Path, way: str, object_bytes: int) -> float:
    """Send and receive an object; return the CPU seconds, those of the operating system included."""
    data = random.Random(object_bytes).randbytes(object_bytes)
    (folder / "object").write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if way.startswith("nothing"):
        count = int(1.3 * Sender(data, FRAME_BYTES).layout.symbols)
        subprocess.run([sys.executable, "-c", WRITER, str(count), str(FRAME_BYTES)], cwd=folder, check=True)
    else:
        frames = "sent.frames" if way == "a stream" else "sent"
        for command in (
            ["packetize", "object", "-o", frames, "--frame-bytes", str(FRAME_BYTES), "--repair", "30%"],
            ["reassemble", frames, "-o", "back"],
        ):
            subprocess.run([sys.executable, "-m", "plada_codec", *command], cwd=folder, check=True)
        assert (folder / "back").read_bytes() == data
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def row(what: str, settings: str, trials: int, reached: object, bar: str, met: bool) -> dict[str, Any]:
    return {
        "what": what,
        "settings": settings,
        "trials": trials,
        "bar": bar,
        "reached": reached,
        "met": "stated" if not bar else "met" if met else "missed",
    }


def main() -> None:
    rows = []
    for part in (receptions, corruption, interruption, speed):
        with progress_bar(part.__name__) as progress:
            for each in part(progress):
                rows.append(each)
                print(each, flush=True)
    sources = ("plada_codec/frames", "plada_codec/links/loss.py", "bench/frames.py")
    write_rows(RESULTS / "frames.csv", "python -m bench.frames", rows, ("raptorq",), sources)


if __name__ == "__main__":
    main()
