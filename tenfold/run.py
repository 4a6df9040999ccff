"""A run: the directory that one training leaves behind, and the only hand-over to everything after.

Every file of a run is written here: whole or not at all (written beside, flushed, renamed). The
directory itself is made exclusively, so two starts never share one.
"""

from __future__ import annotations

import builtins
import contextlib
import csv
import errno
import io
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tenfold.errors import RecipeError, RunError, StorageError, UsageError
from tenfold.recipe import Recipe

if TYPE_CHECKING:
    import keras

STATUSES = ("running", "finished", "stopped", "diverged", "failed")
LOCK = ".lock"
TEMPORARY = re.compile(r"\.\d+-")
HISTORY = ("epoch", "seconds", "images_per_second", "learning_rate", "loss", "accuracy", "val_loss", "val_accuracy")


class Run:
    """One run directory. Make one with `create`, look at one with `open`, find them with `list`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.name

    # -- making and finding ---------------------------------------------------------------------------

    @classmethod
    def create(cls, root: str | Path, name: str) -> Self:
        """Make `root/name-1`, or the next free number. Raises UsageError for a bad name, StorageError."""
        return cls(make_numbered(Path(root), name))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The run at `path`. Raises RunError if that is no run directory."""
        path = Path(path)
        if not path.is_dir():
            kind = "a file" if path.exists() else "nothing"
            raise RunError(f"{path}: no run directory but {kind}; expected a directory that `tenfold train` made")
        if not (path / "recipe.toml").is_file() or not (path / "status.json").is_file():
            raise RunError(f"{path}: no run directory (it lacks recipe.toml or status.json); "
                           "expected a directory that `tenfold train` made")
        return cls(path)

    @classmethod
    def list(cls, root: str | Path) -> builtins.list[Self]:
        """All runs in the directory `root`, oldest name first; none if there is no such directory."""
        found = [p.parent for p in Path(root).glob("*/status.json") if (p.parent / "recipe.toml").is_file()]
        return [cls(path) for path in sorted(found, key=_natural)]

    # -- reading --------------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """The resolved recipe that this run was made with."""
        path = self._file("recipe.toml")
        try:
            return Recipe.loads(path.read_text(encoding="utf-8"), name=self.name)
        except (RecipeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: damaged ({' '.join(str(error).split())})") from None

    def status(self) -> dict[str, Any]:
        """`status` (one of STATUSES, or "died"), `reason`, and what else was noted with it.

        A run that says "running" and whose process holds no lock on it any more has died.
        """
        noted = self.read_json("status.json")
        if noted.get("status") == "running" and not self._held():
            # It may have ended, properly, between the two looks.
            noted = self.read_json("status.json")
            if noted.get("status") == "running":
                reason = f"its process ended unasked; `tenfold resume {self.path}` goes on"
                noted |= {"status": "died", "reason": reason}
        return noted

    def environment(self) -> dict[str, Any]:
        """Versions, machine, threads, precision, seed, the data set with its fingerprint and splits."""
        environment = self.read_json("environment.json")
        dataset = environment.get("dataset")
        if not isinstance(dataset, dict) or not {"classes", "fingerprint", "shape", "splits"} <= dataset.keys():
            raise RunError(f"{self.path / 'environment.json'}: damaged (it does not describe the data set)")
        return environment

    def metrics(self) -> dict[str, Any]:
        """Split → metric → {"value", "low", "high"}, and "per_class", "confusion_matrix"."""
        metrics = self.read_json("metrics.json")
        if not all(isinstance(of, dict) and isinstance(of.get("accuracy"), dict) for of in metrics.values()):
            raise RunError(f"{self.path / 'metrics.json'}: damaged (a split has no accuracy); "
                           f"`tenfold evaluate {self.path}` renews it")
        return metrics

    def history(self) -> builtins.list[dict[str, float]]:
        """One record an epoch, in order; a value that was not measured is left out."""
        if not (self.path / "history.csv").is_file():
            return []
        path = self.path / "history.csv"
        rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8", errors="replace"))))
        header = rows[0] if rows else []
        try:
            records = [{k: int(v) if k == "epoch" else float(v) for k, v in zip(header, row, strict=True) if v}
                       for row in rows[1:]]
        except ValueError:
            raise RunError(f"{path}: damaged (a row is cut off, or a value is no number)") from None
        if header[: len(HISTORY)] != list(HISTORY) or [r.get("epoch") for r in records] != [*range(1, len(rows))]:
            raise RunError(f"{path}: damaged (its columns or epochs are not those of a training)")
        return records

    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return tuple(self.environment()["dataset"]["classes"])

    def predictions(self, split: str = "test") -> Any:
        """A pyarrow.Table of one split: index, label and a probability column `p_<class>` each.

        Raises RunError if that split has no predictions or they are damaged.
        """
        from pyarrow import ArrowException, parquet

        path = self._file(f"predictions/{split}.parquet")
        try:
            return parquet.read_table(path)
        except (ArrowException, OSError):
            raise RunError(f"{path}: damaged (no valid Parquet); `tenfold evaluate {self.path}` renews it") from None

    def model(self) -> keras.Model:
        """The finished model: uint8 or float pixels 0–255 [n, height, width, channels] in, probabilities out.

        Imports Keras on PyTorch. Raises RunError if the run has no model.
        """
        from tenfold.modelfile import load

        return load(self._file("model.keras"))

    def read_json(self, name: str, keys: Iterable[str] = ()) -> dict[str, Any]:
        """A JSON file of the run. Raises RunError if it is missing, is damaged or lacks one of `keys`."""
        try:
            content = json.loads(self._file(name).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):  # of lists in lists without end
            raise RunError(f"{self.path / name}: damaged (no valid JSON)") from None
        if not isinstance(content, dict):
            raise RunError(f"{self.path / name}: damaged (no JSON object)")
        lacking = [key for key in keys if key not in content]
        if lacking:
            raise RunError(f"{self.path / name}: damaged (it lacks {', '.join(lacking)})")
        return content

    def has(self, name: str) -> bool:
        """Whether the run holds that file."""
        return (self.path / name).is_file()

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            status = self.read_json("status.json").get("status") if name != "status.json" else "unknown"
            raise RunError(f"{self.path}: has no {name} (the run's status is {status!r})")
        return path

    # -- one writer at a time -------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the one process that writes the run; the operating system lets go when the process ends.

        Raises RunError if another process writes it, StorageError if the directory can't be written.
        """
        with _writing(self.path):
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            # Whoever held the lock before may have removed the file that was just opened: a lock on that is void.
            if not _lock(descriptor, exclusive=True) or not _is_at(descriptor, self.path / LOCK):
                raise RunError(f"{self.path}: another process is writing this run; wait for it or stop it")
            self._sweep()
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    (self.path / LOCK).unlink()
        finally:
            os.close(descriptor)

    def _sweep(self) -> None:
        """Remove what killed writers were in the middle of writing."""
        for left in [path for path in self.path.rglob(".*") if TEMPORARY.match(path.name)]:
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink(missing_ok=True)

    def _held(self) -> bool:
        """Whether a process writes the run now."""
        try:
            descriptor = os.open(self.path / LOCK, os.O_RDONLY)
        except OSError:
            return False
        try:
            return not _lock(descriptor, exclusive=False)
        finally:
            os.close(descriptor)

    # -- writing --------------------------------------------------------------------------------------

    def write(self, name: str, content: bytes | str | Callable[[Path], object]) -> Path:
        """Write one file of the run whole or not at all, as `write_whole` does. Raises StorageError."""
        self._still_there()
        return write_whole(self.path / name, content)

    def remove(self, *patterns: str) -> None:
        """Remove files of the run that no longer hold, if they are there. Raises StorageError."""
        for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
            with _writing(path):
                path.unlink(missing_ok=True)

    def write_directory(self, name: str, fill: Callable[[Path], object]) -> Path:
        """Write a directory of the run whole or not at all; `fill` writes files into the path it is given.

        A directory of that name is replaced. Raises StorageError.
        """
        self._still_there()
        path = self.path / name
        temporary, old = _beside(path), _beside(path.with_name(f"old-{path.name}"))
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                temporary.mkdir()
                fill(temporary)
                for file in temporary.iterdir():
                    _sync(file)
                _sync(temporary)
                if path.is_dir():
                    path.rename(old)
                temporary.rename(path)
                _sync(path.parent)
            finally:
                for rest in (temporary, old):
                    shutil.rmtree(rest, ignore_errors=True)
        return path

    def _still_there(self) -> None:
        """Raise StorageError if the run directory has vanished: a half one is not made in its place."""
        if not self.path.is_dir():
            raise StorageError(f"can't write {self.path}: the run directory has vanished; put it back and resume the "
                               "run, or train it anew")

    def write_json(self, name: str, value: Mapping[str, Any]) -> Path:
        """Write a mapping as indented JSON. NaN is not JSON: raises ValueError for it."""
        return self.write(name, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_recipe(self, recipe: Recipe) -> Path:
        """Write the resolved recipe; `tenfold train <this file>` repeats the run."""
        return self.write("recipe.toml", recipe.dumps())

    def write_status(self, status: str, reason: str = "", **more: Any) -> Path:
        """Write what the run is now: one of STATUSES, why, and further facts."""
        if status not in STATUSES:
            raise ValueError(f"status {status!r}; expected one of {STATUSES}")
        return self.write_json("status.json", {"status": status, "reason": reason, **more})

    def write_history(self, records: Iterable[Mapping[str, float]]) -> Path:
        """Write all records as CSV; values of any further columns come after the usual ones."""
        records = list(records)
        extra = [k for k in dict.fromkeys(k for r in records for k in r) if k not in HISTORY]
        text = io.StringIO()
        writer = csv.DictWriter(text, [*HISTORY, *extra], restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return self.write("history.csv", text.getvalue())


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
    with _writing(root):
        root.mkdir(parents=True, exist_ok=True)
        number = max(numbers(root, name), default=0) + 1
        while True:
            path = root / f"{name}-{number}"
            try:
                path.mkdir()
                return path
            except FileExistsError:
                number += 1


def write_whole(path: Path, content: bytes | str | Callable[[Path], object]) -> Path:
    """Write a file whole or not at all: beside it under a temporary name, flushed to disk, then renamed.

    `content` is bytes, text, or a function that writes to the (temporary) path it is given, which has the
    same suffix. Raises StorageError.
    """
    temporary = _beside(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if callable(content):
                content(temporary)
            else:
                temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            _sync(temporary)
            temporary.replace(path)
            _sync(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def _beside(path: Path) -> Path:
    """The temporary name under which this process writes what becomes `path`; it matches TEMPORARY."""
    return path.with_name(f".{os.getpid()}-{path.name}")


def _lock(descriptor: int, exclusive: bool) -> bool:
    """Try to lock an open file; False if another process holds it (readers share, and are waited for)."""
    if sys.platform == "win32":
        return True  # no shared locks there: two writers are not kept apart
    import fcntl

    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    for _ in range(20 if exclusive else 1):
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05 if exclusive else 0)
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    """Flush a file, or the names in a directory, to the disk."""
    if path.is_dir() and os.name == "nt":
        return  # a directory can't be opened there
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _writing:  # noqa: N801  (reads as a word of the language: `with _writing(path):`)
    """Turns an OSError into one StorageError that says what the user can do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            advice = "free some space there or write elsewhere" if full else "write elsewhere"
            raise StorageError(f"can't write {self.path}: {reason}; {advice} (--runs DIR for runs)") from error


def _natural(path: Path) -> list[object]:
    """Sort key: runs ten after runs nine."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]
