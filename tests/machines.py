"""Runs the tests as other machines would: `python -m tests.machines`, or `make test-all`.

Libraries choose their kernels by the processor, and other kernels give other last bits; files come in another order,
and examples from another seed. Each of these settings makes this machine one of the others. Prints what each came to,
and ends with 1 if any is red. Names may be given: `python -m tests.machines openblas-haswell seed-2`.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
TESTS = ["-m", "not browser and not exhaustive"]
FILES = [
    *sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("tests/**/test_*.py")),
    "README.md",
    "docs",
    "plada_codec",
]

#: Beyond its baseline, those of this processor that numpy makes use of, by numpy's names. (Of 1.26 they are AVX2 and
#: FMA3, of 2.4 X86_V3: a name that numpy does not know is ignored.)
_numpy: Any = importlib.import_module(f"numpy.{'core' if np.__version__ < '2' else '_core'}._multiarray_umath")
NUMPY_FEATURES = " ".join(name for name in _numpy.__cpu_dispatch__ if _numpy.__cpu_features__[name])

#: By name: variables of the environment, and arguments of pytest.
SETTINGS: dict[str, tuple[dict[str, str], list[str]]] = {
    "this machine": ({}, []),
    "openblas-prescott": ({"OPENBLAS_CORETYPE": "Prescott"}, []),
    "openblas-haswell": ({"OPENBLAS_CORETYPE": "Haswell"}, []),
    "openblas-skylakex": ({"OPENBLAS_CORETYPE": "SkylakeX"}, []),
    "aten-default": ({"ATEN_CPU_CAPABILITY": "default"}, []),
    "onednn-sse41": ({"ONEDNN_MAX_CPU_ISA": "SSE41"}, []),
    "numpy-baseline": ({"NPY_DISABLE_CPU_FEATURES": NUMPY_FEATURES}, []),
    "numba-generic": ({"NUMBA_CPU_NAME": "generic"}, []),
    "all-of-these": (
        {
            "OPENBLAS_CORETYPE": "Prescott",
            "ATEN_CPU_CAPABILITY": "default",
            "ONEDNN_MAX_CPU_ISA": "SSE41",
            "NPY_DISABLE_CPU_FEATURES": NUMPY_FEATURES,
            "NUMBA_CPU_NAME": "generic",
        },
        [],
    ),
    "reversed": ({}, FILES[::-1]),
    **{f"seed-{seed}": ({"HYPOTHESIS_PROFILE": "seeded"}, [f"--hypothesis-seed={seed}"]) for seed in (1, 2, 3)},
}


def main() -> None:
    names = sys.argv[1:] or list(SETTINGS)
    if unknown := [name for name in names if name not in SETTINGS]:
        raise SystemExit(f"no setting is named {unknown[0]}; there are: {', '.join(SETTINGS)}")
    cpuinfo = Path("/proc/cpuinfo")
    has_avx512 = cpuinfo.exists() and "avx512f" in cpuinfo.read_text()
    red = 0
    for name in names:
        variables, arguments = SETTINGS[name]
        if "SkylakeX" in variables.values() and not has_avx512:
            print(f"{name:20} left out: this processor is not known to have AVX-512", flush=True)
            continue
        quiet_threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"}
        command = [sys.executable, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal", *TESTS, *arguments]
        start = time.monotonic()
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | quiet_threads | variables, capture_output=True, text=True, check=False
        )
        lines = done.stdout.splitlines()
        print(f"{name:20} {lines[-1] if lines else done.stderr} ({time.monotonic() - start:.0f} s)", flush=True)
        for line in lines:
            if line.startswith(("FAILED", "ERROR")):
                print(f"    {line}", flush=True)
        red += done.returncode != 0
    raise SystemExit(1 if red else 0)


if __name__ == "__main__":
    main()
