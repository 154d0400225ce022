"""The planner's worker processes: they train proxies on the target, compute label losses, and measure candidates.

A worker receives the data that all its work needs when it starts (`PlanContext`). When it is told to stop, it ends its
work at the next training step.
"""

from __future__ import annotations

import os
import signal
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import isqrt
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np
import torch
from safetensors.torch import load, save

from plada_codec import decode
from plada_codec.errors import PladaWarning
from plada_codec.reference import ImageSource
from plada_train.data.decoded_images import DecodedImages
from plada_train.files import read_bytes, write_bytes
from plada_train.planning.candidates.grid import Candidate
from plada_train.planning.measurements import Measurement
from plada_train.scores.reference_scores import Scores
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import Encoder, payload_encoder
from plada_train.training import proxies

if TYPE_CHECKING:
    from multiprocessing.synchronize import Event

    from numpy.typing import NDArray

P = ParamSpec("P")
R = TypeVar("R")

#: A payload that fills such a share of its level is large enough.
FULL = 0.99
#: After so many proportional steps the search for a size bisects, as steps could become too small.
_PROPORTIONS = 8


@dataclass(frozen=True)
class Examples:
    """Images of the target: pixels uint8 [n, S, S, 3], labels int64 [n]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class PlanContext:
    """The data that all measurements of a plan have in common.

    Attributes:
        scores: of the reference set, of one or several teachers; labels are the first's.
        reference: its images.
        image_folder: folder of decoded images (see `data.decoded_images`).
        folder: the plan's.
        train: images that the teacher learnt from.
        held_out: images that it did not learn from.
        sections: optional sections of the payloads.
        flip: whether mirrored images are of the same class.
        seed: of all training.
        rungs: steps of the proxies' trainings (see `search.rungs_of`).
        batch_size: images in each of them.
    """

    scores: tuple[Scores, ...]
    reference: ImageSource
    image_folder: Path
    folder: Path
    train: Examples
    held_out: Examples
    sections: OptionalSections
    flip: bool
    seed: int
    rungs: tuple[int, ...]
    batch_size: int

    @property
    def num_classes(self) -> int:
        """Number of classes C."""
        return self.scores[0].num_classes

    @property
    def loss_path(self) -> Path:
        """The file with the loss of all labels."""
        return self.folder / "loss.npy"

    def payload_path(self, candidate: Candidate) -> Path:
        """The file with a candidate's payload."""
        return self.folder / "payloads" / f"{candidate.key}.plada"


class WorkStopped(Exception):
    """The work was stopped because the planner ends."""


class Workers:
    """A pool of worker processes for a plan. They are told to stop when the `with` statement ends."""

    def __init__(self, context: PlanContext, number: int) -> None:
        forkserver = get_context("forkserver")
        # Imported once, as each worker would take seconds for it
        forkserver.set_forkserver_preload([__name__])
        self._stop = forkserver.Event()
        self._pool = ProcessPoolExecutor(number, forkserver, _begin, (context, self._stop))
        with _without_interrupts():
            # The pool begins a process for each of its first tasks
            for _ in range(number):
                self._pool.submit(_nothing)

    def submit(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        """Submit `work`, a function of this file, to a process."""
        return self._pool.submit(work, *args, **kwargs)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C: it would kill a starting process, and the pool would wait for that process forever."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_context: PlanContext
_images: DecodedImages
_stop: Event


def _begin(context: PlanContext, stop: Event) -> None:
    global _context, _images, _stop
    # Ctrl-C is for the planner, which then chooses the best so far; the planner has also given all our warnings
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore", PladaWarning)
    Thread(target=_end_with_planner, daemon=True).start()
    torch.set_num_threads(1)
    _context, _stop = context, stop
    _images = DecodedImages(
        context.reference, context.scores[0].reference_digest, context.image_folder, proxies.IMAGE_SIZE
    )


def _nothing() -> None:
    pass


def _end_with_planner() -> None:
    """End this process when the planner is killed: it would wait for work forever."""
    planner = parent_process()
    assert planner is not None
    planner.join()
    os._exit(1)


def _step(done: int, total: int) -> None:
    if _stop.is_set():
        raise WorkStopped


def fill_level(encoder: Encoder, most: int, level_bytes: int) -> bytes | None:
    """Encode as many images as fill `level_bytes`: at least `FULL` of it, or `most` images. None if none fits.

    Sizes grow almost in proportion to the number of images. So the next number to try follows from the proportion, or
    bisects the known range if that does not help.
    """
    best = encoder(1)[1]
    if len(best) > level_bytes:
        return None
    single, wanted = len(best), round((1 + FULL) / 2 * level_bytes)
    fits, fails = 1, most + 1
    count, turns = min(most, level_bytes), 0
    while fails - fits > 1 and len(best) < FULL * level_bytes:
        if turns == _PROPORTIONS or not fits < count < fails:
            count = min(max(isqrt(fits * fails), fits + 1), fails - 1)
        else:
            turns += 1
        tried = encoder(count)[1]
        if len(tried) <= level_bytes:
            best, fits = tried, count
        else:
            fails = count
        count = count * (wanted - single) // max(len(tried) - single, 1)
    return best


@cache
def _scores() -> tuple[Scores, ...]:
    """The scores of the plan with the loss of labels, which is that of the labels of the first scores."""
    loss = np.load(_context.loss_path)
    return tuple(one.with_column("loss", loss) for one in _context.scores)


def _payload(candidate: Candidate) -> bytes | None:
    """Encode a candidate's payload, once."""
    path = _context.payload_path(candidate)
    if path.exists():
        return read_bytes(path)
    universe = candidate.universe
    encoder = payload_encoder(_scores(), candidate.rule, universe, _context.sections)
    most = universe.size(len(_context.reference))
    level = candidate.level_bytes
    made = encoder(most)[1] if level is None else fill_level(encoder, most, level)
    if made is not None:
        write_bytes(path, made)
    return made


def measure(candidate: Candidate, steps: int, seed: int) -> Measurement | None:
    """Train proxies on a candidate's payload, and measure them on held-out images. None if no payload fits."""
    payload = _payload(candidate)
    if payload is None:
        return None
    received = decode(payload)
    pixels = _images.pixels(received.indices.astype(np.int64))
    accuracies = {}
    for model in proxies.MODELS:
        network = proxies.train_proxy(
            model,
            pixels,
            received.labels,
            _context.num_classes,
            steps=steps,
            batch_size=_context.batch_size,
            seed=seed,
            flip=_context.flip,
            progress=_step,
        )
        accuracies[model] = proxies.accuracy(network, _context.held_out.pixels, _context.held_out.labels)
    return Measurement(received.kept, len(payload), accuracies)


def train_target_proxy(model: str, steps: int) -> float:
    """Train a proxy on the target itself; write it, and return its accuracy on held-out images."""
    network = proxies.train_proxy(
        model,
        _context.train.pixels,
        _context.train.labels,
        _context.num_classes,
        steps=steps,
        batch_size=_context.batch_size,
        seed=_context.seed,
        flip=_context.flip,
        progress=_step,
    )
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_bytes(_proxy_path(model), save(weights))
    return proxies.accuracy(network, _context.held_out.pixels, _context.held_out.labels)


def compute_label_loss(first: int, stop: int, stride: int) -> NDArray[np.float32]:
    """Compute the label loss of every `stride`-th reference image from `first` to before `stop`: float32 [n]."""
    if _stop.is_set():
        raise WorkStopped
    numbers = np.arange(first, stop, stride)
    pixels = _images.pixels(numbers)
    log_p = []
    for model in proxies.MODELS:
        network = proxies.make_proxy(model, _context.num_classes)
        network.load_state_dict(load(read_bytes(_proxy_path(model))))
        log_p.append(proxies.log_probabilities(network, pixels))
    return proxies.label_loss(log_p, _context.scores[0].label[numbers])


def _proxy_path(model: str) -> Path:
    return _context.folder / f"proxy-{model}.safetensors"
