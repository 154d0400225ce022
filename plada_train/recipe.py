"""How a classifier is made, the model and its training, and how a payload is planned, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

#: What a student learns of an image: its class, the average soft label of the class, or one drawn anew each time.
Targets = Literal["hard", "average", "dirichlet"]
#: `Recipe.label_smoothing` of teachers, where no other is asked for.
TEACHER_LABEL_SMOOTHING = 0.1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A timm model and how to train it. Equal recipes, images and machines give equal classifiers.

    Attributes:
        model: name of a timm architecture.
        model_args: further arguments of `timm.create_model`.
        weights: what to begin with (the classifier in it is not used): a file (safetensors or pth), the name of
            published weights (see `models.parse_weights`), or None: random ones.
        image_size: side of the square that images are scaled and cropped to, in pixels; None: the model's own.
        mean: mean of each input channel on a scale of 0 .. 1; None: what the weights or the model say.
        std: standard deviation, likewise.
        freeze: keep the weights and train the classifier alone, on features that are computed once and held in
            memory (4 bytes a feature, thousands for each image). Of several processes, each computes and holds all.
        epochs: passes over the images.
        batch_size: images a step; also where nothing is trained, except on a CPU.
        learning_rate: AdamW's peak rate, reached after the warm-up and followed by a cosine to zero.
        warmup: share of the steps in which the rate rises, 0 .. 1.
        weight_decay: AdamW's, on weights but not on biases and norms.
        label_smoothing: share of each hard target that is spread over all classes, 0 .. 1; not of soft ones.
        targets: what is learned of each image; but for "hard", the payload must have soft labels.
        importance: use the payload's importance weights, where it has them.
        flip: mirror half of the training images; wrong for digits, letters and the like. Not with `freeze`.
        amp: compute in bfloat16 what loses little by it (torch.autocast). Training is then repeatable only where
            torch's bfloat16 kernels are; those for CPUs are not.
        seed: of the weights, the order of images and their augmentation.
        device: where torch computes: "cpu", "cuda", "cuda:1", ...
        workers: processes that decode images; 0: this one, in a thread where nothing is trained.
        checkpoint_s: seconds between two checkpoints, where training keeps them.
    """

    model: str
    model_args: dict[str, Any] = field(default_factory=dict)
    weights: str | Path | None = None
    image_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    freeze: bool = False
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 1e-3
    warmup: float = 0.1
    weight_decay: float = 0.05
    label_smoothing: float = 0.0
    targets: Targets = "hard"
    importance: bool = True
    flip: bool = True
    amp: bool = False
    seed: int = 0
    device: str = "cpu"
    workers: int = 0
    checkpoint_s: float = 300


@dataclass(frozen=True, kw_only=True)
class Planning:
    """How the planner looks for the payload that teaches most within a budget of bytes (see `planning.plan`).

    Attributes:
        budget_bytes: of the payload.
        held_out: share of the target's training images that the teacher does not learn from, above 0 and below 1:
            candidates are measured on them.
        candidates: how many are tried; None: as many as there is time for.
        minutes: time of the search at most.
        proxy_steps: training steps of the longest trainings of the search.
        workers: processes of the search.
    """

    budget_bytes: int
    held_out: float = 0.1
    candidates: int | None = None
    minutes: float = 15
    proxy_steps: int = 400
    workers: int = 2
