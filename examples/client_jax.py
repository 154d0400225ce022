"""A client in JAX: batches of numpy from the virtual dataset.

Needs jax, and what `small_task.py` needs.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from small_task import make_small_task

from plada_codec import VirtualDataset


def batches(dataset: VirtualDataset, size: int, epochs: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches in random order: float32 [size, H, W, 3] and int64 [size]."""
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(dataset))
        for begin in range(0, len(order) - size + 1, size):
            images, labels = zip(*(dataset[i] for i in order[begin : begin + size]), strict=True)
            yield np.stack(images).astype(np.float32) / 255, np.array(labels)


def logits(weights: jax.Array, images: jax.Array | np.ndarray) -> jax.Array:
    """A linear student."""
    return images.reshape(len(images), -1) @ weights


def loss(weights: jax.Array, images: jax.Array, labels: jax.Array) -> jax.Array:
    """The cross entropy."""
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits(weights, images)), labels[:, None], axis=1))


task = make_small_task()
dataset = VirtualDataset(task.reference, task.payload, np.asarray)
gradient = jax.jit(jax.grad(loss))
weights = jnp.zeros((dataset[0][0].size, dataset.payload.num_classes))
for images, labels in batches(dataset, size=25, epochs=10):
    weights -= 0.2 * gradient(weights, images, labels)
accuracy = np.mean(np.asarray(logits(weights, task.test_pixels).argmax(axis=1)) == task.test_labels)
print(f"student {accuracy:.1%}, from {len(dataset)} labels")
assert accuracy > 0.8
