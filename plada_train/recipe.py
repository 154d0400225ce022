"""How a classifier is made: the model and its training, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A timm model and how to train it. Equal recipes, images and machines give equal classifiers.

    Attributes:
        model: name of a timm architecture.
        model_args: further arguments of `timm.create_model`.
        weights: file of weights to begin with (safetensors or pth; the classifier in it is not used), or None for
            random ones.
        image_size: side of the square that images are scaled and cropped to, in pixels; None: the model's own.
        mean: mean of each input channel on a scale of 0 .. 1; None: what the weights or the model say.
        std: standard deviation, likewise.
        freeze: keep the weights and train the classifier alone, on features that are computed once and held in
            memory (4 bytes a feature, thousands for each image).
        epochs: passes over the images.
        batch_size: images a step; also where nothing is trained, except on a CPU.
        learning_rate: AdamW's peak rate, reached after a tenth of the steps and followed by a cosine to zero.
        weight_decay: AdamW's, on weights but not on biases and norms.
        flip: mirror half of the training images; wrong for digits, letters and the like. Not with `freeze`.
        seed: of the weights, the order of images and their augmentation.
        device: where torch computes: "cpu", "cuda", "cuda:1", ...
        workers: processes that decode images; 0: this one.
    """

    model: str
    model_args: dict[str, Any] = field(default_factory=dict)
    weights: Path | None = None
    image_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    freeze: bool = False
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    flip: bool = True
    seed: int = 0
    device: str = "cpu"
    workers: int = 0
