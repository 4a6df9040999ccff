"""The small training that the drill kills, and the parts of its run that must be the same afterwards."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from drill.victim import Fault, Note, complaint, ended, start
from tenfold.errors import TenfoldError
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.storage.files import TEMPORARY

RECIPE = Recipe.from_dict({
    "data": {"source": "shapes:train=800,test=100,seed=4"},
    "model": {"name": "cnn", "filters": [4, 8], "norm": "batch", "dropout": 0.2, "dense": [16]},
    "train": {
        "epochs": 8, "batch_size": 30, "schedule": "one-cycle", "learning_rate": 5e-3,
        "augment": {"mirror": {}, "translate": {}, "mixup": {}},
    },
}, name="small")
SCORED = ("scored", "times", "earlier")  # of a split: when, and how often in this run


@dataclass(frozen=True)
class Reference:
    """The uninterrupted run: its content, and the seconds from its first file to its end."""

    run: Run
    content: dict[str, Any]
    seconds: float


class Ground:
    """The working directory of the drill, and the uninterrupted run, trained on first use."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, name: str) -> Path:
        """A new directory."""
        path = self.root / name
        path.mkdir(parents=True)
        return path

    @cached_property
    def whole(self) -> Reference:
        return reference(self.place("whole"))


def words(directory: Path, *more: object) -> list[object]:
    """The arguments of `tenfold` that train the recipe, with runs in `directory`."""
    recipe = directory / "small.toml"
    recipe.write_text(RECIPE.dumps(), encoding="utf-8")
    return ["train", recipe, "--runs", directory / "runs", *more]


def reference(directory: Path) -> Reference:
    """Train without interruption."""
    process = start(words(directory), directory / "log")
    run = begun(directory)
    before = time.monotonic()
    if ended(process) != 0:
        raise RuntimeError((directory / "log").read_text(encoding="utf-8"))
    return Reference(run, content(run), time.monotonic() - before)


def operations(directory: Path, fault: Fault) -> int:
    """The number of file operations in an uninterrupted training that the fault counts."""
    notes = directory / "notes"
    ended(start(words(directory), directory / "log", replace(fault, at=0, act=Note(notes))))
    return notes.stat().st_size


def begun(directory: Path, timeout: float = 120) -> Run:
    """The run in `directory`, as soon as it has its first files. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if found := Run.list(directory / "runs"):
            return found[-1]
        time.sleep(0.002)
    raise TimeoutError(f"no run began within {timeout:g} s")


def content(run: Run) -> dict[str, Any]:
    """The parts that must be the same: weights, history, metrics, predictions; without times and counts of scoring."""
    timing = ("seconds", "images_per_second")
    weights = b"".join(w.tobytes() for w in run.model().get_weights())
    return {
        "weights": hashlib.sha256(weights).hexdigest(),
        "history": [{k: v for k, v in record.items() if k not in timing} for record in run.history()],
        "metrics": {k: {m: v for m, v in part.items() if m not in SCORED} for k, part in run.metrics().items()},
        "predictions": run.predictions("test"),
    }


def goes_on(directory: Path, expected: dict[str, Any]) -> str | None:
    """Resume in `directory` with `tenfold train … --resume`: the problem of the result; None if there is none."""
    log = directory / "resume.log"
    whole = [run for run in Run.list(directory / "runs") if finished(run)]
    if not whole:
        code = ended(start(words(directory, "--resume"), log))
        if code != 0:
            return f"resuming ended with exit code {code}: {' '.join(complaint(log))}"
        whole = [run for run in Run.list(directory / "runs") if finished(run)]
    if len(whole) != 1:
        return f"{len(whole)} finished runs; expected one"
    if left := stray(whole[0]):
        return f"files are left over: {', '.join(left)}"
    try:
        found = content(whole[0])
    except TenfoldError as error:
        return str(error)
    different = [key for key in expected if found[key] != expected[key]]
    return f"{' and '.join(different)} differ from the uninterrupted run" if different else None


def finished(run: Run) -> bool:
    """Whether a run finished."""
    return run.status()["status"] == "finished"


def stray(run: Run) -> list[str]:
    """Leftover temporary files of a run."""
    return [path.name for path in run.path.rglob(".*") if TEMPORARY.match(path.name) or path.name == ".lock"]
