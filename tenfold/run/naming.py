"""The names of run directories: `NAME-1`, `NAME-2`, …"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tenfold.errors import UsageError
from tenfold.storage.files import TEMPORARY, storing, temporary_name
from tenfold.storage.locks import locked
from tenfold.storage.paths import absent

FOLDS_FILE = "folds.json"  # in the directory of the runs of a cross-validation
LONGEST = 200  # bytes of a name: file systems take 255, and numbers and temporary names need some
ELSEWHERE = "write elsewhere (--runs DIR for runs)"  # advice if a run can't be written
WRITABLE = "make the run directory writable, or copy it"  # for a run that is there


def check_name(name: str) -> None:
    """Raise UsageError if `name` is not a valid run name."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w][\w.+-]*", name):
        raise UsageError(f"run name {name!r} is invalid; expected letters, digits, '.', '_', '+' and '-'")
    if len(name.encode()) > LONGEST:
        raise UsageError(f"run name {name[:20]!r}… is too long: it has {len(name.encode())} bytes; expected at most "
                         f"{LONGEST}")


def check_root(root: Path) -> None:
    """Raise UsageError if `root` can't be a directory for runs, because it or a directory above it is a file, say."""
    for path in (root, *root.parents):
        reason = absent(path, "directory") or (None if path.is_dir() else "is a file")
        if reason is None:
            return
        if reason != "no such directory":
            above = "" if path == root else f"{path} "
            raise UsageError(f"runs: received {root}: {above}{reason}; expected a directory")


def numbers(root: Path, name: str) -> list[int]:
    """The numbers of the directories `root/name-<number>`, in order."""
    found = (path.name.rpartition("-") for path in root.glob(f"{name}-*"))
    return sorted(int(number) for before, _, number in found if before == name and number.isdecimal())


def naming_lock(root: Path, name: str) -> Path:
    """The lock that is held while a directory `root/name-<number>` is made."""
    return root / f".{name}.lock"


def make_numbered(root: Path, name: str, fill: Callable[[Path], object] = lambda path: None,
                  then: Callable[[Path], object] = lambda path: None) -> Path:
    """Create `root/name-1`, or the next free number, exclusively. Raises UsageError, StorageError.

    `fill` writes the first files into a temporary directory, which is then renamed. So a numbered directory always has
    these files, even if the process is killed. `then` is called with its final path, before another process may name
    directories in `root`.
    """
    check_name(name)
    with storing(root, ELSEWHERE):
        root.mkdir(parents=True, exist_ok=True)
    with locked(naming_lock(root, name), advice=ELSEWHERE), storing(root, ELSEWHERE):
        remove_unfinished(root, name)
        temporary = temporary_name(root / name)
        temporary.mkdir()
        try:
            fill(temporary)
            number = max(numbers(root, name), default=0) + 1
            while (path := root / f"{name}-{number}").exists():
                number += 1
            temporary.rename(path)
            then(path)
            return path
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_unfinished(root: Path, name: str) -> None:
    """Remove temporary directories of `name` that a killed process left. Nobody may make any at the same time."""
    for left in root.glob(f".*-{name}"):
        if TEMPORARY.fullmatch(left.name.removesuffix(name)):
            shutil.rmtree(left, ignore_errors=True)


def natural(path: Path) -> list[object]:
    """Sort key that compares numbers by value: run-10 comes after run-9."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
