"""Arrays on the disk that are filled block by block, go on where an interruption stopped them, and are memory-mapped.

`NAME.npy` is whole, or not there: the rows are written to `NAME.part`, and `NAME.rows` says how many of them are done.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tenfold.errors import StorageError
from tenfold.storage import room
from tenfold.storage.files import ELSEWHERE, put_in_place, storing, write_whole
from tenfold.storage.locks import beside, locked

SPARE = 64 << 20  # bytes of the disk that are left free
Rows = Callable[[int, int], np.ndarray]


@dataclass(frozen=True)
class StoredArray:
    """An array of that shape and dtype at `path`, which ends in `.npy`; its first axis is the one that is filled.

    `advice` is the half sentence that ends every StorageError.
    """

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype
    advice: str = ELSEWHERE

    def find(self) -> np.ndarray | None:
        """The array, a copy-on-write memory map of its file; None if that is missing, damaged or another one."""
        return self._mapped(self.path)

    def fill(
        self, rows: Rows, block: int, note_every: int = 1, *, waiting: Callable[[], None] | None = None,
        stop: Callable[[], bool] = lambda: False, progress: Callable[[int], None] = lambda done: None,
    ) -> np.ndarray:
        """The array, as `find`: filled first by `rows(start, end)`, `block` rows at a time, unless it is there.

        `progress` gets the number of rows that are done: at first those that an interrupted process left,
        then after each block. After `note_every` blocks this number is noted on the disk. While another process
        fills the array, this one waits, and calls `waiting` once. Raises StorageError if the disk has no room or
        can't be written, KeyboardInterrupt once `stop` returns true; what `rows` raises passes.
        """
        with storing(self.path, self.advice):
            found = self.find()
            if found is not None:
                return found
            self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(beside(self.path), waiting, stop, advice=self.advice):
            with storing(self.path, self.advice):
                found = self.find()
            if found is None:
                self._fill_part(rows, block, note_every, stop, progress)
                with storing(self.path, self.advice):
                    put_in_place(self._part, self.path)
                    self._note.unlink(missing_ok=True)
                    found = self.find()
        if found is None:
            raise StorageError(f"can't read {self.path}, which was just written; {self.advice}")
        return found

    @property
    def _part(self) -> Path:
        return self.path.with_suffix(".part")

    @property
    def _note(self) -> Path:
        return self.path.with_suffix(".rows")

    def _fill_part(
        self, rows: Rows, block: int, note_every: int, stop: Callable[[], bool], progress: Callable[[int], None]
    ) -> None:
        """Fill the part to its end."""
        count, done = self.shape[0], self._done()
        with storing(self.path, self.advice):
            out = self._begun(done)
        progress(done)
        for number, start in enumerate(range(done, count, block), 1):
            done = min(start + block, count)
            out[start:done] = rows(start, done)
            stopping = stop()
            if stopping or number % note_every == 0:
                with storing(self.path, self.advice):
                    out.flush()
                write_whole(self._note, json.dumps({"rows": done}), self.advice)
            progress(done)
            if stopping:
                raise KeyboardInterrupt
        with storing(self.path, self.advice):
            out.flush()

    def _begun(self, done: int) -> np.memmap:
        """The part as a memory map that can be written, with room on the disk for all of it."""
        if not done:  # the rows of an older part are none of a new one
            self._note.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        need = math.prod(self.shape) * self.dtype.itemsize - room.allocated(self._part)
        free = room.free(self.path.parent)
        if free < need + SPARE and need > 0:
            raise StorageError(f"can't write {self.path}: {self.shape[0] - done:,} of {self.shape[0]:,} rows are "
                               f"missing and take {need:,} bytes, and {free:,} are free; free some space there or "
                               f"{self.advice}")
        out = np.lib.format.open_memmap(self._part, "r+" if done else "w+", self.dtype, None if done else self.shape)
        try:
            room.reserve(self._part)
        except OSError:
            if not done:
                self._part.unlink()
            raise
        return out

    def _done(self) -> int:
        """How many rows an interrupted process has finished; 0 if what it left is not whole."""
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
