"""Serial functions on integers, one file for each coding that needs them. Imported only where they are called.

They are plain Python, written so that numba can compile them too. `jit.py` decides which way a call runs, and
`cache.py` keeps what was compiled. They trust no offset that comes from input: compiled code checks no bounds (run the
tests with NUMBA_BOUNDSCHECK=1).
"""
