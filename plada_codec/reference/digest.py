"""The reference digest: 32 bytes that identify a set of images (spec/reference-digest.md, section 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from plada_codec.progress import Progress, no_progress
from plada_codec.reference.base import ImageSource

#: Section 1.
DIGEST_TAG = b"plada-reference-digest-1"
#: Progress is reported once for this many images.
_PROGRESS_IMAGES = 256


def image_digests(images: ImageSource, progress: Progress = no_progress) -> Iterator[bytes]:
    """The SHA-256 of each image's bytes, in order. Reads every image. Arguments and errors: `reference_digest`."""
    total = len(images)
    for i in range(total):
        yield hashlib.sha256(images.read(i)).digest()
        if (i + 1) % _PROGRESS_IMAGES == 0 or i == total - 1:
            progress(i + 1, total)


def reference_digest(images: ImageSource, progress: Progress = no_progress) -> bytes:
    """The reference digest of `images` (32 bytes). Reads every image.

    Args:
        images: the reference set.
        progress: called now and then with the number of images read, and N.

    Raises:
        SourceError: if an image cannot be read.
    """
    digest = hashlib.sha256(DIGEST_TAG + len(images).to_bytes(8, "little"))
    for image_digest in image_digests(images, progress):
        digest.update(image_digest)
    return digest.digest()
