"""Files and directories that are written whole or not at all: beside under a temporary name, flushed, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from tenfold.errors import StorageError

TEMPORARY = re.compile(r"\.\d+-")  # the start of a name under which a process writes: a dot, its number
OLD = "~"  # the end of the name that a directory has while another takes its place
ELSEWHERE = "write elsewhere"


@contextlib.contextmanager
def storing(path: Path, advice: str = ELSEWHERE) -> Iterator[None]:
    """Turn an OSError into one StorageError: that `path` can't be written, why, and `advice`, a half sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = f"free some space there or {advice}" if full else advice
        raise StorageError(f"can't write {path}: {reason}; {advice}") from error


def write_whole(path: Path, content: bytes | str | Callable[[Path], object], advice: str = ELSEWHERE) -> Path:
    """Write a file whole or not at all; a file of that name is replaced.

    `content` is bytes, text, or a function that writes to the (temporary) path it is given, which has the
    same suffix. Raises StorageError, which ends with `advice`.
    """
    temporary = temporary_name(path)
    with storing(path, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if callable(content):
                content(temporary)
            else:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            put_in_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def write_directory(path: Path, fill: Callable[[Path], object], advice: str = ELSEWHERE) -> Path:
    """Write a directory whole or not at all; `fill` writes files into the (temporary) path it is given.

    A directory of that name is replaced. Raises StorageError, which ends with `advice`.
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
    """Give a file that is written its final name, once its content is on the disk. Raises OSError."""
    _sync(written)
    written.replace(path)
    _sync(path.parent)


def sweep(directory: Path, advice: str = ELSEWHERE) -> None:
    """Remove what killed processes were in the middle of writing, wherever in `directory`. Raises StorageError.

    Nobody else may write there now. A directory that was being replaced comes back.
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
    """The temporary name under which this process writes what becomes `path`; it matches TEMPORARY."""
    return path.with_name(f".{os.getpid()}-{path.name}")


def _sync(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # a directory can't be opened there
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
