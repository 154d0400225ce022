"""The forward pass: compute logits, predicted classes or features of images.

Worker processes, or a thread if there are none, decode images while the model computes on the previous ones. The same
classifier, images, batch size, machine and number of threads give the same values, with any number of workers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from plada_codec.errors import InputError, PladaError, first_line
from plada_codec.progress import Progress
from plada_codec.reference import ImageSource, decode_image
from plada_train.data.labelled import LabelledImages, Transform
from plada_train.json_files import dumps, loads
from plada_train.models.classifier import Classifier
from plada_train.models.config import ModelConfig
from plada_train.recipe import Recipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Images in a batch on a CPU: with 64, MobileNetV2 spends half of its time on page faults.
CPU_BATCH_SIZE = 16


def logits(
    classifier: Classifier, images: ImageSource, numbers: NDArray[np.int64], recipe: Recipe, progress: Progress
) -> Iterator[NDArray[np.float32]]:
    """Compute the logits of the images `numbers`, a batch at a time: float32 [B, C]. Errors: `forward`."""
    return forward(classifier, classifier.network, images, numbers, recipe, progress)


def predict(classifier: Classifier, data: LabelledImages, recipe: Recipe, progress: Progress) -> NDArray[np.int64]:
    """Predict the class of each image of `data`, that of the largest logit: int64 [n]. Errors: `forward`."""
    batches = logits(classifier, data.images, data.numbers, recipe, progress)
    return np.concatenate([batch.argmax(axis=1) for batch in batches])


def forward(
    classifier: Classifier,
    function: Callable[[torch.Tensor], torch.Tensor],
    images: ImageSource,
    numbers: NDArray[np.int64],
    recipe: Recipe,
    progress: Progress,
) -> Iterator[NDArray[np.float32]]:
    """Compute `function`, a part of `classifier`, for the images `numbers`, a batch at a time: float32 [B, ...].

    Args:
        classifier: the classifier; it is put into evaluation mode.
        function: maps pixels, float32 [B, 3, S, S], to a tensor [B, ...].
        images: the source.
        numbers: int64 [n], numbers of images in the source.
        recipe: settings of the computation: `batch_size` (except on a CPU), `device`, `workers` and `amp`.
        progress: called after each batch, when the next one is requested.

    Raises:
        SourceError: if an image cannot be read or decoded.
        InputError: as `convert_torch_errors`.
    """
    size = batch_size(recipe)
    device = torch.device(recipe.device)
    batches: DataLoader[Any] = DataLoader(
        _Batches(images, numbers, size, classifier.config.transform()),
        batch_size=None,
        num_workers=recipe.workers,
        pin_memory=device.type == "cuda",
    )
    classifier.network.eval()
    with convert_torch_errors("the forward pass"):
        for number, pixels in enumerate(_fetched_ahead(batches), 1):
            if isinstance(pixels, PladaError):
                raise pixels
            with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=recipe.amp):
                output = function(pixels.to(device, memory_format=torch.channels_last, non_blocking=True))
                values: NDArray[np.float32] = output.float().cpu().numpy()
            yield values
            progress(min(number * size, len(numbers)), len(numbers))


@contextmanager
def convert_torch_errors(what: str) -> Iterator[None]:
    """Turn errors of torch into an InputError: too little memory, a killed worker, a wrong shape."""
    try:
        yield
    except PladaError:
        raise
    except (RuntimeError, ValueError) as error:
        cure = ": make batches smaller" if "memory" in str(error) else ""
        raise InputError(f"{what} failed ({first_line(error)}){cure}", rule="torch") from error


def batch_size(recipe: Recipe) -> int:
    """Number of images in a batch of a forward pass."""
    return CPU_BATCH_SIZE if torch.device(recipe.device).type == "cpu" else recipe.batch_size


def fingerprint(classifier: Classifier) -> str:
    """SHA-256, in hexadecimal, of everything that decides the logits: the weights and the preparation of images."""
    # As a checkpoint gives it back, where whole numbers of mean and std are floats
    config = loads(dumps(classifier.config), ModelConfig, "the model")
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    for name, tensor in sorted(classifier.network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _fetched_ahead(items: Iterable[Any]) -> Iterator[Any]:
    """Yield the items; a thread fetches the next item while the caller uses the current one."""
    iterator = iter(items)
    end = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = thread.submit(next, iterator, end)
            yield item


class _Batches(Dataset[torch.Tensor | PladaError]):
    """Batches of images in order. Errors are returned as items: raised in a worker, they would get its traceback."""

    def __init__(self, images: ImageSource, numbers: NDArray[np.int64], size: int, transform: Transform) -> None:
        self._images = images
        self._numbers = numbers
        self._size = size
        self._transform = transform

    def __len__(self) -> int:
        return -(-len(self._numbers) // self._size)

    def __getitem__(self, item: int) -> torch.Tensor | PladaError:
        numbers = self._numbers[item * self._size :][: self._size]
        try:
            pixels = torch.stack([self._transform(decode_image(self._images, int(i))) for i in numbers])
        except PladaError as error:
            return error
        return pixels.contiguous(memory_format=torch.channels_last)
