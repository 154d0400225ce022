"""The plan: the payload that teaches most within a budget of bytes, found by measuring candidates.

    scores, reference, images   ->  candidates.grid     what could be sent
    proxies that learn the target  ->  the score "loss"
    search                      ->  what each candidate teaches proxies, on held-out images
    plan.json, payload.plada, plan.svg

A plan is kept in its folder while it is made: the same call goes on where an earlier one was ended.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from plada_codec import Universe, expect_encodings
from plada_codec.errors import InputError
from plada_codec.progress import Progress, progress_bar
from plada_codec.reference import ImageSource, reference_digest
from plada_train.data.decoded_images import DecodedImages
from plada_train.data.labelled import LabelledImages
from plada_train.data.pixels import decoded
from plada_train.files import alone, output_folder
from plada_train.planning import plan_folder
from plada_train.planning.candidates import LOWEST_ENERGY, Candidate, grid, largest_baselines, levels, siblings
from plada_train.planning.label_loss import judge_labels
from plada_train.planning.measurements import Log, Measurement
from plada_train.planning.plan_file import Plan
from plada_train.planning.search import SearchLimits, rungs_of, search
from plada_train.planning.workers import Examples, Task, Workers, measure
from plada_train.recipe import Planning
from plada_train.scores.reference_scores import Scores
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import payload_encoder
from plada_train.training import proxies

if TYPE_CHECKING:
    from concurrent.futures import Future

#: About how many payloads a search encodes.
_ENCODINGS = 100
#: More reference images than this are judged, and chosen from, in a sample of every so many-th at first.
MAX_SAMPLE = 200_000


def plan(
    scores: Scores | Sequence[Scores],
    reference: ImageSource,
    train: LabelledImages,
    held_out: LabelledImages,
    output: Path,
    *,
    budgets: Sequence[int],
    candidates: int | None = None,
    minutes: float = Planning.minutes,
    proxy_steps: int = Planning.proxy_steps,
    batch_size: int = proxies.BATCH_SIZE,
    flip: bool = True,
    sections: OptionalSections = OptionalSections(),
    workers: int = 2,
    seed: int = 0,
    images: Path | None = None,
) -> Plan:
    """Finds the best payload for each of some budgets, and writes what it found.

    `payload.plada` is the best for the largest budget; of several, each has its `payload-<bytes>.plada` too.
    `plan.json` holds what was measured (this function returns it), and `plan.svg` shows it. Proxies are trained by
    processes of their own: a script that calls this does so below `if __name__ == "__main__"`.

    Args:
        scores: what the teacher says of the reference set; several: candidates go by their consensus.
        reference: the reference set.
        train: images that the teacher learnt from; proxies learn from them too, for the score "loss".
        held_out: images that it did not learn from: candidates are worth what proxies get right of them.
        output: folder for all this, and for what the plan goes on from.
        budgets: largest numbers of bytes.
        candidates: how many are tried: the same choice comes out on any machine that `minutes` suffice for. None: as
            many as there is time for.
        minutes: of the search at most, earlier calls included; measurements that have begun by then are finished.
        proxy_steps: training steps of the longest trainings.
        batch_size: images a step; proxies take no more than `proxies.BATCH_SIZE`.
        flip: whether mirrored images are of the same class.
        sections: optional sections of the payloads; proxies make no use of them.
        workers: processes that measure, one thread each.
        seed: of all training.
        images: folder for decoded images, which plans with the same reference set can share; by default in `output`.

    Returns:
        The plan, as `plan.json` holds it.

    Raises:
        InputError: if a budget is smaller than the smallest payload, if `reference`, `scores`, `train` and `held_out`
            do not belong together, or if `output` holds another plan.
        SourceError: if an image cannot be read or decoded.
        FileError: if something cannot be written.
        KeyboardInterrupt: if it is interrupted before this call measures; later, the best so far is the answer.
    """
    several = (scores,) if isinstance(scores, Scores) else tuple(scores)
    output_folder(output)
    smallest = len(payload_encoder(several, LOWEST_ENERGY, Universe(), sections)(1)[1])
    if not budgets or min(budgets) < smallest:
        raise InputError(
            f"{min(budgets, default=0)} bytes are too few: the smallest payload takes {smallest}", rule="max-bytes"
        )
    _check(several[0], reference, train, held_out)
    with progress_bar("decoding images of the target", "images") as progress:
        taught, spared = (_examples(data, progress) for data in (train, held_out))
    folder = output_folder(images or output / "images")
    rungs, batch_size = rungs_of(proxy_steps), min(batch_size, proxies.BATCH_SIZE)
    task = Task(several, reference, folder, output, taught, spared, sections, flip, seed, rungs, batch_size)
    with alone(output):
        return _searched(task, SearchLimits(tuple(budgets), candidates, minutes), smallest, workers)


def _searched(task: Task, limits: SearchLimits, smallest: int, workers: int) -> Plan:
    """The result of a search; `smallest` is the size of the smallest payload, in bytes."""
    budgets = limits.budgets
    plan_folder.begin(task)
    output_folder(task.folder / "payloads")
    # Made here, so that workers find it
    DecodedImages(task.reference, task.scores[0].reference_digest, task.images, proxies.IMAGE_SIZE)
    log = Log(task.folder / "measurements.jsonl", search=f"{sorted(budgets)}")
    sample = Universe(0, -(-len(task.reference) // MAX_SAMPLE))
    try:
        with Workers(task, workers) as pool:
            # While they begin; most encodings follow in them, which then find compiled kernels on the disk
            kept = min(sample.size(len(task.reference)), max(budgets))  # a byte an image, roughly
            expect_encodings(_ENCODINGS, kept, task.num_classes)
            all_levels = levels(budgets, smallest)
            strides = [_densest(task, sample, level) for level in all_levels]
            proxy_accuracy = judge_labels(task, sample, pool)
            with progress_bar("planning") as bar:
                candidates = grid(budgets, all_levels, strides, sample, len(task.reference))

                def submit(candidate: Candidate, rung: int) -> Future[Measurement | None]:
                    return pool.submit(measure, candidate, task.rungs[rung], task.seed + rung)

                def tell(rung: int, measured: dict[Candidate, Measurement], share: float) -> None:
                    best = max((measurement.accuracy for measurement in measured.values()), default=0.0)
                    what = f"rung {rung + 1} of {len(task.rungs)}: {len(measured)} candidates, the best {best:.1%}"
                    bar.label(what)
                    bar(round(1000 * min(share, 1)), 1000)

                found = search(
                    candidates,
                    budgets,
                    log,
                    submit,
                    workers,
                    60 * limits.minutes,
                    tell,
                    rungs=task.rungs,
                    most=limits.candidates,
                    always=largest_baselines(candidates),
                    more=lambda candidate: siblings(candidate, sample),
                )
    except BrokenProcessPool:
        what = "a process of the planner was killed, perhaps for want of memory or of space on the disk"
        raise InputError(f"{what}: the same command goes on where it was", rule="workers") from None
    if not any(found.rungs):
        raise KeyboardInterrupt
    return plan_folder.write(task, found, limits, log.seconds, proxy_accuracy)


def _check(scores: Scores, reference: ImageSource, train: LabelledImages, held_out: LabelledImages) -> None:
    """Raises InputError if these do not belong together."""
    if len(scores.label) != len(reference):
        what = f"the scores are of {len(scores.label)} images, and {reference.source} has {len(reference)}"
        raise InputError(f"{what}: give the reference set that was scored", rule="reference")
    for name, data in (("training", train), ("held-out", held_out)):
        if data.num_classes != scores.num_classes:
            what = f"the {name} images are of {data.num_classes} classes, and the scores of {scores.num_classes}"
            raise InputError(f"{what}: give the target that the teacher learnt", rule="scores")
        if data.class_names and scores.class_names and data.class_names != scores.class_names:
            what = f"the {name} images have other class names than the scores"
            raise InputError(f"{what}: give the target that the teacher learnt", rule="scores")
    if len(set(held_out.labels.tolist())) < 2:
        raise InputError("the held-out images are of one class: any payload would be right", rule="held-out")
    with progress_bar("computing the reference digest", "images") as progress:
        digest = reference_digest(reference, progress)
    if digest != scores.reference_digest:
        raise InputError(
            f"{reference.source} is not the reference set that was scored: digests differ", rule="reference"
        )


def _examples(data: LabelledImages, progress: Progress) -> Examples:
    pixels = decoded(data.images, proxies.IMAGE_SIZE, progress, data.numbers)
    return Examples(pixels, data.labels)


def _densest(task: Task, sample: Universe, level_bytes: int) -> int:
    """The smallest stride whose whole universe takes no more than `level_bytes`."""
    size = len(task.reference)

    def fits(factor: int) -> bool:
        universe = Universe(sample.offset, factor * sample.stride)
        encoder = payload_encoder(task.scores, LOWEST_ENERGY, universe, task.sections)
        return len(encoder(universe.size(size))[1]) <= level_bytes

    # Sizes fall with strides, but for ripples
    factors = range(1, -(-size // sample.stride) + 1)
    return factors[min(bisect_left(factors, True, key=fits), len(factors) - 1)] * sample.stride
