"""Write files and folders atomically: each is complete, or it is not there at all.

A temporary file beside the target replaces it at the end. Its writer holds a lock on it, so that a later writer in the
same folder can tell it from one that a killed process left, and removes that one.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from glob import glob
from pathlib import Path
from typing import BinaryIO

from plada_codec.errors import FileError, reason_of

#: The file of a folder's lock.
LOCK_FILE = ".plada-lock"
#: The names of temporary files and folders.
_TEMPORARY = re.compile(r"\.plada-[0-9a-f]{16}\.tmp")
#: The folder of the open files of a process or thread; group 1 is the process.
_DESCRIPTORS = re.compile(r"(/proc/[0-9]+)(?:/task/[0-9]+)?/fd|/dev/fd")
#: The numbers of shards in a pattern.
_NUMBERS = re.compile(r"\{[0-9]+\.\.[0-9]+\}")
#: The access control list of a file. Where there is one, the mode does not say what the file's group may do.
_ACL = "system.posix_acl_access"
#: Flags that some systems lack: the file must not be a link; opening it must not wait; its bytes are as they are.
NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


@contextmanager
def atomic_write(path: str | os.PathLike[str], *, follow_links: bool = True, mode: int = 0o666) -> Iterator[BinaryIO]:
    """Open a binary stream whose bytes become the file `path` if the block succeeds; otherwise nothing changes.

    A file that is replaced keeps its mode; one that may not be written is not replaced. Anything but a regular file (a
    pipe, a device, and also /dev/stdout and /dev/fd/N, whatever they are) is written directly.

    Args:
        path: the file.
        follow_links: whether a symbolic link stands for the file that it points to, as it should if the user named
            `path`. Otherwise, anything with this name is replaced: a link, a pipe.
        mode: mode of a new file, less the umask.

    Raises:
        FileError: if the file cannot be written.
    """
    try:
        number = descriptor_of(path) if follow_links else None
        if number is not None:
            # To open it by its name would begin at the first byte of the file that the user appends to
            with os.fdopen(os.dup(number), "wb") as stream:
                yield stream
            return
        target, before = _target(path, follow_links)
        if before is not None and follow_links and not stat.S_ISREG(before.st_mode):
            with target.open("wb") as stream:
                yield stream
            return
        if before is not None and not stat.S_ISREG(before.st_mode):
            before = None
        _check_writable(target, before)
        with (
            _temporary(target.parent, mode if before is None else 0o600) as (temporary, descriptor),
            os.fdopen(descriptor, "wb") as stream,
        ):
            yield stream
            stream.flush()
            _keep_mode(temporary, target, before)
            os.fsync(stream.fileno())
            if os.name == "nt":
                stream.close()  # Windows cannot rename an open file; elsewhere, the lock must outlast the name
            temporary.replace(target)
    except OSError as error:
        raise _cannot_write(path, error) from None


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Create a folder to fill, which becomes the folder `path` if the block succeeds; otherwise nothing changes.

    An empty folder is replaced, and keeps its mode.

    Raises:
        FileError: if there is a file or a folder that is not empty, or the folder cannot be written.
    """
    try:
        target, before = _target(path, follow_links=True)
        if before is not None and not stat.S_ISDIR(before.st_mode):
            raise NotADirectoryError("it is not a folder")
        _check_writable(target, before)
        with _temporary(target.parent, folder=True) as (temporary, descriptor):
            try:
                yield temporary
                _keep_mode(temporary, target, before)
                temporary.replace(target)
            finally:
                os.close(descriptor)
    except OSError as error:
        raise _cannot_write(path, error) from None


def check_file(path: str | os.PathLike[str]) -> None:
    """Raise FileError if `atomic_write` would refuse a file: before long work, not after it."""
    try:
        target, before = _target(path, follow_links=True)
        if descriptor_of(path) is None and (before is None or stat.S_ISREG(before.st_mode)):
            _check_writable(target, before)
            check_folder(target.parent)
        elif before is not None and stat.S_ISDIR(before.st_mode):
            raise IsADirectoryError("it is a folder")
    except OSError as error:
        raise _cannot_write(path, error) from None


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise FileError if no file can be created in a folder."""
    try:
        with _temporary(Path(path), 0o600) as (_, descriptor):
            os.close(descriptor)
    except OSError as error:
        raise _cannot_write(path, error) from None


def output_folder(path: Path) -> Path:
    """Create a folder if needed, and check that files can be written to it. Raises FileError; returns `path`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot write to {path}: {error.strerror}", rule="file") from None
    check_folder(path)
    return path


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder. Raises FileError if another process holds it. Without POSIX, there is no lock."""
    try:
        import fcntl
    except ModuleNotFoundError:
        yield
        return
    with ExitStack() as stack:
        try:
            lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"another process works in {folder}"
            raise FileError(f"{what}: wait for it, or name another folder", rule="file") from None
        except OSError as error:
            why = f"{LOCK_FILE} is a link: remove it" if error.errno == errno.ELOOP else error.strerror
            raise FileError(f"cannot lock {folder}: {why}", rule="file") from None
        yield


def descriptor_of(path: str | os.PathLike[str]) -> int | None:
    """The number of an open file of this process that `path` names, by links too; None for any other path.

    Raises:
        FileError: if it is a regular file that another process has open: writing it would overwrite the process's own
            bytes.
    """
    path = Path(path)
    for _ in range(40):  # links, as many as Linux follows
        folder = Path(os.path.realpath(path.parent))
        path = folder / path.name
        found = _DESCRIPTORS.fullmatch(str(folder))
        if found is not None and path.name.isascii() and path.name.isdigit():
            if found[1] in (None, os.path.realpath("/proc/self")):
                return int(path.name)
            if path.is_file():
                raise FileError(f"{path} is a file that another process has open: give its own name", rule="file")
            return None
        if not path.is_symlink():
            return None
        path = folder / path.readlink()
    return None


def is_input(output: str | os.PathLike[str], source: str | os.PathLike[str]) -> bool:
    """Whether writing `output` would overwrite `source`, or a file in the folder or of the pattern `source`.

    A pattern is like that of a shell, with {000..007} for numbers. `-` is a standard stream.
    """
    # A name like none/../a leads to the file a when it is written, but not when it is looked up
    written, read = _stat(output, 1) or _stat(os.path.realpath(output), 1), _stat(source, 0)
    pattern = _NUMBERS.sub("*", Path(source).name)
    if written is not None and read is None and set("*?[") & set(pattern):
        folder = Path(source).parent
        names = glob(pattern, root_dir=folder)  # noqa: PTH207 (Path.glob() raises an error for names like **a)
        return any(is_input(output, folder / name) for name in names)
    if written is read is None:  # both may be written
        return os.path.realpath(output) == os.path.realpath(source)
    if written is None or read is None or not stat.S_ISREG(written.st_mode):
        return False
    if not stat.S_ISDIR(read.st_mode):
        return os.path.samestat(written, read)
    return any(os.path.samestat(folder.stat(), read) for folder in Path(os.path.realpath(output)).parents)


def _stat(path: str | os.PathLike[str], standard_stream: int) -> os.stat_result | None:
    with suppress(OSError, ValueError):
        return os.fstat(standard_stream) if path == "-" else Path(path).stat()
    return None


def _cannot_write(path: str | os.PathLike[str], error: OSError) -> FileError:
    return FileError(f"cannot write {os.fspath(path)}: {reason_of(error)}", rule="file")


def _target(path: str | os.PathLike[str], follow_links: bool) -> tuple[Path, os.stat_result | None]:
    """The file or folder that a path names, and what is there now."""
    # Unlike resolve(), realpath() raises no RuntimeError for a loop of links
    try:
        target = Path(os.path.realpath(path)) if follow_links else Path(path)
    except ValueError as error:  # no file can have this name
        raise FileNotFoundError(str(error)) from None
    try:
        return target, target.lstat()
    except FileNotFoundError:
        return target, None


def _check_writable(target: Path, before: os.stat_result | None) -> None:
    """Refuse a target that may not be written: root may write any file, but a read-only one is so on purpose."""
    if before is not None and not (before.st_mode & 0o222 and os.access(target, os.W_OK)):
        raise PermissionError("it may not be written: change its mode, or give another name")


def _keep_mode(temporary: Path, target: Path, before: os.stat_result | None) -> None:
    """Give the temporary file or folder the owner, the group and the rights of the target that it replaces."""
    if before is None:
        return
    mode = before.st_mode & 0o777
    if hasattr(os, "chown"):
        for owner in (before.st_uid, -1):
            with suppress(OSError):
                os.chown(temporary, owner, before.st_gid)
                break
        else:
            mode &= ~0o070  # those were the rights of another group
    temporary.chmod(mode)
    if hasattr(os, "getxattr"):
        with suppress(OSError):  # mostly, there is no list
            os.setxattr(temporary, _ACL, os.getxattr(target, _ACL))


@contextmanager
def _temporary(parent: Path, mode: int = 0o777, *, folder: bool = False) -> Iterator[tuple[Path, int]]:
    """Create a temporary file or folder: its path, and a descriptor to close, which holds a lock on it.

    It is removed at the end, unless it has got another name. Temporary files that killed processes left in the folder
    are removed first.
    """
    _remove_left(parent)
    path = parent / f".plada-{secrets.token_hex(8)}.tmp"
    try:  # from here on, as a signal may come before the name is known to anyone
        yield path, _created(path, mode, folder)
    finally:
        if folder:
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _created(path: Path, mode: int, folder: bool) -> int:
    """Create a temporary file or folder; return a descriptor, which holds a lock on it."""
    while True:
        if folder:
            path.mkdir(mode)
            descriptor = os.open(path, os.O_RDONLY)
        else:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINK, mode)
        _lock(descriptor, wait=True)
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(descriptor)):
                return descriptor
        os.close(descriptor)  # another process took it for one that was left, before the lock


def _remove_left(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes of this user left in a folder."""
    if not hasattr(os, "geteuid"):
        return  # no locks: living processes cannot be told from killed ones
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_if_left(Path(entry.path), entry.is_dir(follow_symlinks=False))


def _remove_if_left(path: Path, is_folder: bool) -> None:
    # To lock a file of a network's file system, it must be open to be written
    descriptor = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | NO_LINK)
    try:
        info = os.fstat(descriptor)
        if info.st_uid != os.geteuid() or not _lock(descriptor, wait=False):
            return
        if stat.S_ISDIR(info.st_mode):
            shutil.rmtree(path)
        elif stat.S_ISREG(info.st_mode):
            path.unlink()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file or folder, until its last descriptor is closed. Return whether that succeeded."""
    try:
        import fcntl
    except ImportError:  # there is none on Windows
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # another process holds the lock, or the file system has no locks
        return False
    return True
