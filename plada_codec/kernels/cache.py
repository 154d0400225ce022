"""A cache of compiled kernels on disk, so that the next process need not compile them.

The cache is a folder of the user. Its files are pickles and machine code of numba: whoever wrote them controls this
process. So a folder that other users can write to is neither read nor written. If there is no private folder, or no
room in it, kernels are compiled in memory, with one warning.

    $NUMBA_CACHE_DIR, or $XDG_CACHE_HOME/plada, or ~/.cache/plada
        kernels-<hash of the kernels' sources, of the versions of numba and Python, and of numba's settings>
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
import pickle
import stat
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from plada_codec.errors import FileError, PladaWarning
from plada_codec.files import atomic_write

#: Whether users have numbers; if not, file modes do not describe the rights of others.
_HAS_USERS = hasattr(os, "geteuid")
#: Bits of a file's mode: others may write it. Bit of a folder's mode: only the owner of a file in it may rename it.
_WRITABLE_BY_OTHERS, _STICKY = stat.S_IWGRP | stat.S_IWOTH if _HAS_USERS else 0, stat.S_ISVTX
_FOLDER_VARIABLE = "NUMBA_CACHE_DIR"
_SUFFIX = ".kernel"
_DIGEST_BYTES = 32


class _Unusable(Exception):
    """There is no folder to keep kernels in; the message says why."""


def has(function: Callable[..., Any]) -> bool:
    """Whether the cache has a kernel compiled. (Perhaps for another processor: then it cannot be used.)"""
    try:
        return any(_folder().glob(f"{_stem(function)}-*{_SUFFIX}"))
    except (_Unusable, OSError):
        return False


def attach(dispatcher: Any) -> None:
    """Let numba use this cache for a function. Warns if there is no folder."""
    try:
        folder = _folder()
    except _Unusable as error:
        _warn(str(error))
        return
    dispatcher._cache = _Cache(folder, dispatcher.py_func)


@functools.cache
def _folder() -> Path:
    """The folder of the cache, created if needed. Raises _Unusable."""
    folder = Path(os.environ.get(_FOLDER_VARIABLE) or _user_folder()) / f"kernels-{_version()}"
    try:
        _make_private(folder)
        # A link of another user could be changed before the next call
        folder = Path(os.path.realpath(folder))
        _check_private(folder)
    except OSError as error:
        raise _Unusable(f"{error.filename or folder}: {error.strerror}") from None
    return folder


def _make_private(folder: Path) -> None:
    """Make a folder and its missing parents, which no one else can write to, whatever the umask."""
    if not folder.exists():
        _make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _user_folder() -> Path:
    """The usual folder for caches of this user on this system."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "plada"
    named = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):  # noqa: PTH117 (another is to be ignored: XDG Base Directory Specification 0.8)
        return Path(named) / "plada"
    home = os.path.expanduser("~")  # noqa: PTH111 (never raises)
    # A relative path would depend on the current folder; an empty one would count as the root
    if os.environ.get("HOME") == "" or not os.path.isabs(home):  # noqa: PTH117
        raise _Unusable("HOME is not the path of a folder")
    return Path(home) / ".cache" / "plada"


def _is_own(info: os.stat_result) -> bool:
    """Whether a file or folder belongs to this user or to root."""
    return not _HAS_USERS or info.st_uid in (0, os.geteuid())


def _check_private(folder: Path) -> None:
    """Raise _Unusable if anyone but this user and root can write into a folder, or replace it."""
    for each in (folder, *folder.parents):
        info = each.stat()
        if not _is_own(info):
            raise _Unusable(f"{each} belongs to another user")
        if info.st_mode & _WRITABLE_BY_OTHERS and (each == folder or not info.st_mode & _STICKY):
            raise _Unusable(f"others can write to {each}")


def _version() -> str:
    """A hash of everything that compiled kernels depend on: numba checks the file of a kernel, but not of its parts."""
    from importlib import metadata

    digest = hashlib.sha256(f"{sys.implementation.cache_tag} {metadata.version('numba')}".encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    digest.update(repr([item for item in settings if item[0] != _FOLDER_VARIABLE]).encode())
    return digest.hexdigest()[:16]


def _stem(function: Callable[..., Any]) -> str:
    """The beginning of the names of the files of a function."""
    return f"{Path(function.__code__.co_filename).stem}.{function.__qualname__}"


class _Cache:
    """The cache of the compiled code of a function, which replaces numba's own.

    A file is a digest, and numba's pickle of compiled code. The digest detects a file that a loss of power damaged: its
    machine code could end the process.
    """

    def __init__(self, folder: Path, function: Callable[..., Any]) -> None:
        self._folder = folder
        self._stem = _stem(function)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled code for argument types and a processor (numba's context); None if the cache has none."""
        compiler: Any = importlib.import_module("numba.core.compiler")
        context.refresh()
        data = _read(self._path(signature, context.codegen()))
        if data is None or hashlib.sha256(data[_DIGEST_BYTES:]).digest() != data[:_DIGEST_BYTES]:
            return None
        try:
            made = pickle.loads(data[_DIGEST_BYTES:])
            return compiler.CompileResult._rebuild(context, *made)
        except Exception:
            # The file is whole, but from another release of a package that numba uses: any error is possible
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep the compiled code. Warns if that fails."""
        serialize: Any = importlib.import_module("numba.core.serialize")
        data = serialize.dumps(compiled._reduce())
        path = self._path(signature, compiled.codegen)
        try:
            path.unlink(missing_ok=True)  # otherwise, a file that others can write to would stay so
            with atomic_write(path, follow_links=False, mode=0o600) as file:
                file.write(hashlib.sha256(data).digest() + data)
        except (FileError, OSError) as error:
            # Without the name of the file, so that there is one warning for all kernels
            _warn(f"{self._folder}: {str(error.args[-1]).rpartition(': ')[2]}")

    def _path(self, signature: Any, codegen: Any) -> Path:
        made_for = hashlib.sha256(repr((signature, codegen.magic_tuple())).encode()).hexdigest()
        return self._folder / f"{self._stem}-{made_for[:16]}{_SUFFIX}"


def _read(path: Path) -> bytes | None:
    """The bytes of a file that no one else can write to; None for any other file."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags), "rb") as file:
            info = os.fstat(file.fileno())
            is_private = _is_own(info) and not info.st_mode & _WRITABLE_BY_OTHERS
            return file.read() if stat.S_ISREG(info.st_mode) and is_private else None
    except OSError:
        return None


@functools.cache
def _warn(reason: str) -> None:
    """Warn once for each reason."""
    what = "compiled kernels cannot be kept: each process compiles them again, which takes seconds"
    how = f"set {_FOLDER_VARIABLE} to a folder that only you can write to"
    warnings.warn(f"{what}: {reason} ({how})", PladaWarning, stacklevel=2)
