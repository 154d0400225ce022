"""The format `npz`: numpy arrays in a zip archive, under the names of Payload.

    indices, labels              integers [k]
    reference_size, num_classes  one integer each
    reference_digest             uint8 [0, or 8, 10, .. 32]
    class_check                  uint8 [0 or 2]
    offset, stride               one integer each: the universe
    class_names                  text [C]
    soft_labels                  integers [used classes, C]: codes
    weights                      integers [k]: codes

Only the first two must be there. Written: int64, int32, uint8, and the last three only if the payload has them.
"""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from plada_codec.errors import FileError, file_errors
from plada_codec.interop.base import Contents, Source
from plada_codec.payload import Payload
from plada_codec.sections.registry import SECTIONS
from plada_codec.tables.npy_array import read_array
from plada_codec.universe import Universe

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plada_codec.limits import Limits

#: Optional sections, but for the names of the classes: arrays or text, which Payload checks.
_SECTIONS = tuple(section.field for section in SECTIONS if section.field != "class_names")
#: Arrays of a single number, or of the reference digest, have no more values.
_MOST_SMALL_VALUES = 64


def read(source: Source) -> Contents:
    """Read an archive; nothing is unpickled, and no array is made that exceeds the limits."""
    data = source.read_all()
    with file_errors("not an npz archive, or damaged"), zipfile.ZipFile(io.BytesIO(data)) as archive:
        arrays = _Arrays(archive, source.limits)
        fields: dict[str, Any] = {}
        for name in ("reference_size", "num_classes"):
            if name in arrays:
                fields[name] = arrays.integer(name)
        bounds = {name: arrays.integer(name) for name in ("offset", "stride") if name in arrays}
        if bounds:
            fields["universe"] = Universe(**bounds)
        for name in ("reference_digest", "class_check"):
            if name in arrays:
                fields[name] = arrays.vector(name, "u1", "uint8").tobytes()
        if "class_names" in arrays:
            fields["class_names"] = arrays.vector("class_names", "U", "text").tolist()
        fields |= {name: arrays.value(name) for name in _SECTIONS if name in arrays}
        indices, labels = arrays.get("indices"), arrays.get("labels")
        source.check_kept(max(indices.size, labels.size))
        return Contents(indices, labels, fields)


def write(payload: Payload, stream: BinaryIO) -> None:
    """Write an archive, uncompressed: deflate would take 20 seconds for 14 million images."""
    arrays: dict[str, Any] = {
        "indices": payload.indices,
        "labels": payload.labels,
        "reference_size": np.int64(payload.reference_size),
        "num_classes": np.int64(payload.num_classes),
        "reference_digest": np.frombuffer(payload.reference_digest, np.uint8),
        "class_check": np.frombuffer(payload.class_check, np.uint8),
        "offset": np.int64(payload.universe.offset),
        "stride": np.int64(payload.universe.stride),
    }
    if payload.class_names is not None:
        arrays["class_names"] = np.array(payload.class_names)
    arrays |= {name: values for name, values in payload.sections.items() if name in _SECTIONS}
    np.savez(stream, **arrays)


class _Arrays:
    """The arrays of an archive, by name."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self.archive = archive
        self.limits = limits
        self.files = set(archive.namelist())

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self.files

    def get(self, name: str) -> NDArray[Any]:
        """A required array. Nothing is inflated beyond the limits."""
        if name not in self:
            raise FileError(f"there is no array {name!r}", rule="file")
        compression = self.archive.getinfo(f"{name}.npy").compress_type
        if compression not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            known = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}.get(compression, f"method {compression}")
            raise FileError(f"{name!r} is compressed with {known}; save it with numpy.savez_compressed", rule="file")
        with file_errors(f"{name!r} is damaged"), self.archive.open(f"{name}.npy") as file:
            return _narrowed(read_array(cast(BinaryIO, file), repr(name), self._most_values(name)))

    def _most_values(self, name: str) -> int:
        return {
            "class_names": self.limits.max_classes,
            "soft_labels": self.limits.max_soft_label_values,
            "indices": self.limits.max_kept,
            "labels": self.limits.max_kept,
            "weights": self.limits.max_kept,
        }.get(name, _MOST_SMALL_VALUES)

    def value(self, name: str) -> Any:
        """A required array; if it holds text, a list of strings."""
        array = self.get(name)
        return array.tolist() if array.dtype.kind == "U" else array

    def integer(self, name: str) -> int:
        """The value of a required array of one integer."""
        array = self.get(name)
        if array.size != 1 or array.dtype.kind not in "iu":
            raise FileError(f"{name!r} must be one integer, not {array.dtype} of shape {array.shape}", rule="file")
        return int(array.item())

    def vector(self, name: str, kind: str, what: str) -> NDArray[Any]:
        """A required array of one dimension, whose dtype has this kind ("U"), or kind and size ("u1")."""
        array = self.get(name)
        if array.ndim != 1 or kind not in (array.dtype.kind, array.dtype.str[1:]):
            raise FileError(
                f"{name!r} must be {what} of one dimension, not {array.dtype} of shape {array.shape}", rule="file"
            )
        return array


def _narrowed(array: NDArray[Any]) -> NDArray[Any]:
    """The same integers as int32, if they fit: three arrays of them are in memory together."""
    limits = np.iinfo(np.int32)
    if array.dtype.kind in "iu" and array.itemsize == 8 and array.size and array.ndim == 1:
        return array.astype(np.int32) if limits.min <= array.min() and array.max() <= limits.max else array
    return array
