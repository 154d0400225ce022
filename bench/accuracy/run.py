"""Run the benchmark of accuracy: `python -m bench.accuracy.run`. Writes accuracy.csv.

Every row of bench/results/accuracy.csv is one student (or teacher, or probe), measured on all test images of the
target; without an accuracy if the budget holds nothing. `kept` is the number of images that it learns from, of
components of a probe, or of parameters that are not zero. Rows of the plan that the file lacks are added to it one by
one: a benchmark can be interrupted for days, and continued in another clone. Rows that were measured with other
settings are measured again; `--fresh` measures all rows again. Students compute in bfloat16, which CPUs do not repeat
to the bit: rows that are measured again differ by less than seeds do.

Kinds of student, each trained for the same number of steps whatever it learns from:

    pixels       a small network trained from scratch: the measure
    pixels-long  the same network, trained six times as long: a sample of the plan, one seed. In the steps of `pixels`,
                 a student sees 25,600 images, which are fewer than `everything` labels
    pre-trained  a network that was trained on ImageNet, all of it fine-tuned: a sample of the plan
    frozen       a last layer on the teacher's own frozen features. It copies the teacher's function from almost any
                 images, so it cannot judge a selection; the benchmark shows this

The teacher of seed s is a last layer on MobileNetV2's features, and labels the images for the students of seed s. Its
logits for the reference set follow from the features, without another forward pass.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import argparse
import functools
import hashlib
import itertools
import multiprocessing
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import nn

from bench import alternatives
from bench.table import RESULTS, ROOT, read_rows, write_rows
from plada_codec import Payload, compare, decode, encode
from plada_codec.errors import MissingClasses
from plada_codec.files import atomic_write
from plada_codec.reference import ImageSource, open_images, reference_digest
from plada_codec.sections.soft_labels import dequantised_concentrations
from plada_codec.sections.weights import dequantised_weights
from plada_train.data.labelled import LabelledImages, open_test_images, open_training_images, reseed
from plada_train.data.pixels import MemoryBatches, Prepare, augment, decode_images, normalise, rows_as_input
from plada_train.models.classifier import make_classifier
from plada_train.models.inference import forward
from plada_train.recipe import Recipe
from plada_train.scores.labelling import add_logits
from plada_train.scores.reference_scores import Scores
from plada_train.scores.shards import Shard
from plada_train.selection.counts import universe_of
from plada_train.selection.lowest_cost import LowestCost
from plada_train.selection.optional_sections import OptionalSections
from plada_train.selection.payloads import select
from plada_train.selection.safety_net import SafetyNet
from plada_train.training.loop import fit
from plada_train.training.targets import Objective, soft_objective

if TYPE_CHECKING:
    from numpy.typing import NDArray

R = TypeVar("R", bound="PlannedRun")

SHARED = ROOT.parent / "shared"
CACHE = ROOT / ".cache" / "accuracy"
_COMMAND = "python -m bench.accuracy.run"
#: The first line of the file names the versions of these packages and the digests of these sources.
PACKAGES = ("numpy", "pillow", "scikit-learn", "timm", "torch", "torchvision", "zstandard")
SOURCES = ("plada_codec", "plada_train", "bench")
TARGETS = ("cifar10", "resisc12", "clothing10")
SEEDS = (0, 1, 2)
KEEP_RATES = ("0.01", "0.05", "0.1", "0.25")
STRIDES = (100, 50, 20, 10, 5)
BUDGETS = (400, 1_000, 2_000, 4_000, 8_000)
#: Soft labels and weights (paper, appendix D) are measured at these budgets.
VARIANT_BUDGETS = (1_000, 4_000)
RULES = {
    "lowest energy": LowestCost(),
    "lowest entropy": LowestCost(score=("entropy",)),
    "consensus": LowestCost(score=("energy", "entropy")),
    "inverse": LowestCost(inverse=True),
    "Safety-Net 0": SafetyNet(alpha=0.0),
    "Safety-Net -0.2": SafetyNet(alpha=-0.2),
}
#: Rules whose largest selection that fits is measured for each budget.
BUDGET_RULES = ("lowest energy", "Safety-Net 0")
VARIANT_RULE = "Safety-Net 0"
#: Optional sections, and the student's targets. Temperatures are in standard deviations of the energy.
VARIANTS: dict[str, tuple[OptionalSections, Literal["average", "dirichlet"] | None]] = {
    "average soft labels": (OptionalSections(soft_labels=True), "average"),
    "Dirichlet targets": (OptionalSections(soft_labels=True), "dirichlet"),
    "importance weights, tau 1": (OptionalSections(weights_tau=1.0), None),
    "importance weights, tau 3": (OptionalSections(weights_tau=3.0), None),
}
EVERYTHING, STRIDE, STRIDE_LOWEST, RANDOM_LABELS = "everything", "stride", "stride, lowest energy", "random labels"
#: Methods that send no payload of labels.
RANDOM_IMAGES, K_CENTRE_IMAGES, PRUNED, TINY = "random images", "k-centre images", "pruned network", "tiny network"
LINEAR_PROBE, TEACHER, ALL_IMAGES = "linear probe", "teacher", "all target images"
#: In fewer bytes, not even the norms and biases of a network of the kind `pixels` fit.
PRUNED_FROM_BYTES = 4_000
#: About 30 passes over the target's training images.
TEACHER_STEPS = 3_000
#: Students of the kind `pixels` learnt most from this quality in 4,000 bytes, of 10, 30 and 75 at 32 pixels and 30 and
#: 75 at 16 pixels. The test images of cifar10 and resisc12 decided, in favour of the baseline.
JPEG_QUALITY = 10
BACKBONE = Recipe(
    model="mobilenetv2_100",
    weights=SHARED / "weights" / "mobilenetv2_100_tf_in1k.safetensors",
    image_size=96,
    freeze=True,
)
#: Part of the name of a file in `CACHE` with the backbone's features of a source.
FEATURES = f"{BACKBONE.model}-{BACKBONE.image_size}px-features"


@dataclass(frozen=True)
class StudentKind:
    """A kind of student: its recipe, of which only the settings of training count, and the number of steps."""

    name: str
    recipe: Recipe
    steps: int


KINDS = {
    kind.name: kind
    for kind in (
        StudentKind(
            "pixels",
            Recipe(model="test_resnet", image_size=32, batch_size=64, learning_rate=4e-3, epochs=1, amp=True),
            400,
        ),
        StudentKind(
            "pixels-long",
            Recipe(model="test_resnet", image_size=32, batch_size=64, learning_rate=4e-3, epochs=1, amp=True),
            2_400,
        ),
        StudentKind(
            "pre-trained",
            replace(BACKBONE, freeze=False, image_size=64, batch_size=32, learning_rate=1e-3, epochs=1, amp=True),
            100,
        ),
        StudentKind("frozen", replace(BACKBONE, batch_size=64, learning_rate=1e-3, epochs=1), 400),
    )
}


@dataclass(frozen=True)
class PlannedRun:
    """A run of a plan. The fields of each subclass are the first columns of its row."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the row: its fields as text."""
        return tuple(str(value) for value in vars(self).values())


@dataclass(frozen=True)
class Run(PlannedRun):
    """A row of accuracy.csv. `keep` is "" where a budget or a stride alone decides; `budget_bytes` is 0 without one."""

    kind: str
    target: str
    seed: int
    method: str
    keep: str = ""
    stride: int = 1
    budget_bytes: int = 0


def plan() -> Iterator[Run]:
    """All rows of the plan, the main ones first, seed by seed."""
    for kind, seed, target in itertools.product(KINDS, SEEDS, TARGETS):
        if seed == 0 or kind != "pixels-long":
            # The probe has no seed
            yield from (
                replace(run, seed=seed) for run in _runs(kind, target) if seed == 0 or run.method != LINEAR_PROBE
            )


def _runs(kind: str, target: str) -> Iterator[Run]:
    run = functools.partial(Run, kind, target, 0)
    if kind in ("pixels-long", "pre-trained"):
        yield from (run(method, "0.05") for method in ("lowest energy", "inverse", "Safety-Net 0"))
        if kind == "pre-trained":
            yield run(STRIDE, "1", 10)
        else:
            yield from (run(method, "0.25") for method in ("lowest energy", "Safety-Net 0"))
            yield run(EVERYTHING, "1")
            yield run(RANDOM_IMAGES, budget_bytes=2_000)
        return
    if kind == "frozen":
        yield run(TEACHER)
        yield from (run(LINEAR_PROBE, budget_bytes=budget) for budget in (*BUDGETS, 0))
    # All rules keep the same where they keep all
    yield run(EVERYTHING, "1")
    yield from (run(method, keep) for keep in KEEP_RATES for method in RULES)
    yield from (run(STRIDE, "1", stride) for stride in STRIDES)
    yield from (run(STRIDE_LOWEST, keep, stride) for stride in (20, 5) for keep in ("0.5", "0.25"))
    for budget in BUDGETS:
        methods = [*BUDGET_RULES, RANDOM_IMAGES, K_CENTRE_IMAGES, RANDOM_LABELS]
        if kind == "pixels":
            methods += [TINY] if budget < PRUNED_FROM_BYTES else [TINY, PRUNED]
        yield from (run(method, budget_bytes=budget) for method in methods)
    yield from (run(f"{VARIANT_RULE}, {name}", budget_bytes=budget) for budget in VARIANT_BUDGETS for name in VARIANTS)
    yield run(ALL_IMAGES)


# Data that all runs share, computed once and kept in .cache


def reference_images() -> ImageSource:
    return open_images(SHARED / "data" / "reference")


def target_images(target: str) -> tuple[LabelledImages, LabelledImages]:
    """The target's training images and test images."""
    folder = SHARED / "data" / "targets" / target
    train = open_training_images(folder / f"{target}-train-*.tar")
    return train, open_test_images(folder / f"{target}-test-*.tar", train.num_classes, train.class_names)


def _sources() -> Iterator[tuple[str, ImageSource]]:
    yield "reference", reference_images()
    for target in TARGETS:
        train, test = target_images(target)
        yield f"{target}-train", train.images
        yield f"{target}-test", test.images


def prepare() -> None:
    """Decode all images and compute the backbone's features, unless this was done before."""
    CACHE.mkdir(parents=True, exist_ok=True)
    sizes = sorted({kind.recipe.image_size or 0 for kind in KINDS.values() if not kind.recipe.freeze})
    for name, images in _sources():
        for size in sizes:
            _make_once(
                f"{name}-{size}px.npy",
                lambda images=images, size=size: decode_images(images, size, _log_progress(f"{size} px")),
            )
        _make_once(f"{name}-{FEATURES}.npy", lambda images=images: _features(images))
    _make_once(
        "reference-digest.npy",
        lambda: np.frombuffer(reference_digest(reference_images(), lambda done, total: None), np.uint8),
    )


def _make_once(name: str, make: Any) -> None:
    path = CACHE / name
    if not path.exists():
        print(f"{time.strftime('%H:%M:%S')} making {path}", file=sys.stderr)
        value = make()
        with atomic_write(path) as file:
            np.save(file, value)


def _log_progress(title: str) -> Any:
    def progress(done: int, total: int) -> None:
        if done % 10_000 == 0:
            print(f"{time.strftime('%H:%M:%S')} {title}: {done}/{total}", file=sys.stderr)

    return progress


def _features(images: ImageSource) -> NDArray[np.float32]:
    classifier = make_classifier(BACKBONE, 2)
    numbers = np.arange(len(images))
    return np.concatenate(
        list(forward(classifier, classifier.features, images, numbers, BACKBONE, _log_progress("features")))
    )


@functools.cache
def load_array(name: str) -> NDArray[Any]:
    """Load a result of `prepare`: pixels uint8 [N, S, S, 3] or features float32 [N, F] of a source."""
    return np.load(CACHE / f"{name}.npy", mmap_mode="r")  # type: ignore[no-any-return]


def _inputs(kind: StudentKind, source: str) -> NDArray[Any]:
    """The inputs of a kind of student for the images of a source: pixels or features."""
    return load_array(f"{source}-{FEATURES}" if kind.recipe.freeze else f"{source}-{kind.recipe.image_size}px")


@functools.cache
def labels_of(target: str) -> tuple[int, NDArray[np.int64], NDArray[np.int64]]:
    """Number of classes; labels of the training and of the test images."""
    train, test = target_images(target)
    return train.num_classes, train.labels, test.labels


@functools.lru_cache(maxsize=1)
def _teacher(target: str, seed: int) -> tuple[Scores, float]:
    return train_teacher(target, seed, slice(None))


def train_teacher(target: str, seed: int, numbers: NDArray[np.int64] | slice) -> tuple[Scores, float]:
    """Train a teacher on the training images `numbers`; return its scores of the reference set, and its accuracy."""
    num_classes, labels, test_labels = labels_of(target)
    data = TrainingData(np.array(load_array(f"{target}-train-{FEATURES}")[numbers]), labels[numbers], 0)
    kind = replace(KINDS["frozen"], steps=TEACHER_STEPS)
    head = train(new_network(kind, num_classes, seed), data, kind, seed)
    accuracy = float(np.mean(logits_of(head, load_array(f"{target}-test-{FEATURES}")).argmax(1) == test_labels))
    logits = logits_of(head, load_array(f"reference-{FEATURES}"))
    said = Shard.of_zeros(len(logits), num_classes)
    add_logits(said, slice(None), logits, temperature=1.0)
    digest = load_array("reference-digest").tobytes()
    scores = Scores(**vars(said), reference_digest=digest, num_classes=num_classes, class_names=None)
    return scores, accuracy


def _quiet(done: int, total: int) -> None:
    pass


def logits_of(network: nn.Module, rows: NDArray[Any]) -> NDArray[np.float32]:
    """Logits, float32 [n, C], of pixels, uint8 [n, S, S, 3], or features, float32 [n, F]."""
    network.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(rows), 256):
            part = np.array(rows[start : start + 256])
            inputs = torch.from_numpy(part) if part.ndim == 2 else normalise(part)
            parts.append(network(inputs).numpy())
    return np.concatenate(parts)


# One run, in a process of its own


@dataclass(frozen=True)
class TrainingData:
    """Training data of a student: inputs and labels, and the bytes in which they were sent."""

    rows: NDArray[Any]
    labels: NDArray[np.int64]
    payload_bytes: int
    objective: Objective | None = None
    weights: NDArray[np.float64] | None = None
    paper_bytes: int | str = ""


@dataclass(frozen=True)
class _Outcome:
    """The result of a run: columns of its row. `accuracy` is None if the budget holds nothing."""

    accuracy: float | None
    model: str
    steps: int
    kept: int = 0
    classes: int = 0
    payload_bytes: int = 0
    paper_bytes: int | str = ""


def _measure_run(run: Run) -> dict[str, Any]:
    """Measure a run; return its row."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", MissingClasses)
    kind = KINDS[run.kind]
    num_classes, _, test_labels = labels_of(run.target)
    scores, teacher_accuracy = _teacher(run.target, run.seed)
    start = time.perf_counter()
    if run.method == TEACHER:
        found = _Outcome(teacher_accuracy, BACKBONE.model, TEACHER_STEPS, classes=num_classes)
    elif run.method == LINEAR_PROBE:
        found = _probe(run)
    elif run.method in (PRUNED, TINY):
        found = _weights(run, kind)
    else:
        found = _student(run, kind, scores)
    return dict(zip(vars(run), run.key, strict=True)) | {
        "model": found.model,
        "image_size": kind.recipe.image_size,
        "steps": found.steps,
        "batch_size": kind.recipe.batch_size,
        "kept": found.kept,
        "classes": f"{found.classes}/{num_classes}",
        "payload_bytes": found.payload_bytes,
        "paper_bytes": found.paper_bytes,
        "accuracy": "" if found.accuracy is None else f"{found.accuracy:.4f}",
        "teacher_accuracy": f"{teacher_accuracy:.4f}",
        "test_images": len(test_labels),
        "seconds": f"{time.perf_counter() - start:.1f}",
        "settings": settings_of(run),
    }


def settings_of(run: Run) -> str:
    """Digest of the settings that decide a row, besides the sources."""
    kind = KINDS[run.kind]
    recipes = [replace(recipe, weights=None) for recipe in (kind.recipe, BACKBONE)]
    decisive: list[Any] = [*recipes, kind.steps, TEACHER_STEPS]
    if run.method in (RANDOM_IMAGES, K_CENTRE_IMAGES):
        decisive.append(JPEG_QUALITY)
    if run.method == TINY:
        decisive.append(alternatives.TINY_RESNETS)
    return hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]


def _student(run: Run, kind: StudentKind, scores: Scores) -> _Outcome:
    num_classes, _, _ = labels_of(run.target)
    data = _training_data(run, kind, scores)
    if data is None:
        return _Outcome(None, kind.recipe.model, 0)
    network = train(new_network(kind, num_classes, run.seed), data, kind, run.seed)
    return _Outcome(
        _accuracy(network, run, kind),
        kind.recipe.model,
        kind.steps,
        kept=len(data.labels),
        classes=len(np.unique(data.labels)),
        payload_bytes=data.payload_bytes,
        paper_bytes=data.paper_bytes,
    )


def _training_data(run: Run, kind: StudentKind, scores: Scores) -> TrainingData | None:
    num_classes, train_labels, _ = labels_of(run.target)
    if run.method == ALL_IMAGES:
        return TrainingData(_inputs(kind, f"{run.target}-train"), train_labels, 0)
    if run.method in (RANDOM_IMAGES, K_CENTRE_IMAGES):
        return _pixels(run, kind)
    payload, encoded = _payload(run, scores)
    received = decode(encoded)
    labels = received.labels.astype(np.int64)
    _, targets = VARIANTS.get(_variant(run), (OptionalSections(), None))
    objective = None
    if targets and received.soft_labels is not None:
        objective = soft_objective(dequantised_concentrations(received.soft_labels), labels, num_classes, targets)
    alone = Payload(payload.positions, payload.labels, payload.universe_size, num_classes)
    return TrainingData(
        rows=np.array(_inputs(kind, "reference")[received.indices]),
        labels=labels,
        payload_bytes=len(encoded),
        objective=objective,
        weights=None if received.weights is None else dequantised_weights(received.weights),
        paper_bytes=compare(alone).best_zstd_bytes,
    )


def _payload(run: Run, scores: Scores) -> tuple[Payload, bytes]:
    variant = _variant(run)
    rule = VARIANT_RULE if variant else run.method
    sections, _ = VARIANTS.get(variant, (OptionalSections(), None))
    payload, encoded = select(
        scores,
        run.keep or None,
        max_bytes=run.budget_bytes or None,
        rule=(RULES | dict.fromkeys((EVERYTHING, STRIDE, STRIDE_LOWEST, RANDOM_LABELS), LowestCost()))[rule],
        universe=universe_of(len(scores.label), 0, run.stride),
        sections=sections,
    )
    if run.method == RANDOM_LABELS:
        # Random labels take more bytes than the true ones, to which the budget applies
        labels = alternatives.random_labels(payload.labels.astype(np.int64), payload.num_classes, run.seed)
        said = (payload.reference_size, payload.num_classes, payload.reference_digest)
        payload = Payload(payload.indices, labels, *said)
        encoded = encode(payload)
    return payload, encoded


def _variant(run: Run) -> str:
    """The variant in `VARIANTS`, or ""."""
    rule, _, variant = run.method.partition(", ")
    return variant if rule == VARIANT_RULE else ""


def _pixels(run: Run, kind: StudentKind) -> TrainingData | None:
    """Send images of the target as pixels. Frozen students learn from the features of the received pixels."""
    num_classes, labels, _ = labels_of(run.target)
    images = np.array(load_array(f"{run.target}-train-{KINDS['pixels'].recipe.image_size}px"))
    if run.method == RANDOM_IMAGES:
        order = alternatives.balanced_order(labels, num_classes, run.seed)
    else:
        features = np.array(load_array(f"{run.target}-train-{FEATURES}"))
        order = alternatives.k_centre_order(features, labels, num_classes, run.seed, 1_000)
    sent = alternatives.pixel_payload(images, labels, order, run.budget_bytes, JPEG_QUALITY)
    if sent is None:
        return None
    rows = _features_of_pixels(sent.images) if kind.recipe.freeze else sent.images
    return TrainingData(rows, sent.labels, len(sent.data))


def _features_of_pixels(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    classifier = make_classifier(BACKBONE, 2)
    classifier.network.eval()
    side = classifier.config.image_size
    inputs = nn.functional.interpolate(normalise(pixels), size=(side, side), mode="bicubic", antialias=True)
    with torch.inference_mode():
        return np.concatenate([classifier.features(part).numpy() for part in torch.split(inputs, 64)])


def _probe(run: Run) -> _Outcome:
    """Send a linear probe on the teacher's backbone, which the client must hold too."""
    num_classes, labels, test_labels = labels_of(run.target)
    features = np.array(load_array(f"{run.target}-train-{FEATURES}"))
    probe = alternatives.linear_probe(features, labels, num_classes, _basis(), run.budget_bytes or None)
    if probe is None:
        return _Outcome(None, BACKBONE.model, 0)
    predicted = probe.logits(np.array(load_array(f"{run.target}-test-{FEATURES}"))).argmax(1)
    accuracy = float(np.mean(predicted == test_labels))
    return _Outcome(accuracy, BACKBONE.model, 0, probe.weights.shape[1], num_classes, len(probe.data))


@functools.cache
def _basis() -> alternatives.PrincipalComponents:
    return alternatives.PrincipalComponents.of(np.array(load_array(f"reference-{FEATURES}")))


def new_network(kind: StudentKind, num_classes: int, seed: int, **model_args: Any) -> nn.Module:
    """The network of a kind of student with random weights; only its last layer if the rest is frozen."""
    reseed(seed)
    classifier = make_classifier(replace(kind.recipe, model_args=model_args), num_classes)
    return classifier.last_layer() if kind.recipe.freeze else classifier.network


def train(network: nn.Module, data: TrainingData, kind: StudentKind, seed: int) -> nn.Module:
    """Train `network` in place with the recipe and the steps of a kind of student; return it."""
    prepare: Prepare = rows_as_input if kind.recipe.freeze else augment
    batches = MemoryBatches(data.rows, data.labels, prepare, kind.recipe.batch_size, kind.steps, seed, data.weights)
    fit(network, batches, replace(kind.recipe, seed=seed), _quiet, objective=data.objective)
    return network


def _accuracy(network: nn.Module, run: Run, kind: StudentKind) -> float:
    _, _, test_labels = labels_of(run.target)
    return float(np.mean(logits_of(network, _inputs(kind, f"{run.target}-test")).argmax(1) == test_labels))


def _weights(run: Run, kind: StudentKind) -> _Outcome:
    """Send the weights of a network that learnt from all target images."""
    num_classes, labels, _ = labels_of(run.target)
    data = TrainingData(_inputs(kind, f"{run.target}-train"), labels, 0)
    if run.method == TINY:
        kind = replace(kind, recipe=replace(kind.recipe, model="resnet18"))
        model_args = alternatives.tiny_model_args(run.budget_bytes, num_classes)
        if model_args is None:
            return _Outcome(None, kind.recipe.model, 0)
        network = train(new_network(kind, num_classes, run.seed, **model_args), data, kind, run.seed)
    else:
        half = replace(kind, steps=kind.steps // 2)
        network = train(new_network(kind, num_classes, run.seed), data, half, run.seed)
        fits = alternatives.int8_weights(network, run.budget_bytes)
        if fits is None:
            return _Outcome(None, kind.recipe.model, 0)
        # The network is pruned to the number of weights that fit, and trained for the other half of the steps
        weights = [tensor for tensor in fits.state.values() if tensor.dim() > 1]
        share = sum(int(tensor.count_nonzero()) for tensor in weights) / sum(tensor.numel() for tensor in weights)
        alternatives.prune_smallest(network, share)
        network = train(network, data, half, run.seed + len(SEEDS))
        alternatives.finish_pruning(network)
    sent = alternatives.int8_weights(network, run.budget_bytes)
    if sent is None:
        return _Outcome(None, kind.recipe.model, kind.steps)
    network.load_state_dict(sent.state)
    accuracy = _accuracy(network, run, kind)
    return _Outcome(accuracy, kind.recipe.model, kind.steps, sent.kept, num_classes, len(sent.data))


# All runs


class ResultsTable(Generic[R]):
    """A CSV of bench/results with a row for each finished run. It measures the missing runs of its plan.

    Args:
        path: the file.
        command: the command that writes the file.
        plan: all runs, in the order of their rows.
        settings_of: digest of the settings that decide a run's row, besides the sources; rows with other settings are
            left out.
        measure_run: measures a run and returns its row; called in other processes.
    """

    def __init__(
        self,
        path: Path,
        command: str,
        plan: Iterable[R],
        settings_of: Callable[[R], str],
        measure_run: Callable[[R], dict[str, Any]],
    ) -> None:
        self._path = path
        self._command = command
        self._runs = {run.key: run for run in plan}
        self._measure_run = measure_run
        self._rows: dict[tuple[str, ...], dict[str, Any]] = {}
        for row in read_rows(path) if path.exists() else ():
            key = tuple(row[name] for name in vars(next(iter(self._runs.values()))))
            if key in self._runs and row["settings"] == settings_of(self._runs[key]):
                self._rows[key] = dict(row)

    def forget(self, is_forgotten: Callable[[R], bool]) -> None:
        """Drop rows, so that they are measured again."""
        self._rows = {key: row for key, row in self._rows.items() if not is_forgotten(self._runs[key])}

    def missing(self, is_wanted: Callable[[R], bool] = lambda run: True) -> list[R]:
        """The wanted runs that have no row."""
        return [run for key, run in self._runs.items() if key not in self._rows and is_wanted(run)]

    def measure(self, runs: list[R], workers: int, ends_s: float) -> None:
        """Measure runs, and add each row to the file; begin no run after `ends_s` of the monotonic clock."""
        print(f"{len(self._rows)} of {len(self._runs)} rows are there, {len(runs)} to be measured", file=sys.stderr)
        for run, row in _in_processes(self._measure_run, workers, runs, ends_s):
            self._rows[run.key] = row
            rows = [self._rows[key] for key in self._runs if key in self._rows]
            write_rows(self._path, self._command, rows, PACKAGES, SOURCES)
            result = f"{' '.join(filter(None, run.key))}: {row['accuracy']} {row['payload_bytes']} B"
            print(f"{time.strftime('%H:%M:%S')} {len(rows)} {result}", flush=True)


def _in_processes(
    measure_run: Callable[[R], dict[str, Any]], workers: int, runs: list[R], ends_s: float
) -> Iterator[tuple[R, dict[str, Any]]]:
    """Yield (run, row) of each finished run; begin no run after `ends_s`; an error in one run ends all."""
    os.environ.update(OMP_NUM_THREADS="1")
    left = iter(runs)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(measure_run, run): run for run in itertools.islice(left, workers)}
        while futures:
            finished, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in finished:
                yield futures.pop(future), future.result()
                if time.monotonic() < ends_s:
                    futures |= {pool.submit(measure_run, run): run for run in itertools.islice(left, 1)}


def main() -> None:
    arguments = _arguments()
    if not SHARED.exists():
        raise SystemExit(f"this benchmark needs {SHARED}")
    prepare()
    table = ResultsTable(RESULTS / "accuracy.csv", _COMMAND, plan(), settings_of, _measure_run)

    def is_wanted(run: Run) -> bool:
        return arguments.kind in (None, run.kind)

    if arguments.fresh:
        table.forget(is_wanted)
    table.measure(table.missing(is_wanted), arguments.workers, time.monotonic() + 60 * arguments.minutes)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=_COMMAND, description=__doc__.splitlines()[0])
    parser.add_argument("--fresh", action="store_true", help="measure all rows again")
    parser.add_argument("--kind", choices=KINDS, help="measure students of this kind only")
    parser.add_argument("--workers", type=int, default=2, help="number of worker processes (default 2)")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no run after this many minutes")
    return parser.parse_args()


if __name__ == "__main__":
    main()
