"""Tables that name images and classes, in the formats that can: columns `image` and `label`.

A label is the name of its class, or the number where the payload has no class names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeAlias

from plada_codec.errors import InvalidPayload
from plada_codec.payload import Payload

#: The name of an image by its number.
ImageName: TypeAlias = Callable[[int], str]

NAMED_COLUMNS = ("image", "label")
#: Fields that need no quotes, whatever the delimiter.
_PLAIN = re.compile(r"[\w./+@=()-]+")
_BLOCK_ROWS = 1 << 14


def write_csv(payload: Payload, image_name: ImageName, stream: BinaryIO) -> None:
    """Write a header, and a line for each kept image."""
    _write_rows(payload, image_name, stream, ",")


def write_tsv(payload: Payload, image_name: ImageName, stream: BinaryIO) -> None:
    """Write the same with tabs."""
    _write_rows(payload, image_name, stream, "\t")


def write_jsonl(payload: Payload, image_name: ImageName, stream: BinaryIO) -> None:
    """Write a JSON object for each kept image."""
    for images, labels in named_blocks(payload, image_name):
        rows = zip(images, labels, strict=True)
        stream.write("".join(json.dumps(dict(zip(NAMED_COLUMNS, row, strict=True))) + "\n" for row in rows).encode())


def write_json(payload: Payload, image_name: ImageName, stream: BinaryIO) -> None:
    """Write an object of two columns."""
    columns: dict[str, list[object]] = {name: [] for name in NAMED_COLUMNS}
    for block in named_blocks(payload, image_name):
        for name, values in zip(NAMED_COLUMNS, block, strict=True):
            columns[name] += values
    stream.write(json.dumps(columns).encode() + b"\n")


def named_blocks(payload: Payload, image_name: ImageName) -> Iterator[tuple[list[str], Sequence[str | int]]]:
    """Blocks of the kept images' names and of their labels, by name where the classes have names."""
    names = payload.class_names
    for begin in range(0, payload.kept, _BLOCK_ROWS):
        rows = slice(begin, begin + _BLOCK_ROWS)
        labels = payload.labels[rows].tolist()
        images = [image_name(index) for index in payload.indices[rows].tolist()]
        yield images, labels if names is None else [names[label] for label in labels]


def _write_rows(payload: Payload, image_name: ImageName, stream: BinaryIO, delimiter: str) -> None:
    stream.write((delimiter.join(NAMED_COLUMNS) + "\n").encode())
    for images, labels in named_blocks(payload, image_name):
        rows = (f"{_field(image)}{delimiter}{_field(label)}\n" for image, label in zip(images, labels, strict=True))
        # Names of files that are not UTF-8 keep their bytes
        stream.write("".join(rows).encode("utf-8", "surrogateescape"))


def _field(value: str | int) -> str:
    text = str(value)
    if "\r" in text:  # readers take it for the end of a line, and make it a line feed
        raise InvalidPayload(f"{text!r} has a carriage return: write the format jsonl", rule="format")
    return text if _PLAIN.fullmatch(text) else '"' + text.replace('"', '""') + '"'
