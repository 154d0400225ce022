"""Memory that a call or a process takes at its most."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Callable

#: Python code that defines `peak_kilobytes`, for programs that run in a process of their own. Needs Linux.
PEAK = """
import re
def peak_kilobytes():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes that a second call holds, as tracemalloc counts them.

    The first call is not counted: it imports modules and compiles kernels, which takes more memory than the inputs of
    most tests.
    """
    call()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def process_growth_bytes(setup: str, work: str, *arguments: str) -> int:
    """The most memory that a new process takes for `work` (Python), beyond its peak in `setup`. Needs Linux.

    The high-water mark is read from /proc: that of `getrusage` begins with the memory of the process that starts this
    one, and would hide all below it.
    """
    program = f"{PEAK}\n{setup}\nbefore = peak_kilobytes()\n{work}\nprint(peak_kilobytes() - before)"
    command = [sys.executable, "-c", program, *arguments]
    return 1024 * int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
