"""Reference sets: the ordered images that every client holds, and the digest that identifies a set.

A file for each source of images, and one registry (`registry.py`) with a row for each.
"""

from __future__ import annotations

from plada_codec.reference.base import IMAGE_SUFFIXES, NO_LABEL, ImageSource, ListedImages
from plada_codec.reference.digest import DIGEST_TAG, image_digests, reference_digest
from plada_codec.reference.names import image_numbers
from plada_codec.reference.packing import Pack, pack
from plada_codec.reference.pixels.decoding import PIXEL_RULE, decode_bytes, decode_image
from plada_codec.reference.registry import open_images
from plada_codec.reference.sources.dataset import from_dataset
from plada_codec.reference.unreadable import unreadable_images

__all__ = [
    "DIGEST_TAG",
    "IMAGE_SUFFIXES",
    "NO_LABEL",
    "PIXEL_RULE",
    "ImageSource",
    "ListedImages",
    "Pack",
    "decode_bytes",
    "decode_image",
    "from_dataset",
    "image_digests",
    "image_numbers",
    "open_images",
    "pack",
    "reference_digest",
    "unreadable_images",
]
