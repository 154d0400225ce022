"""The inner loops of the codings: serial functions on integers, one file for each coding that needs them.

They are plain Python, written so that numba can compile them too. `jit.py` decides how a call runs, and `cache.py`
keeps compiled code. Kernels trust no offset that comes from input, because compiled code checks no bounds (run the
tests with NUMBA_BOUNDSCHECK=1). They are imported only where they are called.
"""
