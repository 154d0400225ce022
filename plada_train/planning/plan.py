"""Find the payload that teaches most within a budget of bytes, by measuring candidates.

    candidates.grid   the candidates, in the order in which they are tried
    label_loss        proxies learn the target: their loss is the score "loss"
    search            proxies learn from each candidate; their accuracy on held-out images is its measurement
    plan_folder       the results: plan.json, payload.plada, plan.svg

The folder keeps the state of a plan: the same call continues one that was interrupted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING

from plada_codec import Universe, expect_encodings
from plada_codec.errors import FIND_DIFFERENCES, InputError
from plada_codec.files import lock_folder, output_folder
from plada_codec.progress import Progress, progress_bar
from plada_codec.reference import ImageSource, reference_digest
from plada_train.data.classes import Classes, matched_labels
from plada_train.data.decoded_images import DecodedImages
from plada_train.data.labelled import LabelledImages
from plada_train.data.pixels import decode_images
from plada_train.planning import plan_folder
from plada_train.planning.candidates.grid import (
    LOWEST_ENERGY,
    Candidate,
    check_scores,
    grid,
    largest_baselines,
    levels,
    siblings,
)
from plada_train.planning.label_loss import write_label_loss
from plada_train.planning.measurements import Measurement, MeasurementLog
from plada_train.planning.plan_file import Plan
from plada_train.planning.search import SearchLimits, rungs_of, search
from plada_train.planning.workers import Examples, PlanContext, Workers, measure
from plada_train.recipe import Planning, Recipe
from plada_train.scores.reference_scores import Scores
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import payload_encoder
from plada_train.training import proxies

if TYPE_CHECKING:
    from concurrent.futures import Future

#: A search encodes about this many payloads.
_ENCODINGS = 100
#: If the reference set is larger, the planner first uses a sample of about this many images.
MAX_SAMPLE = 200_000


def plan(
    scores: Scores | Sequence[Scores],
    reference: ImageSource,
    train: LabelledImages,
    held_out: LabelledImages,
    output: Path,
    *,
    budgets: Sequence[int],
    candidates: int | None = Planning.candidates,
    minutes: float = Planning.minutes,
    proxy_steps: int = Planning.proxy_steps,
    batch_size: int = proxies.BATCH_SIZE,
    flip: bool = Recipe.flip,
    sections: OptionalSections = OptionalSections(),
    workers: int = Planning.workers,
    seed: int = Recipe.seed,
    image_folder: Path | None = None,
) -> Plan:
    """Find the best payload for each budget, and write it.

    `payload.plada` is the best for the largest budget; each of several budgets has a `payload-<bytes>.plada` too.
    `plan.json` holds the measurements (this function returns it), and `plan.svg` shows them. Other processes train the
    proxies: a script must call this function below `if __name__ == "__main__"`.

    Args:
        scores: labels and scores of the reference set; several make a consensus.
        reference: the reference set.
        train: images that the teacher learnt from; proxies learn from them too, for the score "loss".
        held_out: images that the teacher did not learn from: candidates are measured on them.
        output: folder for the results, and for the state of the plan.
        budgets: largest sizes of a payload, in bytes.
        candidates: number of candidates to measure: the choice is then the same on any machine if `minutes` suffice.
            None: as many as the time allows.
        minutes: time limit of the search, earlier calls included; measurements that have begun are finished.
        proxy_steps: training steps of the longest trainings.
        batch_size: images in a step, at most `proxies.BATCH_SIZE`.
        flip: whether proxies learn from mirrored images too.
        sections: optional sections of the payloads; proxies do not use them.
        workers: number of processes that measure, one thread each.
        seed: seed of all trainings.
        image_folder: folder for decoded images, which plans with the same reference set can share; None: in `output`.

    Returns:
        The plan, as in `plan.json`.

    Raises:
        InputError: if a budget is smaller than the smallest payload, if `reference`, `scores`, `train` and `held_out`
            do not belong together, or if `output` holds another plan.
        SourceError: if an image cannot be read or decoded.
        FileError: if a file cannot be written.
        KeyboardInterrupt: if it is interrupted before the first measurement; later, the best so far is chosen.
    """
    several = (scores,) if isinstance(scores, Scores) else tuple(scores)
    output_folder(output)
    check_scores(several)
    smallest = len(payload_encoder(several, LOWEST_ENERGY, Universe(), sections)(1)[1])
    if not budgets or min(budgets) < smallest:
        raise InputError(
            f"{min(budgets, default=0)} bytes are too few: the smallest payload takes {smallest}", rule="max-bytes"
        )
    _check(several[0], reference, train, held_out)
    with progress_bar("decoding images of the target", "images") as progress:
        taught, spared = (_examples(data, progress) for data in (train, held_out))
    folder = output_folder(image_folder or output / "images")
    rungs, batch_size = rungs_of(proxy_steps), min(batch_size, proxies.BATCH_SIZE)
    context = PlanContext(several, reference, folder, output, taught, spared, sections, flip, seed, rungs, batch_size)
    with lock_folder(output):
        return _searched(context, SearchLimits(tuple(budgets), candidates, minutes), smallest, workers)


def _searched(context: PlanContext, limits: SearchLimits, smallest: int, workers: int) -> Plan:
    """Run the search, and write its result. `smallest` is the size of the smallest payload, in bytes."""
    budgets = limits.budgets
    plan_folder.write_identity(context)
    output_folder(context.folder / "payloads")
    # Creates the files, so that workers find them
    DecodedImages(context.reference, context.scores[0].reference_digest, context.image_folder, proxies.IMAGE_SIZE)
    log = MeasurementLog(context.folder / "measurements.jsonl", search=f"{sorted(budgets)}")
    sample = Universe(0, -(-len(context.reference) // MAX_SAMPLE))
    try:
        with Workers(context, workers) as pool:
            # Kernels are compiled while the workers start; the workers then find them in the cache
            kept = min(sample.size(len(context.reference)), max(budgets))  # about one byte per image
            expect_encodings(_ENCODINGS, kept, context.num_classes)
            all_levels = levels(budgets, smallest)
            strides = [_densest(context, sample, level) for level in all_levels]
            proxy_accuracy = write_label_loss(context, sample, pool)
            with progress_bar("planning") as bar:
                candidates = grid(budgets, all_levels, strides, sample, len(context.reference))

                def submit(candidate: Candidate, rung: int) -> Future[Measurement | None]:
                    return pool.submit(measure, candidate, context.rungs[rung], context.seed + rung)

                def on_measurement(rung: int, measured: dict[Candidate, Measurement], share: float) -> None:
                    best = max((measurement.accuracy for measurement in measured.values()), default=0.0)
                    what = f"rung {rung + 1} of {len(context.rungs)}: {len(measured)} candidates, the best {best:.1%}"
                    bar.label(what)
                    bar(round(1000 * min(share, 1)), 1000)

                found = search(
                    candidates,
                    budgets,
                    log,
                    submit,
                    workers,
                    60 * limits.minutes,
                    on_measurement,
                    rungs=context.rungs,
                    most=limits.candidates,
                    always=largest_baselines(candidates),
                    more=lambda candidate: siblings(candidate, sample),
                )
    except BrokenProcessPool:
        what = "a process of the planner was killed, perhaps because memory or disk space ran out"
        raise InputError(f"{what}: the same command continues the plan", rule="workers") from None
    if not any(found.rungs):
        raise KeyboardInterrupt
    return plan_folder.write(context, found, limits, log.seconds, proxy_accuracy)


def _check(scores: Scores, reference: ImageSource, train: LabelledImages, held_out: LabelledImages) -> None:
    """Raise InputError if the arguments do not belong together."""
    if len(scores.label) != len(reference):
        what = f"the scores are of {len(scores.label)} images, and {reference.source} has {len(reference)}"
        raise InputError(f"{what}: give the reference set that was scored", rule="reference")
    for name, data in (("training", train), ("held-out", held_out)):
        if data.num_classes != scores.num_classes:
            what = f"the {name} images are of {data.num_classes} classes, and the scores of {scores.num_classes}"
            raise InputError(f"{what}: give the images of the teacher's target", rule="scores")
        try:
            same = matched_labels(data.class_names, Classes(scores.num_classes, scores.class_names))
        except InputError as error:
            what = f"the {name} images and the scores are of different classes ({error.args[0]})"
            raise InputError(f"{what}: give the images of the teacher's target", rule="scores") from None
        if same[: data.num_classes].tolist() != list(range(data.num_classes)):
            what = f"the {name} images number their classes differently from the scores"
            raise InputError(f"{what}: give the images of the teacher's target", rule="scores")
    if len(set(held_out.labels.tolist())) < 2:
        raise InputError("the held-out images are all of one class: any payload would be right", rule="held-out")
    with progress_bar("computing the reference digest", "images") as progress:
        digest = reference_digest(reference, progress)
    if digest != scores.reference_digest:
        what = f"{reference.source} is not the reference set that was scored: digests differ"
        raise InputError(f"{what}; {FIND_DIFFERENCES}", rule="reference")


def _examples(data: LabelledImages, progress: Progress) -> Examples:
    pixels = decode_images(data.images, proxies.IMAGE_SIZE, progress, data.numbers)
    return Examples(pixels, data.labels)


def _densest(context: PlanContext, sample: Universe, level_bytes: int) -> int:
    """The smallest stride with which all images of the universe fit `level_bytes`."""
    size = len(context.reference)

    def fits(factor: int) -> bool:
        universe = Universe(sample.offset, factor * sample.stride)
        encoder = payload_encoder(context.scores, LOWEST_ENERGY, universe, context.sections)
        return len(encoder(universe.size(size))[1]) <= level_bytes

    # Sizes fall as strides grow, with small ripples
    factors = range(1, -(-size // sample.stride) + 1)
    return factors[min(bisect_left(factors, True, key=fits), len(factors) - 1)] * sample.stride
