"""The caches of decoded images, of features and of findings: what they hold, and how to remove it.

All files of an entry begin with its key, a hash: `KEY.npy` (the array), `KEY.part` and `KEY.rows` (one that is not
complete), `KEY.json` (what it is), and further ones, such as `KEY.bursts-….npy` (its bursts). Images that are arrays
from the start have only the latter.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.data.location import feature_root, finding_root, image_root
from tenfold.data.own.places import data_name
from tenfold.errors import UsageError
from tenfold.storage import room
from tenfold.storage.files import storing
from tenfold.storage.locks import is_held, lock_path, locked

ADVICE = "check the permissions of the directory"
ARRAYS = (".npy", ".part")  # endings of files that hold an array
SHORTEST_KEY = 6  # characters by which an entry may be named


@dataclass(frozen=True)
class Entry:
    """An array in a cache.

    kind: "images", "features" or "findings"; uri: of the data set, empty if unknown; shape: of the array, whose first
    number is that of the images (empty if unknown or no array); size: bytes on disk; changed: seconds since 1970;
    state: "complete", "unfinished", or "in use" while a process fills it.
    """

    kind: str
    key: str
    uri: str
    shape: tuple[int, ...]
    size: int
    changed: float
    state: str
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        """The name of the data set, empty if unknown."""
        return data_name(self.uri) if self.uri else ""

    def facts(self) -> dict[str, Any]:
        """The entry as plain values for JSON."""
        changed = datetime.fromtimestamp(self.changed, UTC).isoformat(timespec="seconds")
        return {"kind": self.kind, "key": self.key, "name": self.name, "uri": self.uri, "shape": list(self.shape),
                "bytes": self.size, "changed": changed, "state": self.state}

    @property
    def lock(self) -> Path:
        """The lock that a process holds while it fills the array."""
        return lock_path(self.files[0].with_name(f"{self.key}.npy"))


def roots() -> dict[str, Path]:
    """The directory of each kind of cache."""
    return {"images": image_root(), "features": feature_root(), "findings": finding_root()}


def entries() -> list[Entry]:
    """Everything in the caches, the newest first of each kind."""
    found = []
    for kind, root in roots().items():
        files: dict[str, list[Path]] = {}
        for path in sorted(root.iterdir()) if root.is_dir() else ():
            if path.is_file() and not path.name.startswith(".") and not path.name.endswith((".lock", ".lock.owner")):
                files.setdefault(path.name.partition(".")[0], []).append(path)
        found += sorted((_entry(kind, key, paths) for key, paths in files.items()), key=lambda each: -each.changed)
    return found


def chosen(found: Sequence[Entry], names: Iterable[str]) -> list[Entry]:
    """The entries with these names of data sets or beginnings of keys; all if no names are given.

    Raises UsageError for a name that no entry has.
    """
    names = list(names)
    for name in names:
        if not any(_fits(entry, name) for entry in found):
            known = ", ".join(dict.fromkeys(entry.name for entry in found if entry.name))
            raise UsageError(f"{name!r} is not in the caches; expected the name of a data set ({known or 'none'}) or "
                             f"at least {SHORTEST_KEY} characters of a key, as `tenfold data cache` lists them")
    return [entry for entry in found if not names or any(_fits(entry, name) for name in names)]


def remove(found: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Remove entries; return (those that were removed, those that are in use and stay).

    Raises StorageError if a directory is not writable.
    """
    removed, kept = [], []
    for entry in found:
        if is_held(entry.lock):
            kept.append(entry)
            continue
        # The lock keeps other processes from filling it in the meantime.
        with locked(entry.lock, advice=ADVICE), storing(entry.lock.parent, ADVICE):
            try:
                for path in sorted(entry.files, key=lambda path: path.suffix == ".json"):
                    path.unlink(missing_ok=True)
            except PermissionError:  # on Windows, while a process reads it
                kept.append(entry)
            else:
                removed.append(entry)
    return removed, kept


def _entry(kind: str, key: str, paths: Sequence[Path]) -> Entry:
    array = paths[0].with_name(f"{key}.npy")
    arrays = [path for path in (array, array.with_suffix(".part"), *paths) if path in paths and path.suffix in ARRAYS]
    unfinished = array.with_suffix(".part") in paths
    state = "in use" if is_held(lock_path(array)) else "unfinished" if unfinished else "complete"
    notes = [path for path in (array.with_suffix(".json"), *paths) if path in paths and path.suffix == ".json"]
    return Entry(kind, key, _uri(notes), _shape(arrays), sum(map(room.allocated, paths)),
                 max(path.stat().st_mtime for path in paths), state, tuple(paths))


def _uri(notes: Sequence[Path]) -> str:
    """The URI of the data set in the first of the notes; empty if there are none, or it is damaged."""
    try:
        return str(json.loads(notes[0].read_text(encoding="utf-8"))["uri"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _shape(arrays: Sequence[Path]) -> tuple[int, ...]:
    """The shape of the first array; empty if there is none, or it is damaged."""
    try:
        return np.lib.format.open_memmap(arrays[0], "r").shape
    except (OSError, ValueError, EOFError, LookupError):
        return ()


def _fits(entry: Entry, name: str) -> bool:
    return name in (entry.name, entry.uri) or (len(name) >= SHORTEST_KEY and entry.key.startswith(name))
