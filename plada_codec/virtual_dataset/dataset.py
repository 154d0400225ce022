"""A virtual dataset: the kept images of a reference set, with the labels of a payload."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from plada_codec.api import Inspection, decode, inspect
from plada_codec.errors import FileError, ReferenceMismatch, reason_of
from plada_codec.limits import Limits
from plada_codec.payload import Payload
from plada_codec.progress import Progress, no_progress
from plada_codec.reference import ImageSource, decode_image, open_images, reference_digest

if TYPE_CHECKING:
    from typing_extensions import Buffer


def decode_for(
    reference: ImageSource,
    payload: Buffer,
    limits: Limits = Limits(),
    *,
    check: bool = True,
    progress: Progress = no_progress,
) -> Payload:
    """Decode a payload that must be for this reference set.

    Args:
        reference: the receiver's reference set.
        payload: the bytes of the payload.
        limits: as in `decode`.
        check: whether to compare the reference digest, which reads all N images. N is compared in any case.
        progress: called now and then with the number of images read, and N.

    Raises:
        ReferenceMismatch: if the payload is for another reference set, or does not name its reference set.
        Truncated, Corrupt, Unsupported, LimitExceeded: as `decode`.
        SourceError: if an image cannot be read.
    """
    announced = inspect(payload, limits)
    if check and not announced.reference_digest:
        raise ReferenceMismatch("the payload does not name its reference set", rule="reference")
    _check_size(announced, reference)  # before all images are read
    return decode(payload, limits, reference_digest(reference, progress) if check else None)


class VirtualDataset:
    """The kept images of a reference set, with the labels of a payload: k items (image, label).

    Torch's `DataLoader` can read it, if `transform` makes tensors of images. It holds no open files: threads may share
    it, and worker processes may get a copy (it can be pickled, if `transform` can).

    Args:
        reference: the client's reference set: a source, or its name as in `open_images`.
        payload: a payload, its bytes, or the path of its file. Where it is a Payload, only N is compared.
        transform: maps the image of an item to what `[i]` gives; None leaves it as it is.
        as_bytes: whether images are the bytes of their files. Otherwise they are decoded, to RGB images of Pillow, by
            the rule of spec/reference-images.md, which needs the extra `images`.
        check: whether to compare the reference digest, which reads all N images. N is compared in any case.
        limits: resource limits, as in `decode`.
        progress: called now and then with the number of images read for the digest, and N.

    Attributes:
        reference: the source of the images.
        payload: the payload: its `indices`, `labels`, `weights` and `soft_labels` are in the order of the items.

    Raises:
        FileError: if the payload cannot be read.
        ReferenceMismatch, SourceError, Truncated, Corrupt, Unsupported, LimitExceeded: as `decode_for`.
    """

    reference: ImageSource
    payload: Payload

    def __init__(
        self,
        reference: ImageSource | str | os.PathLike[str],
        payload: Payload | Buffer | str | os.PathLike[str],
        transform: Callable[[Any], Any] | None = None,
        *,
        as_bytes: bool = False,
        check: bool = True,
        limits: Limits = Limits(),
        progress: Progress = no_progress,
    ) -> None:
        self.reference = reference if isinstance(reference, ImageSource) else open_images(str(reference))
        if isinstance(payload, Payload):
            _check_size(payload, self.reference)
            self.payload = payload
        else:
            blob = _read(payload) if isinstance(payload, str | os.PathLike) else payload
            self.payload = decode_for(self.reference, blob, limits, check=check, progress=progress)
        self._transform = transform
        self._as_bytes = as_bytes

    def __len__(self) -> int:
        return self.payload.kept

    def __getitem__(self, i: SupportsIndex) -> tuple[Any, int]:
        """Image and label of item `i`; negative numbers count from the end.

        Raises:
            IndexError: if there is no such item.
            SourceError: if the image cannot be read or decoded.
        """
        index = int(self.payload.indices[operator.index(i)])
        image = self.reference.read(index) if self._as_bytes else decode_image(self.reference, index)
        label = int(self.payload.labels[operator.index(i)])
        return image if self._transform is None else self._transform(image), label

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return (self[i] for i in range(len(self)))

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, if the payload has them."""
        return self.payload.class_names


def _check_size(payload: Payload | Inspection, reference: ImageSource) -> None:
    if payload.reference_size != len(reference):
        named = f" {payload.reference_digest.hex()}" if payload.reference_digest else ""
        raise ReferenceMismatch(
            f"the payload is for the reference set{named} of {payload.reference_size} images, "
            f"but {reference.source} has {len(reference)}",
            rule="reference",
        )


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {os.fspath(path)}: {reason_of(error)}", rule="file") from None
