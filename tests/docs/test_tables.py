"""The documents list every row of the registries, and state the right number of test vectors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plada_codec.codings.coders import DECODER_CLASSES
from plada_codec.interop.registry import FORMATS
from tests.helpers.paths import FRAME_VECTORS, IMAGE_VECTORS, PAYLOAD_VECTORS, ROOT

GUIDES = ROOT / "docs" / "guides"


@pytest.mark.parametrize("name", FORMATS)
def test_the_guide_lists_every_format(name: str) -> None:
    row = FORMATS[name]
    holds = "everything" if row.is_complete else "indices, labels"
    assert f"| `{name}` | {row.content} | {holds} |\n" in (GUIDES / "command-line.md").read_text(encoding="utf-8")


def test_the_guide_for_clients_lists_every_decoder_class() -> None:
    table = (GUIDES / "clients.md").read_text(encoding="utf-8")
    for name in DECODER_CLASSES:
        assert f"| `{name}` |" in table


@pytest.mark.parametrize(
    ("folder", "unit"),
    [(PAYLOAD_VECTORS, "payloads"), (FRAME_VECTORS, "streams of frames"), (IMAGE_VECTORS, "image files")],
)
def test_the_documents_count_the_test_vectors(folder: Path, unit: str) -> None:
    count = len(json.loads((folder / "index.json").read_text(encoding="utf-8"))["vectors"])
    for document in (ROOT / "spec" / "vectors" / "README.md", GUIDES / "decoders.md"):
        assert f" {count} {unit}" in document.read_text(encoding="utf-8")
