"""Random search by `tenfold tune` over the learning rate of a recipe, without pruning.

The clock starts when the libraries are imported, and stops when the last trial has ended; reading the data and starting
the worker processes count. The verdict on the winner, which a peer does not have, is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from tenfold.progress import Event, Notice, Watcher
from tenfold.recipe import Recipe, text
from tenfold.search import tune
from tenfold.search.space import Space


class UntilTrials(Watcher):
    """Stops a search after so many trials."""

    def __init__(self, trials: int) -> None:
        self._left, self.ended = trials, 0.0

    def on(self, event: Event) -> None:
        if isinstance(event, Notice) and event.text.startswith("trial "):
            self._left -= 1
            self.ended = time.perf_counter()

    def stop(self) -> bool:
        return self._left <= 0


def search(recipe: Recipe, trials: int, low: float, high: float, seed: int, workers: int | None) -> dict[str, Any]:
    """Search with that many trials: seconds, and the best validation accuracy."""
    space = Space.loads(f'[search]\n"train.learning_rate" = {{ low = {low}, high = {high}, log = true }}\n', recipe)
    with tempfile.TemporaryDirectory() as runs:
        before, watch = time.perf_counter(), UntilTrials(trials)
        with contextlib.suppress(KeyboardInterrupt):
            tune(recipe, trials=trials, by="accuracy", space=space, sampler="random", pruner="none", seed=seed,
                 workers=workers, runs=runs, watcher=watch)
        found = json.loads(next(Path(runs).glob("*/search.json")).read_text(encoding="utf-8"))
        ended = [row for row in found["trials"] if row["status"] == "finished"]
    return {"seconds": watch.ended - before, "trials": len(ended), "best": max(row["value"] for row in ended)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--low", type=float, required=True)
    parser.add_argument("--high", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int)
    arguments = parser.parse_args()
    print(json.dumps(search(text.load(arguments.recipe, arguments.set), arguments.trials, arguments.low, arguments.high,
                            arguments.seed, arguments.workers)))


if __name__ == "__main__":
    main()
