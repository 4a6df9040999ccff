"""Simultaneous trainings."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from drill import Tally
from drill.training import Ground, content, finished, stray, words
from drill.victim import complaint, ended, start
from tenfold.comparison import compare
from tenfold.errors import TenfoldError
from tenfold.run import Run


def simultaneous(ground: Ground, count: int) -> Tally:
    """Start `count` trainings under one name at once, while a reader keeps reading all runs."""
    directory = ground.place("starts")
    arguments, root = [*words(directory), "--name", "same", "--set", "train.epochs=2"], directory / "runs"
    reader = Reader(root)
    reader.start()
    processes = [start(arguments, directory / f"log-{i}") for i in range(count)]
    codes = [ended(process, timeout=900) for process in processes]
    reader.stop.set()
    reader.join()
    tally, made = Tally(), Run.list(root)
    same = {content(run)["weights"] for run in made if finished(run)}
    for i, code in enumerate(codes):
        name, run = f"same-{i + 1}", Run(root / f"same-{i + 1}")
        if code != 0:
            problem = f"exit code {code}: {' '.join(complaint(directory / f'log-{i}'))}"
        elif run.name not in {other.name for other in made}:
            problem = "was not created"
        elif not finished(run) or stray(run):
            problem = f"is incomplete ({run.status()['status']}, left over: {stray(run)})"
        else:
            problem = None
        tally.add(name, problem)
    tally.add("the weights of one seed", None if len(same) == 1 else f"are {len(same)} different ones")
    tally.add("the reader", "; ".join(reader.errors[:3]) or None)
    tally.facts.append(f"the reader read a run {reader.reads} times")
    return tally


class Reader(threading.Thread):
    """Reads status, recipe, history and metrics of every run and compares the finished ones, until stopped."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root, self.stop, self.reads = root, threading.Event(), 0
        self.errors: list[str] = []

    def run(self) -> None:
        while not self.stop.is_set():
            done = []
            for run in Run.list(self.root):
                try:
                    self._read(run)
                    if run.status()["status"] == "finished":
                        done.append(run)
                except (TenfoldError, OSError, ValueError) as error:
                    self.errors.append(f"{run.name}: {error}")
            if done:  # all but the first repeat it: the same recipe, the same seed
                self.errors += [line for line in compare(done).left_out if "it repeats" not in line]
            time.sleep(0.05)

    def _read(self, run: Run) -> None:
        self.reads += 1
        if (status := run.status()["status"]) not in ("running", "finished"):
            self.errors.append(f"{run.name}: was seen as {status}")
        run.recipe()
        run.history()
        for name in ("environment.json", "metrics.json"):
            if run.has(name):
                run.read_json(name)
