"""Locks between processes: a lock is a file, and the operating system lets go of it when its process ends.

Where a disk has no locks (ENOLCK and the like), a file `LOCK.owner` beside it names the process that holds it, and
counts only as long as that process lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import SoftFileLock, Timeout, lock_descriptor

from tenfold.errors import TenfoldError
from tenfold.storage.files import ELSEWHERE, storing

PAUSE = 0.05  # seconds between two tries
PATIENCE = 1.0  # seconds of trying before a refusal: whoever only looks holds a lock for a moment
LOOKS = 5
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # what a disk without locks answers


def beside(path: Path) -> Path:
    """The lock file of a file or directory: `PATH.lock`."""
    return path.with_name(path.name + ".lock")


@contextlib.contextmanager
def locked(
    file: Path, waiting: Callable[[], None] | None = None, stop: Callable[[], bool] = lambda: False, *,
    refusal: TenfoldError | None = None, advice: str = ELSEWHERE,
) -> Iterator[None]:
    """Hold the lock `file`, which is removed at the end; other processes and threads wait until then.

    `waiting` is called once if another holds it. Raises KeyboardInterrupt once `stop` returns true while it
    waits; `refusal`, where one is given, if another still holds it after PATIENCE; StorageError, which ends
    with `advice`, if the lock file can't be made.
    """
    lock, deadline = _Lock(file), time.monotonic() + PATIENCE
    try:
        while not lock.acquire(advice):
            if refusal is not None and time.monotonic() > deadline:
                raise refusal
            if waiting is not None:
                waiting()
                waiting = None
            if stop():
                raise KeyboardInterrupt
            time.sleep(PAUSE)
        yield
    finally:
        lock.release()


def is_held(file: Path) -> bool:
    """Whether a living process holds the lock `file`; looking hinders nobody for longer than a moment."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _is_free(descriptor)
    except OSError:  # a disk without locks
        return not _soon(lambda: _is_free_of(_owner(file)))
    finally:
        os.close(descriptor)


class _Lock:
    """A lock that this process holds or tries to get."""

    def __init__(self, file: Path) -> None:
        self.file, self.owner = file, SoftFileLock(_owner(file))
        self.descriptor: int | None = None

    def acquire(self, advice: str) -> bool:
        """Try once; false if another holds it. Raises StorageError."""
        held = False
        with storing(self.file, advice):
            try:
                self.descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
                held = self._lock(self.descriptor) and self._is_in_place(self.descriptor)
            except PermissionError:
                if sys.platform != "win32" or not self.file.exists():
                    raise  # there, its last holder is just removing it
            finally:
                if not held:
                    self._close()
        return held

    def release(self) -> None:
        """Let go of it, if it is held, and remove its file."""
        if self.descriptor is None:
            return
        if sys.platform == "win32":  # an open file can't be removed there
            self._close()
        with contextlib.suppress(OSError):
            self.file.unlink()
        self._close()

    def _lock(self, descriptor: int) -> bool:
        try:
            return lock_descriptor(descriptor, blocking=False)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            return _acquired(self.owner)

    def _is_in_place(self, descriptor: int) -> bool:
        """Whether the open file still has its name: if the last holder has removed it, a lock on it is void."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.file))
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None
        with contextlib.suppress(OSError):
            self.owner.release()


def _owner(file: Path) -> Path:
    """The file that names the holder of a lock where the disk has no locks."""
    return file.with_name(file.name + ".owner")


def _is_free(descriptor: int) -> bool:
    """Whether an open lock file is locked by nobody. Raises OSError where it can't be told."""
    if sys.platform == "win32":  # no locks that readers share
        return _soon(lambda: lock_descriptor(descriptor, blocking=False))
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_free_of(owner: Path) -> bool:
    """Whether that file is missing or names a dead process (then it is removed)."""
    if not owner.exists():
        return True
    lock = SoftFileLock(owner)
    try:
        return _acquired(lock)
    except OSError:
        return False  # nothing can be written here: nobody can tell
    finally:
        with contextlib.suppress(OSError):
            lock.release()


def _acquired(lock: SoftFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _soon(free: Callable[[], bool]) -> bool:
    """Whether a lock is found free in one of several looks: another reader may hold it while it looks itself."""
    for _ in range(LOOKS):
        if free():
            return True
        time.sleep(random.SystemRandom().uniform(0, 0.02))
    return False
