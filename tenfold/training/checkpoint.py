"""Checkpoints: everything that the rest of a training depends on, verified when it is read.

Every random draw follows from (seed, epoch, step) and every decision from the records, so a checkpoint
is the weights, the optimizer's variables, the position, and the records so far. Arrays are in numpy's
`.npz`, the rest in JSON; nothing is pickled. Each checkpoint is a directory of its own, written beside
the older ones and renamed into place; `SHA256SUMS` holds the hash of each of its files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tenfold.errors import RunError
from tenfold.progress import SILENT, Watcher
from tenfold.run import Run

ARRAYS, STATE, SUMS = "arrays.npz", "state.json", "SHA256SUMS"
KEPT = {"last": 2, "best": 1}


@dataclass(frozen=True)
class Position:
    """How far a training has come: whole epochs, steps of the next one, what those steps summed up to; the phase."""

    epoch: int
    step: int = 0
    loss: float = 0.0
    correct: int = 0
    seconds: float = 0.0
    phase: int = 0


@dataclass(frozen=True)
class Snapshot:
    """A position, the records of the epochs before it, and the variables (in Keras' order) at it."""

    position: Position
    records: list[dict[str, float]]
    weights: list[np.ndarray] = field(repr=False)
    optimizer: list[np.ndarray] = field(repr=False)

    @classmethod
    def of(cls, position: Position, records: list[dict[str, float]], model: Any, optimizer: Any) -> Snapshot:
        """Take one of a model and its optimizer."""
        slots = [np.asarray(variable.numpy()) for variable in optimizer.variables]
        return cls(position, list(records), model.get_weights(), slots)

    def restore(self, model: Any, optimizer: Any) -> None:
        """Put the variables back."""
        from tenfold.models.layers import put

        put(model, self.weights)
        for variable, value in zip(optimizer.variables, self.optimizer, strict=True):
            variable.assign(value)


def save(run: Run, kind: str, snapshot: Snapshot) -> None:
    """Write a checkpoint of that kind ("last", "best") and remove all but the newest of the older ones.

    Later ones, which were found damaged when the training went on from one before them, are removed as well.
    Raises StorageError; the checkpoints before are untouched then.
    """
    name = f"checkpoints/{kind}-{snapshot.position.epoch:05d}-{snapshot.position.step:07d}"
    if not _is_whole(run.path / name):
        shutil.rmtree(run.path / name, ignore_errors=True)
        run.write_directory(name, lambda folder: _write(folder, snapshot))
    folders = _newest_first(run, kind)
    kept = [folder for folder in folders if folder.name <= Path(name).name][:KEPT[kind]]
    for folder in set(folders) - set(kept):
        shutil.rmtree(folder, ignore_errors=True)


def load(run: Run, kind: str, watcher: Watcher = SILENT) -> Snapshot:
    """The newest checkpoint of that kind that is whole; the watcher is told of damaged newer ones.

    Raises RunError if there is none.
    """
    found = _newest_first(run, kind)
    for folder in found:
        try:
            return _read(folder)
        except (OSError, ValueError, KeyError, TypeError) as error:
            watcher.notice(f"checkpoint {folder.name} is damaged ({error}); the one before it is used")
    raise RunError(f"{run.path}: has no whole {kind} checkpoint ({len(found)} found, all damaged); train it anew"
                   if found else f"{run.path}: has no {kind} checkpoint")


def has(run: Run, kind: str) -> bool:
    """Whether there is a checkpoint of that kind, whole or not."""
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
    """Raises OSError, ValueError, KeyError or TypeError if anything in it is not as it was written."""
    _verify(folder)
    state = json.loads((folder / STATE).read_text(encoding="utf-8"))
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        def those(prefix: str) -> list[np.ndarray]:
            return [arrays[f"{prefix}/{i}"] for i in range(sum(k.startswith(f"{prefix}/") for k in arrays.files))]

        return Snapshot(Position(**state["position"]), state["records"], those("weights"), those("optimizer"))


def _is_whole(folder: Path) -> bool:
    try:
        _verify(folder)
    except (OSError, ValueError):
        return False
    return True


def _verify(folder: Path) -> None:
    """Raise OSError or ValueError if a file is missing or not what its hash says."""
    sums = (folder / SUMS).read_bytes().decode("ascii")
    if sums != "".join(f"{_hash(folder / name)}  {name}\n" for name in (ARRAYS, STATE)):
        raise ValueError("its files are not those that were written")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
