"""Locks between processes: a lock is a locked file, which the operating system releases when the process ends.

On a file system without locks (ENOLCK and similar errors), a file `LOCK.owner` names the process that holds the
lock. It is valid only while that process lives.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import SoftFileLock, Timeout, lock_descriptor

from tenfold.errors import StorageError, TenfoldError, in_one_line
from tenfold.storage.files import ELSEWHERE, storing
from tenfold.storage.paths import read_small

PAUSE = 0.05  # seconds between two attempts
PATIENCE = 1.0  # seconds of attempts before the refusal, because `is_held` may hold a lock for a moment
PATIENCE_ELSEWHERE = 600.0  # seconds for a holder on another computer, which may have died unseen
ATTEMPTS = 5  # of `is_held` to find a lock free
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # errors of file systems without locks


def lock_path(path: Path) -> Path:
    """The lock file of a file or directory: `PATH.lock`."""
    return path.with_name(path.name + ".lock")


@contextlib.contextmanager
def locked(
    file: Path, waiting: Callable[[], None] | None = None, stop: Callable[[], bool] = lambda: False, *,
    refusal: TenfoldError | None = None, advice: str = ELSEWHERE,
) -> Iterator[None]:
    """A context that holds the lock `file` and removes it at the end; other processes and threads wait.

    `waiting` is called once if another process holds the lock. Raises KeyboardInterrupt if `stop` returns true while
    waiting; `refusal`, if given, when the lock is still held after PATIENCE; and StorageError, whose message ends with
    `advice`, if the lock file can't be created. On a file system without locks, a holder on another computer may have
    died: the error then names the file to remove; without `refusal` it is raised after PATIENCE_ELSEWHERE.
    """
    lock, started = _Lock(file), time.monotonic()
    try:
        while not lock.acquire(advice):
            late = time.monotonic() - started
            if late > (PATIENCE_ELSEWHERE if refusal is None else PATIENCE):
                elsewhere = _held_elsewhere(_owner(file))
                if elsewhere:
                    raise type(refusal or StorageError())(f"{file.parent}: {elsewhere}")
                if refusal is not None:
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
    """Whether a living process holds the lock `file`; the check blocks other processes only for a moment."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _is_free(descriptor)
    except OSError:  # a file system without locks
        return not _free_in_some_attempt(lambda: _is_free_of(_owner(file)))
    finally:
        os.close(descriptor)


class _Lock:
    """A lock that this process holds or tries to acquire."""

    def __init__(self, file: Path) -> None:
        self.file, self.owner = file, SoftFileLock(_owner(file))
        self.descriptor: int | None = None

    def acquire(self, advice: str) -> bool:
        """Try once; false if another process holds the lock. Raises StorageError."""
        held = False
        with storing(self.file, advice):
            try:
                self.descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT, 0o666)
                held = self._lock(self.descriptor) and self._is_in_place(self.descriptor)
            except PermissionError:
                if sys.platform != "win32" or not self.file.exists():
                    raise  # on Windows, its last holder may just be removing it
            finally:
                if not held:
                    self._close()
        return held

    def release(self) -> None:
        """Release the lock, if held, and remove its file."""
        if self.descriptor is None:
            return
        if sys.platform == "win32":  # Windows can't remove an open file
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
            return _try_acquire(self.owner)

    def _is_in_place(self, descriptor: int) -> bool:
        """Whether the open file is still at its path; a lock on a removed file protects nothing."""
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
    """The file that names the holder of a lock on a file system without locks."""
    return file.with_name(file.name + ".owner")


def _held_elsewhere(owner: Path) -> str | None:
    """The sentence about an owner file that names another computer, where nobody here can see who lives; else None."""
    with contextlib.suppress(OSError, ValueError):
        lines = read_small(owner, 10_000).decode().splitlines()
        host = lines[1].strip() if len(lines) > 1 else ""
        if host and host != socket.gethostname():
            return (f"locked by process {in_one_line(lines[0])} on the computer {in_one_line(host)}, perhaps ended; "
                    f"wait for it or, if it has ended, remove {owner}")
    return None


def _is_free(descriptor: int) -> bool:
    """Whether no process has locked an open lock file. Raises OSError if that can't be determined."""
    if sys.platform == "win32":  # it has no shared locks
        return _free_in_some_attempt(lambda: lock_descriptor(descriptor, blocking=False))
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_free_of(owner: Path) -> bool:
    """Whether the owner file is missing or names a dead process; removes it in that case."""
    if not owner.exists():
        return True
    lock = SoftFileLock(owner)
    try:
        return _try_acquire(lock)
    except OSError:
        return False  # unknown, because the directory is not writable
    finally:
        with contextlib.suppress(OSError):
            lock.release()


def _try_acquire(lock: SoftFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return False
    return True


def _free_in_some_attempt(is_free: Callable[[], bool]) -> bool:
    """Whether a lock is free in one of several attempts; a concurrent `is_held` may hold it for a moment."""
    for _ in range(ATTEMPTS):
        if is_free():
            return True
        time.sleep(random.SystemRandom().uniform(0, 0.02))
    return False
