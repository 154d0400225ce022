"""The Kaitai Struct grammar `spec/kaitai/plada.ksy` finds the fields of a payload where the plain decoder finds them.

A development tool: needs node, and npm to fetch the compiler (a JavaScript library) once into `.cache/kaitai`.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import kaitaistruct
import plada_decode as oracle
import pytest
import yaml
from hypothesis import given

from plada_codec.testing.strategies import EncodedPayload, damaged_payloads, encoded_payloads
from tests.helpers.paths import PAYLOAD_VECTORS, ROOT, SPEC

ENTRIES: list[dict[str, Any]] = json.loads((PAYLOAD_VECTORS / "index.json").read_text(encoding="utf-8"))["vectors"]
VALID = [vector for vector in ENTRIES if vector["result"] == "valid"]

COMPILER = "kaitai-struct-compiler"
COMPILER_VERSION = "0.11.0"
INSTALLED = ROOT / ".cache" / "kaitai"

#: Reads the grammar as JSON from standard input, writes {file name: Python source} as JSON.
COMPILE = f"""
const compiler = require({json.dumps(str(INSTALLED / "node_modules" / COMPILER))});
const grammar = JSON.parse(require("fs").readFileSync(0, "utf8"));
compiler.compile("python", grammar, null, false).then(
  (files) => process.stdout.write(JSON.stringify(files)),
  (error) => {{ console.error(String(error.message || error)); process.exit(1); }},
);
"""

pytestmark = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")


def installed() -> bool:
    package = INSTALLED / "node_modules" / COMPILER / "package.json"
    return package.exists() and json.loads(package.read_text(encoding="utf-8"))["version"] == COMPILER_VERSION


def install_compiler() -> None:
    """Put the compiler into INSTALLED if it is not there, or skip the tests where that is not possible."""
    if installed():
        return
    INSTALLED.parent.mkdir(exist_ok=True)
    # Elsewhere first, then renamed: two test processes may do this at once.
    with tempfile.TemporaryDirectory(dir=INSTALLED.parent, ignore_cleanup_errors=True) as folder:
        command = ["npm", "install", "--no-audit", "--no-fund", "--fetch-retries=0", "--prefix", folder]
        try:
            subprocess.run([*command, f"{COMPILER}@{COMPILER_VERSION}"], check=True, capture_output=True, timeout=120)
        except (subprocess.SubprocessError, OSError):
            pytest.skip(f"needs node and npm (npm could not install {COMPILER})")
        if not installed():
            shutil.rmtree(INSTALLED, ignore_errors=True)
            Path(folder).rename(INSTALLED)


@pytest.fixture(scope="module")
def grammar(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The class that the compiler makes of the grammar."""
    install_compiler()
    source = yaml.safe_load((SPEC / "kaitai" / "plada.ksy").read_text(encoding="utf-8"))
    compiled = subprocess.run(
        ["node", "-e", COMPILE], input=json.dumps(source), capture_output=True, text=True, timeout=120
    )
    assert compiled.returncode == 0, compiled.stderr
    folder = tmp_path_factory.mktemp("kaitai")
    for name, text in json.loads(compiled.stdout).items():
        (folder / name).write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("plada_kaitai", folder / "plada.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Plada


def assert_agreement(grammar: Any, blob: bytes) -> None:
    """The grammar finds what the plain decoder finds in steps 1 to 3 of spec section 10, or both refuse."""
    try:
        expected = oracle.read_payload(blob)
    except oracle.DecodeError as error:
        if error.rule != "checksum":  # which a grammar cannot compare
            with pytest.raises(kaitaistruct.KaitaiStructError):
                grammar.from_bytes(blob)
        return

    found = grammar.from_bytes(blob)
    assert found.flags.has_sections == (expected.sections is not None)
    assert found.flags.is_complement == (expected.flags & oracle.FLAG_COMPLEMENT != 0)
    assert found.flags.has_universe == (expected.flags & oracle.FLAG_UNIVERSE != 0)
    assert found.digest_bytes == len(expected.digest)
    assert (int(found.codings.index), int(found.codings.label)) == (expected.index_code, expected.label_code)
    assert found.reference_size.value == expected.reference_size
    assert found.num_classes.value == expected.num_classes
    assert (found.offset, found.stride) == (expected.offset, expected.stride)
    assert found.reference_digest == expected.digest
    assert (found.class_check if found.flags.has_class_check else b"") == expected.class_check
    if expected.kept is None:
        assert not found.has_index_stream
    else:
        assert found.kept_field.value == expected.kept
        assert found.index_stream == expected.index_stream
    sections = found.section_list.sections if found.flags.has_sections else []
    assert [(int(section.section_type), int(section.coder), section.body) for section in sections] == [
        (section.type, section.coder, section.data) for section in expected.sections or []
    ]
    assert found.label_stream == expected.label_stream
    assert found.checksum == int.from_bytes(blob[-4:], "little")


@given(example=encoded_payloads())
def test_the_grammar_reads_what_the_codec_writes(grammar: Any, example: EncodedPayload) -> None:
    assert_agreement(grammar, example.blob)


@given(blob=damaged_payloads())
def test_the_grammar_and_the_plain_decoder_refuse_the_same_containers(grammar: Any, blob: bytes) -> None:
    assert_agreement(grammar, blob)


@pytest.mark.parametrize("vector", ENTRIES, ids=[vector["id"] for vector in ENTRIES])
def test_the_grammar_reads_the_vectors_as_the_plain_decoder_does(grammar: Any, vector: dict[str, Any]) -> None:
    assert_agreement(grammar, (PAYLOAD_VECTORS / vector["file"]).read_bytes())


@pytest.mark.parametrize("vector", VALID, ids=[vector["id"] for vector in VALID])
def test_the_grammar_finds_the_header_that_the_index_states(grammar: Any, vector: dict[str, Any]) -> None:
    found = grammar.from_bytes((PAYLOAD_VECTORS / vector["file"]).read_bytes())
    header = vector["header"]
    sections = found.section_list.sections if found.flags.has_sections else []
    universe_size = len(range(header["offset"], header["reference_size"], header["stride"]))
    assert {
        "reference_size": found.reference_size.value,
        "num_classes": found.num_classes.value,
        "offset": found.offset,
        "stride": found.stride,
        "complement": found.flags.is_complement,
        "kept": found.kept,
        "index_coding": found.codings.index.name.replace("_", "-"),
        "label_coding": found.codings.label.name.replace("_", "-"),
        "reference_digest": found.reference_digest.hex(),
        "class_check": found.class_check.hex() if found.flags.has_class_check else "",
        "index_bytes": len(found.index_stream) if found.has_index_stream else 0,
        "label_bytes": len(found.label_stream),
        "sections": [int(section.section_type) for section in sections],
    } == header
    assert found.universe_size == universe_size
    assert found.coded_set_size == (universe_size - found.kept if header["complement"] else found.kept)
    if found.has_index_stream:
        assert found.index_bytes.value == header["index_bytes"]
