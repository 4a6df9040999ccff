"""The cost of checkpoints."""

from __future__ import annotations

import time
from pathlib import Path

from drill import Tally
from drill.training import Ground
from tenfold import jobs
from tenfold.data import catalogue
from tenfold.progress import Epoch, Event, Training, Watcher
from tenfold.recipe import Recipe
from tenfold.training.loop import Loop

SHARE = 0.01
EPOCHS = 2


def of_checkpoints(ground: Ground, count: int) -> Tally:
    """Train `cifar-cnn` for two epochs, `count` times, and measure the time within checkpoints.

    Uses CIFAR-10 if this machine has it, else fewer drawn shapes of the same size.
    """
    tally = Tally()
    there = catalogue()["cifar10"]["where"] is not None
    data = "cifar10" if there else "shapes:train=5000,test=500"
    recipe = Recipe.load("cifar-cnn", {"train.epochs": EPOCHS})
    for i in range(count):
        share, saves, run = measure(recipe, data, ground.place(f"overhead-{i}"))
        tally.add(f"training {i + 1}", None if share <= SHARE else f"{share:.2%} of the time")
        tally.facts.append(f"{share:.3%} of {run:.0f} s, for {saves} checkpoints in {EPOCHS} epochs of {data}")
    return tally


def measure(recipe: Recipe, data: str, runs: Path) -> tuple[float, int, float]:
    """(fraction of the training time spent on checkpoints, number of checkpoints, seconds of the training)."""
    clock = _Clock()
    save = Loop._save

    def timed(loop: Loop, kind: str) -> None:
        before = time.perf_counter()
        save(loop, kind)
        clock.spent.append(time.perf_counter() - before)

    Loop._save = timed  # type: ignore[method-assign]
    try:
        jobs.train(recipe, data, runs=runs, watcher=clock)
    finally:
        Loop._save = save  # type: ignore[method-assign]
    seconds = clock.ended - clock.began
    return sum(clock.spent) / seconds, len(clock.spent), seconds


class _Clock(Watcher):
    """The moments of the beginning and the end of the training."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.spent: list[float] = []

    def on(self, event: Event) -> None:
        if isinstance(event, Training):
            self.began = time.perf_counter()
        elif isinstance(event, Epoch):
            self.ended = time.perf_counter()
