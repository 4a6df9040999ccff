"""The names of run directories: `NAME-1`, `NAME-2`, …"""

from __future__ import annotations

import errno
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from tenfold.errors import UsageError
from tenfold.storage.files import TEMPORARY, storing, temporary_name

ELSEWHERE = "write elsewhere (--runs DIR for runs)"  # the advice where a run can't be written
ABANDONED = 3600  # seconds


def check_name(name: str) -> None:
    """Raise UsageError unless a run can be named so."""
    if not re.fullmatch(r"[\w][\w.+-]*", name):
        raise UsageError(f"run name {name!r} can't be a directory; use letters, digits, '.', '_', '+' and '-'")


def numbers(root: Path, name: str) -> list[int]:
    """The numbers of the directories `root/name-<number>`, in order."""
    found = (path.name.rpartition("-") for path in root.glob(f"{name}-*"))
    return sorted(int(number) for before, _, number in found if before == name and number.isdecimal())


def make_numbered(root: Path, name: str, fill: Callable[[Path], object] = lambda path: None) -> Path:
    """Make `root/name-1`, or the next free number, for this process alone. Raises UsageError, StorageError.

    `fill` writes the first files into the (temporary) directory it is given, so that a directory with a number always
    has them, even if the process is killed.
    """
    check_name(name)
    with storing(root, ELSEWHERE):
        root.mkdir(parents=True, exist_ok=True)
        _sweep(root, name)
        temporary = temporary_name(root / name)
        temporary.mkdir()
        try:
            fill(temporary)
            number = max(numbers(root, name), default=0) + 1
            while not _moved(temporary, root / f"{name}-{number}"):
                number += 1
            return root / f"{name}-{number}"
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _moved(temporary: Path, path: Path) -> bool:
    """Give a directory its final name; False if there is something of that name."""
    try:
        temporary.rename(path)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            return False
        raise
    return True


def _sweep(root: Path, name: str) -> None:
    """Remove directories that a killed process did not finish an hour ago or earlier: it takes milliseconds."""
    for left in root.glob(f".*-{name}"):
        if TEMPORARY.match(left.name) and time.time() - left.stat().st_mtime > ABANDONED:
            shutil.rmtree(left, ignore_errors=True)


def natural(path: Path) -> list[object]:
    """Sort key: run ten comes after run nine."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
