"""A payload and its reference set together: a labelled dataset for any framework, and its images as files.

    dataset = VirtualDataset("ref-{000..007}.tar", "task.plada")
    image, label = dataset[0]                                # an RGB image of Pillow, and its class

`extract` writes the same images and labels as an ImageFolder tree, or as WebDataset shards.
"""

from __future__ import annotations

from plada_codec.virtual_dataset.dataset import VirtualDataset, decode_for
from plada_codec.virtual_dataset.extraction import EXTRACT_FORMATS, check_target, extract

__all__ = ["EXTRACT_FORMATS", "VirtualDataset", "check_target", "decode_for", "extract"]
