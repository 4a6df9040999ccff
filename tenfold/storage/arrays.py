"""Memory-mapped arrays on disk that are filled block by block and continue after an interruption.

`NAME.npy` is complete or absent. Rows are written to `NAME.part`; `NAME.rows` holds the number of finished rows, and
`NAME.json` says what the rows are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.counted import counted
from tenfold.errors import StorageError
from tenfold.storage import room
from tenfold.storage.files import ELSEWHERE, put_in_place, storing, write_whole
from tenfold.storage.locks import lock_path, locked

SPARE = 64 << 20  # bytes to leave free on the disk
Rows = Callable[[int, int], np.ndarray]
Writer = Callable[[np.ndarray, int], Iterable[int]]  # fills an array from a row on; yields the number of finished rows


@dataclass(frozen=True)
class StoredArray:
    """An array at `path`, which ends in `.npy`, filled along its first axis.

    `advice` ends the message of every StorageError. `about` is written as JSON beside an array that is filled.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    advice: str = ELSEWHERE
    about: Mapping[str, Any] = field(default_factory=dict)

    def find(self) -> np.ndarray | None:
        """Memory-map the array, copy-on-write; None if the file is missing, damaged or of another shape or dtype."""
        return self._mapped(self.path)

    def fill(
        self, rows: Rows, block: int, note_every: int = 1, *, waiting: Callable[[], None] | None = None,
        stop: Callable[[], bool] = lambda: False, progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """As `fill_with`, with `rows(start, end)`, `block` rows at a time, whose number is noted every so many blocks.
        """
        def write(out: np.ndarray, done: int) -> Iterator[int]:
            for start in range(done, len(out), block):
                end = min(start + block, len(out))
                out[start:end] = rows(start, end)
                yield end

        return self.fill_with(write, note_every * block, waiting=waiting, stop=stop, progress=progress)

    def fill_with(
        self, write: Writer, note_every: int, *, waiting: Callable[[], None] | None = None,
        stop: Callable[[], bool] = lambda: False, progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """The array as from `find`; if absent, `write(array, done)` fills it and yields how many rows are finished.

        done: the rows that an interrupted process finished. `progress` receives this number and what `write` yields.
        It is saved on disk every `note_every` rows. While another process fills the array, this one waits
        and calls `waiting` once. Raises StorageError if the disk is full or not writable, KeyboardInterrupt when
        `stop` returns true, and any error of `write`.
        """
        with storing(self.path, self.advice):
            found = self.find()
            if found is not None:
                return found
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(lock_path(self.path), waiting, stop, advice=self.advice):
            with storing(self.path, self.advice):
                found = self.find()
            if found is None:
                if self.about:
                    write_whole(self.path.with_suffix(".json"), json.dumps(dict(self.about)), self.advice)
                self._fill_part(write, note_every, stop, progress)
                with storing(self.path, self.advice):
                    put_in_place(self._part, self.path)
                    self._note.unlink(missing_ok=True)
                    found = self.find()
        if found is None:
            raise StorageError(f"can't read {self.path} directly after it was written; {self.advice}")
        return found

    @property
    def _part(self) -> Path:
        return self.path.with_suffix(".part")

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".rows")

    def _fill_part(
        self, write: Writer, note_every: int, stop: Callable[[], bool], progress: Callable[[int], None]
    ) -> None:
        """Fill the remaining rows of the part."""
        noted = self._finished_rows()
        with storing(self.path, self.advice):
            out = self._open_part(noted)
        progress(noted)
        for done in write(out, noted):
            stopping = stop()
            if stopping or done - noted >= note_every:
                with storing(self.path, self.advice):
                    out.flush()
                write_whole(self._note, json.dumps({"rows": done}), self.advice)
                noted = done
            progress(done)
            if stopping:
                raise KeyboardInterrupt
        with storing(self.path, self.advice):
            out.flush()

    def _open_part(self, done: int) -> np.memmap:
        """Open the part as a writable memory map, with disk space reserved for all rows."""
        if not done:  # the rows of an older part do not belong to a new one
            self._note.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        need = math.prod(self.shape) * self.dtype.itemsize - room.allocated(self._part)
        free = room.free(self.path.parent)
        if free < need + SPARE and need > 0:
            raise StorageError(f"can't write {self.path}: {self.shape[0] - done:,} of {counted(self.shape[0], 'row')} "
                               f"are missing and take {need:,} bytes; {free:,} are free: free some space there or "
                               f"{self.advice}")
        out = np.lib.format.open_memmap(self._part, "r+" if done else "w+", self.dtype, None if done else self.shape)
        try:
            room.reserve(self._part)
        except OSError:
            if not done:
                self._part.unlink()
            raise
        return out

    def _finished_rows(self) -> int:
        """The number of rows that an interrupted process finished; 0 if its part is missing or damaged."""
        try:
            done = int(json.loads(self._note.read_text(encoding="utf-8"))["rows"])
            return done if self._mapped(self._part) is not None and 0 <= done <= self.shape[0] else 0
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _mapped(self, path: Path) -> np.ndarray | None:
        try:
            found = np.lib.format.open_memmap(path, "c")
        except (FileNotFoundError, ValueError, EOFError):
            return None
        return found if found.shape == self.shape and found.dtype == self.dtype else None
