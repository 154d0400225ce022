"""The vectors of the specification: valid ones are read, others refused by the rule that they state."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jsonschema
import plada_decode as oracle
import pytest

from plada_codec import Limits, Payload, PladaError, decode
from plada_codec.codings.registry import INDEX_CODINGS, LABEL_CODINGS
from tests.helpers.paths import PAYLOAD_VECTORS, SPEC

INDEX = json.loads((PAYLOAD_VECTORS / "index.json").read_text(encoding="utf-8"))
ENTRIES: list[dict[str, Any]] = INDEX["vectors"]
each_vector = pytest.mark.parametrize("vector", ENTRIES, ids=[vector["id"] for vector in ENTRIES])


def blob_of(vector: dict[str, Any]) -> bytes:
    return (PAYLOAD_VECTORS / str(vector["file"])).read_bytes()


def expected_digest(vector: dict[str, Any]) -> bytes | None:
    return bytes.fromhex(vector["expected_digest"]) if "expected_digest" in vector else None


def assert_result(
    vector: dict[str, Any], said: Payload | oracle.Decoded, indices: list[int], labels: list[int]
) -> None:
    rows = "".join(f"{index},{label}\n" for index, label in zip(indices, labels, strict=True))
    assert hashlib.sha256(b"index,label\n" + rows.encode()).hexdigest() == vector["csv_sha256"]
    assert len(indices) == vector["header"]["kept"]
    if "indices" in vector:
        assert (indices, labels) == (vector["indices"], vector["labels"])
    assert (said.class_names and list(said.class_names)) == vector.get("class_names")
    soft_labels = None if said.soft_labels is None else [bytes(row).hex() for row in said.soft_labels]
    assert soft_labels == vector.get("soft_labels")
    assert (None if said.weights is None else bytes(said.weights).hex()) == vector.get("weights")


@each_vector
def test_the_codec_gives_the_stated_result(vector: dict[str, Any]) -> None:
    limits = Limits(**vector.get("limits", {}))
    if "error" in vector:
        with pytest.raises(PladaError) as refused:
            decode(blob_of(vector), limits, expected_digest(vector))
        assert {"kind": refused.value.kind, "rule": refused.value.rule} == vector["error"]
    else:
        payload = decode(blob_of(vector), limits, expected_digest(vector))
        assert_result(vector, payload, payload.indices.tolist(), payload.labels.tolist())


@each_vector
def test_the_plain_decoder_gives_the_stated_result(vector: dict[str, Any]) -> None:
    limits = oracle.Limits(**vector.get("limits", {}))
    if "error" in vector:
        with pytest.raises(oracle.DecodeError) as refused:
            oracle.decode(blob_of(vector), limits, expected_digest(vector))
        assert {"kind": refused.value.kind, "rule": refused.value.rule} == vector["error"]
    else:
        decoded = oracle.decode(blob_of(vector), limits, expected_digest(vector))
        assert_result(vector, decoded, decoded.indices, decoded.labels)


def test_the_index_follows_its_schema_and_names_every_file_once() -> None:
    jsonschema.validate(INDEX, json.loads((PAYLOAD_VECTORS / "schema.json").read_text()))
    assert len({vector["id"] for vector in ENTRIES}) == len(ENTRIES)
    files = {path.relative_to(PAYLOAD_VECTORS).as_posix() for path in PAYLOAD_VECTORS.glob("*/*.plada")}
    assert sorted(vector["file"] for vector in ENTRIES) == sorted(files)
    assert {flag for vector in ENTRIES for flag in vector["flags"]} <= set(INDEX["flags"])


def test_the_vectors_show_every_coding_and_every_rule() -> None:
    headers = [vector["header"] for vector in ENTRIES if "header" in vector]
    assert {header["index_coding"] for header in headers} == {coding.name for coding in INDEX_CODINGS}
    assert {header["label_coding"] for header in headers} == {coding.name for coding in LABEL_CODINGS}
    spec = (SPEC / "plada-format-1.md").read_text(encoding="utf-8")
    section_10 = spec.split("## 10. Errors")[1].split("## 11.")[0]
    rules = {vector["error"]["rule"] for vector in ENTRIES if "error" in vector}
    missing = {rule for rule in rules if f"`{rule}`" not in section_10}
    assert not missing
    table = [line.split("|")[3] for line in section_10.splitlines() if line.startswith("|")]
    named = {word for cell in table for word in cell.split("`")[1::2]}
    assert named == rules
