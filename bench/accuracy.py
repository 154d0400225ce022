"""What students learn from payloads, and from whatever else fits in as many bytes: `python -m bench.accuracy`.

Every row of bench/results/accuracy.csv is one student (or teacher, or probe), measured on all test images of the
target. The rows of the plan that the file has not yet are added to it one by one: the run can be interrupted for days,
and goes on in another clone. Rows of other settings than `KINDS` are measured again; `--fresh` forgets all.

Kinds of student, all trained for the same number of steps whatever they learn from:

    pixels       a small network trained from scratch: the measure
    pre-trained  an ImageNet-trained network fine-tuned whole: a sample of the plan
    frozen       a last layer on the teacher's own frozen features. It copies the teacher's function from almost any
                 images: it cannot judge a selection, and is here to show so

The teacher of seed s is a last layer on MobileNetV2's features, and teaches the students of seed s; so its logits for
the reference set cost no forward pass of their own.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
import functools
import itertools
import multiprocessing
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from bench import alternatives
from bench.table import RESULTS, ROOT, Row, read_rows, write_rows
from plada_codec import Payload, compare, decode
from plada_codec.files import atomic_write
from plada_codec.reference import ImageSource, open_images, reference_digest
from plada_codec.soft_labels import concentrations
from plada_codec.weights import dequantised_weights
from plada_train.data import LabelledImages, open_test_images, open_training_images, reseed
from plada_train.errors import MissingClasses
from plada_train.inference import forward
from plada_train.models import make_classifier
from plada_train.pixels import MemoryBatches, Prepare, augmented, decoded, normalised, unchanged
from plada_train.recipe import Recipe
from plada_train.scores import Scores, energy, entropy, probabilities
from plada_train.selection import Rule, select, universe_of
from plada_train.targets import Objective, average, dirichlet
from plada_train.training import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED = ROOT.parent / "shared"
CACHE = ROOT / ".cache" / "accuracy"
_COMMAND = "python -m bench.accuracy"
TARGETS = ("cifar10", "resisc12", "clothing10")
SEEDS = (0, 1, 2)
KEEP_RATES = ("0.01", "0.05", "0.1", "0.25")
STRIDES = (100, 50, 20, 10, 5)
BUDGETS = (400, 1_000, 2_000, 4_000, 8_000)
#: What Appendix D adds is measured at these.
VARIANT_BUDGETS = (1_000, 4_000)
RULES = {
    "lowest energy": Rule(),
    "lowest entropy": Rule(score=("entropy",)),
    "consensus": Rule(score=("energy", "entropy")),
    "inverse": Rule(inverse=True),
    "Safety-Net 0": Rule(alpha=0),
    "Safety-Net -0.2": Rule(alpha=-0.2),
}
#: Those whose largest selection is sought for each budget.
BUDGET_RULES = ("lowest energy", "Safety-Net 0")
VARIANT_RULE = "Safety-Net 0"
VARIANTS = ("average soft labels", "Dirichlet targets", "importance weights")
#: What is not a payload of labels.
PIXELS, PROBE, WEIGHTS = ("random images", "k-centre images"), "linear probe", ("pruned network", "tiny network")
#: Below, the norms and biases of the network of the kind `pixels` alone do not fit.
PRUNED_FROM_BYTES = 4_000
RANDOM_LABELS = "random labels"
ALL_IMAGES = "all target images"
#: Temperature of the importance weights, in standard deviations of the energy.
TAU = 1.0
#: About 30 epochs of the target's training images.
TEACHER_STEPS = 3_000
#: Of 10, 30, 50 and 75 the one from which students learnt most at 4,000 bytes: the baseline is not to be held back.
JPEG_QUALITY = 10
BACKBONE = Recipe(
    model="mobilenetv2_100",
    weights=SHARED / "weights" / "mobilenetv2_100_tf_in1k.safetensors",
    image_size=96,
    freeze=True,
)


@dataclass(frozen=True)
class Kind:
    """A kind of student: its recipe (of it, what is said of training) and the number of steps."""

    name: str
    recipe: Recipe
    steps: int


KINDS = {
    kind.name: kind
    for kind in (
        Kind(
            "pixels",
            Recipe(model="test_resnet", image_size=32, batch_size=64, learning_rate=4e-3, epochs=1, amp=True),
            400,
        ),
        Kind(
            "pre-trained",
            replace(BACKBONE, freeze=False, image_size=64, batch_size=32, learning_rate=1e-3, epochs=1, amp=True),
            100,
        ),
        Kind("frozen", replace(BACKBONE, batch_size=64, learning_rate=1e-3, epochs=1), 400),
    )
}


@dataclass(frozen=True)
class Run:
    """A row of the plan. `keep` is "" where a budget or a stride alone decides; `budget_bytes` is 0 without one."""

    kind: str
    target: str
    seed: int
    method: str
    keep: str = ""
    stride: int = 1
    budget_bytes: int = 0

    @property
    def key(self) -> tuple[str, ...]:
        """What tells it from all others, as text."""
        return tuple(str(value) for value in vars(self).values())


def plan() -> Iterator[Run]:
    """All rows, the measure first, seed by seed. The probe has no seed, and is measured once."""
    for kind, seed, target in itertools.product(KINDS, SEEDS, TARGETS):
        yield from (replace(run, seed=seed) for run in _runs(kind, target) if seed == 0 or run.method != PROBE)


def _runs(kind: str, target: str) -> Iterator[Run]:
    run = functools.partial(Run, kind, target, 0)
    if kind == "pre-trained":
        for method in ("lowest energy", "inverse", "Safety-Net 0"):
            yield run(method, "0.05")
        yield run("stride", "1", 10)
        yield run("everything", "1")
        return
    if kind == "frozen":
        yield run("teacher")
        yield from (run(PROBE, budget_bytes=budget) for budget in (*BUDGETS, 0))
    # All rules keep the same where they keep all
    yield run("everything", "1")
    yield from (run(method, keep) for keep in KEEP_RATES for method in RULES)
    yield from (run("stride", "1", stride) for stride in STRIDES)
    yield from (run("stride, lowest energy", keep, stride) for stride in (20, 5) for keep in ("0.5", "0.25"))
    for budget in BUDGETS:
        yield from (run(method, budget_bytes=budget) for method in (*BUDGET_RULES, *PIXELS, RANDOM_LABELS))
        if kind == "pixels":
            yield run(WEIGHTS[1], budget_bytes=budget)
        if kind == "pixels" and budget >= PRUNED_FROM_BYTES:
            yield run(WEIGHTS[0], budget_bytes=budget)
    yield from (
        run(f"{VARIANT_RULE}, {variant}", budget_bytes=budget) for budget in VARIANT_BUDGETS for variant in VARIANTS
    )
    yield run(ALL_IMAGES)


# What all runs share, made once and kept in .cache


def _reference() -> ImageSource:
    return open_images(SHARED / "data" / "reference")


def _target(target: str) -> tuple[LabelledImages, LabelledImages]:
    """Images to teach with, images to measure accuracy on."""
    folder = SHARED / "data" / "targets" / target
    train = open_training_images(folder / f"{target}-train-*.tar")
    return train, open_test_images(folder / f"{target}-test-*.tar", train.num_classes, train.class_names)


def _sources() -> Iterator[tuple[str, ImageSource]]:
    yield "reference", _reference()
    for target in TARGETS:
        train, test = _target(target)
        yield f"{target}-train", train.images
        yield f"{target}-test", test.images


def prepare() -> None:
    """Decodes all images and computes the backbone's features, where that was not done before."""
    CACHE.mkdir(parents=True, exist_ok=True)
    sizes = sorted({kind.recipe.image_size or 0 for kind in KINDS.values() if not kind.recipe.freeze})
    for name, images in _sources():
        for size in sizes:
            _made(f"{name}-{size}px.npy", lambda images=images, size=size: decoded(images, size, _say(f"{size} px")))
        _made(f"{name}-features.npy", lambda images=images: _features(images))
    _made(
        "reference-digest.npy",
        lambda: np.frombuffer(reference_digest(_reference(), lambda done, total: None), np.uint8),
    )


def _made(name: str, make: Any) -> None:
    path = CACHE / name
    if not path.exists():
        print(f"{time.strftime('%H:%M:%S')} making {path}", file=sys.stderr)
        value = make()
        with atomic_write(path) as file:
            np.save(file, value)


def _say(what: str) -> Any:
    def progress(done: int, total: int) -> None:
        if done % 10_000 == 0:
            print(f"{time.strftime('%H:%M:%S')} {what}: {done}/{total}", file=sys.stderr)

    return progress


def _features(images: ImageSource) -> NDArray[np.float32]:
    classifier = make_classifier(BACKBONE, 2)
    numbers = np.arange(len(images))
    return np.concatenate(list(forward(classifier, classifier.features, images, numbers, BACKBONE, _say("features"))))


@functools.cache
def _array(name: str) -> NDArray[Any]:
    return np.load(CACHE / f"{name}.npy", mmap_mode="r")  # type: ignore[no-any-return]


def _inputs(kind: Kind, source: str) -> NDArray[Any]:
    """What a kind of student sees of the images of a source: pixels, or features."""
    return _array(f"{source}-features" if kind.recipe.freeze else f"{source}-{kind.recipe.image_size}px")


@functools.cache
def _labels(target: str) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Number of classes; labels of the training and of the test images."""
    train, test = _target(target)
    return train.num_classes, train.labels, test.labels


@functools.lru_cache(maxsize=1)
def _teacher(target: str, seed: int) -> tuple[Scores, float]:
    """What the teacher of a seed says of the reference set, and its accuracy."""
    num_classes, labels, test_labels = _labels(target)
    lesson = _Lesson(np.array(_array(f"{target}-train-features")), labels, 0)
    kind = replace(KINDS["frozen"], steps=TEACHER_STEPS)
    head = _trained(_network(kind, num_classes, seed), lesson, kind, seed)
    accuracy = float(np.mean(_logits(head, _array(f"{target}-test-features")).argmax(1) == test_labels))
    logits = _logits(head, _array("reference-features"))
    label, p = logits.argmax(1).astype(np.int32), probabilities(logits)
    soft_sum, own_square_sum = np.zeros((num_classes, num_classes)), np.zeros(num_classes)
    np.add.at(soft_sum, label, p)
    np.add.at(own_square_sum, label, p[np.arange(len(p)), label] ** 2)
    scores = Scores(
        label=label,
        energy=energy(logits).astype(np.float32),
        entropy=entropy(logits).astype(np.float32),
        reference_digest=_array("reference-digest").tobytes(),
        num_classes=num_classes,
        class_names=None,
        soft_sum=soft_sum,
        own_square_sum=own_square_sum,
    )
    return scores, accuracy


def _quiet(done: int, total: int) -> None:
    pass


def _logits(network: nn.Module, rows: NDArray[Any]) -> NDArray[np.float32]:
    """float32 [n, C] of pixels, uint8 [n, S, S, 3], or features, float32 [n, F]."""
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), 256):
            part = np.array(rows[start : start + 256])
            inputs = torch.from_numpy(part) if part.ndim == 2 else normalised(part)
            parts.append(network(inputs).numpy())
    return np.concatenate(parts)


# One run, in a process of its own


@dataclass(frozen=True)
class _Lesson:
    """What a student learns from: rows of `_inputs` or of its like, and labels; and what that takes."""

    rows: NDArray[Any]
    labels: NDArray[np.int64]
    payload_bytes: int
    objective: Objective | None = None
    weights: NDArray[np.float64] | None = None
    paper_bytes: int | str = ""


def _measured(run: Run) -> dict[str, Any] | None:
    """The row of a run; None if its budget holds nothing."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", MissingClasses)
    kind = KINDS[run.kind]
    num_classes, _, test_labels = _labels(run.target)
    scores, teacher_accuracy = _teacher(run.target, run.seed)
    start = time.perf_counter()
    kept, payload_bytes, classes = 0, 0, num_classes
    paper_bytes: int | str = ""
    model = kind.recipe.model
    if run.method == "teacher":
        accuracy: float | None = teacher_accuracy
    elif run.method == PROBE:
        accuracy, payload_bytes, kept = _probe(run)
    elif run.method in WEIGHTS:
        accuracy, payload_bytes, kept, model = _weights(run, kind)
    else:
        lesson = _lesson(run, kind, scores)
        if lesson is None:
            return None
        kept, payload_bytes, paper_bytes = len(lesson.labels), lesson.payload_bytes, lesson.paper_bytes
        classes = len(np.unique(lesson.labels))
        network = _trained(_network(kind, num_classes, run.seed), lesson, kind, run.seed)
        accuracy = _accuracy(network, run, kind)
    if accuracy is None:
        return None
    return dict(zip(vars(run), run.key, strict=True)) | {
        "model": model,
        "image_size": kind.recipe.image_size,
        "steps": kind.steps,
        "batch_size": kind.recipe.batch_size,
        "kept": kept,
        "classes": f"{classes}/{num_classes}",
        "payload_bytes": payload_bytes,
        "paper_bytes": paper_bytes,
        "accuracy": f"{accuracy:.4f}",
        "teacher_accuracy": f"{teacher_accuracy:.4f}",
        "test_images": len(test_labels),
        "seconds": f"{time.perf_counter() - start:.1f}",
    }


def _lesson(run: Run, kind: Kind, scores: Scores) -> _Lesson | None:
    num_classes, train_labels, _ = _labels(run.target)
    if run.method == ALL_IMAGES:
        return _Lesson(_inputs(kind, f"{run.target}-train"), train_labels, 0)
    if run.method in PIXELS:
        return _pixels(run, kind)
    payload, encoded = _payload(run, scores)
    received = decode(encoded)
    labels = received.labels.astype(np.int64)
    if run.method == RANDOM_LABELS:
        labels = alternatives.random_labels(labels, num_classes, run.seed)
    alone = Payload(payload.positions, payload.labels, payload.universe_size, num_classes)
    return _Lesson(
        rows=np.array(_inputs(kind, "reference")[received.indices]),
        labels=labels,
        payload_bytes=len(encoded),
        objective=_objective(run, received),
        weights=None if received.weights is None else dequantised_weights(received.weights),
        paper_bytes=compare(alone).best_zstd_bytes,
    )


def _payload(run: Run, scores: Scores) -> tuple[Payload, bytes]:
    method, _, variant = run.method.partition(", ")
    rule = RULES.get("lowest energy" if method == RANDOM_LABELS else method, Rule())
    return select(
        scores,
        run.keep or None,
        max_bytes=run.budget_bytes or None,
        rule=rule,
        universe=universe_of(len(scores.label), 0, run.stride),
        soft_labels=variant in VARIANTS[:2],
        weights_tau=TAU if variant == VARIANTS[2] else None,
    )


def _objective(run: Run, received: Payload) -> Objective | None:
    if received.soft_labels is None:
        return None
    used = np.unique(received.labels)
    rows = np.zeros(received.num_classes, np.int64)
    rows[used] = np.arange(len(used))
    make = average if run.method.endswith(VARIANTS[0]) else dirichlet
    return make(concentrations(received.soft_labels), rows)


def _pixels(run: Run, kind: Kind) -> _Lesson | None:
    """Images of the target, sent as the student on pixels takes them. Frozen features are those of images sent so."""
    num_classes, labels, _ = _labels(run.target)
    images = np.array(_array(f"{run.target}-train-{KINDS['pixels'].recipe.image_size}px"))
    if run.method == PIXELS[0]:
        order = alternatives.balanced_order(labels, num_classes, run.seed)
    else:
        features = np.array(_array(f"{run.target}-train-features"))
        order = alternatives.k_centre_order(features, labels, num_classes, run.seed, 1_000)
    sent = alternatives.pixel_payload(images, labels, order, run.budget_bytes, JPEG_QUALITY)
    if sent is None:
        return None
    rows = _features_of_pixels(sent.images) if kind.recipe.freeze else sent.images
    return _Lesson(rows, sent.labels, len(sent.data))


def _features_of_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    classifier = make_classifier(BACKBONE, 2)
    classifier.network.eval()
    side = classifier.config.image_size
    inputs = nn.functional.interpolate(normalised(pixels), size=(side, side), mode="bicubic", antialias=True)
    with torch.inference_mode():
        return np.concatenate([classifier.features(part).numpy() for part in torch.split(inputs, 64)])


def _probe(run: Run) -> tuple[float | None, int, int]:
    """Accuracy, bytes and number of components of a probe on the teacher's backbone."""
    num_classes, labels, test_labels = _labels(run.target)
    features = np.array(_array(f"{run.target}-train-features"))
    probe = alternatives.linear_probe(features, labels, num_classes, _basis(), run.budget_bytes or None)
    if probe is None:
        return None, 0, 0
    predicted = probe.logits(np.array(_array(f"{run.target}-test-features"))).argmax(1)
    return float(np.mean(predicted == test_labels)), len(probe.data), probe.weights.shape[1]


@functools.cache
def _basis() -> alternatives.Basis:
    return alternatives.Basis.of(np.array(_array("reference-features")))


def _network(kind: Kind, num_classes: int, seed: int, **model_args: Any) -> nn.Module:
    reseed(seed)
    classifier = make_classifier(replace(kind.recipe, model_args=model_args), num_classes)
    return classifier.last_layer() if kind.recipe.freeze else classifier.network


def _trained(network: nn.Module, lesson: _Lesson, kind: Kind, seed: int) -> nn.Module:
    prepare: Prepare = unchanged if kind.recipe.freeze else augmented
    batches = MemoryBatches(
        lesson.rows, lesson.labels, prepare, kind.recipe.batch_size, kind.steps, seed, lesson.weights
    )
    fit(network, batches, replace(kind.recipe, seed=seed), _quiet, objective=lesson.objective)
    return network


def _accuracy(network: nn.Module, run: Run, kind: Kind) -> float:
    _, _, test_labels = _labels(run.target)
    return float(np.mean(_logits(network, _inputs(kind, f"{run.target}-test")).argmax(1) == test_labels))


def _weights(run: Run, kind: Kind) -> tuple[float | None, int, int, str]:
    """Accuracy, bytes, parameters that are not zero, and model, of a network that learnt from all target images."""
    num_classes, labels, _ = _labels(run.target)
    lesson = _Lesson(_inputs(kind, f"{run.target}-train"), labels, 0)
    if run.method == WEIGHTS[1]:
        model_args = alternatives.tiny_model_args(run.budget_bytes, num_classes)
        if model_args is None:
            return None, 0, 0, ""
        kind = replace(kind, recipe=replace(kind.recipe, model="resnet18"))
        network = _trained(_network(kind, num_classes, run.seed, **model_args), lesson, kind, run.seed)
    else:
        network = _trained(_network(kind, num_classes, run.seed), lesson, kind, run.seed)
        fits = alternatives.int8_weights(network, run.budget_bytes)
        if fits is None:
            return None, 0, 0, ""
        # Pruned to what fits, and then as long again to recover
        weights = [tensor for tensor in fits.state.values() if tensor.dim() > 1]
        share = sum(int(tensor.count_nonzero()) for tensor in weights) / sum(tensor.numel() for tensor in weights)
        alternatives.prune_smallest(network, share)
        network = _trained(network, lesson, kind, run.seed + len(SEEDS))
        alternatives.finish_pruning(network)
    sent = alternatives.int8_weights(network, run.budget_bytes)
    if sent is None:
        return None, 0, 0, ""
    network.load_state_dict(sent.state)
    return _accuracy(network, run, kind), len(sent.data), sent.kept, kind.recipe.model


# All runs


def main() -> None:
    arguments = _arguments()
    if not SHARED.exists():
        raise SystemExit(f"this benchmark needs {SHARED}")
    prepare()
    path = RESULTS / "accuracy.csv"
    rows = {} if arguments.fresh or not path.exists() else {_key(row): row for row in map(dict, read_rows(path))}
    runs = list(plan())
    wanted = {run.key for run in runs}
    done = {key: row for key, row in rows.items() if key in wanted and _is_current(row)}
    todo = [run for run in runs if run.key not in done and (not arguments.kind or run.kind == arguments.kind)]
    print(f"{len(done)} of {len(runs)} rows are there, {len(todo)} to be measured", file=sys.stderr)
    ends = time.monotonic() + 60 * arguments.minutes
    for run, row in _in_processes(arguments.workers, todo, ends):
        if row is None:
            continue
        done[run.key] = row
        write_rows(path, _COMMAND, [done[each.key] for each in runs if each.key in done])
        what = f"{run.kind} {run.target} {run.seed} {run.method} {run.keep or run.budget_bytes} /{run.stride}"
        print(f"{time.strftime('%H:%M:%S')} {len(done)} {what}: {row['accuracy']} {row['payload_bytes']} B", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    parser.add_argument("--kind", choices=KINDS, help="measure students of this kind only")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time (default 2)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after so many")
    return parser.parse_args()


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in Run.__dataclass_fields__)


def _is_current(row: Row) -> bool:
    """Whether the row was measured with the settings that hold now."""
    kind = KINDS[row["kind"]]
    settings = (kind.recipe.image_size, kind.steps, kind.recipe.batch_size)
    return (row["image_size"], row["steps"], row["batch_size"]) == tuple(map(str, settings))


def _in_processes(workers: int, runs: list[Run], ends: float) -> Iterator[tuple[Run, dict[str, Any] | None]]:
    """(run, row) of each run as it is done, none begun after `ends`; a failure ends all."""
    os.environ.update(OMP_NUM_THREADS="1")
    left = iter(runs)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_measured, run): run for run in itertools.islice(left, workers)}
        while futures:
            finished, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in finished:
                yield futures.pop(future), future.result()
                if time.monotonic() < ends:
                    futures |= {pool.submit(_measured, run): run for run in itertools.islice(left, 1)}


if __name__ == "__main__":
    main()
