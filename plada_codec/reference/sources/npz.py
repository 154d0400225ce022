"""Arrays of images in an npz archive, as MedMNIST has them (spec/reference-digest.md, section 2.4).

    train_images  uint8 [n, H, W] or [n, H, W, 3]
    train_labels  whole numbers [n] or [n, 1]; may be missing

The part before `_images` is the split. `images` and `labels` are the arrays of a file without splits; `x_train` and
`y_train` are taken too. Compressed archives are read at random: the state of the decompressor is kept at regular
distances, so that an image costs at most the inflation of one block.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

from plada_codec.errors import SourceError, first_line
from plada_codec.reference.base import MAX_IMAGES, ImageSource, Location, chosen_split
from plada_codec.reference.sources.pnm import is_image_shape, pnm_header
from plada_codec.reference.sources.unsupported import source_errors

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIX = ".npz"
#: Largest image, in bytes.
_MAX_IMAGE_BYTES = 1 << 27
#: Deflate makes at most 1,032 bytes of one.
_MOST_INFLATED = 1032
#: Bytes between two states of a decompressor that are kept (40 KB each), and in a read of the file.
_BLOCK_BYTES, _READ_BYTES = 1 << 24, 1 << 16
#: The part of the header of a member of a zip archive that has the lengths of its name and its extra field.
_ZIP_HEADER = struct.Struct("<4s22xHH")


def open_npz(location: Location) -> ImageSource | None:
    """Open an npz archive of images. None if the file is none."""
    if not (location.is_file and location.path.suffix == SUFFIX):
        return None
    if location.columns:
        raise SourceError(f"{location.path} has no columns: choose a split with #SPLIT", rule="source-part")
    return NpzImages(location)


class _Member(NamedTuple):
    """An array in an archive.

    Attributes:
        start: offset of its bytes in the archive, as stored.
        stored_bytes: their number.
        is_deflated: whether they are compressed.
        data_offset: offset of the array's values in its file, when inflated.
        shape: lengths of the array's dimensions.
        dtype: type of its values, as numpy writes it.
        dtype_name: the same for people.
    """

    start: int
    stored_bytes: int
    is_deflated: bool
    data_offset: int
    shape: tuple[int, ...]
    dtype: str
    dtype_name: str


class NpzImages(ImageSource):
    """The images of an array in an npz archive. Its bytes are those of PNM files."""

    def __init__(self, location: Location) -> None:
        super().__init__(location.source)
        self._path = location.path
        with source_errors(self._path), zipfile.ZipFile(self._path) as archive, self._path.open("rb") as file:
            names = [each.removesuffix(".npy") for each in archive.namelist() if each.endswith(".npy")]
            if len(set(names)) < len(names):
                raise ValueError("it has several arrays of one name")
            self._array, labels = _arrays_of_split(location, set(names))
            self._images = _member(archive, file, self._array)
            self._label_fault = ""
            self._label_member: _Member | None = None
            if labels in names:
                try:
                    self._label_member = _member(archive, file, labels)
                except SourceError as error:  # it matters only if labels are asked for
                    self._label_fault = error.args[0]
        shape = self._images.shape
        if self._images.dtype != "|u1" or not is_image_shape(shape[1:]):
            what = f"{self._array} of {self._path} is {self._images.dtype_name} of shape {list(shape)}"
            cure = "save uint8 [n, H, W] or [n, H, W, 3], such as numpy.moveaxis of channels that come first"
            raise SourceError(f"{what}: {cure}", rule="source-unsupported")
        self._header = pnm_header(shape[1:])
        self._image_bytes = math.prod(shape[1:])
        if shape[0] > MAX_IMAGES or self._image_bytes > _MAX_IMAGE_BYTES:
            what = f"{self._array} of {self._path} has more than {MAX_IMAGES} images, or of {_MAX_IMAGE_BYTES} bytes"
            raise SourceError(what, rule="source-limits")
        self._bytes = _MemberBytes(self._path, self._images)

    def __len__(self) -> int:
        return self._images.shape[0]

    @property
    def labels(self) -> NDArray[np.int32]:
        import numpy as np

        member = self._label_member
        if self._label_fault:
            raise SourceError(self._label_fault, rule="table-label")
        if member is None:
            return super().labels
        dtype = np.dtype(member.dtype)
        if dtype.kind not in "iuf" or member.shape not in ((len(self),), (len(self), 1)):
            what = f"the labels of {self._path} are {member.dtype_name} of shape {list(member.shape)}"
            cure = "save one class number for each image, such as numpy.argmax of columns of classes"
            raise SourceError(f"{what}: {cure}", rule="table-label")
        with source_errors(self._path):
            data = _MemberBytes(self._path, member).read(member.data_offset, len(self) * dtype.itemsize)
        return self._class_numbers(np.frombuffer(data, dtype))

    def _name(self, i: int) -> str:
        return f"{self._path.name}/{self._array}/{i}"

    def _read(self, i: int) -> bytes:
        try:
            return self._header + self._bytes.read(self._images.data_offset + i * self._image_bytes, self._image_bytes)
        except (zlib.error, EOFError) as error:
            raise self.bad_image(i, f"cannot be read ({first_line(error)})", "image-unreadable") from error


class _MemberBytes:
    """The bytes of an array's file in an archive, at any offset. Raises EOFError and zlib.error."""

    def __init__(self, path: Path, member: _Member) -> None:
        self._path = path
        self._member = member
        # The state of the decompressor at the start of each block that was reached: how many bytes it has taken
        self._states: dict[int, tuple[Any, int]] = {}
        self._block: tuple[int, bytes] = (-1, b"")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_states": {}, "_block": (-1, b"")}

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on."""
        if not self._member.is_deflated:
            with self._path.open("rb") as file:
                file.seek(self._member.start + offset)
                data = file.read(count)
        else:
            blocks = range(offset // _BLOCK_BYTES, -(-(offset + count) // _BLOCK_BYTES))
            joined = b"".join(map(self._inflated, blocks))
            start = offset - blocks.start * _BLOCK_BYTES
            data = joined[start : start + count]
        if len(data) != count:
            raise EOFError("the array is cut off")
        return data

    def _inflated(self, block: int) -> bytes:
        known, data = self._block
        if known == block:
            return data
        states = self._states
        nearest = max((number for number in states if number <= block), default=0)
        state, taken = states.get(nearest, (zlib.decompressobj(-zlib.MAX_WBITS), 0))
        state = state.copy()
        with self._path.open("rb") as file:
            for number in range(nearest, block + 1):
                states.setdefault(number, (state.copy(), taken))
                data, taken = self._next_block(file, state, taken)
        self._block = (block, data)
        return data

    def _next_block(self, file: BinaryIO, state: Any, taken: int) -> tuple[bytes, int]:
        """The next block, and how many bytes of the archive's member are then used."""
        parts = []
        missing = _BLOCK_BYTES
        while missing and not state.eof:
            file.seek(self._member.start + taken)
            chunk = file.read(min(_READ_BYTES, self._member.stored_bytes - taken))
            part = state.decompress(chunk, missing)
            used = len(chunk) - len(state.unconsumed_tail) - len(state.unused_data)
            if not part and not used:
                raise EOFError("the array is cut off")
            taken += used
            missing -= len(part)
            parts.append(part)
        return b"".join(parts), taken


def _arrays_of_split(location: Location, names: set[str]) -> tuple[str, str]:
    """Names of the arrays of images and of labels of the split that is asked for."""
    splits: dict[str, tuple[str, str]] = {}
    for name in sorted(names):
        if name == "images":
            splits[""] = name, "labels"
        elif name.endswith("_images"):
            split = name.removesuffix("_images")
            splits[split] = name, f"{split}_labels"
        elif name.startswith("x_"):
            split = name.removeprefix("x_")
            splits[split] = name, f"y_{split}"
    if not splits:
        found = ", ".join(sorted(names)) or "no arrays"
        cure = "save the images as images or train_images, and the labels as labels or train_labels"
        what = f"{location.path} has no arrays of images: it has {found[:300]}; {cure}"
        raise SourceError(what, rule="source-empty")
    return splits[chosen_split(location, splits)]


def _member(archive: zipfile.ZipFile, file: BinaryIO, name: str) -> _Member:
    """Find an array in an archive, and read its header. The array's size is what the archive says."""
    from plada_codec.tables.npy_array import read_header

    info = archive.getinfo(f"{name}.npy")
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        what = f"{name} of {archive.filename} is encrypted, or not compressed by numpy: save it with numpy.savez"
        raise SourceError(what, rule="source-unsupported")
    file.seek(info.header_offset)
    signature, name_bytes, extra_bytes = _ZIP_HEADER.unpack(file.read(_ZIP_HEADER.size))
    if signature != b"PK\3\4":
        raise ValueError("no member where the archive says one is")
    start = info.header_offset + _ZIP_HEADER.size + name_bytes + extra_bytes
    with archive.open(info) as stream:
        shape, is_fortran, dtype = read_header(cast(BinaryIO, stream))
        offset = stream.tell()
    if is_fortran and len(shape) > 1:
        what = f"{name} of {archive.filename} is in Fortran's order: save numpy.ascontiguousarray of it"
        raise SourceError(what, rule="source-unsupported")
    if dtype.hasobject:
        what = f"{name} of {archive.filename} holds objects of Python: save an array of numbers"
        raise SourceError(what, rule="source-unsupported")
    if not shape:
        raise SourceError(f"{name} of {archive.filename} is one number, and no array", rule="source-unsupported")
    size = offset + math.prod(shape) * dtype.itemsize
    inflated = info.compress_size * (_MOST_INFLATED if info.compress_type else 1)
    if size != info.file_size or size > inflated:
        raise ValueError(f"{name} does not have the size that it says")
    return _Member(start, info.compress_size, bool(info.compress_type), offset, shape, dtype.str, dtype.name)
