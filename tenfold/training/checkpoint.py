"""Checkpoints: the full state of a training, verified when it is read.

A checkpoint holds the weights, the optimizer's variables, the position and the records so far. That is enough:
random numbers depend only on (seed, epoch, step), and decisions only on the records. Arrays are stored as
numpy `.npz`, the rest as JSON; nothing is pickled. Each checkpoint is a directory, written under a temporary
name and then renamed. Its `SHA256SUMS` holds the hash of each file.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import zipfile
import zlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from tenfold.errors import RunError, first_line
from tenfold.progress import SILENT, Watcher
from tenfold.run import Run
from tenfold.storage.paths import read_small

ARRAYS, STATE, SUMS = "arrays.npz", "state.json", "SHA256SUMS"
LARGEST_STATE = 256 << 20  # bytes; a record of an epoch has some hundreds
KEPT = {"last": 2, "best": 1}


@dataclass(frozen=True)
class Position:
    """The progress of a training: finished epochs, steps of the next epoch with their sums, and the phase (from 0)."""

    epoch: int
    step: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    phase: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The state at a position: the records of the finished epochs and all variables, in Keras' order."""

    position: Position
    records: list[dict[str, int | float]]
    weights: list[np.ndarray] = field(repr=False)
    optimizer: list[np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, position: Position, records: list[dict[str, float]], model: Any, optimizer: Any) -> Snapshot:
        """Copy the variables of a model and its optimizer."""
        slots = [np.asarray(variable.numpy()) for variable in optimizer.variables]
        return cls(position, list(records), model.get_weights(), slots)

    def restore(self, model: Any, optimizer: Any) -> None:
        """Copy the variables into a model and its optimizer."""
        from tenfold.models.layers import put

        put(model, self.weights)
        for variable, value in zip(optimizer.variables, self.optimizer, strict=True):
            variable.assign(value)


def save(run: Run, kind: str, snapshot: Snapshot) -> None:
    """Write a checkpoint of a kind ("last", "best") and remove those that are no longer needed.

    `KEPT` newest checkpoints stay. Checkpoints of a later position are removed too: they were damaged, and training
    continued from an earlier one. Raises StorageError, and then leaves older checkpoints untouched.
    """
    name = f"checkpoints/{kind}-{snapshot.position.epoch:05d}-{snapshot.position.step:07d}"
    if not _is_intact(run.path / name):
        shutil.rmtree(run.path / name, ignore_errors=True)
        run.write_directory(name, lambda folder: _write(folder, snapshot))
    folders = _newest_first(run, kind)
    kept = [folder for folder in folders if folder.name <= Path(name).name][:KEPT[kind]]
    for folder in set(folders) - set(kept):
        shutil.rmtree(folder, ignore_errors=True)


def load(run: Run, kind: str, watcher: Watcher = SILENT) -> Snapshot:
    """Load the newest intact checkpoint of a kind; tell the watcher about damaged newer ones.

    Raises RunError if there is none.
    """
    found = _newest_first(run, kind)
    for folder in found:
        try:
            return _read(folder)
        except (OSError, ValueError) as error:
            watcher.notice(f"checkpoint {folder.name} is damaged ({first_line(error)}); using the one before it")
    raise RunError(f"{run.path}: no intact {kind} checkpoint ({len(found)} found, all damaged); train the model again"
                   if found else f"{run.path}: no {kind} checkpoint; expected one in checkpoints/")


def discard_after(run: Run, position: Position) -> None:
    """Remove checkpoints of all kinds that are later than a position: a resumed training writes its own."""
    for kind in KEPT:
        for folder in _newest_first(run, kind):
            if folder.name > f"{kind}-{position.epoch:05d}-{position.step:07d}":
                shutil.rmtree(folder, ignore_errors=True)


def has(run: Run, kind: str) -> bool:
    """Whether a checkpoint of a kind exists, intact or damaged."""
    return bool(_newest_first(run, kind))


def _newest_first(run: Run, kind: str) -> list[Path]:
    return sorted((run.path / "checkpoints").glob(f"{kind}-*-*"), key=lambda folder: folder.name, reverse=True)


def _write(folder: Path, snapshot: Snapshot) -> None:
    arrays: dict[str, Any] = {f"weights/{i}": value for i, value in enumerate(snapshot.weights)}
    arrays |= {f"optimizer/{i}": value for i, value in enumerate(snapshot.optimizer)}
    with (folder / ARRAYS).open("wb") as file:
        np.savez(file, **arrays)
    state = {"position": asdict(snapshot.position), "records": snapshot.records}
    (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    (folder / SUMS).write_text("".join(f"{_hash(folder / name)}  {name}\n" for name in (ARRAYS, STATE)))


def _read(folder: Path) -> Snapshot:
    """Read and verify a checkpoint. Raises OSError or ValueError if it is damaged."""
    _verify(folder)
    try:
        state = _State.model_validate(json.loads(read_small(folder / STATE, LARGEST_STATE)))
        _check_sizes(folder / ARRAYS)
        with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
            def group(prefix: str) -> list[np.ndarray]:
                return [arrays[f"{prefix}/{i}"] for i in range(sum(k.startswith(f"{prefix}/") for k in arrays.files))]

            return Snapshot(state.position, state.records, group("weights"), group("optimizer"))
    except (KeyError, EOFError, MemoryError, RecursionError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(first_line(error)) from None


class _State(BaseModel):
    """The content of `state.json`."""

    position: Position
    records: list[dict[str, int | float]]


def _check_sizes(path: Path) -> None:
    """Raise ValueError if the arrays declare more bytes than the file has."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
            if math.prod(shape) * dtype.itemsize > path.stat().st_size:
                raise ValueError(f"{name[:40]!r} declares more bytes than the file has")


def _is_intact(folder: Path) -> bool:
    try:
        _verify(folder)
    except (OSError, ValueError):
        return False
    return True


def _verify(folder: Path) -> None:
    """Raise OSError or ValueError if a file is missing or does not match its hash."""
    sums = (folder / SUMS).read_bytes().decode("ascii")
    if sums != "".join(f"{_hash(folder / name)}  {name}\n" for name in (ARRAYS, STATE)):
        raise ValueError("a file does not match its hash in SHA256SUMS")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
