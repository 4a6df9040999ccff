"""Searches that are killed, and searches by many processes on one journal."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any

from drill import Tally
from drill.training import Ground
from drill.victim import Fault, complaint, ended, start
from tenfold.progress import SILENT
from tenfold.recipe import Recipe
from tenfold.run import Run
from tenfold.search.results import read, rows
from tenfold.search.trials import Trials

RECIPE = Recipe.from_dict({
    "data": {"source": "digits", "validation": 200}, "model": {"name": "mlp", "hidden": [8]},
    "train": {"epochs": 3, "batch_size": 64, "learning_rate": 1e-3}}, name="small")
SPACE = """[search]
"train.learning_rate" = { low = 1e-4, high = 1e-1, log = true }
"model.hidden" = { choices = [[8], [32], [16, 16]] }
"model.dropout" = { low = 0.0, high = 0.5, when = { "model.hidden" = [[32]] } }
"""
SAME = ("number", "status", "value", "changes", "curve")  # of a trial, with and without interruption
TRIALS_PER_KILL = 3
MANY = 100  # trials, from which on the rows run at full length
LONG, SHORT = 60.0, 3.0  # seconds for which a process is paused


def killed(ground: Ground, count: int) -> Tally:
    """Kill one search `count` times at random moments, then let it finish; compare it with an uninterrupted one."""
    trials, tally, draw = TRIALS_PER_KILL * count, Tally(), random.Random(4)
    seconds, expected = uninterrupted(ground.place("search-whole"), trials)
    place = ground.place("search-killed")
    for number in range(count):
        process = start(words(place, trials), place / f"log-{number}")
        folder = begun(place)
        moment = draw.uniform(0, seconds / count)
        time.sleep(moment)
        process.kill()
        code = ended(process)
        tally.add(f"kill {number + 1}, after {moment:.2f} s", lost(found(folder), expected) if code < 0 else
                  f"exit code {code}")
    code = ended(start(words(place, trials), place / "log-last"), 1800)
    tally.add("the search at last", f"exit code {code}: {' '.join(complaint(place / 'log-last'))}" if code else
              differs(found(folder), expected))
    tally.facts.append(f"{trials} trials; best trial {(read(folder) or {})['best']['number']}")
    return tally


def together(ground: Ground, count: int) -> Tally:
    """Let eight processes share a search of `count` trials; two of them are paused for a minute.

    One is paused at a random moment, the other one while it writes the journal and holds its lock.
    """
    place, tally, full = ground.place("search-together"), Tally(), count >= MANY
    number, pause = (8, LONG) if full else (3, SHORT)
    arguments = [*words(place, count), "--set", "train.epochs=1", "--pruner", "none"]
    paused = Fault("journal.log", 20, Pause(), writes=True)
    processes = [start(arguments, place / f"log-{i}", paused if i == 0 else None) for i in range(number)]
    folder = begun(place)
    time.sleep(random.Random(5).uniform(1, 3))
    _signal(processes[1].pid, signal.SIGSTOP)
    time.sleep(pause)
    for process in processes[:2]:
        _signal(process.pid, signal.SIGCONT)
    codes = [ended(process, 3600) for process in processes]
    for i, code in enumerate(codes):
        said = complaint(place / f"log-{i}")
        tally.add(f"process {i + 1}", f"exit code {code}: {' '.join(said)}" if code or said else None)
    trials = found(folder)
    runs = [run.name for run in Run.list(folder / "trials")]
    tally.add("the trials", None if [row["number"] for row in trials] == list(range(1, count + 1)) else
              f"are {len(trials)}; expected {count}")
    tally.add("their runs", None if sorted(runs) == sorted(f"trial-{i + 1}" for i in range(count)) else
              f"are {len(runs)}; expected {count}")
    for row in trials:
        tally.add(f"trial {row['number']}", None if row["status"] == "finished" else f"{row['status']} {row['reason']}")
    tally.facts.append(f"{count} trials by {number} processes, two of them paused for {pause:.0f} s")
    return tally


class Pause:
    """SIGSTOP to oneself."""

    def __call__(self) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)


def words(place: Path, trials: int) -> list[object]:
    """The arguments of `tenfold` that search in a directory."""
    (place / "small.toml").write_text(RECIPE.dumps(), encoding="utf-8")
    (place / "space.toml").write_text(SPACE, encoding="utf-8")
    return ["tune", place / "small.toml", "--space", place / "space.toml", "--trials", trials, "--by", "accuracy",
            "--workers", 1, "--final-seeds", 1, "--runs", place / "runs"]


def uninterrupted(place: Path, trials: int) -> tuple[float, list[dict[str, Any]]]:
    """(seconds, trials) of a search in a directory that nothing interrupts. Raises RuntimeError if it fails."""
    process = start(words(place, trials), place / "log")
    folder = begun(place)
    before = time.monotonic()
    if ended(process, 1800) != 0:
        raise RuntimeError(" ".join(complaint(place / "log")))
    return time.monotonic() - before, found(folder)


def begun(place: Path, timeout: float = 120) -> Path:
    """The directory of the search, as soon as it has one. Raises TimeoutError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if plans := sorted((place / "runs").glob("search-*/plan.json")):
            return plans[0].parent
        time.sleep(0.01)
    raise TimeoutError(f"no search began within {timeout:g} s")


def found(folder: Path) -> list[dict[str, Any]]:
    """The trials in the storage of a search."""
    return rows(Trials(folder, None, SILENT))


def differs(trials: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str | None:
    """The problem if the trials are others than expected."""
    same = [_same(row) for row in trials] == [_same(row) for row in expected]
    return None if same else "its trials differ from those of the uninterrupted search"


def lost(trials: list[dict[str, Any]], expected: list[dict[str, Any]]) -> str | None:
    """What a kill spoiled: numbers that are missing or doubled, or ended trials that are others than expected."""
    if [row["number"] for row in trials] != list(range(1, len(trials) + 1)):
        return f"the numbers of the trials are {[row['number'] for row in trials]}"
    different = [row["number"] for row, other in zip(trials, expected, strict=False)
                 if row["status"] not in ("waiting", "running") and _same(row) != _same(other)]
    return f"trials {different} differ from those of the uninterrupted search" if different else None


def _same(row: dict[str, Any]) -> list[Any]:
    return [row[key] for key in SAME]


def _signal(pid: int | None, number: int) -> None:
    assert pid is not None
    os.kill(pid, number)
