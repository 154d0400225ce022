"""Folders of scores: one file for each shard, so that labelling can be interrupted and continued at any time.

    scores.json         the reference set and the teacher of the scores: a `Manifest`, and its digest
    shard-00000.npz     labels and scores of images 0 .. shard_size - 1: a `Shard`
    shard-00001.npz     ...

A shard is an npz file: a column `label`, a column for each score of the registry, the sums, and a digest. Versions
may have different scores: columns are read by name.

Files are written atomically. Each shard holds a digest of its content and of everything that the content depends on:
so a shard of another teacher, of other images or with a damaged byte is detected. Equal content has equal bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from plada_codec.errors import FileError, InputError
from plada_codec.limits import Limits
from plada_train.constraints import Count, Digest, NumClasses, ProperShare, Range
from plada_train.files import read_bytes, write_bytes
from plada_train.scores.registry import SCORES_OF_LOGITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT: Literal["plada-scores-1"] = "plada-scores-1"
#: Largest number C * C of a shard's soft sums, 32 MiB: decoders do not accept more soft labels.
MAX_SOFT_SUM_VALUES = Limits.max_soft_label_values


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Origin of a folder of scores. Digests are SHA-256 in hexadecimal, empty if they are not known.

    Attributes:
        images: number of reference images N.
        num_classes: number of classes C.
        class_names: names of the classes, if known.
        reference_digest: digest of the reference set (spec/reference-digest.md).
        teacher_digest: digest of the teacher (`inference.fingerprint`).
        temperature: temperature of the scores.
        amp: whether the teacher computed in bfloat16.
        shard_size: number of images in a shard; the last shard may have fewer.
        image_digests: for each shard, the digest of the bytes of its images, in order.
        held_out: share of the target's images that the teacher did not learn from (see `models.Classifier`).
        pixel_rule: version of the pixel rule (spec/reference-images.md); 0 in files that do not say it.
    """

    images: Count
    num_classes: NumClasses
    class_names: tuple[str, ...] | None
    reference_digest: Digest
    teacher_digest: Digest
    temperature: Annotated[float, Range(above=0)]
    amp: bool
    shard_size: Count
    image_digests: tuple[Digest, ...]
    held_out: ProperShare | None = None
    pixel_rule: int = 0

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return len(self.image_digests)

    def rows(self, number: int) -> slice:
        """The images of shard `number`."""
        return slice(number * self.shard_size, min((number + 1) * self.shard_size, self.images))

    def write(self, folder: Path) -> None:
        """Write `scores.json`. Raises FileError if that fails."""
        from plada_train import json_files

        values = json_files.to_json(self)
        json_files.write(folder / "scores.json", {"format": FORMAT, **values, "digest": _digest_of_values(values)})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read `scores.json`. Raises InputError if `write` did not write it."""
        from plada_train import json_files

        path = folder / "scores.json"
        try:
            text = read_bytes(path)
            found = json_files.loads(text, ManifestFile, path)
            # The values as they were written: as a field, a whole number is a float
            values = {name: value for name, value in json.loads(text).items() if name not in ("format", "digest")}
            if found.digest != _digest_of_values(values):
                raise FileError(f"{path} does not match its digest", rule="file")
            return cls(**{field.name: getattr(found, field.name) for field in fields(cls)})
        except FileError as error:
            what = f"{folder} is not a folder of scores, which `plada-train score` writes ({error.args[0]})"
            raise InputError(what, rule="scores") from error

    def _decided_by(self, number: int) -> bytes:
        """Everything that the content of shard `number` depends on."""
        temperature = float(self.temperature)  # a whole number is read back as a float
        images = (self.pixel_rule, self.image_digests[number])
        decisive = (self.num_classes, self.teacher_digest, temperature, self.amp, *images)
        return json.dumps(decisive).encode()


@dataclass(frozen=True, kw_only=True)
class ManifestFile(Manifest):
    """The file `scores.json`: a manifest, its format and its digest.

    Attributes:
        format: name of the format.
        digest: SHA-256 of all other keys.
    """

    format: Literal["plada-scores-1"]
    digest: Digest


@dataclass(frozen=True)
class Shard:
    """Labels and scores of the n images of a shard: rows and summands of `Scores`.

    Attributes:
        label: int32 [n].
        columns: float32 [n] for each score, by its name in the registry.
        soft_sum: float64 [C, C], or None.
        own_square_sum: float64 [C], or None.
    """

    label: NDArray[np.int32]
    columns: Mapping[str, NDArray[np.float32]]
    soft_sum: NDArray[np.float64] | None = None
    own_square_sum: NDArray[np.float64] | None = None

    @classmethod
    def of_zeros(cls, images: int, num_classes: int) -> Shard:
        """An empty shard with all scores of logits; without sums if they exceed `MAX_SOFT_SUM_VALUES`."""
        summed = num_classes**2 <= MAX_SOFT_SUM_VALUES
        return cls(
            label=np.zeros(images, np.int32),
            columns={name: np.zeros(images, np.float32) for name in SCORES_OF_LOGITS},
            soft_sum=np.zeros((num_classes, num_classes)) if summed else None,
            own_square_sum=np.zeros(num_classes) if summed else None,
        )

    def write(self, folder: Path, manifest: Manifest, number: int) -> None:
        """Write the file of shard `number`. Raises FileError if that fails."""
        sums = {"soft_sum": self.soft_sum, "own_square_sum": self.own_square_sum}
        arrays: dict[str, Any] = {"label": self.label, **self.columns}
        arrays |= {name: total for name, total in sums.items() if total is not None}
        digest = np.frombuffer(_digest(arrays, manifest._decided_by(number)), np.uint8)
        data = io.BytesIO()
        np.savez(data, digest=digest, **arrays)
        write_bytes(shard_path(folder, number), data.getvalue())

    @classmethod
    def read(cls, folder: Path, manifest: Manifest, number: int) -> Shard:
        """Read shard `number`. Raises InputError if it is missing or damaged, FileError if it cannot be read."""
        path = shard_path(folder, number)
        if not path.exists():
            what = f"{path} is missing: run `plada-train score` again, it continues where it stopped"
            raise InputError(what, rule="scores-unfinished")
        data = io.BytesIO(read_bytes(path))
        rows = manifest.rows(number)
        try:
            with np.load(data, allow_pickle=False) as file:
                arrays: dict[str, Any] = {name: file[name] for name in file.files}
            if arrays.pop("digest").tobytes() != _digest(arrays, manifest._decided_by(number)):
                raise ValueError("its digest is wrong")
            label, sums = arrays.pop("label"), [arrays.pop(name, None) for name in ("soft_sum", "own_square_sum")]
            shard = cls(label, arrays, *sums)
            if any(len(column) != rows.stop - rows.start for column in (label, *shard.columns.values())):
                raise ValueError("it has a wrong number of rows")
        except Exception as error:  # damaged bytes make zipfile, zlib and numpy raise many kinds of errors
            what = f"{path} is damaged, or of other images ({error}): `plada-train score` labels its images again"
            raise InputError(what, rule="scores-damaged") from error
        return shard


def shard_path(folder: Path, number: int) -> Path:
    """The file of shard `number`."""
    return folder / f"shard-{number:05}.npz"


def _digest_of_values(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _digest(arrays: dict[str, NDArray[Any]], decided_by: bytes) -> bytes:
    digest = hashlib.sha256(decided_by)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.digest()
