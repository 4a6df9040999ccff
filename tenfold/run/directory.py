"""Create, find, read and write a run directory.

Every file of a run is written here, atomically; only its journal is appended to elsewhere. Creating the directory is
exclusive, so two runs never share one.
"""

from __future__ import annotations

import builtins
import contextlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tenfold.errors import MissingRunError, RecipeError, RunError, StorageError, UsageError, type_of
from tenfold.notebooks import table
from tenfold.run import history
from tenfold.run.artifacts import ARTIFACTS
from tenfold.run.naming import ELSEWHERE, WRITABLE, make_numbered, naming_lock, natural, remove_unfinished
from tenfold.run.predicted import PredictionTable
from tenfold.run.records import (
    Calibration,
    Corruptions,
    Decisions,
    Distilled,
    Ensemble,
    Environment,
    LearningCurve,
    Metrics,
    Speed,
    State,
    Status,
    Times,
)
from tenfold.storage.files import storing, sweep, write_directory, write_whole
from tenfold.storage.locks import is_held, locked
from tenfold.storage.paths import absent, read_small

if TYPE_CHECKING:
    import keras

    from tenfold.recipe import Recipe

LOCK = ".lock"
LARGEST = 48 << 20  # bytes of a text file of a run; metrics.json of 1,000 classes has 11 MB a split
MOST_LISTS = 1_000_000  # lists and tables in a JSON file, which take far more memory than its bytes


class Run:
    """A run directory: `create` makes one, `open` opens an existing one, `list` finds all in a directory."""

    def __init__(self, path: str | Path) -> None:
        if not isinstance(path, str | Path):
            raise UsageError(f"run: received {type_of(path)}; expected the path of a run directory")
        self.path = Path(path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.name

    def _repr_html_(self) -> str:
        facts: list[tuple[str, str]] = [("run", str(self.path))]
        with contextlib.suppress(RunError):
            status = self.status()
            facts.append(("status", f"{status.state.value}{': ' if status.reason else ''}{status.reason}"))
        with contextlib.suppress(RunError):
            data = self.environment()["dataset"]
            facts += [("recipe", self.recipe().name), ("data", f"{data['name']}, {len(data['classes']):,} classes")]
        with contextlib.suppress(RunError, KeyError, TypeError):
            for split, scores in self.metrics().items():
                value, low, high = (100 * scores["accuracy"][key] for key in ("value", "low", "high"))
                facts.append((f"{split} accuracy", f"{value:.1f} % ({low:.1f} to {high:.1f} %)"))
        return table((), [*facts, *([("report", str(self.path / "report.html"))] if self.has("report.html") else [])])

    # -- creating and finding -------------------------------------------------------------------------

    @classmethod
    def create(cls, root: str | Path, name: str, recipe: Recipe | None = None) -> Self:
        """Create `root/name-1`, or the next free number. Raises UsageError for an invalid name, StorageError.

        With a recipe, the run can be resumed even if its process is killed right away.
        """

        return cls(make_numbered(Path(root), name, lambda path: cls(path)._write_first_files(recipe)))

    @classmethod
    @contextlib.contextmanager
    def begin(cls, root: str | Path, name: str, recipe: Recipe) -> Iterator[Self]:
        """Create a run as `create` does, and hold its lock: at no moment is it without a writer."""
        with contextlib.ExitStack() as held:
            yield cls(make_numbered(Path(root), name, lambda path: cls(path)._write_first_files(recipe),
                                    lambda path: held.enter_context(cls(path).writing())))

    @classmethod
    def create_at(cls, path: Path, recipe: Recipe) -> Self:
        """Create the run directory `path`. It can be resumed, even if its process is killed. Raises StorageError.

        One process at a time creates a path; whatever is there is replaced.
        """
        remove_unfinished(path.parent, path.name)
        return cls(write_directory(path, lambda temporary: cls(temporary)._write_first_files(recipe), ELSEWHERE))

    def _write_first_files(self, recipe: Recipe | None) -> None:
        """Write the first files of a run."""
        if recipe is not None:
            self.write_recipe(recipe)
            self.write_status(State.RUNNING)

    @classmethod
    def open(cls, path: Self | str | Path) -> Self:
        """The run at `path`; a Run is returned as it is.

        Raises MissingRunError if `path` is not a run directory, UsageError for a value of another type.
        """
        if isinstance(path, cls):
            return path
        if not isinstance(path, str | Path):
            raise UsageError(f"run: received {type_of(path)}; expected a Run or the path of a run directory")
        path = Path(path)
        reason = absent(path, "directory") or (None if path.is_dir() else "is a file")
        if reason:
            raise MissingRunError(f"{path}: {reason}; expected a run directory made by `tenfold train`")
        if not (path / "recipe.toml").is_file() or not (path / "status.json").is_file():
            raise MissingRunError(f"{path}: not a run directory (recipe.toml or status.json is missing); "
                                  "expected one made by `tenfold train`")
        return cls(path)

    @classmethod
    def list(cls, root: str | Path) -> builtins.list[Self]:
        """All runs in the directory `root`, ordered by name and number; empty if there is no such directory."""
        if absent(root):
            return []
        found = [p.parent for p in Path(root).glob("[!.]*/status.json") if (p.parent / "recipe.toml").is_file()]
        return [cls(path) for path in sorted(found, key=natural)]

    # -- reading --------------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """The resolved recipe of this run; its model need not be registered in this process."""
        from tenfold.recipe import Recipe  # takes longer to import than a prediction

        path = self._file("recipe.toml")
        try:
            return Recipe.loads(_read(path).decode(), name=self.name, unknown_model=True)
        except (RecipeError, UnicodeDecodeError) as error:
            problems = error.problems if isinstance(error, RecipeError) else ("not UTF-8 text",)
            raise RunError(f"{path}: damaged ({'; '.join(problems[:5])})") from None

    def status(self) -> Status:
        """The content of `status.json`: the state of the run, the reason and further facts.

        The state is "died" if the file says "running" but no process holds the run's lock.
        """
        recorded: Status = self._record("status")
        if recorded.state is State.RUNNING and not (self.is_locked() or self._is_being_made() or self.is_locked()):
            recorded = self._record("status")  # the run may have ended properly since the first read
            if recorded.state is State.RUNNING:
                reason = f"its process died; resume it with `tenfold resume {self.path}`"
                return Status({**recorded, "status": State.DIED.value, "reason": reason})
        return recorded

    def is_locked(self) -> bool:
        """Whether a living process is writing the run."""
        return is_held(self.path / LOCK)

    def _is_being_made(self) -> bool:
        """Whether a process makes a directory of this name, and is about to lock it."""
        return is_held(naming_lock(self.path.parent, self.name.rpartition("-")[0]))

    def environment(self) -> Environment:
        """Versions, machine, threads, precision, seed, and the data set with its fingerprint and splits."""
        return self._record("environment")

    def metrics(self) -> Metrics:
        """Split → metric → {"value", "low", "high"}, and "per_class", "confusion_matrix"."""
        return self._record("metrics")

    def times_scored(self) -> Times:
        """Split → how often this run was scored on it; {} if it was never scored, or only by an earlier version."""
        return self._record("scored") if self.has("scored.json") else Times({})

    def calibration(self) -> Calibration:
        """The fitted temperature, and the metrics before and after."""
        return self._record("calibration")

    def decisions(self) -> Decisions:
        """The decision rules of the model, and how they did on the test split."""
        return self._record("decisions")

    def learning_curve(self) -> LearningCurve:
        """`learning_curve.json`. Raises RunError if it is missing or damaged."""
        return self._record("learning_curve")

    def ensemble(self) -> Ensemble:
        """The members of an ensemble, and whether it is worth its cost. Raises RunError if it is missing or damaged."""
        return self._record("ensemble")

    def distillation(self) -> Distilled:
        """The teacher of a run, and how much of its accuracy is kept. Raises RunError if it is missing or damaged."""
        return self._record("distillation")

    def corruptions(self) -> Corruptions:
        """Accuracy on corrupted images."""
        return self._record("corruptions")

    def speed(self) -> Speed:
        """The images per second that the model classifies, with processor and threads."""
        return self._record("speed")

    def history(self) -> builtins.list[dict[str, float]]:
        """One record per epoch, in order, without the values that were not measured."""
        path = self.path / "history.csv"
        if not path.is_file():
            return []
        try:
            return history.loads(_read(path).decode(errors="replace"))
        except ValueError as error:
            raise RunError(f"{path}: damaged ({error})") from None

    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return self.environment().classes

    def predictions(self, split: str = "test") -> PredictionTable:
        """The uncalibrated predictions on a split, a PredictionTable: index (int64), label (name of the true class) and
        the probabilities `p_<class>` (float32), one row per image.

        It also has `to_pandas` and is shown as a table in a notebook (see `PredictionTable`).

        Raises RunError if the predictions are missing or damaged.
        """
        from tenfold.run import predictions

        path = self._file(f"predictions/{split}.parquet")
        try:
            return PredictionTable(predictions.read(path))
        except ValueError as error:
            raise RunError(f"{path}: damaged ({error}); `tenfold evaluate {self.path}` writes it again") from None

    def model(self) -> keras.Model:
        """The trained Keras model: uint8 or float pixels 0–255 [n, height, width, channels] → probabilities [n, k].

        Imports Keras and PyTorch. Raises RunError if the run has no model.
        """
        from tenfold.modelfile import load

        return load(self._file("model.keras"))

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run. Raises RunError if it is missing or damaged."""
        text = _read(self._file(name))
        if text.count(b"[") + text.count(b"{") > MOST_LISTS:
            raise RunError(f"{self.path / name}: damaged (more than {MOST_LISTS:,} lists and tables)")
        try:
            content = json.loads(text.decode())
        except (ValueError, RecursionError):
            raise RunError(f"{self.path / name}: damaged (invalid JSON)") from None
        if not isinstance(content, dict):
            raise RunError(f"{self.path / name}: damaged (not a JSON object)")
        return content

    def _record(self, name: str) -> Any:
        """The content of an artifact as a record. Raises RunError if it is missing or damaged."""
        artifact = ARTIFACTS[name]
        assert artifact.record is not None
        content = self.read_json(artifact.pattern)
        fault = artifact.record.fault(content)
        if fault is not None:
            renew = artifact.renewed_by.replace("RUN", str(self.path))
            advice = f"; `tenfold {renew}` writes it again" if renew else ""
            raise RunError(f"{self.path / artifact.pattern}: damaged ({fault}){advice}")
        return artifact.record(content)

    def has(self, name: str) -> bool:
        """Whether the run has that file."""
        return (self.path / name).is_file()

    def _file(self, name: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise RunError(f"{self.path}: the run has no {name}{'' if name == 'status.json' else self._condition()}")
        return path

    def _condition(self) -> str:
        """The state of the run in brackets, with its reason."""
        status = self.status()
        return f" (its status is {status.state.value!r}{': ' if status.reason else ''}{status.reason})"

    # -- one writer at a time -------------------------------------------------------------------------

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run's lock while writing; the operating system releases it when the process ends.

        Raises RunError if another process holds it, StorageError if the directory can't be written.
        """
        busy = RunError(f"{self.path}: another process is writing this run; wait for it or stop it")
        with locked(self.path / LOCK, refusal=busy, advice=WRITABLE):
            sweep(self.path, WRITABLE)
            yield

    # -- writing --------------------------------------------------------------------------------------

    def write(self, name: str, content: bytes | str | Callable[[Path], object]) -> Path:
        """Write a file of the run atomically, like `write_whole`. Raises StorageError."""
        self._check_present()
        return write_whole(self.path / name, content, ELSEWHERE)

    def remove(self, *patterns: str) -> None:
        """Remove the files and directories of the run that match the patterns, and directories that are empty then.

        Raises StorageError.
        """
        for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
            with storing(path, ELSEWHERE):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
                if path.parent != self.path and not any(path.parent.iterdir()):
                    path.parent.rmdir()

    def write_directory(self, name: str, fill: Callable[[Path], object]) -> Path:
        """Write a directory of the run atomically; `fill` writes the files into the path that it receives.

        An existing directory of that name is replaced. Raises StorageError.
        """
        self._check_present()
        return write_directory(self.path / name, fill, ELSEWHERE)

    def _check_present(self) -> None:
        """Raise StorageError if the run directory has vanished, rather than create an incomplete one."""
        if not self.path.is_dir():
            raise StorageError(f"can't write {self.path}: the run directory has vanished; restore it and resume the "
                               "run, or train again")

    def write_json(self, name: str, value: Mapping[str, Any]) -> Path:
        """Write a mapping as indented JSON. Raises ValueError for NaN, which JSON does not allow."""
        return self.write(name, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    def write_recipe(self, recipe: Recipe) -> Path:
        """Write the resolved recipe; `tenfold train <this file>` repeats the run."""
        return self.write("recipe.toml", recipe.dumps())

    def write_status(self, state: State, reason: str = "", **more: Any) -> Path:
        """Write the state of the run, the reason and further facts. Raises ValueError for the state "died"."""
        if state is State.DIED:
            raise ValueError("the state 'died' can't be written: readers find it by the run's free lock")
        return self.write_json("status.json", {"status": state.value, "reason": reason, **more})

    def write_history(self, records: Iterable[Mapping[str, float]]) -> Path:
        """Write all records as CSV; additional columns follow the standard ones."""
        return self.write("history.csv", history.dumps(records))


def _read(path: Path) -> bytes:
    """The content of a text file of a run. Raises RunError if it is unreadable, no regular file, or far too large."""
    try:
        return read_small(path, LARGEST)
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: damaged ({getattr(error, 'strerror', None) or error})") from None
