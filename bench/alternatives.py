"""Alternatives to labels in as many bytes: the paper's baselines (sections 5.1 and 6, Figure 5), on arrays.

    pixel_payload   images of the target task, as JPEG: a random balanced subset, or a k-centre coreset
    linear_probe    the last layer over a frozen backbone, INT8
    int8_weights    the weights of a whole network, pruned, INT8
    random_labels   labels without information: a student that learns from them must be at chance

Every payload is real: the client's data are decoded from its bytes and from data that both sides hold. Each payload is
one zstd-19 frame and at most as large as its budget; the result is None if nothing fits. Where the paper leaves a
choice, it is made in favour of the baseline: no JPEG headers, images of any size, the reference set's principal
components, two numbers per channel for batch norms, networks that are made for the budget.
"""

from __future__ import annotations

import copy
import functools
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import zstandard
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.utils import prune

from plada_codec.reference import decode_bytes
from plada_train.models.timm_import import timm

if TYPE_CHECKING:
    from numpy.typing import NDArray

END_OF_IMAGE = b"\xff\xd9"
#: Bytes of a JPEG's last marker segment before the scan: three components (ITU T.81, B.2.3).
START_OF_SCAN_BYTES = 14
#: Side and quality of the images, number of images.
PIXEL_HEAD = struct.Struct("<BBH")
#: Number of parameters that are sent.
WEIGHTS_HEAD = struct.Struct("<I")
#: The most bytes that a frame adds to parts that cannot be compressed, head included.
FRAME_BYTES = 32
#: A scale is 2^((code - 200) / 8), a code of one byte: at most 9% larger than needed.
SCALE_OCTAVE = 8
SCALE_ONE = 200
#: Blocks and channels of each stage, width of the stem: `resnet18`s of 300 to 8,000 parameters. They are the best of a
#: dozen shapes on the test images of cifar10 at 32 pixels, one seed, which favours them there.
TINY_RESNETS = (
    ((1, 1, 0, 0), (2, 2, 2, 2), 1),
    ((0, 1, 1, 0), (2, 4, 4, 4), 2),
    ((1, 1, 0, 0), (4, 8, 8, 8), 3),
    ((1, 1, 0, 0), (6, 12, 12, 12), 4),
    ((1, 1, 1, 0), (6, 8, 16, 16), 4),
    ((1, 1, 1, 0), (6, 10, 17, 17), 4),
)


# --- labels and orders ---


def random_labels(labels: NDArray[np.int64], num_classes: int, seed: int) -> NDArray[np.int64]:
    """Draw uniform labels in place of `labels`: int64 [n]. Students of them have an accuracy of 1 / C on average."""
    return np.random.default_rng(seed).integers(num_classes, size=len(labels))


def balanced_order(labels: NDArray[np.int64], num_classes: int, seed: int) -> NDArray[np.int64]:
    """Order all images at random, the classes taking turns: int64 [n].

    In every prefix, two classes that still have images differ by at most one image.
    """
    random = np.random.default_rng(seed)
    turns = random.permutation(num_classes)
    return _in_turn(random.permutation(len(labels)), labels, turns)


def k_centre_order(
    features: NDArray[np.float32], labels: NDArray[np.int64], num_classes: int, seed: int, k: int
) -> NDArray[np.int64]:
    """The first min(k, n) images of a greedy k-centre coreset, the classes taking turns: int64 [min(k, n)].

    In each class, the first image is random, and each next image is the farthest from the images before it, in
    Euclidean distance (Gonzalez 1985): every prefix covers its class with at most twice the smallest possible radius.

    Args:
        features: float32 [n, F], of a network that was not trained on the task.
        labels: int64 [n].
        num_classes: number of classes C.
        seed: of the first images and of the classes' turns.
        k: number of images. The search needs n k F / C multiplications.
    """
    random = np.random.default_rng(seed)
    turns = random.permutation(num_classes)
    shares = np.bincount(labels[_in_turn(np.arange(len(labels)), labels, turns)[:k]], minlength=num_classes)
    chosen = []
    for label in np.flatnonzero(shares):
        members = np.flatnonzero(labels == label)
        chosen.append(
            members[_farthest_first(features[members], int(shares[label]), int(random.integers(len(members))))]
        )
    return _in_turn(np.concatenate(chosen), labels, turns)


def _farthest_first(points: NDArray[np.float32], count: int, first: int) -> NDArray[np.int64]:
    chosen = np.empty(count, np.int64)
    distances = np.full(len(points), np.inf, np.float32)
    for place in range(count):
        chosen[place] = np.argmax(distances) if place else first
        distances = np.minimum(distances, np.square(points - points[chosen[place]]).sum(1))
        # An image is not chosen twice, even if another image has the same features
        distances[chosen[place]] = -1
    return chosen


def _in_turn(images: NDArray[np.int64], labels: NDArray[np.int64], turns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Reorder `images` in rounds with one image of each class; class c is number `turns[c]` of a round."""
    classes = labels[images]
    counts = np.bincount(classes, minlength=len(turns))
    rounds = np.empty(len(images), np.int64)
    rounds[np.argsort(classes, kind="stable")] = np.arange(len(images)) - np.repeat(np.cumsum(counts) - counts, counts)
    return images[np.lexsort((turns[classes], rounds))]


# --- pixels ---


@dataclass(frozen=True)
class PixelPayload:
    """Images of the target, sent as JPEG, and the images that the client decodes.

    Attributes:
        data: the payload.
        images: uint8 [k, S, S, 3], decoded from the payload.
        labels: int64 [k], decoded from the payload.
    """

    data: bytes
    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def pixel_payload(
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    order: NDArray[np.int64],
    budget_bytes: int,
    quality: int,
    side: int | None = None,
) -> PixelPayload | None:
    """Send the longest prefix of `order` that fits the budget as JPEG; None if not even one image fits.

    All images use the tables of the JPEG standard, so that both sides know their header, which would add 600 bytes. The
    payload has a byte for each label, and each image's scan.

    Args:
        images: uint8 [n, S, S, 3], at the size of the student's input.
        labels: int64 [n], 0 <= label < 256.
        order: int64 [m], numbers of images; those first in it are sent first.
        budget_bytes: largest size of the payload.
        quality: JPEG quality, 1 .. 95 (the paper does not state its own). Lower quality: more images fit.
        side: side in pixels to which images are scaled (bicubic) while they are sent; None: S, without scaling.
    """
    size = images.shape[1]
    side = side or size
    header_bytes = len(_jpeg_header(side, quality))

    @functools.cache
    def scan(image: int) -> bytes:
        return _jpeg(_scaled(images[image], side), quality)[header_bytes:]

    def encoded(count: int) -> bytes:
        chosen = order[:count]
        head = PIXEL_HEAD.pack(side, quality, count) + labels[chosen].astype(np.uint8).tobytes()
        return _packed(head, b"".join(map(scan, chosen.tolist())))

    found = _largest(encoded, min(len(order), 0xFFFF), budget_bytes)
    return None if found is None else PixelPayload(found, *_received_pixels(found, size))


def _received_pixels(data: bytes, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    content = _unpacked(data)
    side, quality, count = PIXEL_HEAD.unpack_from(content)
    header = _jpeg_header(side, quality)
    labels = np.frombuffer(content, np.uint8, count, PIXEL_HEAD.size).astype(np.int64)
    # A scan ends at its only marker (T.81, B.1.1.5)
    scans = content[PIXEL_HEAD.size + count :].split(END_OF_IMAGE)[:-1]
    images = (np.asarray(decode_bytes(header + scan + END_OF_IMAGE)) for scan in scans)
    return np.stack([_scaled(image, size) for image in images]), labels


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.getvalue()


def _jpeg_header(side: int, quality: int) -> bytes:
    """The bytes at the beginning of every image of this size and quality."""
    black = _jpeg(np.zeros((side, side, 3), np.uint8), quality)
    return black[: black.index(b"\xff\xda") + START_OF_SCAN_BYTES]


def _scaled(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if pixels.shape[0] == side:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))


# --- linear probe ---


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of the reference set's features, the largest first and scaled to variance 1.

    Both sides hold the reference set and the backbone, so they compute the components; they are not sent.

    Attributes:
        mean: float32 [F].
        components: float32 [F, F], one in each column.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    @classmethod
    def of(cls, features: NDArray[np.float32]) -> PrincipalComponents:
        """Compute the principal components of the reference set's features, float32 [N, F]."""
        mean = features.mean(0, dtype=np.float64).astype(np.float32)
        centred = features - mean
        variances, directions = np.linalg.eigh(centred.T @ centred / np.float32(len(features)))
        return cls(mean, directions[:, ::-1] / np.sqrt(variances[-1]))

    def __call__(self, features: NDArray[np.float32], count: int) -> NDArray[np.float32]:
        """Project `features` [n, F] on the first `count` components: float32 [n, count]."""
        return np.asarray((features - self.mean) @ self.components[:, :count], np.float32)


@dataclass(frozen=True)
class LinearProbe:
    """A last layer, and the parameters that the client decodes.

    Attributes:
        data: the payload.
        basis: the components on which its inputs are projected.
        weights: float32 [C, d], decoded from the payload.
        bias: float32 [C], decoded from the payload.
    """

    data: bytes
    basis: PrincipalComponents
    weights: NDArray[np.float32]
    bias: NDArray[np.float32]

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Logits, float32 [n, C], of the backbone's features, float32 [n, F]."""
        return self.basis(features, self.weights.shape[1]) @ self.weights.T + self.bias


def linear_probe(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    num_classes: int,
    basis: PrincipalComponents,
    budget_bytes: int | None = None,
    inverse_penalty: float = 1.0,
) -> LinearProbe | None:
    """Fit a logistic regression on as many principal components as fit the budget; None if not even one fits.

    The client must hold the same backbone, while a student that learns from labels may be any network.

    Args:
        features: float32 [n, F], of the target's training images.
        labels: int64 [n]; every class occurs.
        num_classes: number of classes C.
        basis: see `Basis`.
        budget_bytes: largest size of the payload; None: all components.
        inverse_penalty: inverse strength of the regularisation, scikit-learn's `C`.
    """
    projected = basis(features, basis.components.shape[1])

    def encoded(count: int) -> bytes:
        model = LogisticRegression(C=inverse_penalty, max_iter=300, tol=1e-3).fit(projected[:, :count], labels)
        rows = np.column_stack([model.coef_, model.intercept_])
        if num_classes == 2:
            # With two classes, scikit-learn has a single row, of the second class
            rows = np.concatenate([-rows, rows]) / 2
        scales, codes = zip(*map(_quantised, rows), strict=True)
        return _packed(bytes(scales), np.concatenate(codes).tobytes())

    data = _largest(encoded, projected.shape[1], budget_bytes)
    if data is None:
        return None
    content = _unpacked(data)
    scales = _scale(np.frombuffer(content, np.uint8, num_classes))
    rows = scales[:, None] * np.frombuffer(content, np.int8, offset=num_classes).reshape(num_classes, -1)
    return LinearProbe(data, basis, rows[:, :-1], rows[:, -1])


# --- weights ---


@dataclass(frozen=True)
class WeightsPayload:
    """A network's weights, and the weights that the client decodes.

    Attributes:
        data: the payload.
        kept: number of parameters that are not zero.
        state: state_dict for a network of the same architecture, decoded from the payload.
    """

    data: bytes
    kept: int
    state: dict[str, torch.Tensor]


def int8_weights(network: nn.Module, budget_bytes: int | None = None) -> WeightsPayload | None:
    """Send a network's norms, its biases, and as many of its largest weights as fit the budget; the others become zero.

    Deep Compression (Han et al. 2016) without its codebook: pruned by magnitude over all layers, INT8 with a scale for
    each tensor, positions as gaps, all entropy-coded. The four numbers of a batch norm's channel are sent as two with
    the same effect. None if norms, biases and one weight do not fit.

    Args:
        network: a trained network, not changed. Weights that are zero, as after `prune_smallest`, are not sent.
        budget_bytes: largest size of the payload; None: all parameters.
    """
    network = _with_plain_norms(network)
    tensors = [parameter.detach().cpu().numpy().ravel() for parameter in network.parameters()]
    sizes = [len(tensor) for tensor in tensors]
    values = np.concatenate(tensors)
    is_weight = np.repeat([parameter.ndim > 1 for parameter in network.parameters()], sizes)
    by_magnitude = np.argsort(-np.abs(values * is_weight), kind="stable")[: np.count_nonzero(values * is_weight)]

    def encoded(count: int) -> bytes:
        kept = np.where(is_weight, 0, values)
        kept[by_magnitude[:count]] = values[by_magnitude[:count]]
        scales, codes = zip(*map(_quantised, np.split(kept, np.cumsum(sizes)[:-1])), strict=True)
        every = np.concatenate(codes)
        layouts = np.flatnonzero(every), np.arange(len(every))
        return min((_weights_layout(bytes(scales), every, sent) for sent in layouts), key=len)

    data = _largest(encoded, len(by_magnitude), budget_bytes)
    if data is None:
        return None
    received = _received_parameters(data, sizes)
    with torch.no_grad():
        for parameter, tensor in zip(network.parameters(), np.split(received, np.cumsum(sizes)[:-1]), strict=True):
            parameter.copy_(torch.from_numpy(tensor).view_as(parameter))
    return WeightsPayload(data, int(np.count_nonzero(received)), network.state_dict())


def _weights_layout(scales: bytes, codes: NDArray[np.int8], sent: NDArray[np.int64]) -> bytes:
    return _packed(WEIGHTS_HEAD.pack(len(sent)) + scales, _gaps(sent), codes[sent].tobytes())


def _received_parameters(data: bytes, sizes: list[int]) -> NDArray[np.float32]:
    content = _unpacked(data)
    (count,) = WEIGHTS_HEAD.unpack_from(content)
    scales = np.frombuffer(content, np.uint8, len(sizes), WEIGHTS_HEAD.size)
    gaps = np.frombuffer(content[WEIGHTS_HEAD.size + len(sizes) : -count], np.uint8)
    codes = np.zeros(sum(sizes), np.float32)
    codes[_positions(gaps)] = np.frombuffer(content[-count:], np.int8)
    return np.repeat(_scale(scales), sizes) * codes


def _with_plain_norms(network: nn.Module) -> nn.Module:
    """Copy a network for inference, with the same outputs and batch norms of mean 0 and variance 1."""
    plain = copy.deepcopy(network).eval()
    norms: list[Any] = [layer for layer in plain.modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)]
    with torch.no_grad():
        for norm in norms:
            norm.weight /= torch.sqrt(norm.running_var + norm.eps)
            norm.bias -= norm.running_mean * norm.weight
            norm.running_mean.zero_()
            norm.running_var.fill_(1 - norm.eps)
    return plain


def prune_smallest(network: nn.Module, share: float) -> None:
    """Keep a share of the weights of linear and convolutional layers: the largest magnitudes over all layers.

    The other weights stay zero, also during further training, until `finish_pruning`.
    """
    network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # `prune` needs it
    weights = [(layer, "weight") for layer in _weighted(network)]
    prune.global_unstructured(weights, prune.L1Unstructured, amount=1 - share)


def finish_pruning(network: nn.Module) -> None:
    """Make pruned parameters plain parameters, as `int8_weights` and `state_dict` expect them."""
    for layer in _weighted(network):
        prune.remove(layer, "weight")  # type: ignore[no-untyped-call]


def _weighted(network: nn.Module) -> list[Any]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.modules.conv._ConvNd)]


def tiny_model_args(budget_bytes: int, num_classes: int) -> dict[str, Any] | None:
    """Arguments that make timm's `resnet18` the widest network whose weights all fit the budget; None if none fits.

    In a few thousand bytes, pruning leaves almost nothing of a large network.
    """
    for layers, channels, stem_width in reversed(TINY_RESNETS):
        arguments: dict[str, Any] = {"layers": layers, "channels": channels, "stem_width": stem_width}
        arguments |= {"stem_type": "deep", "avg_down": True}
        network = timm.create_model("resnet18", num_classes=num_classes, **arguments)
        # A byte for each parameter, and a byte for each tensor's scale
        if sum(tensor.numel() + 1 for tensor in network.parameters()) + FRAME_BYTES <= budget_bytes:
            return arguments
    return None


# --- bytes ---


def _quantised(values: NDArray[np.floating[Any]]) -> tuple[int, NDArray[np.int8]]:
    """Code of a scale, and codes of values: |value - scale * code| <= scale / 2, unless the scale is out of range."""
    peak = float(np.abs(values).max())
    octaves = np.log2(peak / 127) if peak else -np.inf
    scale = int(np.clip(np.ceil(np.float64(octaves * SCALE_OCTAVE)) + SCALE_ONE, 0, 255))
    return scale, np.clip(np.rint(values / _scale(np.array(scale))), -127, 127).astype(np.int8)


def _scale(codes: NDArray[Any]) -> NDArray[np.float32]:
    return np.exp2((codes.astype(np.float32) - SCALE_ONE) / SCALE_OCTAVE)


def _gaps(positions: NDArray[np.int64]) -> bytes:
    """Encode gaps between positions as bytes: a 255 for each 255 skipped positions, then the rest."""
    gaps = np.diff(positions, prepend=-1) - 1
    ends = np.cumsum(gaps // 255 + 1)
    data = np.full(ends[-1], 255, np.uint8)
    data[ends - 1] = gaps % 255
    return data.tobytes()


def _positions(gaps: NDArray[np.uint8]) -> NDArray[np.int64]:
    is_last = gaps < 255
    return np.cumsum(gaps, dtype=np.int64)[is_last] + np.arange(np.count_nonzero(is_last))


def _packed(*parts: bytes) -> bytes:
    """Compress parts to one zstd-19 frame, with a block for each part, as each has its own statistics."""
    compressor = zstandard.ZstdCompressor(level=19).compressobj(size=sum(map(len, parts)))
    blocks = [compressor.compress(part) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK) for part in parts[:-1]]
    return b"".join(blocks) + compressor.compress(parts[-1]) + compressor.flush()


def _unpacked(data: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(data)


def _largest(encoded: Callable[[int], bytes], most: int, budget_bytes: int | None) -> bytes | None:
    """Find a count of 1 .. `most` that fits while the next does not; return its bytes, or None if 1 does not fit.

    Sizes grow with the count, except for a few bytes. Without a budget, the count is `most`.
    """
    if budget_bytes is None:
        return encoded(most)
    best, fits, fails = None, 0, most + 1
    while fails - fits > 1:
        # The geometric mean, because small counts are encoded faster
        middle = max(fits + 1, isqrt(max(fits, 1) * fails))
        tried = encoded(middle)
        if len(tried) <= budget_bytes:
            best, fits = tried, middle
        else:
            fails = middle
    return best
