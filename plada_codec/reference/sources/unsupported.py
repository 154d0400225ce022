"""Sources that are not supported: the line that says what is there, and what to do.

A row for each kind, by name or by the first bytes. Nothing here is read beyond those bytes and the names in a folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from plada_codec.errors import PladaError, SourceError, first_line
from plada_codec.reference.base import IMAGE_SUFFIXES, Location

_UNPACK = "unpack it, and name the folder"
_DECOMPRESS = "decompress it, and name the .tar file"
_FROM_PYTHON = "open it in Python, and give its items to plada_codec.from_dataset"
#: Entries of a folder that are looked at.
_MAX_ENTRIES = 1000


class _Hint(NamedTuple):
    """A row: a pattern of lower-case names, or of first bytes in Latin-1; what that is; and what to do."""

    pattern: str
    what: str
    advice: str


_NAMES = (
    _Hint(r".*\.(tar\.(gz|bz2|xz|zst|lz4|z)|tgz|tbz2?|txz|tzst)", "a compressed archive", _DECOMPRESS),
    _Hint(r".*\.(zip|7z|rar)", "an archive that is not read", _UNPACK),
    _Hint(r"data_batch(_\d+)?|test_batch|batches\.meta", "a Python pickle of CIFAR, which is never run", _FROM_PYTHON),
    _Hint(r".*\.(pkl|pickle|pt|pth)", "a Python pickle, which is never run", _FROM_PYTHON),
    _Hint(r".*[.-]idx\d-ubyte(\.gz)?", "an IDX file of MNIST", _FROM_PYTHON),
    _Hint(r".*\.tfrecords?(-.*)?", "a TFRecord file", _FROM_PYTHON),
    _Hint(r".*\.(h5|hdf5|mat|lmdb|mdb|rec|beton|msgpack|npy|bin)", "a format that is not read", _FROM_PYTHON),
    _Hint(r".*\.(arrow|feather)", "an Arrow file by itself", "name the folder that save_to_disk() wrote"),
    _Hint(r".*\.(csv|tsv|txt|jsonl?|xml|ya?ml)", "a table or a text, not images", "name the folder of the images"),
)
_CONTENTS = (
    _Hint(r"version https://git-lfs", "a pointer of Git LFS and not the file itself", "run git lfs pull"),
    _Hint(r"\x1f\x8b", "compressed by gzip", "decompress it"),
    _Hint(r"\x28\xb5\x2f\xfd", "compressed by zstd", "decompress it"),
    _Hint(r"BZh", "compressed by bzip2", "decompress it"),
    _Hint(r"\xfd7zXZ", "compressed by xz", "decompress it"),
    _Hint(r"\s*(<!doctype|<html|<\?xml)", "a web page", "download the file again"),
)


def check_no_address(location: Location) -> None:
    """Refuse the address of something on a network, such as `https://` or WebDataset's `pipe:`."""
    if not location.mode and re.match(r"[a-z][a-z0-9+.-]+://|pipe:", location.source, re.IGNORECASE):
        what = f"{location.source} is an address: download it, and name the file or the folder"
        raise SourceError(what, rule="source-missing")


def explain(location: Location) -> str:
    """What a location is, of which no source was made, and what to do: the rest of a message about it."""
    if not location.is_file:
        if location.is_folder:
            return "has no images"
        return "is no file and no folder" if location.mode else "does not exist"
    if location.path.name.lower().endswith(IMAGE_SUFFIXES):
        return "is one image: name the folder of the images"
    if (suffix := location.path.suffix) != suffix.lower() and suffix.lower() in (".tar", ".parquet", ".npz"):
        return f"must end with {suffix.lower()}: rename it"
    hint = _by_name(location.path.name)
    return f"is {hint.what}: {hint.advice}" if hint else "is no source of images: name a folder, or a file that is one"


def explain_empty(folder: Path) -> str:
    """Say what a folder without images holds instead, and what to do; "" if that is unknown."""
    names = []
    with_files: dict[str, list[str]] = {}
    for path in islice(folder.iterdir(), _MAX_ENTRIES):
        if path.is_dir():
            for inner in islice(path.iterdir(), _MAX_ENTRIES):
                if inner.suffix in (".tar", ".parquet") or inner.name == "dataset_info.json":
                    with_files.setdefault(inner.suffix, []).append(path.name)
                    break
        else:
            names.append(path.name)
    for suffix, folders in with_files.items():
        listed = ", ".join(str(folder / name) for name in sorted(folders)[:4])
        kind = "a saved dataset" if suffix == ".json" else f"{suffix} files"
        return f"; it has {kind} in {listed}: name one of these folders"
    for name in sorted(names):
        if hint := _by_name(name):
            return f"; it has {name}, {hint.what}: {hint.advice}"
    return ""


@contextmanager
def source_errors(path: Path) -> Iterator[None]:
    """Turn any error of a library that reads a file into a SourceError, which says what the file looks like.

    Libraries raise all kinds of errors for damaged bytes, even KeyError and MemoryError: hence Exception. An OSError of
    pyarrow about damaged bytes has no number of the operating system's.
    """
    try:
        yield
    except PladaError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise damaged(path, first_line(error), "source-damaged") from error


def damaged(path: Path, reason: str, rule: str) -> SourceError:
    """The error for a damaged file: what it looks like, or else the reason."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError:
        head = b""
    hint = next((row for row in _CONTENTS if re.match(row.pattern, head.decode("latin-1"), re.IGNORECASE)), None)
    what = f"is {hint.what}: {hint.advice}" if hint else f"is damaged ({reason})"
    return SourceError(f"{path} {what}", rule=rule)


def _by_name(name: str) -> _Hint | None:
    return next((row for row in _NAMES if re.fullmatch(row.pattern, name.lower(), re.DOTALL)), None)
