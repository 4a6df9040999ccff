"""One run directory: found, made, read and written.

Every file of a run is written here, whole or not at all. The directory itself is made exclusively, so two
starts never share one.
"""

from __future__ import annotations

import builtins
import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tenfold.errors import MissingRunError, RecipeError, RunError, StorageError
from tenfold.recipe import Recipe
from tenfold.run import history
from tenfold.run.artifacts import ARTIFACTS
from tenfold.run.naming import ELSEWHERE, make_numbered, natural
from tenfold.run.records import Calibration, Corruptions, Environment, Metrics, Speed, State, Status
from tenfold.storage.files import storing, sweep, write_directory, write_whole
from tenfold.storage.locks import is_held, locked

if TYPE_CHECKING:
    import keras

LOCK = ".lock"


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
    def create(cls, root: str | Path, name: str, recipe: Recipe | None = None) -> Self:
        """Make `root/name-1`, or the next free number. Raises UsageError for a bad name, StorageError.

        With a recipe it is a run from the start: however soon its process is killed, it can be resumed.
        """

        def fill(path: Path) -> None:
            if recipe is not None:
                run = cls(path)
                run.write_recipe(recipe)
                run.write_status(State.RUNNING)

        return cls(make_numbered(Path(root), name, fill))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """The run at `path`. Raises RunError if that is no run directory."""
        path = Path(path)
        if not path.is_dir():
            reason = "is a file" if path.exists() else "no such directory"
            raise MissingRunError(f"{path}: {reason}; expected a run directory made by `tenfold train`")
        if not (path / "recipe.toml").is_file() or not (path / "status.json").is_file():
            raise MissingRunError(f"{path}: is no run directory (it lacks recipe.toml or status.json); "
                           "expected one made by `tenfold train`")
        return cls(path)

    @classmethod
    def list(cls, root: str | Path) -> builtins.list[Self]:
        """All runs in the directory `root`, oldest name first; none if there is no such directory."""
        found = [p.parent for p in Path(root).glob("[!.]*/status.json") if (p.parent / "recipe.toml").is_file()]
        return [cls(path) for path in sorted(found, key=natural)]

    # -- reading --------------------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """The resolved recipe that this run was made with."""
        path = self._file("recipe.toml")
        try:
            return Recipe.loads(path.read_text(encoding="utf-8"), name=self.name)
        except (RecipeError, UnicodeDecodeError) as error:
            raise RunError(f"{path}: damaged ({' '.join(str(error).split())})") from None

    def status(self) -> Status:
        """What the run is, why, and what else was noted with it; as a mapping too, with `status` as in `status.json`.

        A run that says "running" and that no process writes any more has died.
        """
        noted: Status = self._record("status")
        if noted.state is State.RUNNING and not is_held(self.path / LOCK):
            noted = self._record("status")  # it may have ended, properly, between the two looks
            if noted.state is State.RUNNING:
                reason = f"its process died; resume it with `tenfold resume {self.path}`"
                return Status({**noted, "status": State.DIED.value, "reason": reason})
        return noted

    def environment(self) -> Environment:
        """Versions, machine, threads, precision, seed, the data set with its fingerprint and splits."""
        return self._record("environment")

    def metrics(self) -> Metrics:
        """Split → metric → {"value", "low", "high"}, and "per_class", "confusion_matrix"."""
        return self._record("metrics")

    def calibration(self) -> Calibration:
        """The fitted temperature, and the metrics before and after."""
        return self._record("calibration")

    def corruptions(self) -> Corruptions:
        """Accuracy on corrupted images."""
        return self._record("corruptions")

    def speed(self) -> Speed:
        """How many images a second the model classifies, and on what."""
        return self._record("speed")

    def history(self) -> builtins.list[dict[str, float]]:
        """One record an epoch, in order; a value that was not measured is left out."""
        path = self.path / "history.csv"
        if not path.is_file():
            return []
        try:
            return history.loads(path.read_text(encoding="utf-8", errors="replace"))
        except ValueError as error:
            raise RunError(f"{path}: damaged ({error})") from None

    def classes(self) -> tuple[str, ...]:
        """The class names, in the order of the labels."""
        return self.environment().classes

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

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run. Raises RunError if it is missing or damaged."""
        try:
            content = json.loads(self._file(name).read_text(encoding="utf-8"))
        except (ValueError, RecursionError):
            raise RunError(f"{self.path / name}: damaged (no valid JSON)") from None
        if not isinstance(content, dict):
            raise RunError(f"{self.path / name}: damaged (no JSON object)")
        return content

    def _record(self, name: str) -> Any:
        """The content of an artifact as its record. Raises RunError if it is missing or damaged."""
        artifact = ARTIFACTS[name]
        assert artifact.record is not None
        content = self.read_json(artifact.pattern)
        fault = artifact.record.fault(content)
        if fault is not None:
            renew = artifact.renewed_by.replace("RUN", str(self.path))
            advice = f"; `tenfold {renew}` renews it" if renew else ""
            raise RunError(f"{self.path / artifact.pattern}: damaged ({fault}){advice}")
        return artifact.record(content)

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
        busy = RunError(f"{self.path}: another process is writing this run; wait for it or stop it")
        with locked(self.path / LOCK, refusal=busy, advice=ELSEWHERE):
            sweep(self.path, ELSEWHERE)
            yield

    # -- writing --------------------------------------------------------------------------------------

    def write(self, name: str, content: bytes | str | Callable[[Path], object]) -> Path:
        """Write one file of the run whole or not at all, as `write_whole` does. Raises StorageError."""
        self._still_there()
        return write_whole(self.path / name, content, ELSEWHERE)

    def remove(self, *patterns: str) -> None:
        """Remove files of the run that no longer hold, if they are there. Raises StorageError."""
        for path in [path for pattern in patterns for path in self.path.glob(pattern)]:
            with storing(path, ELSEWHERE):
                path.unlink(missing_ok=True)

    def write_directory(self, name: str, fill: Callable[[Path], object]) -> Path:
        """Write a directory of the run whole or not at all; `fill` writes files into the path it is given.

        A directory of that name is replaced. Raises StorageError.
        """
        self._still_there()
        return write_directory(self.path / name, fill, ELSEWHERE)

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

    def write_status(self, state: State, reason: str = "", **more: Any) -> Path:
        """Write what the run is now, why, and further facts. A run can't say that it died: raises ValueError."""
        if state is State.DIED:
            raise ValueError("a run that died is found by its readers; it can't be written")
        return self.write_json("status.json", {"status": state.value, "reason": reason, **more})

    def write_history(self, records: Iterable[Mapping[str, float]]) -> Path:
        """Write all records as CSV; values of any further columns come after the usual ones."""
        return self.write("history.csv", history.dumps(records))
