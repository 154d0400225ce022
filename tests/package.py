"""Builds the distribution and uses its wheel where nothing else is: `python -m tests.package`, or `make package`.

The wheel is installed without extras in a new virtual environment, and everything below runs there, outside the
checkout: help, encoding, decoding, and every vector, which the wheel brings along; then the plain decoder is tested on
those that `plada conformance` finds there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
INSTALLED_ALONE = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
#: Reads the vectors of an installed distribution; run in the new environment.
READ_VECTORS = """
import json
from pathlib import Path
import plada_codec
from plada_codec import Limits, PladaError, decode
folder = Path(plada_codec.__file__).parent / "vectors" / "payload"
vectors = json.loads((folder / "index.json").read_text(encoding="utf-8"))["vectors"]
for vector in vectors:
    expected = vector.get("expected_digest")
    reference = None if expected is None else bytes.fromhex(expected)
    try:
        payload = decode((folder / vector["file"]).read_bytes(), Limits(**vector.get("limits", {})), reference)
    except PladaError as error:
        assert vector.get("error") == {"kind": error.kind, "rule": error.rule}, vector["id"]
    else:
        assert vector["result"] == "valid", vector["id"]
        assert payload.kept == vector["header"]["kept"], vector["id"]
print(len(vectors), "vectors are read as they should be")
"""


def run(*command: str | Path, cwd: Path) -> None:
    """Run a command on what is installed, whatever PYTHONPATH names; one that fails ends this one."""
    words = [str(word) for word in command]
    print("$", *(word if "\n" not in word else "..." for word in words), flush=True)
    subprocess.run(words, cwd=cwd, check=True, env=INSTALLED_ALONE)


def environment(folder: Path, *packages: str | Path) -> Path:
    """A new virtual environment with these packages; the folder of its programs."""
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *map(str, packages)], stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return folder / "bin"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tools = environment(folder / "tools", "build", "twine")
        run(tools / "python", "-m", "build", "--outdir", folder / "dist", ROOT, cwd=folder)
        (wheel,) = folder.glob("dist/*.whl")
        run(tools / "twine", "check", "--strict", *folder.glob("dist/*"), cwd=folder)
        bare = environment(folder / "bare", wheel)
        (folder / "kept.csv").write_text("index,label\n3,1\n7,0\n8,2\n")
        run(bare / "plada", "--help", cwd=folder)
        run(bare / "plada", "encode", "kept.csv", "-o", "k.plada", "--reference-size=9", "--classes=3", cwd=folder)
        run(bare / "plada", "decode", "k.plada", "-o", "back.csv", cwd=folder)
        if (folder / "back.csv").read_bytes() != (folder / "kept.csv").read_bytes():
            raise SystemExit("what was decoded is not what was encoded")
        run(bare / "python", "-c", READ_VECTORS, cwd=folder)
        plain_decoder = f"{bare / 'python'} {ROOT / 'spec' / 'decoder' / 'plada_decode.py'} --batch"
        run(bare / "plada", "conformance", "--decoder", plain_decoder, "--batch", "--examples=0", cwd=folder)


if __name__ == "__main__":
    main()
