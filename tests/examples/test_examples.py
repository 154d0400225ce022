"""Every program of examples/ runs, and examples/README.md lists it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

PROGRAMS = sorted((ROOT / "examples").glob("*.py"))
#: Packages that a program needs, and plada does not bring. Keras also needs one of its backends: jax is one.
NEEDS = {
    "client_in_another_framework.py": ("sklearn",),
    "client_jax.py": ("jax", "sklearn", "PIL"),
    "client_keras.py": ("keras", "jax", "sklearn", "PIL"),
    "client_torch.py": ("torch", "sklearn", "PIL"),
    "lossy_link.py": ("raptorq",),
    "method_on_digits.py": ("torch",),
    "property_test_a_decoder.py": ("hypothesis",),
    "small_sources.py": ("PIL", "pyarrow"),
    "small_task.py": ("sklearn", "PIL"),
}


def test_the_readme_lists_every_program() -> None:
    readme = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    for program in PROGRAMS:
        assert f"[{program.name}]({program.name})" in readme


@pytest.mark.processes
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_each_example_program_runs(program: Path, tmp_path: Path) -> None:
    for package in NEEDS.get(program.name, ()):
        if find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "TMPDIR": str(tmp_path), "KERAS_BACKEND": "jax"}
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout
