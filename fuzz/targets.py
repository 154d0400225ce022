"""The targets of fuzzing: a row for each reader of bytes that others may have made.

A target reads an input. A `PladaError` is a good answer; any other error, a warning that is not ours, or a wrong result
is a finding.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fuzz.decoders import disagreement
from fuzz.paths import ROOT
from fuzz.structures import BYTES, CRC_32_AT_END, FRAMES, PNG, SLIP, TAR, TEXT, ZIP, Structure
from plada_codec import Limits, Payload, encode, interop
from plada_codec.errors import PladaError
from plada_codec.frames.framing import read_frames
from plada_codec.frames.length_prefixed import length_prefixed
from plada_codec.frames.limits import FrameLimits
from plada_codec.frames.receiving import Reassembler
from plada_codec.frames.sending import Sender, packetize
from plada_codec.frames.slip import slip
from plada_codec.frames.state import StateFile, read_state, time_mark
from plada_codec.links.profiles import read_profiles
from plada_codec.reference import image_numbers, open_images
from plada_codec.reference.pixels.decoding import decode_bytes
from plada_codec.reference.sources.pnm import pnm

_VECTORS = ROOT / "spec" / "vectors"
_IMAGES, _CLASSES = 40, 3
_LIMITS = Limits(max_kept=5_000, max_soft_label_values=20_000)


class Target(NamedTuple):
    """A row of the registry.

    Attributes:
        what: the reader, for people.
        seeds: the first inputs, most of them valid.
        check: reads an input.
        files: the files of the reader, whose lines are counted.
        structure: how inputs are changed.
    """

    what: str
    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes], object]
    files: tuple[str, ...]
    structure: Structure = BYTES


class WrongResult(Exception):
    """A reader gave a result that is not right."""


# Payloads and tables


def payload() -> Payload:
    """A payload with everything that a payload can hold."""
    return Payload(
        np.arange(0, _IMAGES, 3),
        np.arange(14) % _CLASSES,
        _IMAGES,
        _CLASSES,
        class_names=[f"class {number}" for number in range(_CLASSES)],
        soft_labels=np.eye(_CLASSES, dtype=np.uint8) * 60,
        weights=np.arange(14) % 16,
    )


def _payload_vectors() -> list[bytes]:
    vectors = [path.read_bytes() for path in sorted((_VECTORS / "payload").glob("*/*.plada"))]
    return [blob for blob in vectors if len(blob) < 4_096]


def _check_payload(blob: bytes) -> None:
    if difference := disagreement(blob):
        raise WrongResult(difference)


def _tables(format: str, *texts: bytes) -> list[bytes]:
    """A payload as a file of the format, one with names, and other texts."""
    bare = Payload(np.arange(0, _IMAGES, 3), np.arange(14) % _CLASSES, _IMAGES, _CLASSES)
    seeds = []
    for each in bare, payload():
        with contextlib.suppress(PladaError):
            stream = io.BytesIO()
            interop.write(each, stream, format)
            seeds.append(stream.getvalue())
    if interop.registry.FORMATS[format].write_named is not None:
        stream = io.BytesIO()
        interop.write(payload(), stream, format, image_name=_images().name)
        seeds.append(stream.getvalue())
    return [*seeds, *texts]


@cache
def _images() -> Any:
    """A reference set of 40 small images, in folders."""
    folder = Path(tempfile.mkdtemp(prefix="plada-fuzz-"))
    for number in range(_IMAGES):
        path = folder / f"{number % 2}" / f"{number:03}.pgm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(pnm(np.full((2, 2), number, np.uint8)))
    return open_images(folder)


def _check_table(format: str, blob: bytes) -> None:
    """Read a file with the least arguments; sorted, with names of images and classes; and with columns by number."""
    names = [f"class {number}" for number in range(_CLASSES)]
    row = interop.registry.FORMATS[format]
    ways: list[dict[str, Any]] = [
        {},
        {"sort": True, "label_names": names, "image_numbers": partial(image_numbers, _images())},
        {"index_column": "2", "label_column": "label"},
    ]
    for way in ways[: 3 if row.has_columns else 1]:
        with contextlib.suppress(PladaError):
            sizes: dict[str, Any] = {} if row.is_complete else {"reference_size": _IMAGES, "num_classes": _CLASSES}
            read = interop.read(io.BytesIO(blob), format, limits=_LIMITS, **sizes, **way)
            encode(read)  # what is read is valid


_DELIMITED = (
    b'# kept images\n"index";"label"\n1;0\n"2";1\n',
    b"\xef\xbb\xbflabel\tindex\r\n2\t5\r\n0\t7\r\n",
    b"filename,class,more\r0/000.pgm,class 1,x\r1/001.pgm,class 2,y\r",
    "index,label\n3,1.0\n9,2\n".encode("utf-16"),
    b",index,label\n0,3,1\n1,9,2\n",
)


def _gzipped() -> bytes:
    import gzip

    return gzip.compress(b"index,label\n3,1\n9,2\n", mtime=0)


# Sources of images


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="plada-fuzz-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _read_source(path: Path) -> None:
    images = open_images(path)
    for number in range(min(len(images), 50)):
        images.name(number)
        with contextlib.suppress(PladaError):
            images.read(number)
    images.class_names  # noqa: B018
    images.labels  # noqa: B018


def _check_file(name: str, blob: bytes) -> None:
    with _folder() as folder:
        (folder / name).write_bytes(blob)
        _read_source(folder / name)


def _check_folder(blob: bytes) -> None:
    """Read the members of a zip file as a folder of images, of shards, or of a saved dataset."""
    for path, _ in _members_of(blob):
        if path.is_absolute() or ".." in path.parts or len(path.parts) > 8:
            return
    with _folder() as folder:
        for path, data in _members_of(blob):
            try:
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
            except (OSError, ValueError):
                return  # no file can have this name
        _read_source(folder)


def _members_of(blob: bytes) -> list[tuple[Path, bytes]]:
    try:
        members = [member.partition(b"\n") for member in ZIP.split(blob)]
        return [(Path(name.decode()), data) for name, _, data in members]
    except Exception:  # the input is no zip file any more
        return []


def _tar(members: dict[str, bytes], format: int) -> bytes:
    import tarfile

    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format) as file:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return stream.getvalue()


def _shards() -> list[bytes]:
    image = pnm(np.zeros((2, 2), np.uint8))
    members = {"a.pgm": image, "a.cls": b"1", "b.pgm": image, "b.cls": b"0", "x/c.txt": b"?", "c.heic": b""}
    long = {f"{'d' * 120}/{'e' * 120}.pgm": image, "ü.pgm": image}
    return [_tar(members, 0), _tar(members, 1), _tar(long, 1), _tar(long, 2)]


def _folders() -> list[bytes]:
    image = pnm(np.zeros((2, 2), np.uint8))
    shard = _tar({"a.pgm": image, "a.cls": b"1", "b.pgm": image, "b.cls": b"0"}, 0)
    folders = (
        {"a/1.pgm": image, "b/2.pgm": image, "b/3.heic": b"", "@eaDir/4.pgm": image},
        {"1.pgm": image, "2.PGM": image},
        {"0.tar": shard, "1.tar": shard, "classes.json": b'["a", "b"]'},
        {"train/0.tar": shard, "0.tar": shard},
        {"train.parquet": _parquet_of_images()},
        {"state.json": b'{"_data_files": [{"filename": "d.arrow"}]}', "dataset_info.json": b"{}", "d.arrow": _arrow()},
        {
            "dataset_dict.json": b'{"splits": ["train"]}',
            "train/state.json": b'{"_data_files": [{"filename": "d.arrow"}]}',
            "train/dataset_info.json": b"{}",
            "train/d.arrow": _arrow(),
        },
    )
    return [ZIP.join([name.encode() + b"\n" + data for name, data in folder.items()]) for folder in folders]


def _npz_of_images() -> list[bytes]:
    def archive(**arrays: Any) -> bytes:
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        return stream.getvalue()

    grey, colour, labels = np.zeros((3, 2, 2), np.uint8), np.zeros((3, 2, 2, 3), np.uint8), np.arange(3)[:, None]
    return [
        archive(train_images=grey, train_labels=labels, test_images=colour, test_labels=labels),
        archive(images=colour, labels=labels[:, 0]),
        archive(x_train=grey, y_train=labels[:, 0]),
        archive(train_images=grey),
    ]


def _image_table() -> Any:
    import pyarrow as pa

    image = {"bytes": pnm(np.zeros((2, 2), np.uint8)), "path": "a.pgm"}
    feature = {"names": ["a", "b"], "_type": "ClassLabel"}
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": feature}}}
    table = pa.table({"image": [image] * 3, "label": pa.array([0, 1, 1], pa.int64())})
    return table.replace_schema_metadata({"huggingface": json.dumps(features)})


def _parquet_of_images() -> bytes:
    import pyarrow.parquet as pq

    stream = io.BytesIO()
    pq.write_table(_image_table(), stream)
    return stream.getvalue()


def _arrow() -> bytes:
    import pyarrow as pa

    stream = io.BytesIO()
    table = _image_table()
    with pa.ipc.new_stream(stream, table.schema) as writer:
        writer.write_table(table)
    return stream.getvalue()


# Frames


def _streams() -> list[bytes]:
    paths = sorted((_VECTORS / "frames" / "streams").glob("*.frames"))
    return [path.read_bytes() for path in paths if path.stat().st_size < 8_192]


def _check_frames(framing: str, blob: bytes) -> None:
    limits = FrameLimits(max_object_bytes=1 << 16, max_held_bytes=1 << 18)
    receiver = Reassembler(limits)
    for frame in read_frames(io.BytesIO(blob), framing):
        receiver.add(frame)
    for tag in [None, *receiver.objects]:
        with contextlib.suppress(PladaError):
            receiver.result(tag)
    for tag in receiver.objects:
        receiver.progress(tag)
        receiver.problems(tag)


def _slip_streams() -> list[bytes]:
    frames = list(packetize(Sender(b"Hello, world! " * 9, frame_bytes=24), symbols=8))
    return [b"\xc0" + b"".join(map(slip, frames)), b"noise" + b"".join(map(slip, frames[2:])), b"\xc0\xdb\xc0"]


def _states() -> list[bytes]:
    frames = list(packetize(Sender(b"Hello, world! " * 9, frame_bytes=24), symbols=8))
    marked = b"".join(slip(time_mark(1000 * number)) + slip(frame) for number, frame in enumerate(frames))
    return [b"\xc0" + marked, b"\xc0" + marked[:-5], b"", *_slip_streams()]


def _check_state(blob: bytes) -> None:
    with _folder() as folder:
        path = folder / "a.state"
        path.write_bytes(blob)
        state = read_state(path)
        state.frames_per_s()
        frames = list(state.frames)
        with StateFile(path) as file:
            if file.frames != frames:
                raise WrongResult("the two readers of a state file find other frames")
            file.append([length_prefixed(b"x")[:0] or frames[0]] if frames else [])
        if list(read_state(path).frames) != frames + frames[:1]:
            raise WrongResult("a frame that was appended is not read")


# Text files of ours


def _profiles() -> list[bytes]:
    text = (ROOT / "plada_codec" / "links" / "links.toml").read_bytes()
    return [b"[" + table for table in text.split(b"\n[")[1:]]


def _check_profiles(blob: bytes) -> None:
    for profile in read_profiles(blob.decode("utf-8", "replace")).values():
        with contextlib.suppress(PladaError):
            profile.frame_airtime_s(profile.max_frame_bytes)


def _json_files() -> list[bytes]:
    """A document for each schema, with the kind of file before a newline."""
    seeds = []
    for path in sorted((ROOT / "docs" / "schemas").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        kind = path.name.partition(".")[0].encode()
        seeds += [kind + b"\n" + json.dumps(_sample(schema, schema, full), indent=1).encode() for full in (True, False)]
    return seeds


def _sample(schema: Any, root: Any, full: bool) -> Any:
    """A value of a JSON schema."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for key in "const", "default", "minimum":
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    for key in "anyOf", "oneOf":
        if key in schema:
            return _sample(schema[key][0 if full else -1], root, full)
    kind = schema.get("type")
    if kind == "object":
        needed = schema.get("required", [])
        properties = {name: each for name, each in schema.get("properties", {}).items() if full or name in needed}
        return {name: _sample(each, root, full) for name, each in properties.items()}
    if kind == "array":
        items = schema.get("prefixItems") or [schema.get("items", {})] * max(schema.get("minItems", 1), 1)
        return [_sample(each, root, full) for each in items]
    numbers = {"integer": 1, "number": 0.5, "boolean": True, "null": None}
    return numbers.get(kind, "text")


def _check_json(blob: bytes) -> None:
    from plada_train import json_files
    from plada_train.schemas import SCHEMAS

    kind, _, text = blob.partition(b"\n")
    _, form = SCHEMAS.get(kind.decode("latin-1"), ("", Any))
    if form is not Any:
        json_files.dumps(json_files.loads(text, form, "a.json"))


# Images


def _image_files() -> list[bytes]:
    paths = sorted((_VECTORS / "images" / "files").iterdir())
    return [path.read_bytes() for path in paths if path.is_file() and path.stat().st_size < 8_192]


_TEXT = tuple(f"plada_codec/tables/text/{name}.py" for name in ("delimited", "lines", "split"))
_TABLE = ("plada_codec/tables/numbers.py", "plada_codec/tables/table.py", "plada_codec/interop/rows.py")
_FRAME = ("plada_codec/frames/frame.py", "plada_codec/frames/receiving.py")


def _table_target(what: str, format: str, structure: Structure, *files: str, texts: tuple[bytes, ...] = ()) -> Target:
    return Target(what, partial(_tables, format, *texts), partial(_check_table, format), files, structure)


#: By name.
TARGETS: dict[str, Target] = {
    "payload": Target(
        "payloads, by the codec and the plain decoder",
        _payload_vectors,
        _check_payload,
        ("plada_codec/container.py", "plada_codec/reader.py"),
        CRC_32_AT_END,
    ),
    "plada": _table_target("payloads as a table", "plada", CRC_32_AT_END, "plada_codec/interop/plada.py"),
    "npz": _table_target("npz payloads", "npz", ZIP, "plada_codec/interop/npz.py"),
    "csv": _table_target(
        "CSV", "csv", TEXT, "plada_codec/interop/csv.py", *_TEXT, *_TABLE, texts=(*_DELIMITED, _gzipped())
    ),
    "tsv": _table_target("TSV", "tsv", TEXT, "plada_codec/interop/csv.py", *_TEXT, texts=_DELIMITED),
    "jsonl": _table_target(
        "JSON lines",
        "jsonl",
        TEXT,
        "plada_codec/interop/jsonl.py",
        "plada_codec/tables/text/json_rows.py",
        texts=(b'{"image": "0/000.pgm", "class": "class 1"}\n', b"[1, 2]\n", b'{"index": 3, "label": 1.0}\r\n'),
    ),
    "json": _table_target(
        "JSON",
        "json",
        TEXT,
        "plada_codec/interop/json.py",
        "plada_codec/tables/text/json_rows.py",
        texts=(b'{"index": [1, 2], "label": [0, 1]}', b'[{"index": 1, "label": 0}]', b"[[1, 0], [2, 1]]"),
    ),
    "npy": _table_target("npy tables", "npy", BYTES, "plada_codec/interop/npy.py", "plada_codec/tables/npy_array.py"),
    "arrow": _table_target(
        "Arrow IPC", "arrow", BYTES, "plada_codec/interop/arrow/reading.py", "plada_codec/tables/arrow_messages.py"
    ),
    "parquet": _table_target(
        "Parquet",
        "parquet",
        BYTES,
        "plada_codec/tables/parquet_pages.py",
        "plada_codec/tables/thrift.py",
        "plada_codec/tables/arrow_columns.py",
    ),
    "roaring": _table_target("Roaring", "roaring", BYTES, "plada_codec/interop/roaring.py"),
    "idx-raw": _table_target("raw indices", "idx-raw", BYTES, "plada_codec/interop/raw.py"),
    "bmp-raw": _table_target("raw bitmaps", "bmp-raw", BYTES, "plada_codec/interop/raw.py"),
    "tar": Target(
        "tar shards",
        _shards,
        partial(_check_file, "a.tar"),
        ("plada_codec/reference/sources/tar.py", "plada_codec/reference/sources/shards.py"),
        TAR,
    ),
    "folder": Target(
        "folders of images, of shards, of saved datasets",
        _folders,
        _check_folder,
        ("plada_codec/reference/sources/folder.py", "plada_codec/reference/image_tables/saved_dataset.py"),
        ZIP,
    ),
    "npz-images": Target(
        "npz archives of images",
        _npz_of_images,
        partial(_check_file, "a.npz"),
        ("plada_codec/reference/sources/npz.py",),
        ZIP,
    ),
    "parquet-images": Target(
        "Parquet files of images",
        lambda: [_parquet_of_images()],
        partial(_check_file, "a.parquet"),
        ("plada_codec/reference/image_tables/parquet.py", "plada_codec/reference/image_tables/table.py"),
    ),
    "frames": Target(
        "streams of frames, and their receiver",
        _streams,
        partial(_check_frames, "length"),
        (*_FRAME, "plada_codec/frames/length_prefixed.py"),
        FRAMES,
    ),
    "slip": Target(
        "SLIP streams of frames",
        _slip_streams,
        partial(_check_frames, "slip"),
        ("plada_codec/frames/slip.py", "plada_codec/frames/framing.py"),
        SLIP,
    ),
    "state": Target("state files", _states, _check_state, ("plada_codec/frames/state.py",), SLIP),
    "links": Target(
        "link profiles (TOML)",
        _profiles,
        _check_profiles,
        ("plada_codec/links/profiles.py", "plada_codec/links/numbers.py"),
        TEXT,
    ),
    "json-files": Target("our JSON files", _json_files, _check_json, ("plada_train/json_files.py",), TEXT),
    "image": Target(
        "image files to pixels",
        _image_files,
        decode_bytes,
        ("plada_codec/reference/pixels/formats.py", "plada_codec/reference/pixels/samples.py"),
        PNG,
    ),
}
