"""Memory that a call takes at its most, as tracemalloc counts it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def peak_bytes(call: Callable[[], object]) -> int:
    """The most bytes that a second call holds.

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
