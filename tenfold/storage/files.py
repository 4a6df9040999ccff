"""Atomic writes of files and directories: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tenfold.errors import StorageError

TEMPORARY = re.compile(r"\.\d+-")  # start of a temporary name: a dot and the process id
OLD = "~"  # end of the temporary name of a directory while it is replaced
ELSEWHERE = "write elsewhere"


@contextlib.contextmanager
def storing(path: Path, advice: str = ELSEWHERE) -> Iterator[None]:
    """Turn an OSError into a StorageError that names `path` and the reason and ends with `advice`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = f"free some space there or {advice}" if full else advice
        raise StorageError(f"can't write {path}: {reason}; {advice}") from error


def write_whole(path: Path, content: bytes | str | Callable[[Path], object], advice: str = ELSEWHERE) -> Path:
    """Write a file completely or not at all, replacing any file at `path`.

    `content` is bytes, text, or a function that writes to a temporary path with the same suffix. Raises
    StorageError, whose message ends with `advice`.
    """
    temporary = temporary_name(path)
    with storing(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if callable(content):
                temporary.touch()  # a place where no file can be made is told before anything is computed
                content(temporary)
            else:
                temporary.write_bytes(content.encode(errors="replace") if isinstance(content, str) else content)
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def write_directory(path: Path, fill: Callable[[Path], object], advice: str = ELSEWHERE) -> Path:
    """Write a directory completely or not at all, replacing any directory at `path`.

    `fill` writes the files into a temporary directory. Raises StorageError, whose message ends with `advice`.
    """
    temporary, old = temporary_name(path), temporary_name(path.with_name(path.name + OLD))
    with storing(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.mkdir()
            fill(temporary)
            for written in (*temporary.rglob("*"), temporary):
                _sync(written)
            if path.is_dir():
                path.rename(old)
            temporary.rename(path)
            _sync(path.parent)
        finally:
            if old.is_dir() and not path.exists():
                old.rename(path)
            for rest in (temporary, old):
                shutil.rmtree(rest, ignore_errors=True)
    return path


def put_in_place(written: Path, path: Path) -> None:
    """Flush a written file to disk, then rename it to `path`. Raises OSError."""
    _sync(written)
    written.replace(path)
    _sync(path.parent)


def sweep(directory: Path, advice: str = ELSEWHERE) -> None:
    """Remove unfinished files and directories of killed processes anywhere in `directory`. Raises StorageError.

    No other process may write there at the same time. A directory that was being replaced is restored.
    """
    with storing(directory, advice):
        for left in [path for path in directory.rglob(".*") if TEMPORARY.match(path.name)]:
            original = left.with_name(TEMPORARY.sub("", left.name, count=1).removesuffix(OLD))
            if left.name.endswith(OLD) and left.is_dir() and not original.exists():
                left.rename(original)
            elif left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """The temporary name under which this process writes `path`; it matches TEMPORARY."""
    return path.with_name(f".{os.getpid()}-{path.name}")


def _sync(path: Path) -> None:
    """Flush a file, or the entries of a directory, to disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows can't open a directory
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
