"""A client in plain torch: a DataLoader reads the virtual dataset, in worker processes.

Needs torch, and what `small_task.py` needs.
"""

from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from small_task import make_small_task
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from plada_codec import VirtualDataset


def to_tensor(image: Image.Image) -> torch.Tensor:
    """An RGB image as float32 [3, H, W]."""
    return torch.from_numpy(np.asarray(image, np.float32) / 255).permute(2, 0, 1)


def main() -> None:
    """Train a linear student, and test it."""
    torch.manual_seed(0)
    task = make_small_task()
    dataset = VirtualDataset(task.reference, task.payload, to_tensor)
    loader = DataLoader(cast(Dataset[Any], dataset), batch_size=25, shuffle=True, num_workers=1)
    student = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(dataset.payload.num_classes))
    student(torch.from_numpy(task.test_pixels[:1]))  # makes the weights
    optimizer = torch.optim.Adam(student.parameters(), 0.01)
    for _ in range(10):
        for images, labels in loader:
            loss = functional.cross_entropy(student(images), labels)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    predicted = student(torch.from_numpy(task.test_pixels).permute(0, 3, 1, 2)).argmax(1).numpy()
    accuracy = np.mean(predicted == task.test_labels)
    print(f"student {accuracy:.1%}, from {len(dataset)} labels")
    assert accuracy > 0.8


if __name__ == "__main__":  # worker processes import this file
    main()
