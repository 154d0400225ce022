"""The baselines are within their budgets, are decoded from their bytes alone, and choose by their documented rule."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from tests.helpers.examples import examples

for package in ("torch", "sklearn"):  # not timm, which timm_import.py must import first
    pytest.importorskip(package, reason="needs the extra 'train'")

import torch

from bench import alternatives
from plada_train.models.timm_import import timm

pytestmark = pytest.mark.training

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES = 4
label_arrays = hnp.arrays(np.int64, st.integers(1, 60), elements=st.integers(0, CLASSES - 1))
seeds = st.integers(0, 5)
ARGUMENTS = alternatives.tiny_model_args(8000, CLASSES) or {}


def is_balanced_in_every_prefix(order: NDArray[np.int64], labels: NDArray[np.int64]) -> bool:
    available = np.bincount(labels, minlength=CLASSES)
    for length in range(1, len(order) + 1):
        taken = np.bincount(labels[order[:length]], minlength=CLASSES)
        # A class with images left is at most one image behind any other
        if (taken[taken < available] < taken.max() - 1).any():
            return False
    return True


# --- labels and orders ---


@given(label_arrays, seeds)
def test_balanced_order_has_every_image_once_and_is_balanced_in_every_prefix(
    labels: NDArray[np.int64], seed: int
) -> None:
    order = alternatives.balanced_order(labels, CLASSES, seed)
    assert sorted(order) == list(range(len(labels)))
    assert is_balanced_in_every_prefix(order, labels)
    assert order.tolist() == alternatives.balanced_order(labels, CLASSES, seed).tolist()


@examples(0.6)
@given(label_arrays, seeds, st.integers(1, 70), st.booleans())
def test_k_centre_order_has_k_different_images_and_is_balanced_in_every_prefix(
    labels: NDArray[np.int64], seed: int, k: int, are_points_equal: bool
) -> None:
    features = np.random.default_rng(seed).normal(size=(len(labels), 3)).astype(np.float32)
    order = alternatives.k_centre_order(0 * features if are_points_equal else features, labels, CLASSES, seed, k)
    assert len(set(order.tolist())) == len(order) == min(k, len(labels))
    assert is_balanced_in_every_prefix(order, labels)


@examples(0.6)
@given(hnp.arrays(np.float32, (9, 2), elements=st.integers(-9, 9)), seeds)
def test_k_centres_cover_ever_better_and_within_twice_the_best_radius(points: NDArray[np.float32], seed: int) -> None:
    order = alternatives.k_centre_order(points, np.zeros(len(points), np.int64), 1, seed, len(points))
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    radii = [distances[:, order[:k]].min(1).max() for k in range(1, len(points) + 1)]
    assert radii == sorted(radii, reverse=True)
    for k in (1, 2, 3):
        best = min(distances[:, centres].min(1).max() for centres in itertools.combinations(range(len(points)), k))
        assert radii[k - 1] <= 2 * best + 1e-5


def test_random_labels_are_uniform_whatever_the_labels_are() -> None:
    labels = alternatives.random_labels(np.zeros(40_000, np.int64), CLASSES, seed=0)
    assert np.abs(np.bincount(labels, minlength=CLASSES) - 10_000).max() < 500
    assert (labels == alternatives.random_labels(np.zeros(40_000, np.int64), CLASSES, seed=0)).all()


# --- pixels ---


@pytest.fixture(scope="module")
def pictures() -> NDArray[np.uint8]:
    """Waves of many colours, which JPEG keeps: uint8 [60, 32, 32, 3]."""
    random = np.random.default_rng(0)
    rows, columns = np.mgrid[:32, :32] / 32
    frequencies, phases = random.uniform(0, 3, (2, 60, 1, 1, 3)), random.uniform(0, 6, (60, 1, 1, 3))
    waves = np.sin(frequencies[0] * rows[..., None] + frequencies[1] * columns[..., None] + phases)
    pixels: NDArray[np.uint8] = (127.5 + 127 * waves).astype(np.uint8)
    return pixels


@examples(0.3)
@given(budget_bytes=st.integers(0, 6000), quality=st.sampled_from([30, 75]), side=st.sampled_from([None, 16]))
def test_pixels_are_the_longest_prefix_that_fits(
    pictures: NDArray[np.uint8], budget_bytes: int, quality: int, side: int | None
) -> None:
    labels = np.arange(len(pictures)) % CLASSES
    order = alternatives.balanced_order(labels, CLASSES, 0)
    payload = alternatives.pixel_payload(pictures, labels, order, budget_bytes, quality, side)
    count = len(payload.labels) if payload else 0
    if payload:
        assert len(payload.data) <= budget_bytes
        assert payload.images.shape == (count, 32, 32, 3)
        assert payload.labels.tolist() == labels[order[:count]].tolist()
    if count < len(order):
        longer = alternatives.pixel_payload(pictures, labels, order[: count + 1], 10**6, quality, side)
        assert longer is not None
        assert len(longer.data) > budget_bytes


@pytest.mark.parametrize("quality", [10, 50, 95])
def test_received_pixels_are_those_of_whole_jpeg_files(pictures: NDArray[np.uint8], quality: int) -> None:
    order = np.arange(len(pictures))
    payload = alternatives.pixel_payload(pictures, order, order, 10**6, quality)
    assert payload is not None
    for sent, received in zip(pictures, payload.images, strict=True):
        file = io.BytesIO()
        Image.fromarray(sent).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        assert np.array_equal(received, np.asarray(Image.open(file)))


def test_small_pixels_come_back_at_the_size_of_the_student(pictures: NDArray[np.uint8]) -> None:
    order = np.arange(len(pictures))
    payload = alternatives.pixel_payload(pictures, order, order, 10**6, 95, side=16)
    assert payload is not None
    assert np.abs(payload.images.astype(int) - pictures).mean() < 10


# --- linear probe ---


@pytest.fixture(scope="module")
def blobs() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features of four well separated classes: float32 [400, 24], int64 [400]."""
    random = np.random.default_rng(0)
    labels = np.arange(400) % CLASSES
    centres = random.normal(size=(CLASSES, 24)) * 2
    return (centres[labels] + random.normal(size=(400, 24))).astype(np.float32), labels


def test_basis_is_that_of_the_principal_components_the_largest_of_variance_1(
    blobs: tuple[NDArray[np.float32], NDArray[np.int64]],
) -> None:
    basis = alternatives.PrincipalComponents.of(blobs[0])
    projected = basis(blobs[0], 24)
    covariance = projected.T @ projected / len(projected)
    variances = np.diag(covariance)
    np.testing.assert_allclose(covariance, np.diag(variances), atol=1e-4)
    assert variances[0] == pytest.approx(1, abs=1e-4)
    assert (np.diff(variances) <= 1e-4).all()
    np.testing.assert_allclose(basis(blobs[0], 5), projected[:, :5], rtol=1e-4, atol=1e-4)


@examples(0.15)
@given(budget_bytes=st.integers(0, 140))
def test_linear_probe_fits_its_budget_with_as_many_components_as_can_be(
    blobs: tuple[NDArray[np.float32], NDArray[np.int64]], budget_bytes: int
) -> None:
    basis = alternatives.PrincipalComponents.of(blobs[0])
    probe = alternatives.linear_probe(*blobs, CLASSES, basis, budget_bytes)
    if probe is None:
        assert budget_bytes < 40
    else:
        assert len(probe.data) <= budget_bytes
        assert CLASSES * probe.weights.shape[1] >= min(budget_bytes - 40, 24 * CLASSES)


@pytest.mark.parametrize("num_classes", [2, CLASSES])
def test_the_whole_linear_probe_classifies_separate_blobs(
    blobs: tuple[NDArray[np.float32], NDArray[np.int64]], num_classes: int
) -> None:
    features, labels = blobs[0], blobs[1] % num_classes
    probe = alternatives.linear_probe(features, labels, num_classes, alternatives.PrincipalComponents.of(features))
    assert probe is not None
    assert probe.weights.shape == (num_classes, 24)
    assert (probe.logits(features).argmax(1) == labels).mean() > 0.95


# --- weights ---


def small_network(seed: int = 0) -> torch.nn.Module:
    """With batch norms as after training."""
    torch.manual_seed(seed)
    network: torch.nn.Module = timm.create_model("resnet18", num_classes=CLASSES, **ARGUMENTS)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
            torch.nn.init.normal_(layer.running_mean, std=0.2)
            torch.nn.init.uniform_(layer.running_var, 0.5, 1.5)
    return network.eval()


def received(network: torch.nn.Module, budget_bytes: int | None) -> tuple[bytes, torch.nn.Module] | None:
    payload = alternatives.int8_weights(network, budget_bytes)
    if payload is None:
        return None
    other = small_network(seed=1)
    other.load_state_dict(payload.state)
    nonzero = sum(int(parameter.count_nonzero()) for parameter in other.parameters())
    assert nonzero == payload.kept
    return payload.data, other


@given(hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-100, 100, width=32)))
def test_int8_is_within_half_a_step_of_the_values(values: NDArray[np.float32]) -> None:
    code, multiples = alternatives._quantised(values)
    scale = float(alternatives._scale(np.array(code)))
    assert np.abs(multiples * scale - values).max() <= scale / 2 * (1 + 1e-5)
    assert scale <= max(float(np.abs(values).max()) / 127 * 2**0.125 * (1 + 1e-5), 2.0**-25)


@given(st.lists(st.one_of(st.integers(0, 3), st.integers(250, 1100)), min_size=1, max_size=50))
def test_gaps_give_back_the_positions(gaps: list[int]) -> None:
    positions = np.cumsum(np.array(gaps) + 1) - 1
    data = np.frombuffer(alternatives._gaps(positions), np.uint8)
    assert alternatives._positions(data).tolist() == positions.tolist()


def test_plain_norms_compute_the_same() -> None:
    network, images = small_network(), torch.randn(5, 3, 32, 32)
    with torch.inference_mode():
        expected, got = network(images), alternatives._with_plain_norms(network)(images)
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-4)


def test_all_weights_in_int8_nearly_compute_the_same() -> None:
    network, images = small_network(), torch.randn(50, 3, 32, 32)
    got = received(network, None)
    assert got is not None
    with torch.inference_mode():
        expected, answer = network(images), got[1](images)
    assert (expected - answer).abs().max() < 0.1 * expected.abs().max()
    assert len(got[0]) <= sum(p.numel() + 1 for p in network.parameters()) + alternatives.FRAME_BYTES


@examples(0.08)
@given(budget_bytes=st.integers(0, 9000))
def test_weights_fit_their_budget_and_the_largest_are_kept(budget_bytes: int) -> None:
    network = small_network()
    got = received(network, budget_bytes)
    if got is None:
        assert budget_bytes < 600
        return
    data, other = got
    assert len(data) <= budget_bytes
    for sent, parameter in zip(alternatives._with_plain_norms(network).parameters(), other.parameters(), strict=True):
        step = 2**0.125 * float(sent.detach().abs().max()) / 127
        is_kept = parameter != 0
        assert ((parameter - sent)[is_kept].abs() <= step / 2 * 1.001).all()
        if sent.ndim > 1 and is_kept.any() and not is_kept.all():
            assert sent[is_kept].abs().min() >= sent[~is_kept].abs().max() - step


def test_pruned_weights_stay_zero_in_training_and_take_no_bytes() -> None:
    network = small_network()
    alternatives.prune_smallest(network, 0.1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(3):
        loss = network.train()(torch.randn(8, 3, 32, 32)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    alternatives.finish_pruning(network)
    weights = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    share = sum(int(w.count_nonzero()) for w in weights) / sum(w.numel() for w in weights)
    assert share == pytest.approx(0.1, abs=0.01)
    pruned, whole = received(network, None), received(small_network(), None)
    assert pruned is not None
    assert whole is not None
    assert len(pruned[0]) < 0.4 * len(whole[0])


@pytest.mark.parametrize("budget_bytes", [400, 1000, 2000, 4000, 8000])
def test_tiny_models_fit_their_budget_with_all_weights(budget_bytes: int) -> None:
    arguments = alternatives.tiny_model_args(budget_bytes, 12)
    assert arguments is not None
    network = timm.create_model("resnet18", num_classes=12, **arguments)
    payload = alternatives.int8_weights(network)
    assert payload is not None
    assert budget_bytes / 2 < len(payload.data) <= budget_bytes


def test_a_budget_below_the_smallest_tiny_model_has_none() -> None:
    assert alternatives.tiny_model_args(100, 10) is None
