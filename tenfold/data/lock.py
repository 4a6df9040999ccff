"""A lock between processes, so that two that want the same file fetch it once."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tenfold.errors import StorageError

PAUSE = 0.1  # seconds between two tries


@contextlib.contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None,
           stop: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Hold the lock `PATH.lock`; other processes and threads wait until it is let go.

    The operating system holds the lock, so it ends with the process however that ends. `waiting` is
    called once if another holds it. Raises StorageError if the lock file can't be made, KeyboardInterrupt
    once `stop` returns true while it waits.
    """
    name = path.with_name(path.name + ".lock")
    descriptor = None
    while descriptor is None:
        descriptor = _acquire(name)
        if descriptor is None:
            if waiting is not None:
                waiting()
                waiting = None
            if stop():
                raise KeyboardInterrupt
            time.sleep(PAUSE)
    try:
        yield
    finally:
        if sys.platform == "win32":  # an open file can't be removed there
            os.close(descriptor)
            with contextlib.suppress(OSError):
                name.unlink()
        else:
            with contextlib.suppress(OSError):
                name.unlink()
            os.close(descriptor)


def _acquire(name: Path) -> int | None:
    """An open, locked file, or None while another holds it."""
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if sys.platform == "win32" and isinstance(error, PermissionError) and name.exists():
            return None  # being removed by its last holder
        raise StorageError(f"{name} could not be made: {error.strerror}; expected a directory that can be "
                           "written to; set TENFOLD_DATA (for features: TENFOLD_CACHE) to one") from None
    try:
        _lock(descriptor)
        # Whoever held it before may have removed the file that was just opened: a lock on that is void.
        if os.path.samestat(os.fstat(descriptor), os.stat(name)):
            return descriptor
    except OSError as error:
        if error.errno in (errno.ENOLCK, errno.EOPNOTSUPP):
            return descriptor  # a network disk without locks: go on without
        if error.errno not in (errno.EACCES, errno.EAGAIN, errno.EDEADLK, errno.ENOENT):
            os.close(descriptor)
            raise StorageError(f"{name} could not be locked: {error.strerror}; set TENFOLD_DATA (for "
                               "features: TENFOLD_CACHE) to a directory on a local disk") from None
    os.close(descriptor)
    return None


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
