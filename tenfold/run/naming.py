"""The names of run directories: `NAME-1`, `NAME-2`, …"""

from __future__ import annotations

import re
from pathlib import Path

from tenfold.errors import UsageError
from tenfold.storage.files import storing

ELSEWHERE = "write elsewhere (--runs DIR for runs)"  # the advice where a run can't be written


def check_name(name: str) -> None:
    """Raise UsageError unless a run can be named so."""
    if not re.fullmatch(r"[\w][\w.+-]*", name):
        raise UsageError(f"run name {name!r} can't be a directory; use letters, digits, '.', '_', '+' and '-'")


def numbers(root: Path, name: str) -> list[int]:
    """The numbers of the directories `root/name-<number>`, in order."""
    found = (path.name.rpartition("-") for path in root.glob(f"{name}-*"))
    return sorted(int(number) for before, _, number in found if before == name and number.isdecimal())


def make_numbered(root: Path, name: str) -> Path:
    """Make `root/name-1`, or the next free number, for this process alone. Raises UsageError, StorageError."""
    check_name(name)
    with storing(root, ELSEWHERE):
        root.mkdir(parents=True, exist_ok=True)
        number = max(numbers(root, name), default=0) + 1
        while True:
            path = root / f"{name}-{number}"
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1


def natural(path: Path) -> list[object]:
    """Sort key: run ten comes after run nine."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
