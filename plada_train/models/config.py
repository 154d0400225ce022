"""The description of a checkpoint: the model, its input, and facts on its training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plada_train.constraints import NumClasses, Positive, ProperShare, Share
from plada_train.data.labelled import Transform
from plada_train.data.pixels import central_square
from plada_train.recipe import Deviation

if TYPE_CHECKING:
    import torch
    from PIL import Image

#: A random crop keeps at least this share of the area of a training image: light augmentation.
MIN_CROP = 0.6


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that is needed to make a model for given weights, and to prepare images for it.

    Attributes:
        model, model_args: timm's name, and further arguments of `timm.create_model`.
        num_classes: number of classes C.
        class_names: names of the classes, if known.
        image_size: side of the input, in pixels.
        mean, std: mean and standard deviation of each input channel, on a scale of 0 .. 1.
        interpolation: method to scale images.
    """

    model: str
    model_args: dict[str, Any]
    num_classes: NumClasses
    class_names: tuple[str, ...] | None
    image_size: Positive
    mean: tuple[float, float, float]
    std: tuple[Deviation, Deviation, Deviation]
    interpolation: Literal["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]

    def transform(self) -> Transform:
        """The transform of images to classify: scaled, and cropped to the central square."""
        return _OfCentralSquare(self, self._transform(is_training=False, crop_pct=1.0))

    def training_transform(self, flip: bool) -> Transform:
        """The transform of training images: a random crop, and half of the images mirrored if `flip`."""
        return self._transform(is_training=True, scale=(MIN_CROP, 1.0), hflip=0.5 * flip, color_jitter=None)

    def _transform(self, **options: Any) -> Transform:
        # Imported here, because reports read descriptions without making models
        from plada_train.models.timm_import import timm

        made: Transform = timm.data.create_transform(
            self.image_size, mean=self.mean, std=self.std, interpolation=self.interpolation, **options
        )
        return made


@dataclass(frozen=True)
class _OfCentralSquare:
    """A transform that gets central squares of the input's size, which timm's scaling and cropping leave alone.

    timm scales the whole image before it crops: an image of 1 x 10,000 pixels would take gigabytes.
    """

    config: ModelConfig
    transform: Transform

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return self.transform(central_square(image, self.config.image_size, self.config.interpolation))


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """The file `NAME.json` beside the weights `NAME.safetensors`.

    Attributes:
        config: the model.
        held_out: share of the target's images that it did not learn from; null if it learnt from all, or unknown.
        accuracy: accuracy on the test images, 0 .. 1; null if it was not measured.
        training: everything that the training depended on, by name; null if it is not known.
    """

    config: ModelConfig
    held_out: ProperShare | None = None
    accuracy: Share | None = None
    training: dict[str, str] | None = None
