"""A client in Keras: a PyDataset over the virtual dataset, on any backend (`KERAS_BACKEND`).

For Keras' own reader of folders, write the images with `plada extract --png`. Needs keras and a backend, and what
`small_task.py` needs.
"""

import keras
import numpy as np
from small_task import make_small_task

from plada_codec import VirtualDataset

SIZE = 25


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras has no types
    """Batches of a virtual dataset: float32 [SIZE, H, W, 3] and int64 [SIZE]."""

    def __init__(self, dataset: VirtualDataset) -> None:
        super().__init__()
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset) // SIZE

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = zip(*(self._dataset[i] for i in range(SIZE * number, SIZE * (number + 1))), strict=True)
        return np.stack(images).astype(np.float32) / 255, np.array(labels)


keras.utils.set_random_seed(0)
task = make_small_task()
dataset = VirtualDataset(task.reference, task.payload, np.asarray)
student = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(dataset.payload.num_classes)])
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
student.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
student.fit(Batches(dataset), epochs=10, verbose=0)
_, accuracy = student.evaluate(task.test_pixels, task.test_labels, verbose=0)
print(f"student {accuracy:.1%}, from {len(dataset)} labels")
assert accuracy > 0.8
