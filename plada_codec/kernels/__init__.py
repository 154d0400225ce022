"""Serial numba kernels, one file for each coding that needs one. Imported only where they are called.

They trust no offset that comes from input: numba checks no bounds (run the tests with NUMBA_BOUNDSCHECK=1).
Integers are cast explicitly, since numba mixes signed and unsigned ones into floats.
"""

from __future__ import annotations

import contextlib
from pathlib import Path


def _forget_stale_kernels() -> None:
    """Deletes compiled kernels that are older than any source here.

    numba's cache knows the file of a kernel, but not those of the kernels it calls: after a change of these it would go
    on with the old ones, and write other bytes than it should.
    """
    here = Path(__file__).parent
    with contextlib.suppress(OSError):
        changed = max(source.stat().st_mtime for source in here.glob("*.py"))
        for compiled in (here / "__pycache__").glob("*.nb[ci]"):
            with contextlib.suppress(OSError):
                if compiled.stat().st_mtime < changed:
                    compiled.unlink()


_forget_stale_kernels()
