"""Training targets of each image: hard, average and Dirichlet targets, and importance weights, from a payload."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plada_codec import Payload, encode
from plada_codec.errors import InputError, MissingClasses, PladaError, ReferenceMismatch
from plada_codec.reference import open_images, reference_digest
from plada_codec.sections.soft_labels import dequantised_concentrations, quantised_concentrations
from plada_codec.sections.weights import dequantised_weights, quantised_weights
from plada_train import stages
from plada_train.data.labelled import FeatureBatches
from plada_train.models.classifier import Classifier
from plada_train.recipe import Targets
from plada_train.training.loop import fit
from plada_train.training.targets import average_objective, draw_soft_labels, hard_objective, soft_objective
from tests.helpers.examples import examples
from tests.helpers.training import RECIPE, assert_fails, student, write_shards, write_tree

pytestmark = pytest.mark.training

CLASSES = 4
LOGITS = arrays(np.float32, (5, CLASSES), elements=st.floats(-20, 20, width=32))
LABELS = arrays(np.int64, 5, elements=st.integers(0, CLASSES - 1))
#: Some are 0, but in no row all.
ALPHAS = arrays(np.float64, (CLASSES, CLASSES), elements=st.sampled_from([0.0, 2**-21, 0.01, 1.0, 30.0, 512.0])).map(
    lambda alpha: alpha + np.eye(CLASSES) * 2**-21
)
ROWS = np.arange(CLASSES)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def nothing(done: int, total: int | None) -> None: ...


# --- objectives ---


@examples(0.5)
@given(LOGITS, LABELS, st.floats(0, 1))
def test_hard_targets_are_cross_entropy_with_smoothed_classes(
    logits: np.ndarray, labels: np.ndarray, smoothing: float
) -> None:
    target = (1 - smoothing) * np.eye(CLASSES)[labels] + smoothing / CLASSES
    losses = hard_objective(smoothing)(torch.from_numpy(logits), torch.from_numpy(labels))
    np.testing.assert_allclose(losses, -(target * log_softmax(logits)).sum(axis=1), rtol=1e-4, atol=1e-4)


@examples(0.5)
@given(LOGITS, LABELS, ALPHAS)
def test_average_targets_are_the_divergence_from_the_mean_of_the_class(
    logits: np.ndarray, labels: np.ndarray, alpha: np.ndarray
) -> None:
    target = (alpha / alpha.sum(axis=1, keepdims=True))[labels]
    log_target = np.log(np.where(target > 0, target, 1))
    losses = average_objective(alpha, ROWS)(torch.from_numpy(logits), torch.from_numpy(labels))
    np.testing.assert_allclose(losses, (target * (log_target - log_softmax(logits))).sum(axis=1), rtol=1e-3, atol=1e-3)


@examples(0.5)
@given(LOGITS, LABELS, st.sampled_from(["average", "dirichlet"]))
def test_one_hot_soft_labels_give_hard_targets(
    logits: np.ndarray, labels: np.ndarray, targets: Literal["average", "dirichlet"]
) -> None:
    given = torch.from_numpy(logits), torch.from_numpy(labels)
    objective = soft_objective(np.eye(CLASSES)[np.unique(labels)], labels, CLASSES, targets)
    torch.testing.assert_close(objective(*given), hard_objective()(*given), rtol=1e-4, atol=1e-4)


@examples(0.5)
@given(ALPHAS)
def test_drawn_targets_are_probabilities_and_0_where_the_concentration_is_0(alpha: np.ndarray) -> None:
    target = draw_soft_labels(torch.from_numpy(alpha)).numpy()
    np.testing.assert_allclose(target.sum(axis=1), 1, atol=1e-6)
    assert (target[alpha == 0] == 0).all()
    assert (target >= 0).all()


@pytest.mark.parametrize("alpha", [[2.0, 3.0, 5.0], [0.05, 0.2, 0.1], [400.0, 1.0, 0.0]])
def test_drawn_targets_have_the_mean_and_variance_of_their_distribution(alpha: list[float]) -> None:
    torch.manual_seed(0)
    draws = draw_soft_labels(torch.tensor([alpha], dtype=torch.float64).expand(40_000, -1)).numpy()
    total = sum(alpha)
    mean = np.array(alpha) / total
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.01)
    np.testing.assert_allclose(draws.var(axis=0), mean * (1 - mean) / (total + 1), atol=0.005)


def test_drawn_targets_differ_from_draw_to_draw_and_follow_the_seed() -> None:
    alpha = torch.ones(3, 4, dtype=torch.float64)
    torch.manual_seed(1)
    first, second = draw_soft_labels(alpha), draw_soft_labels(alpha)
    torch.manual_seed(1)
    assert torch.equal(draw_soft_labels(alpha), first)
    assert not torch.equal(first, second)
    assert not torch.equal(first[0], first[1])


# --- in training ---


def test_a_weight_counts_like_repetition_and_0_like_absence() -> None:
    """One step on three images, weighted 2, 1 and 0, is one on the first twice and the second."""
    recipe = replace(RECIPE, epochs=1, batch_size=3, warmup=0)
    features = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    layers = []
    for rows, labels, weights in (([0, 1, 2], [0, 1, 2], np.array([2.0, 1.0, 0.0])), ([0, 0, 1], [0, 0, 1], None)):
        layer = torch.nn.Linear(6, 3)
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        fit(layer, FeatureBatches(features[rows], np.array(labels), 3, 0, weights), recipe, nothing)
        layers.append(layer)
    torch.testing.assert_close(layers[0].weight, layers[1].weight)
    torch.testing.assert_close(layers[0].bias, layers[1].bias)


@pytest.fixture(scope="module")
def shared_sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    write_shards(folder / "ref", 3, 16)
    write_tree(folder / "test", 2, 1)
    return folder


@pytest.fixture
def sources(shared_sources: Path, tmp_path: Path) -> Path:
    shutil.copytree(shared_sources, tmp_path, dirs_exist_ok=True)
    return tmp_path


def payload(sources: Path, **more: object) -> bytes:
    """24 images of 3 of 4 classes."""
    digest = reference_digest(open_images(sources / "ref"))
    return encode(Payload(range(0, 48, 2), [i % 3 for i in range(24)], 48, 4, digest, **more))  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore::plada_codec.errors.MissingClasses")
def test_a_virtual_dataset_has_the_payloads_soft_labels_and_weights(sources: Path) -> None:
    soft = quantised_concentrations(np.array([[8.0, 1, 0, 0], [0, 4, 2, 0], [1, 1, 64, 0.5]]))
    weights = quantised_weights(np.geomspace(0.1, 2, 24))
    data = stages.virtual_dataset(open_images(sources / "ref"), payload(sources, soft_labels=soft, weights=weights))
    assert data.weights is not None
    assert data.concentrations is not None
    np.testing.assert_array_equal(data.concentrations, dequantised_concentrations(soft))
    np.testing.assert_array_equal(data.weights, dequantised_weights(weights))
    assert data.weights.mean() == pytest.approx(1)
    plain = stages.virtual_dataset(open_images(sources / "ref"), payload(sources))
    assert plain.weights is plain.concentrations is None


def weights_of(classifier: Classifier) -> torch.Tensor:
    return torch.cat([tensor.flatten().float() for tensor in classifier.network.state_dict().values()])


@pytest.mark.filterwarnings("ignore::plada_codec.errors.MissingClasses")
def test_targets_and_weights_change_a_student_and_the_same_seed_repeats_it(sources: Path) -> None:
    quick = replace(RECIPE, epochs=1)
    reference = open_images(sources / "ref")
    soft = quantised_concentrations(np.array([[8.0, 4, 0, 0], [0, 4, 2, 0], [1, 1, 8, 0.5]]))
    weights = quantised_weights(np.geomspace(0.1, 2, 24))
    data = stages.virtual_dataset(reference, payload(sources, soft_labels=soft, weights=weights))
    plain = stages.virtual_dataset(reference, payload(sources))
    students = [weights_of(stages.train_student(plain, quick)), weights_of(stages.train_student(data, quick))]
    kinds: tuple[Targets, ...] = ("average", "dirichlet")
    for targets in kinds:
        recipe = replace(quick, targets=targets, importance=False)
        students.append(weights_of(stages.train_student(data, recipe)))
        assert torch.equal(students[-1], weights_of(stages.train_student(data, recipe)))
    assert all(not torch.equal(a, b) for i, a in enumerate(students) for b in students[:i])
    assert torch.equal(students[0], weights_of(stages.train_student(data, replace(quick, importance=False))))


# --- unusable input and wrong usage ---


@pytest.mark.filterwarnings("ignore::plada_codec.errors.MissingClasses")
@pytest.mark.parametrize("targets", ["average", "dirichlet"])
def test_soft_targets_of_a_payload_without_soft_labels_are_refused(sources: Path, targets: Targets) -> None:
    data = stages.virtual_dataset(open_images(sources / "ref"), payload(sources))
    with pytest.raises(InputError, match=f"no soft labels for {targets} .*`plada-train select --soft-labels`"):
        stages.train_student(data, replace(RECIPE, targets=targets))


@pytest.mark.filterwarnings("ignore::plada_codec.errors.MissingClasses")
def test_a_device_that_is_not_there_is_one_line_with_soft_targets_too(sources: Path) -> None:
    data = stages.virtual_dataset(open_images(sources / "ref"), payload(sources))
    data = replace(data, concentrations=np.ones((3, 4)))
    with pytest.raises(InputError, match="device 'cuda:99' cannot be used"):
        stages.train_student(data, replace(RECIPE, targets="average", device="cuda:99"))


def test_classes_that_the_payload_has_no_image_of_are_named(sources: Path) -> None:
    reference = open_images(sources / "ref")
    with pytest.warns(MissingClasses, match="no image of these classes: 3$"):
        stages.virtual_dataset(reference, payload(sources))
    with pytest.warns(MissingClasses, match="no image of these classes: pig$"):
        stages.virtual_dataset(reference, payload(sources, class_names=("ant", "bee", "cow", "pig")))
    result = student(sources, payload(sources, class_names=("blue", "green", "red", "pig")))
    assert result.exit_code == 0, result.output
    assert result.stderr == "plada-train: warning: the payload has no image of these classes: pig\n"


def test_a_payload_for_more_images_than_there_are_says_how_many(sources: Path) -> None:
    (sources / "ref" / "ref-002.tar").unlink()
    blob = payload(sources, class_names=("blue", "green", "red", "pig"))
    digest = reference_digest(open_images(sources / "ref"))
    with pytest.raises(ReferenceMismatch, match=f"reference set {digest.hex()} of 48 images, but .*ref has 32"):
        stages.virtual_dataset(open_images(sources / "ref"), blob)
    assert_fails(student(sources, blob), "of 48 images", "has 32")


def test_a_payload_of_the_right_size_for_another_reference_set_is_refused(sources: Path) -> None:
    blob = encode(Payload([1, 2], [0, 1], 48, 2, bytes(8)))
    with pytest.raises(PladaError, match="0000000000000000"):
        stages.virtual_dataset(open_images(sources / "ref"), blob)
