"""Recipes of models and trainings, and limits of the planner, as plain values.

The type of a field carries the range of its values, and the help of the command-line option that sets it:
`plada_train.cli` builds the options from the fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from plada_train.constraints import Count, Positive, ProperShare, Range, Share

#: The target of an image: its class, the average soft label of the class, or one drawn anew in each step.
Targets = Literal["hard", "average", "dirichlet"]
#: Default models of teachers and students, and default label smoothing of teachers.
TEACHER_MODEL, STUDENT_MODEL, TEACHER_LABEL_SMOOTHING = "convnextv2_tiny", "resnet18", 0.1

#: Temperature of the scores. Number of images in a shard of scores: about a minute of work on a GPU, and 800 kB.
TEMPERATURE, SHARD_SIZE = 1.0, 65_536

#: A rate, well within float32; a standard deviation; a seed.
NonNegative = Annotated[float, Range(0, 1e30)]
Deviation = Annotated[float, Range(above=0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]


@dataclass(frozen=True)
class Help:
    """The help of the command-line option that sets a field.

    Attributes:
        text: one or two sentences.
        metavar: stands for the value in the help.
    """

    text: str
    metavar: str | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A timm model and how to train it. Equal recipes, images and machines give equal classifiers.

    Attributes:
        model: name of a timm architecture.
        model_args: further arguments of `timm.create_model`.
        weights: weights to start from, without their last layer: a file (safetensors or pth), the name of published
            weights (see `models.classifier.parse_weights`), or None: random weights.
        image_size: side of the square that images are scaled and cropped to, in pixels; None: the model's own.
        mean: mean of each input channel on a scale of 0 .. 1; None: that of the weights or the model.
        std: standard deviation of each input channel; None: that of the weights or the model.
        freeze: keep the weights and only train the last layer, on features that are computed once and held in
            memory (thousands of features for each image, 4 bytes each). Each process computes and holds all features.
        epochs: passes over the images.
        batch_size: images in a step. Forward passes without training use it too, except on a CPU.
        learning_rate: peak rate of AdamW, reached after the warm-up and followed by a cosine to zero.
        warmup: share of the steps in which the rate rises, 0 .. 1.
        weight_decay: weight decay of AdamW, for weights but not for biases and norms.
        label_smoothing: share of each hard target that is spread over all classes, 0 .. 1; soft targets have none.
        targets: the targets of training. All but "hard" need a payload with soft labels.
        importance: use the payload's importance weights, if it has any.
        flip: mirror half of the training images; wrong for images such as digits and letters. Not used with `freeze`.
        amp: compute in bfloat16 where that loses little (torch.autocast). Training is then repeatable only if
            torch's bfloat16 kernels are; those for CPUs are not.
        seed: seed of the weights, the order of images and their augmentation.
        device: where torch computes: "cpu", "cuda", "cuda:1", ...
        workers: processes that decode images; 0: this process decodes (in a thread, if nothing is trained).
        checkpoint_s: seconds between two checkpoints, if training keeps any.
    """

    model: str
    model_args: Annotated[
        dict[str, Any], Help("Another argument of timm.create_model; may be repeated.", "NAME=VALUE")
    ] = field(default_factory=dict)
    weights: Annotated[
        str | Path | None,
        Help(
            "Weights to start from: a file (safetensors or pth), timm's own (hub, hub:TAG), hf-hub:OWNER/NAME, or "
            "none: random weights.",
            "FILE|NAME",
        ),
    ] = None
    image_size: Annotated[
        Positive | None, Help("Side of the model's square input. [default: that of the model]", "PIXELS")
    ] = None
    mean: Annotated[
        tuple[Share, Share, Share] | None,
        Help("Mean of each input channel, on a scale of 0 to 1. [default: that of the weights or model]"),
    ] = None
    std: Annotated[
        tuple[Deviation, Deviation, Deviation] | None,
        Help("Standard deviation of each input channel. [default: that of the weights or model]"),
    ] = None
    freeze: Annotated[bool, Help("Only train the last layer, on features that are computed once.")] = False
    epochs: Annotated[Positive, Help("Passes over the images.", "N")] = 30
    batch_size: Annotated[
        int, Range(1, 1 << 20), Help("Images in a step. On a CPU, steps without training always have 16.", "N")
    ] = 64
    learning_rate: Annotated[NonNegative, Help("Peak learning rate of AdamW.", "X")] = 1e-3
    warmup: Annotated[Share, Help("Share of the steps in which the learning rate rises.", "P")] = 0.1
    weight_decay: Annotated[NonNegative, Help("Weight decay of AdamW.", "X")] = 0.05
    label_smoothing: Annotated[
        Share,
        Help(
            "Share of a hard target that is spread over all classes. "
            f"[default: {TEACHER_LABEL_SMOOTHING} for a teacher, else 0]",
            "P",
        ),
    ] = 0.0
    targets: Annotated[
        Targets,
        Help("Targets of training: classes, or soft labels of the payload: averages, or labels drawn in each step."),
    ] = "hard"
    importance: bool = True
    flip: Annotated[bool, Help("Mirror half of the training images.")] = True
    amp: Annotated[bool, Help("Compute in bfloat16 where that loses little.")] = False
    seed: Annotated[Seed, Help("Seed of the random numbers; the same seed gives the same results.", "N")] = 0
    device: Annotated[str, Help("Where torch computes: cpu, cuda, cuda:1, ...")] = "cpu"
    workers: Annotated[Count, Help("Processes that decode images; 0: only this process.", "N")] = 0
    checkpoint_s: Annotated[NonNegative, Help("Seconds between two checkpoints during a training.", "S")] = 300


@dataclass(frozen=True, kw_only=True)
class Planning:
    """Limits of the planner, which searches for the payload that teaches most within a budget (see `planning.plan`).

    Attributes:
        budget_bytes: largest size of the payload.
        held_out: share of the target's training images that the teacher does not learn from: candidates are measured
            on them.
        candidates: number of candidates to measure; None: as many as the time allows.
        minutes: time limit of the search.
        proxy_steps: training steps of the longest trainings of the search.
        workers: processes of the search.
    """

    budget_bytes: Positive
    held_out: Annotated[
        ProperShare,
        Help(
            "Share of the training images that the teacher does not see; the planner measures candidates on them.", "P"
        ),
    ] = 0.1
    candidates: Annotated[
        Positive | None,
        Help(
            "Number of candidates to try; with it, the choice is the same on any machine. "
            "[default: as many as the time allows]",
            "N",
        ),
    ] = None
    minutes: Annotated[
        float,
        Range(above=0, maximum=1e6),
        Help("Time limit of the planner; measurements that have begun are finished.", "M"),
    ] = 15
    proxy_steps: Annotated[
        int, Range(1, 1_000_000), Help("Training steps of the longest trainings of proxies.", "N")
    ] = 400
    workers: Annotated[int, Range(1, 1024), Help("Processes that train proxies.", "N")] = 2
