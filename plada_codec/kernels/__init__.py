"""Serial numba kernels, one file for each coding that needs one. Imported only where they are called.

They trust no offset that comes from input: numba checks no bounds (run the tests with NUMBA_BOUNDSCHECK=1).
Integers are cast explicitly, since numba mixes signed and unsigned ones into floats.
"""
