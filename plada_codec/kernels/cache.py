"""Compiled kernels on disk, so that the next process need not compile them.

They lie in a folder of the user's own. What numba keeps there are pickles and machine code, which do whatever whoever
wrote them likes: a folder that anyone else can write to is neither read nor written. Where there is no such folder, or
no room in it, kernels are compiled in memory, with one warning.

    $NUMBA_CACHE_DIR, or $XDG_CACHE_HOME/plada, or ~/.cache/plada
        kernels-<hash of the kernels' sources, of the versions of numba and Python, and of numba's settings>
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import stat
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from plada_codec.errors import PladaWarning

#: Of a file's mode: others than its owner may write. Of a folder's: only the owner of a file in it may rename it.
_WRITABLE_BY_OTHERS, _STICKY = stat.S_IWGRP | stat.S_IWOTH, stat.S_ISVTX
_FOLDER_VARIABLE = "NUMBA_CACHE_DIR"


class _Unusable(Exception):
    """There is no folder to keep kernels in; says why."""


def has(function: Callable[..., Any]) -> bool:
    """Whether a kernel seems to be there, compiled. (For another processor, perhaps, and then it is of no use.)"""
    try:
        return any(_folder().glob(f"{_stem(function)}-*.nbi"))
    except (_Unusable, OSError):
        return False


def attach(dispatcher: Any) -> None:
    """Has numba look for a function here before it compiles it, and keep it here after; warns if it cannot."""
    try:
        folder = _folder()
    except _Unusable as error:
        _warn(str(error))
        return
    dispatcher._cache = _cache_class(folder)(dispatcher.py_func)


@functools.cache
def _folder() -> Path:
    """The folder, made if it was not there. Raises _Unusable."""
    named = os.environ.get(_FOLDER_VARIABLE)
    try:
        base = Path(named or _user_folder())
        folder = base / f"kernels-{_version()}"
        _make_private(folder)
        # Somebody else's link may lead elsewhere by the next call
        folder = Path(os.path.realpath(folder))
        _check_private(folder)
    except OSError as error:
        raise _Unusable(f"{error.filename or base}: {error.strerror}") from None
    return folder


def _make_private(folder: Path) -> None:
    """Makes a folder, and those above it, such that no one else can write to them, whatever the umask allows."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _user_folder() -> Path:
    """Where a user's caches are, by the custom of the system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "plada"
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 (another is to be ignored: XDG Base Directory Specification 0.8)
        return Path(named) / "plada"
    home = os.path.expanduser("~")  # noqa: PTH111 (never raises)
    # A relative one would be in whatever folder this is called in; an empty one counts as that of the root
    if os.environ.get("HOME") == "" or not os.path.isabs(home):  # noqa: PTH117
        raise _Unusable("HOME is not the path of a folder")
    return Path(home) / ".cache" / "plada"


def _check_private(folder: Path) -> None:
    """Raises _Unusable if anyone but this user and root can write into a folder, or put another in its place."""
    if not hasattr(os, "geteuid"):
        return
    for each in (folder, *folder.parents):
        info = each.stat()
        if info.st_uid not in (0, os.geteuid()):
            raise _Unusable(f"{each} belongs to another user")
        if info.st_mode & _WRITABLE_BY_OTHERS and (each == folder or not info.st_mode & _STICKY):
            raise _Unusable(f"others can write to {each}")


def _version() -> str:
    """What compiled kernels depend on, as a name: numba knows the file of a kernel, but not those of its parts."""
    digest = hashlib.sha256(f"{sys.implementation.cache_tag} {metadata.version('numba')}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    digest.update(repr([item for item in settings if item[0] != _FOLDER_VARIABLE]).encode())
    return digest.hexdigest()[:16]


def _stem(function: Callable[..., Any]) -> str:
    """How numba begins the names of a function's files."""
    return f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"


def _cache_class(folder: Path) -> Any:
    """A class of numba's caches, one for each function, that keeps all of them in this folder."""
    caching: Any = importlib.import_module("numba.core.caching")

    class Locator:
        """Says where; numba asks this for all that it knows of a function's place."""

        _py_file = ""

        @classmethod
        def from_function(cls, function: Callable[..., Any], path: str) -> Locator:
            return cls()

        def ensure_cache_path(self) -> None:
            pass  # it was made, and looked at, before

        def get_cache_path(self) -> str:
            return str(folder)

        def get_source_stamp(self) -> str:
            return ""

        def get_disambiguator(self) -> str:
            return "kernel"

    class Files(caching.CompileResultCacheImpl):  # type: ignore[misc]
        _locator_classes = (Locator,)

    class Cache(caching.FunctionCache):  # type: ignore[misc]
        _impl_class = Files

        def load_overload(self, signature: Any, context: Any) -> Any:
            try:
                return super().load_overload(signature, context)
            except Exception:
                # Torn by a loss of power, or damaged: a pickle may then raise anything
                with suppress(OSError):
                    self.flush()
                return None

        def save_overload(self, signature: Any, compiled: Any) -> None:
            try:
                super().save_overload(signature, compiled)
            except OSError as error:
                _warn(f"{folder}: {error.strerror}")

    return Cache


@functools.cache
def _warn(reason: str) -> None:
    """Warns, once for each reason."""
    what = "compiled kernels cannot be kept, and each process has to compile them anew, which takes seconds"
    how = f"set {_FOLDER_VARIABLE} to a folder that you alone can write to"
    warnings.warn(f"{what}: {reason} ({how})", PladaWarning, stacklevel=2)
