"""Where the trials of a search are stored: a journal in its directory, or PostgreSQL.

The journal is Optuna's, with a lock of the operating system: it is free as soon as its process ends, and a paused
process keeps it. (Optuna's own lock is broken after 30 seconds, and then the paused process raises an error.)
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend

from tenfold.errors import MissingExtraError, StorageError, UsageError, first_line
from tenfold.progress import Watcher, stop_if_asked
from tenfold.storage.files import storing
from tenfold.storage.locks import lock_path, locked

PATIENCE = 60.0  # seconds to wait for a database that does not answer
PAUSE = 0.5  # seconds between two attempts

T = TypeVar("T")


def open_storage(journal: Path, url: str | None) -> BaseStorage:
    """The storage at a PostgreSQL URL or, without one, in a journal file. Raises UsageError, StorageError."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if url is None:
        with storing(journal):
            return JournalStorage(Journal(str(journal), lock_obj=JournalLock(journal)))  # type: ignore[arg-type]
    return _postgresql(url)


def close(storage: BaseStorage) -> None:
    """Close the connections to a database."""
    with contextlib.suppress(ImportError):
        from optuna.storages import RDBStorage

        if isinstance(storage, RDBStorage):
            storage.remove_session()
            storage.engine.dispose()


def check_url(url: str | None) -> None:
    """Raise UsageError for anything but a PostgreSQL URL."""
    if url is not None and not url.startswith(("postgresql://", "postgres://")):
        raise UsageError(f"storage: received {without_password(url)!r}; expected postgresql://USER@HOST/DATABASE")


def check_reachable(url: str) -> None:
    """Raise StorageError for a database that can't be reached and written, MissingExtraError without its driver."""
    close(_postgresql(url))


def without_password(url: str) -> str:
    """A URL that may be shown and written."""
    url = re.sub(r"(?<=[?&])\w*password=[^&]*&?", "", url, flags=re.IGNORECASE).rstrip("?&")
    return re.sub(r"(?<=://)([^:/@]*):[^@]*@([^/?]*@)?", r"\1@", url)


def patiently(act: Callable[[], T], watcher: Watcher) -> T:
    """The result of something that can be repeated; while the database does not answer, it is tried for a minute.

    Raises StorageError after that.
    """
    deadline, told = time.monotonic() + PATIENCE, False
    while True:
        try:
            return act()
        except Exception as error:
            if not _unreachable(error):
                raise
            if time.monotonic() > deadline:
                raise StorageError(f"the database of the search does not answer ({first_line(_cause(error))}); start "
                                   "it and repeat the command: nothing is lost") from None
            if not told:
                watcher.notice("the database of the search does not answer; waiting for it")
                told = True
            stop_if_asked(watcher)
            time.sleep(PAUSE)


class Journal(JournalFileBackend):
    """Optuna's journal. Raises StorageError if the disk is full, read-only or gone."""

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with storing(Path(self._file_path), "repeat the command to continue"):
            super().append_logs(logs)


class JournalLock:
    """Locks a journal for one process and thread at a time, as Optuna's backend expects it of its own locks."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._held = contextlib.ExitStack()

    def acquire(self) -> bool:
        with contextlib.ExitStack() as held:
            held.enter_context(locked(lock_path(self._journal)))
            self._cut_unfinished_line()
            self._held = held.pop_all()
        return True

    def release(self) -> None:
        self._held.close()

    def _cut_unfinished_line(self) -> None:
        """Remove what a process that died while writing, or a full disk, left behind the last whole line."""
        with self._journal.open("rb+") as file:
            size = file.seek(0, os.SEEK_END)
            if not size:
                return
            file.seek(size - 1)
            if file.read(1) != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)


def _postgresql(url: str) -> BaseStorage:
    try:
        import psycopg  # noqa: F401
        import sqlalchemy  # noqa: F401
        from optuna.storages import RDBStorage
    except ImportError:
        raise MissingExtraError("--storage needs psycopg and SQLAlchemy: pip install 'tenfold[tune]'") from None
    address = "postgresql+psycopg://" + url.partition("://")[2]
    try:
        return RDBStorage(address, engine_kwargs={"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}})
    except Exception as error:
        raise StorageError(f"storage: received {without_password(url)} ({first_line(_cause(error))}); expected a "
                           "PostgreSQL database that can be reached and written") from None


def _unreachable(error: BaseException) -> bool:
    """Whether an error says that the database does not answer."""
    if isinstance(error, StorageInternalError):
        return True
    with contextlib.suppress(ImportError):
        from sqlalchemy.exc import DBAPIError

        return isinstance(error, DBAPIError) and (error.connection_invalidated or "OperationalError" in str(error))
    return False


def _cause(error: BaseException) -> BaseException:
    """The driver's own error behind those of the libraries above it."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
