"""Compute the score "loss" of reference images (see `proxies.label_loss`), once for each plan."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from plada_codec import Universe
from plada_codec.progress import progress_bar
from plada_train import json_files
from plada_train.constraints import Share
from plada_train.files import write_bytes
from plada_train.planning.workers import PlanContext, Workers, compute_label_loss, train_target_proxy
from plada_train.training import proxies

if TYPE_CHECKING:
    from concurrent.futures import Future

    from numpy.typing import NDArray

#: Proxies learn the target in this many passes over its images, within these limits of steps.
EPOCHS = 10
LEAST_STEPS, MOST_STEPS = 200, 800
#: Number of images of each job of a worker.
_CHUNK = 2_000


def write_label_loss(context: PlanContext, sample: Universe, workers: Workers) -> dict[str, float]:
    """Compute the loss of the labels in a universe; write it to `context.loss_path`: float32 [N], NaN elsewhere.

    Returns:
        The accuracy on held-out images of each proxy that learnt the target itself.
    """
    accuracies_path = context.folder / "proxies.json"
    if context.loss_path.exists() and accuracies_path.exists():
        return json_files.read(accuracies_path, dict[str, Share])
    steps = EPOCHS * len(context.train.labels) // context.batch_size
    steps = min(max(steps, LEAST_STEPS), MOST_STEPS)
    with progress_bar("proxies learn the target"):
        learning = {model: workers.submit(train_target_proxy, model, steps) for model in proxies.MODELS}
        accuracies = {model: future.result() for model, future in learning.items()}
    json_files.write(accuracies_path, accuracies)
    size = len(context.reference)
    chunk = _CHUNK * sample.stride
    loss = np.full(size, np.nan, np.float32)
    with progress_bar("proxies judge the labels", "images") as progress:
        judging: list[tuple[int, Future[NDArray[np.float32]]]] = [
            (first, workers.submit(compute_label_loss, first, min(first + chunk, size), sample.stride))
            for first in range(sample.offset, size, chunk)
        ]
        for first, future in judging:
            loss[first : first + chunk : sample.stride] = future.result()
            progress(min(first + chunk, size) // sample.stride, sample.size(size))
    data = io.BytesIO()
    np.save(data, loss)
    write_bytes(context.loss_path, data.getvalue())
    return accuracies
